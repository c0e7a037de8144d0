"""``manage.py backfill``: bring what is new to the files that are there, see what came of it, go back."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.template.defaultfilters import filesizeformat

from ...backfills import asking, progress, report
from ...models import Backfill

WHICH = "The id of a backfill, or the name of a processor for its newest one."
VERBS = {
    "start": "Begin what was planned.",
    "pause": "Take no more files up; what has not begun waits.",
    "resume": "Go on after a pause.",
    "cancel": "Keep what is done and forget the rest.",
    "rollback": "Pin the version before, and have every file show its results again.",
}
SHOWN = 50
LOOK_SECONDS = 1.0


class Command(BaseCommand):
    help = "Backfills: what is new, brought to the files that are there."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        verbs.add_parser("list", help=f"The newest {SHOWN}.")
        plan = verbs.add_parser("plan", help="Count what there is to do and write it down, to be started.")
        plan.add_argument("processor", nargs="?", help="Run it on the files that have no Job of its version.")
        plan.add_argument("--show-version", metavar="VERSION", help="Show the results of this version of it instead.")
        plan.add_argument("--identify", action="store_true", help="Identify again what no format was found for.")
        plan.add_argument("--start", action="store_true", help="Begin at once.")
        show = verbs.add_parser("show", help="Its plan and how far it is.")
        show.add_argument("which", help=WHICH)
        show.add_argument(
            "--watch", action="store_true", help="Until it is done. Exit status 1 if it is cancelled or waits for you."
        )
        reported = verbs.add_parser("report", help="What a new version made of the files.")
        reported.add_argument("which", help=WHICH)
        reported.add_argument(
            "about", nargs="?", help="A figure of the report, for its files; the id of a file, for what differs."
        )
        reported.add_argument("--limit", type=int, default=100, help="How many files at the most.")
        for verb, text in VERBS.items():
            verbs.add_parser(verb, help=text).add_argument("which", help=WHICH)

    def handle(self, *args: Any, verb: str, **options: Any) -> None:
        try:
            if verb in VERBS:
                self._do(verb, find(options["which"]))
            else:
                getattr(self, f"_{verb}")(**options)
        except asking.Refused as refused:
            raise CommandError(str(refused)) from None
        except KeyboardInterrupt:
            raise SystemExit(130) from None

    def _list(self, **options: Any) -> None:
        for backfill in Backfill.objects.order_by("-pk")[:SHOWN]:
            self.stdout.write(f"{backfill.pk}  {backfill.state:<9}  {purpose(backfill)}: {plan_of(backfill)}")

    def _plan(self, *, processor: str | None, show_version: str | None, identify: bool, start: bool, **_: Any) -> None:
        if identify == bool(processor) or (identify and show_version):
            raise CommandError("Name a processor, or say --identify.")
        kind = Backfill.Kind.REPOINT if show_version else Backfill.Kind.PROCESS
        planned = asking.plan(
            Backfill.Kind.IDENTIFY if identify else kind, processor or "", show_version or "", start=start
        )
        self._say(planned)

    def _do(self, verb: str, backfill: Backfill) -> None:
        if verb == "rollback":
            backfill = asking.roll_back(backfill)
        else:
            asking.act(backfill, verb)
        self._say(backfill)

    def _say(self, backfill: Backfill) -> None:
        backfill.refresh_from_db()
        self.stdout.write(f"{backfill.pk} is {backfill.state}. {purpose(backfill)}: {plan_of(backfill)}.")

    def _show(self, *, which: str, watch: bool, **_: Any) -> None:
        backfill = find(which)
        self.stdout.write(f"{backfill.pk}\n{purpose(backfill)}\nplan      {plan_of(backfill)}")
        self.stdout.write(f"cause     {backfill.get_cause_display()}")
        last = ""
        for line in self._follow(backfill) if watch else [state_of(backfill)]:
            if line != last:
                self.stdout.write(f"{backfill.state:<9} {line}")
                self.stdout.flush()
            last = line
        if watch and backfill.state != Backfill.State.DONE:
            raise SystemExit(1)

    def _follow(self, backfill: Backfill) -> Iterator[str]:
        """Yield how far it is, each second until it is over or waits for a person."""
        while True:
            backfill.refresh_from_db()
            yield state_of(backfill)
            if backfill.state != Backfill.State.RUNNING:
                return
            time.sleep(LOOK_SECONDS)

    def _report(self, *, which: str, about: str | None, limit: int, **_: Any) -> None:
        backfill = find(which)
        if backfill.kind != Backfill.Kind.PROCESS:
            raise CommandError("Only a backfill that runs a processor has a report.")
        if about is None:
            after = f" after {backfill.previous}" if backfill.previous else ""
            self.stdout.write(f"{backfill.processor} {backfill.version}{after}")
            for outcome, count in report.counts(backfill).items():
                self.stdout.write(f"{outcome:<14} {count:>9,}")
        elif about in report.OUTCOMES:
            for entry in report.listed(backfill, about, after=None, limit=max(1, limit)):
                self._print("  ".join([str(entry.file), entry.name, *_runs(entry.earlier, entry.later)]))
        else:
            self._compare(backfill, about)

    def _compare(self, backfill: Backfill, file_id: str) -> None:
        found = report.compare(backfill, key) if (key := _key(file_id)) else None
        if found is None:
            outcomes = ", ".join(report.OUTCOMES)
            raise CommandError(f"{file_id!r} is neither a file of this report nor one of {outcomes}.")
        self._print(f"{found.name}: {found.outcome}")
        for run in _runs(found.earlier, found.later):
            self._print(run)
        for each in found.data:
            for sign, name in (("-", "old"), ("+", "new")):
                if name in each:
                    self._print(f"{sign} {each['path'] or '/'}: {json.dumps(each[name], ensure_ascii=False)}")
        if found.cut:
            self._print("and more")
        for what, names in (("artifacts", found.artifacts), ("warnings", found.warnings)):
            for how, those in names.items():
                for name in those:
                    self._print(f"{what} {how}: {name}")

    def _print(self, line: str) -> None:
        """Print text of strangers, which must not talk to the terminal."""
        shown = (char if char.isprintable() else char.encode("unicode_escape").decode() for char in line)
        self.stdout.write("".join(shown))


def find(which: str) -> Backfill:
    """Return the backfill that is meant. Raises ``CommandError``."""
    found = Backfill.objects.filter(pk=key) if (key := _key(which)) else Backfill.objects.filter(processor=which)
    newest: Backfill | None = found.order_by("-pk").first()
    if newest is None:
        there_is_none = f"There is no backfill {which!r}: manage.py backfill list has them."
        raise CommandError(asking.not_yet(which) or there_is_none)
    return newest


def purpose(backfill: Backfill) -> str:
    """Say what it is for."""
    match backfill.kind:
        case Backfill.Kind.IDENTIFY:
            taught = f", knowing {backfill.processor} {backfill.version}" if backfill.processor else ""
            return f"Identify again what no format was found for{taught}"
        case Backfill.Kind.REPOINT:
            return f"Show the results of {backfill.processor} {backfill.version}"
    after = f", which was {backfill.previous}" if backfill.previous else ""
    return f"Run {backfill.processor} {backfill.version}{after}"


def plan_of(backfill: Backfill) -> str:
    """Say how much it is."""
    took = "" if backfill.seconds is None else f", about {duration(backfill.seconds)}"
    size = filesizeformat(backfill.bytes).replace("\xa0", " ")
    return f"{backfill.files:,} file{'s' * (backfill.files != 1)}, {size}{took}"


def state_of(backfill: Backfill) -> str:
    """Say how far it is."""
    now = progress.read(backfill)
    # What is cancelled is not counted as remaining.
    files = max(backfill.files, now.done) if backfill.state == Backfill.State.CANCELLED else now.done + now.remaining
    parts = [f"{now.done:,} of {files:,} done", f"{now.failed:,} failed"] if files else ["nothing to do"]
    if now.rate:
        parts.append(f"{now.rate:,.1f} a second")
    if now.eta_seconds is not None:
        parts.append(f"{duration(now.eta_seconds)} to go")
    return ", ".join(parts) + (f". {now.waits_for.sentence}" if now.waits_for else "")


def duration(seconds: float) -> str:
    """Say how long, in the two units that matter."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s" if rest else "a moment"


def _runs(*runs: report.Run | None) -> list[str]:
    return [f"{run.version} {run.state}{': ' * bool(run.error)}{run.error}" for run in runs if run]


def _key(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text)
    except ValueError:
        return None
