"""``manage.py worker``: identify and process files until a signal ends it."""

import os
from typing import Any

from django.conf import settings
from django.core.management.base import CommandParser

from ...tasks import run_worker
from ..long_running import LongRunningCommand

# More than cores: while one file waits for the database, another is worked on.
SLOTS = (os.cpu_count() or 2) + 2


class Command(LongRunningCommand):
    help = "Identify and process files until SIGTERM or Ctrl-C."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--queue", default=settings.PICASSO_QUEUE, help="The queue that it listens to.")
        parser.add_argument("--concurrency", type=int, default=SLOTS, help="Files at the same time.")
        parser.add_argument("--loglevel", default="WARNING")

    def handle(self, *args: Any, **options: Any) -> None:
        run_worker(queue=options["queue"], concurrency=options["concurrency"], loglevel=options["loglevel"])
