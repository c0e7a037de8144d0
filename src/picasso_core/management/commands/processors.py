"""``manage.py processors``: what is installed here, what the workers lack and why, and an operator's decisions."""

from collections.abc import Iterator
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import Error as DatabaseError

from ... import standing, switching
from ...models import Offer, Switch
from ...outages import database_trouble
from ...sandbox.client import Zygote

# Media types; GET /processors/ has all of them.
SHOWN = 4
UPGRADES = (*Switch.Upgrades.values, "settings")


class Command(BaseCommand):
    help = (
        "List the processors installed in this environment, and those of the workers that files do not reach. "
        "Exit status 1 if one that is installed here is broken. The options need the database."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        only_one = parser.add_mutually_exclusive_group()
        only_one.add_argument("--off", metavar="NAME", help="Claim no Job for this processor, from now on.")
        only_one.add_argument("--on", metavar="NAME", help="The opposite; Jobs that wait for it go on.")
        only_one.add_argument(
            "--exclude",
            nargs="+",
            metavar=("NAME", "TYPE"),
            help="Give it no files of these media types, such as image/*; without one, exclude none.",
        )
        only_one.add_argument(
            "--limit",
            nargs="+",
            metavar=("NAME", "LIMIT=NUMBER"),
            help=f"Lower these of its limits, {', '.join(switching.LEAST)}; without one, lower none.",
        )
        only_one.add_argument(
            "--pin", nargs=2, metavar=("NAME", "VERSION"), help="Keep this version in force, whatever is newer."
        )
        only_one.add_argument("--unpin", metavar="NAME", help="The newest version comes into force.")
        only_one.add_argument(
            "--upgrades",
            nargs=2,
            metavar=("NAME", "WHAT"),
            help=f"What a new version does with the files that are there: {', '.join(UPGRADES)}.",
        )
        only_one.add_argument(
            "--forget",
            metavar="NAME",
            help="No longer list this processor, which no worker has any more; its results stay.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["forget"]:
            self._forget(options["forget"])
        elif decision := _decision(options):
            self._decide(*decision)
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

    def _decide(self, name: str, asked: dict[str, object]) -> None:
        try:
            switch = switching.decide(name, asked)
        except (switching.UnknownProcessor, switching.Refused) as error:
            raise CommandError(str(error)) from None
        for sentence in _say(switch):
            self.stdout.write(sentence)

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
        try:
            for line in _at_the_workers():
                self.stdout.write(line)
        except DatabaseError as error:
            self.stderr.write(f"What the workers have is not known: {database_trouble(error)}")
        if any(plugin["error"] for plugin in zygote.plugins):
            raise SystemExit(1)


def _decision(options: dict[str, Any]) -> tuple[str, dict[str, object]] | None:
    """Read which processor and what is to be decided about it. Raises ``CommandError``."""
    if name := options["off"] or options["on"]:
        return name, {"enabled": bool(options["on"])}
    if options["exclude"]:
        name, *patterns = options["exclude"]
        return name, {"excluded": patterns}
    if options["limit"]:
        name, *limits = options["limit"]
        return name, {"limits": dict(_limit(each) for each in limits)}
    if options["pin"] or options["unpin"]:
        name, version = options["pin"] or (options["unpin"], None)
        return name, {"pinned": version}
    if options["upgrades"]:
        name, what = options["upgrades"]
        return name, {"upgrades": None if what == "settings" else what}
    return None


def _limit(text: str) -> tuple[str, int]:
    name, _, number = text.partition("=")
    try:
        return name, int(number)
    except ValueError:
        raise CommandError(f"{text!r} is no limit: write one such as seconds=10.") from None


def _say(switch: Switch) -> Iterator[str]:
    """Say all that is decided about a processor now."""
    name = switch.processor
    yield f"{name} is {'on' if switch.enabled else 'off: its Jobs wait, and no new ones are made'}."
    if switch.excluded:
        yield f"{name} is given no {', '.join(switch.excluded)}."
    if switch.limits:
        yield f"{name} is limited to {', '.join(f'{each}={most}' for each, most in switch.limits.items())}."
    if switch.pinned:
        yield f"{name} is pinned to version {switch.pinned}."
    if switch.upgrades:
        yield f"A new version of {name}: {Switch.Upgrades(switch.upgrades).label}."


def _at_the_workers() -> Iterator[str]:
    """Say what keeps files from the processors that there are, and how many Jobs wait."""
    waiting = standing.waiting_jobs()
    for each in standing.read():
        if each.reason:
            offer = each.offer
            yield f"{offer.processor:<12} {each.state:<8} version {offer.version or 'unknown'}: {each.reason}"
    for name, count in sorted(waiting.items()):
        yield f"{name:<12} {count} {'Job waits' if count == 1 else 'Jobs wait'} for it."
