"""``manage.py processors``: what is installed here, what the workers lack and why, and an operator's decisions."""

from collections.abc import Container, Iterator
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
Obstacles = dict[tuple[str, str], list[tuple[str, str]]]
"""By processor and version the states and the reasons why files do not reach it."""


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
        for sentence in _say(switch, asked):
            self.stdout.write(sentence)

    def _list(self) -> None:
        zygote = Zygote()
        zygote.start()
        zygote.stop()
        try:
            obstacles, waiting = _obstacles(), standing.waiting_jobs()
        except DatabaseError as error:
            self.stderr.write(f"What the workers have is not known: {database_trouble(error)}")
            obstacles, waiting = {}, {}
        for line in _lines(zygote.plugins, obstacles):
            self.stdout.write(line)
        for name, count in sorted(waiting.items()):
            self.stdout.write(f"{name:<12} {count} {'Job waits' if count == 1 else 'Jobs wait'} for it.")
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


def _say(switch: Switch, asked: Container[str]) -> Iterator[str]:
    """Say all that is decided about a processor now, and of what was ``asked`` also that it is decided no more."""
    name = switch.processor
    yield f"{name} is {'on' if switch.enabled else 'off: its Jobs wait, and no new ones are made'}."
    limits = ", ".join(f"{each}={most}" for each, most in switch.limits.items())
    for field, decided, lifted in (
        ("excluded", f"{name} is given no {', '.join(switch.excluded)}.", f"{name} is given all that it accepts."),
        ("limits", f"{name} is limited to {limits}.", f"{name} has no limits but its own and those of the settings."),
        ("pinned", f"{name} is pinned to version {switch.pinned}.", f"{name} is pinned to no version."),
        (
            "upgrades",
            f"A new version of {name}: {switch.get_upgrades_display()}.",
            f"A new version of {name}: what the settings say.",
        ),
    ):
        if getattr(switch, field):
            yield decided
        elif field in asked:
            yield lifted


def _obstacles() -> Obstacles:
    """Find what keeps files from the processors of the workers."""
    found: Obstacles = {}
    for each in standing.read():
        here = found.setdefault((each.offer.processor, each.offer.version), [])
        # Two queues may have the same reason.
        if each.reason and (each.state, each.reason) not in here:
            here.append((each.state, each.reason))
    return found


def _lines(plugins: list[dict[str, Any]], obstacles: Obstacles) -> Iterator[str]:
    """Say what is installed here, each with its obstacles, and then the other obstacles that there are."""
    for plugin in plugins:
        yield _installed(plugin)
        for state, reason in obstacles.pop((plugin["name"], plugin["version"]), ()):
            if reason != plugin["error"]:
                yield f"{'':<12} {state:<8} {reason}"
    if not plugins:
        yield "No processor is installed. Install one with pip."
    for (name, version), others in obstacles.items():
        for state, reason in others:
            yield f"{name:<12} {state:<8} version {version or 'unknown'}: {reason}"


def _installed(plugin: dict[str, Any]) -> str:
    if plugin["error"]:
        return f"{plugin['name']:<12} broken   {plugin['error']}"
    types = ", ".join(plugin["media_types"][:SHOWN])
    if more := len(plugin["media_types"][SHOWN:]):
        types += f" and {more} more"
    return f"{plugin['name']:<12} version {plugin['version']:<4} {plugin['distribution']:<20} {types}"
