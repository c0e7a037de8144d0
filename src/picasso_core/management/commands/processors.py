"""``manage.py processors``: what is installed here, and what is broken and why."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from ...models import Offer
from ...sandbox.client import Zygote

# Media types; GET /processors/ has all of them.
SHOWN = 4


class Command(BaseCommand):
    help = "List the processors installed in this environment. Exit status 1 if one is broken."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--forget",
            metavar="NAME",
            help="No longer list this processor, which no worker has any more; its results stay. Needs the database.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["forget"]:
            self._forget(options["forget"])
        else:
            self._list()

    def _forget(self, name: str) -> None:
        offers = Offer.objects.filter(processor=name)
        if not offers.exists():
            raise CommandError(f"No worker has ever had a processor {name!r}.")
        if not offers.filter(withdrawn=True).delete()[0]:
            raise CommandError(
                f"Workers have {name!r}: uninstall its plugin and start them again; half a minute later it is absent."
            )
        self.stdout.write(f"Forgot {name!r} where it is absent. Its results stay.")

    def _list(self) -> None:
        zygote = Zygote()
        zygote.start()
        zygote.stop()
        for plugin in zygote.plugins:
            if plugin["error"]:
                self.stdout.write(f"{plugin['name']:<12} broken   {plugin['error']}")
                continue
            types = ", ".join(plugin["media_types"][:SHOWN])
            if more := len(plugin["media_types"][SHOWN:]):
                types += f" and {more} more"
            self.stdout.write(
                f"{plugin['name']:<12} version {plugin['version']:<4} {plugin['distribution']:<20} {types}"
            )
        if not zygote.plugins:
            self.stdout.write("No processor is installed. Install one with pip.")
        if any(plugin["error"] for plugin in zygote.plugins):
            raise SystemExit(1)
