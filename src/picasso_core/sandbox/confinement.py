"""What a child gives up before it sees a byte of a file, and the limits of one run."""

from __future__ import annotations

import os
import resource
import signal
import sys
from pathlib import Path

from ..processes import die_with_parent


def confine(folder: Path, parent: int) -> None:
    """Leave the parent's process group, die with it, dump no core and open few files; ``folder`` is all that it needs.

    This is the one place where a child becomes less than its parent: what it may reach is narrowed here.
    """
    os.setsid()
    die_with_parent(parent)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    os.chdir(folder)


def apply_limits(*, cpu_seconds: float, memory: int, output: int) -> None:
    """Bound what the next run may use on top of what this warm process has used already."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    _lower(resource.RLIMIT_CPU, int(used.ru_utime + used.ru_stime + cpu_seconds) + 1)
    _lower(resource.RLIMIT_FSIZE, output)
    _lower(resource.RLIMIT_AS, _address_space() + memory)


def _lower(what: int, soft: int) -> None:
    hard = resource.getrlimit(what)[1]
    resource.setrlimit(what, (soft if hard == resource.RLIM_INFINITY else min(soft, hard), hard))


def _address_space() -> int:
    if sys.platform != "linux":
        return 1 << 36
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
