"""What came of it: counted by format, findings kept with the file, so that each can be had again."""

from __future__ import annotations

import json
import re
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from picasso_core.sandbox.outcome import Outcome

from .verdict import BUGS, LIMITS, cause

MiB = 1 << 20
KEPT = 3
"""Files of each kind of finding; more tell no more."""
COLUMNS = (
    "format",
    "files",
    "runs",
    "succeeded",
    "failed",
    "declined",
    "crashed",
    "limits",
    "bugs",
    "slowest",
    "memory",
)


@dataclass(frozen=True)
class Case:
    """One file for the sandbox."""

    format: str
    name: str
    content: bytes
    made: str
    """How it was made, to be read."""
    forced: tuple[tuple[str, str], ...] = ()
    """Processors that get it whatever it is identified as, and what they are told that it is."""
    ends: tuple[str, ...] = ()
    """The codes it may end with where it is forced; none given, any."""
    seconds: float | None = None
    """Within which each run has to end."""


@dataclass
class Row:
    """One format's figures."""

    files: int = 0
    ends: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    memory: int = 0

    def cells(self, name: str) -> tuple[str, ...]:
        """Return what is printed."""
        ends = self.ends
        counts = (
            *(self.files, ends.total(), ends["succeeded"], sum(ends[code] for code in ends if code not in _TOLD)),
            *(ends["declined"], ends["crashed"], sum(ends[code] for code in LIMITS), sum(ends[code] for code in BUGS)),
        )
        return (name, *(f"{count:,}" for count in counts), f"{self.seconds:.2f} s", f"{self.memory / MiB:.0f} MiB")


_TOLD = ("succeeded", "declined", "crashed", *LIMITS, *BUGS)


class Book:
    """Where all threads write what they saw."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.rows: dict[str, Row] = {}
        self.broken: Counter[str] = Counter()
        """Promises that were broken, each with how often."""
        self.noted: Counter[str] = Counter()
        """Crashes and limits, which are allowed, by format and processor."""
        self.examples: dict[str, list[Path]] = {}
        self._folder = folder
        self._seed = seed
        self._lock = threading.Lock()

    def count(self, case: Case) -> None:
        """Note that a file is through."""
        with self._lock:
            self.rows.setdefault(case.format, Row()).files += 1

    def ran(self, case: Case, processor: str, outcome: Outcome, seconds: float, memory: int) -> None:
        """Note how one run ended."""
        with self._lock:
            row = self.rows.setdefault(case.format, Row())
            row.ends[outcome.code or outcome.state] += 1
            row.seconds, row.memory = max(row.seconds, seconds), max(row.memory, memory)
        if outcome.code in BUGS:
            self.find(case, f"{processor}: {outcome.code}: {cause(outcome)}", outcome)
        elif outcome.code in (*LIMITS, "crashed"):
            self._note(self.noted, case, f"{case.format}: {processor}: {outcome.message}", outcome)

    def find(self, case: Case | None, promise: str, outcome: Outcome | None = None) -> None:
        """Note a broken promise."""
        self._note(self.broken, case, promise, outcome)

    def _note(self, where: Counter[str], case: Case | None, what: str, outcome: Outcome | None) -> None:
        with self._lock:
            where[what] += 1
            if case is not None and where[what] <= KEPT:
                self.examples.setdefault(what, []).append(self._keep(case, what, outcome))

    def _keep(self, case: Case, what: str, outcome: Outcome | None) -> Path:
        number = len(list(self._folder.glob("*.json"))) if self._folder.is_dir() else 0
        self._folder.mkdir(parents=True, exist_ok=True)
        ending = re.sub(r"[^A-Za-z0-9.]", "", Path(case.name).suffix)
        path = self._folder / f"{number:03}-{re.sub('[^a-zA-Z0-9]+', '-', case.format)}{ending}"
        path.write_bytes(case.content)
        facts = {"name": case.name, "format": case.format, "seed": self._seed, "made": case.made, "forced": case.forced}
        facts |= {"finding": what, "detail": outcome.detail if outcome else ""}
        path.with_name(f"{path.name}.json").write_text(json.dumps(facts, indent=1))
        return path

    def table(self) -> Iterator[str]:
        """Yield the lines of the table, the sum last."""
        total = Row()
        for row in self.rows.values():
            total.files += row.files
            total.ends += row.ends
            total.seconds, total.memory = max(total.seconds, row.seconds), max(total.memory, row.memory)
        rows = [COLUMNS, *(row.cells(name) for name, row in sorted(self.rows.items())), total.cells("together")]
        widths = [max(len(row[column]) for row in rows) for column in range(len(COLUMNS))]
        for cells in rows:
            first, *rest = (cell.rjust(width) for cell, width in zip(cells, widths, strict=True))
            yield "  ".join([first.strip().ljust(widths[0]), *rest])

    def lists(self) -> Iterator[str]:
        """Yield what is noted and what is broken, with the files kept."""
        for title, found in (("Allowed, and to be looked at:", self.noted), ("NOT as promised:", self.broken)):
            if found:
                yield f"\n{title}"
            for what, count in found.most_common():
                yield f"  {count} x {what}"
                yield from (f"      --replay {path}" for path in self.examples.get(what, [])[:1])
