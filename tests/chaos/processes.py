"""Who is whose child, and who is left over."""

from __future__ import annotations

import contextlib
import ctypes
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PR_SET_CHILD_SUBREAPER = 36


@dataclass(frozen=True)
class Process:
    """A process as /proc has it."""

    pid: int
    parent: int
    state: str
    command: str


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent ends, so that none can hide."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def descendants(of: int) -> list[Process]:
    """Return the living children of a process, theirs and so on; one that waits to be collected does not live."""
    everybody = list(_processes())
    family, found = {of}, []
    grown = True
    while grown:
        grown = False
        for each in everybody:
            if each.parent in family and each.pid not in family:
                family.add(each.pid)
                found.append(each)
                grown = True
    return [each for each in found if each.state != "Z"]


def is_frozen(pid: int | None) -> bool:
    """Whether a process has been stopped with SIGSTOP."""
    return any(each.pid == pid and each.state == "T" for each in _processes())


def signal_to(pid: int, number: int) -> None:
    """Send a signal to a process that may have ended."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def _processes() -> Iterator[Process]:
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            state, parent = (folder / "stat").read_text().rpartition(")")[2].split()[:2]
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            continue
        yield Process(int(folder.name), int(parent), state, command.strip())
