"""``manage.py web``: serve HTTP until a signal ends it."""

import ipaddress
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError, CommandParser
from granian import Granian
from granian.constants import Interfaces
from granian.log import LogLevels

from ..long_running import LongRunningCommand

# Uploads that are not through by then are cut off; Docker waits for ten seconds before it kills everything.
KILL_SECONDS = 8
# Each client that stalls in the middle of its upload holds one, and about 1 MB; they start as they are needed.
THREADS = 256


class Command(LongRunningCommand):
    help = "Serve HTTP until SIGTERM or Ctrl-C."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--host", default="127.0.0.1")
        parser.add_argument("--port", type=int, default=8000)
        parser.add_argument("--processes", type=int, default=1)
        parser.add_argument("--threads", type=int, default=THREADS, help="Requests at the same time in each process.")

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.PICASSO_TOKENS and not is_loopback(options["host"]):
            raise CommandError(
                f"Listening on {options['host']} would open Picasso to everybody who reaches this machine: "
                "set PICASSO_TOKEN (openssl rand -hex 32 makes one), or listen on 127.0.0.1."
            )
        module, _, name = settings.WSGI_APPLICATION.rpartition(".")
        Granian(
            f"{module}:{name}",
            address=options["host"],
            port=options["port"],
            interface=Interfaces.WSGI,
            workers=options["processes"],
            blocking_threads=options["threads"],
            respawn_failed_workers=True,
            respawn_interval=0.5,
            workers_kill_timeout=KILL_SECONDS,
            websockets=False,
            log_level=LogLevels.error,
        ).serve()


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches what listens on ``host``."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"
