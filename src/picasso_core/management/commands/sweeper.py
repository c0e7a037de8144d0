"""``manage.py sweeper``: publish what is due and repair what fell behind, until a signal ends it."""

import signal
import threading
from typing import Any

from ... import sweeper
from ..long_running import LongRunningCommand


class Command(LongRunningCommand):
    help = "Publish what is due and repair what fell behind, until SIGTERM or Ctrl-C. Several copies are safe."

    def handle(self, *args: Any, **options: Any) -> None:
        stopping = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stopping.set())
        sweeper.run(stopping)
