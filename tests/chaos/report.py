"""What came of it: a verdict, a table for the terminal, and the same for docs/reliability.md."""

from __future__ import annotations

import re
import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from .figures import Figure
from .invariants import Findings
from .load import Ledger
from .storm import RECOVERY_SECONDS, Storm, Strike

BEGIN, END = "<!-- make chaos writes from here -->", "<!-- make chaos writes up to here -->"
DRAIN_SECONDS = 120.0
STOP_SECONDS = 30.0
JUST_BEFORE = 3.0
BROKEN = ("lost", "wrong bytes", "duplicated", "stuck", "failed")
RUNS = ("date", "seed", "minutes", "uploads", "faults", "worst recovery", "drained", *BROKEN)
HEAD = ("fault", "times", "worst recovery", *BROKEN)


@dataclass
class Report:
    """One run."""

    minutes: float
    seed: int
    ledger: Ledger
    storm: Storm
    findings: Findings
    figures: list[Figure]
    drained: float | None
    survivors: list[str]
    slowest_stop: float
    orphans: int
    """How many stored files had no row before they were collected."""
    diagnosis: list[str]

    def broken(self) -> list[str]:
        """Say which invariants do not hold and which bounds were missed."""
        found, sentences = self.findings, []
        for sort in ("lost", "wrong", "duplicated", "stuck", "failed", "orphans"):
            sentences += [f"{sort}: {sentence} ({key})" for key, sentence in getattr(found, sort).items()]
        for strike in self.storm.strikes:
            if strike.recovery is None or strike.recovery > RECOVERY_SECONDS:
                sentences.append(f"{strike.fault}: no recovery within {RECOVERY_SECONDS:.0f} s")
        if self.drained is None or self.drained > DRAIN_SECONDS:
            sentences.append(f"not drained {DRAIN_SECONDS:.0f} s after the last fault")
        if self.slowest_stop > STOP_SECONDS:
            sentences.append(f"SIGTERM took {self.slowest_stop:.0f} s")
        sentences += [f"{figure.outage}: {_figure(figure)}" for figure in self.figures if not figure.good]
        sentences += [f"doctor: {each}" for each in self.diagnosis]
        sentences += [f"wrong answer: {each}" for each in self.ledger.wrong]
        return sentences + [f"survivor: {each}" for each in self.survivors]

    def text(self) -> str:
        """Lay it out for the terminal."""
        rows = [HEAD, *self._rows()]
        widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
        table = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)
        return "\n".join([*table, "", *self._sentences()])

    def write(self, page: Path) -> None:
        """Put it between the two marks of ``page``; the line of each other seed's last run stays."""
        before, rest = page.read_text().split(BEGIN)
        inside, after = rest.split(END)
        kept = [line for line in re.findall(r"^\| 20.*$", inside, re.MULTILINE) if f"| {self.seed} |" not in line]
        runs = sorted([*kept, self._line()])
        lines = [_markdown(RUNS), _markdown(["---"] * len(RUNS)), *runs, "", f"The run with seed {self.seed}:", ""]
        lines += [_markdown(HEAD), _markdown(["---"] * len(HEAD)), *map(_markdown, self._rows()), ""]
        lines += [f"- {sentence}" for sentence in self._sentences()]
        page.write_text("\n".join([before + BEGIN, *lines, END + after]))

    def _line(self) -> str:
        found = self.findings
        counts = (found.lost, found.wrong, found.duplicated, found.stuck, found.failed)
        worst = _seconds([strike.recovery for strike in self.storm.strikes])
        return _markdown(
            [f"{datetime.now(UTC):%Y-%m-%d}", str(self.seed), f"{self.minutes:g}", str(len(self.ledger.accepted)),
             str(len(self.storm.strikes)), worst, _seconds([self.drained]), *(str(len(each)) for each in counts)]
        )  # fmt: skip

    def _rows(self) -> list[list[str]]:
        found = self.findings
        sorts = (found.lost, found.wrong, found.duplicated, found.stuck, found.failed)
        blamed = [self._blame(each) for each in sorts]
        rows = []
        for fault in sorted({strike.fault for strike in self.storm.strikes}, key=str.lower):
            strikes = [strike for strike in self.storm.strikes if strike.fault == fault]
            recovery = _seconds([strike.recovery for strike in strikes])
            rows.append([fault, str(len(strikes)), recovery, *(str(counts[fault]) for counts in blamed)])
        recovery = _seconds([strike.recovery for strike in self.storm.strikes])
        rows.append(["all", str(len(self.storm.strikes)), recovery, *(str(len(each)) for each in sorts)])
        rows += [[f"{fault}: skipped, {why}", "0", *["-"] * 6] for fault, why in self._skipped()]
        return rows

    def _skipped(self) -> Iterable[tuple[str, str]]:
        made = {strike.fault for strike in self.storm.strikes}
        return ((fault, why) for fault, why in self.storm.impossible.items() if fault not in made)

    def _blame(self, broken: Iterable[str]) -> Counter[str]:
        """Count, for each fault, the Files that were uploaded after it or just before it, and before the next."""
        at = {key: each.at for key, each in self.ledger.accepted.items()}
        strikes: Sequence[Strike] = sorted(self.storm.strikes, key=lambda strike: strike.begun)
        blamed: Counter[str] = Counter()
        for key in broken:
            earlier = [strike.fault for strike in strikes if strike.begun <= at.get(key, 0.0) + JUST_BEFORE]
            blamed[earlier[-1] if earlier else ""] += 1
        return blamed

    def _sentences(self) -> list[str]:
        found, ledger = self.findings, self.ledger
        waited = sorted(found.waited) or [0.0]
        answers = ", ".join(f"{count} x {status or 'no answer'}" for status, count in sorted(ledger.answers.items()))
        sentences = [
            f"{len(ledger.accepted)} uploads accepted; answers: {answers}; the slowest took {ledger.slowest:.1f} s; "
            f"{ledger.refused} clients gave up.",
            f"From the upload to the last result: median {statistics.median(waited):.1f} s, 99 of 100 within "
            f"{waited[int(len(waited) * 0.99)]:.1f} s, the slowest {waited[-1]:.1f} s. {found.losses} leases expired.",
            f"Drained {_seconds([self.drained])} after the last fault; "
            f"everything stopped in {self.slowest_stop:.0f} s; "
            f"{len(self.survivors)} processes outlived their parent or the end.",
            f"{found.unacknowledged} files are there whose uploader did not get the answer; "
            f"{self.orphans} stored files had no row, {len(found.orphans)} once the sweeper had been round.",
        ]
        return sentences + [f"{figure.outage}: {_figure(figure)}" for figure in self.figures]


def _figure(figure: Figure) -> str:
    promised = "503 with Retry-After" if figure.usual_p95 is None else "201"
    usual = "" if figure.usual_p95 is None else f" (usual {figure.usual_p95 * 1000:.0f} ms)"
    return (
        f"{figure.as_promised} of {figure.uploads} answered {promised}, "
        f"p95 {figure.p95 * 1000:.0f} ms{usual}, the slowest {figure.slowest * 1000:.0f} ms."
    )


def _seconds(values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None]
    if len(known) < len(values):
        return "never"
    return f"{max(known):.1f} s" if known else "-"


def _markdown(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
