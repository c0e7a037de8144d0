"""A trial before any file comes: some containers let one ask what the kernel can do, and then refuse to do it."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

Attempt = Callable[[], object]
REFUSED = (errno.EPERM, errno.EACCES, errno.ENOSYS)


def holds(steps: Iterable[Callable[[], object]], attempts: Iterable[Attempt]) -> bool:
    """Whether ``steps`` work in a process of its own, and each of ``attempts`` is refused to it then."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            for step in steps:
                step()
            status = 0 if all(_is_refused(attempt) for attempt in attempts) else 1
        finally:
            os._exit(status)
    return os.waitpid(pid, 0)[1] == 0


def _is_refused(attempt: Attempt) -> bool:
    try:
        attempt()
    except OSError as error:
        return error.errno in REFUSED
    return False


def of_privileges() -> list[Attempt]:
    """What needs the capabilities that root has."""
    return [lambda: os.setgroups([])]


def of_files(private: Iterable[Path]) -> list[Attempt]:
    """Reading and writing outside, and reading ``private``, as far as that exists."""
    attempts: list[Attempt] = [partial(os.listdir, folder) for folder in (Path("/"), *private) if folder.exists()]
    opened = {Path("/proc/self/environ"): os.O_RDONLY, Path("/dev/zero"): os.O_WRONLY}
    return [*attempts, *(partial(os.open, path, flags) for path, flags in opened.items() if path.exists())]


def of_calls() -> list[Attempt]:
    """One call of each kind; those that would go through do no harm."""
    return [
        lambda: socket.socket(socket.AF_UNIX),
        lambda: socket.socket(socket.AF_INET),
        _fork,
        lambda: os.execv("/nowhere", ["/nowhere"]),
        lambda: os.kill(os.getppid(), 0),
        lambda: os.truncate("/nowhere", 0),
    ]


def _fork() -> None:
    if os.fork() == 0:
        os._exit(0)
