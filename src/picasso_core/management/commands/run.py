"""``manage.py run``: a whole Picasso on this machine, without any other service."""

import contextlib
import signal
import sys
import threading
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from ...supervisor import StartFailed, Supervisor, is_free


class Command(BaseCommand):
    help = "Run web, worker and sweeper until Ctrl-C."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--port", type=int, default=8000)
        parser.add_argument("--data", type=Path, default=settings.DATA, help="The folder where it keeps everything.")

    def handle(self, *args: Any, **options: Any) -> None:
        port, data = options["port"], options["data"].resolve()
        if not 0 < port < 65536:
            raise CommandError(f"{port} is no port: choose one from 1 to 65535.")
        if not is_free(port):
            raise CommandError(f"Something listens on port {port} already: choose another, as in make run PORT=8123.")
        stopping = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda *_: stopping.set())
        supervisor = Supervisor(data, port)
        try:
            with supervisor.running():
                if not stopping.is_set():
                    self._greet(supervisor.url, data)
                supervisor.keep_running(stopping)
                with contextlib.suppress(BrokenPipeError):
                    self.stdout.write("Stopping; work that is under way is taken up at the next start.")
        except StartFailed as error:
            raise CommandError(str(error)) from None

    def _greet(self, url: str, data: Path) -> None:
        self.stdout.write(
            f"Picasso is running. It is open to everyone on this machine, and to nobody else.\n\n"
            f"  upload      curl -F file=@FILE {url}/upload/\n"
            f"  files       {url}/files/\n"
            f"  processors  {url}/processors/\n"
            f"  data        {data}\n\n"
            f"Ctrl-C stops it."
        )
        sys.stdout.flush()
