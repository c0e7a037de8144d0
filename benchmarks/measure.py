"""Processor time and memory of trees of processes, from /proc; and one line of the table."""

from __future__ import annotations

import os
import re
import statistics
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
MIB = 1024 * 1024
GONE = (FileNotFoundError, ProcessLookupError)


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line of the table: Picasso's runs, those it is compared with, and what must hold."""

    name: str
    ours: Sequence[float]
    theirs: Sequence[float] = ()
    unit: str = ""
    cpu: float | None = None
    """Milliseconds of processor time for one, of the servers, the database and the broker."""
    their_cpu: float | None = None
    at_least: float | None = None
    """Picasso's median through the other's."""
    at_most: float | None = None
    """The same, or Picasso's median by itself where there is no other."""

    @property
    def value(self) -> float:
        median = statistics.median(self.ours)
        return median / statistics.median(self.theirs) if self.theirs else median

    @property
    def missed(self) -> bool:
        too_low = self.at_least is not None and self.value < self.at_least
        return too_low or (self.at_most is not None and self.value > self.at_most)

    def cells(self) -> tuple[str, ...]:
        must = f">= {self.at_least:g}" if self.at_least else f"<= {self.at_most:g}" if self.at_most else ""
        return (
            self.name,
            *(spread(self.ours, self.unit), _cpu(self.cpu)),
            *(spread(self.theirs, self.unit), _cpu(self.their_cpu)),
            f"x {self.value:.2f}" if self.theirs else "",
            f"{must} {'MISSED' if self.missed else 'ok'}" if must else "",
        )


HEADER = ("", "Picasso (lowest-highest)", "CPU ms", "compared with", "CPU ms", "ratio", "must")


def spread(values: Sequence[float], unit: str = "") -> str:
    if not values:
        return ""
    digits = 1 if statistics.median(values) < 100 else 0
    low, median, high = (f"{each:,.{digits}f}" for each in (min(values), statistics.median(values), max(values)))
    return f"{median}{unit} ({low}-{high})" if len(values) > 1 else f"{median}{unit}"


def _cpu(milliseconds: float | None) -> str:
    return "" if milliseconds is None else f"{milliseconds:.2f}"


def tree(root: int) -> list[int]:
    """The process ``root`` and all below it."""
    parents: dict[int, int] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(*GONE):
            parents[int(folder.name)] = int(_stat(int(folder.name))[1])
    found = [root]
    for pid in found:
        found += [child for child, parent in parents.items() if parent == pid]
    return found


def cpu_seconds(roots: Iterable[int]) -> float:
    """What these trees have used so far, the children that have ended included."""
    ticks = 0
    for pid in {pid for root in roots for pid in tree(root)}:
        with suppress(*GONE):
            ticks += sum(int(each) for each in _stat(pid)[11:15])
    return ticks / TICKS


def _stat(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def listener(port: int) -> list[int]:
    """The process that listens on ``port``; none where /proc does not tell this user."""
    wanted = f":{port:04X}"
    sockets = [line.split() for name in ("tcp", "tcp6") for line in Path("/proc/net", name).read_text().splitlines()]
    links = {f"socket:[{each[9]}]" for each in sockets if each[1].endswith(wanted) and each[3] == "0A"}
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(PermissionError, *GONE):
            if links & {os.readlink(each) for each in (folder / "fd").iterdir()}:
                return [int(folder.name)]
    return []


def resident(root: int) -> float:
    """MiB of a tree, with what its processes share counted once (Pss)."""
    return sum(_kib(pid, "smaps_rollup", "Pss") for pid in tree(root)) / 1024


def forget_peaks(root: int) -> float:
    """Start the peaks of a tree anew; return what it uses now, in MiB, by the same count as ``peak``."""
    for pid in tree(root):
        Path(f"/proc/{pid}/clear_refs").write_text("5")
    return peak(root)


def peak(root: int) -> float:
    """The most MiB that each process of a tree has used since then, summed."""
    return sum(_kib(pid, "status", "VmHWM") for pid in tree(root)) / 1024


def _kib(pid: int, name: str, key: str) -> int:
    with suppress(*GONE):
        if found := re.search(rf"^{key}:\s+(\d+) kB", Path(f"/proc/{pid}/{name}").read_text(), re.MULTILINE):
            return int(found[1])
    return 0
