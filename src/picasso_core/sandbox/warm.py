"""The worker's handle on one confined process: set its limits, look at what it uses, stop, wake and end it."""

from __future__ import annotations

import contextlib
import math
import os
import resource
import signal
import sys
import time
from pathlib import Path

from . import protocol
from .client import SandboxUnavailable, Zygote

READY_SECONDS = 10.0
REAP_SECONDS = 5.0
MAX_GROWTH = 512 * 1024 * 1024
"""Bytes of address space that it may keep from earlier files."""
IS_LINUX = sys.platform == "linux"
PAGE = resource.getpagesize()


class Gone(Exception):
    """The process has ended."""


class WarmChild:
    """A forked, confined process that waits for requests."""

    def __init__(self, zygote: Zygote, folder: Path, log: int) -> None:
        """Fork it. Raises ``SandboxUnavailable``."""
        self.owner: object = None
        """Whose files it serves; set with the first."""
        self.served = 0
        self._zygote = zygote
        self._at_first = 0
        self._confined = False
        self._hard: dict[int, int] = {}
        self.pid, self.requests, self.answers = zygote.fork(folder, log)
        self._statm: int | None = None
        """What tells its memory (proc_pid_statm(5)), open since it was first read: that is twice for each file."""

    def wait_until_confined(self) -> None:
        """Wait for its first word, which it says when it is confined. Raises ``SandboxUnavailable``."""
        if not self.is_confined():
            raise SandboxUnavailable("A process of the sandbox could not be confined")

    def is_confined(self) -> bool:
        """Whether it is alive and ready for its first file, once it had time to confine itself."""
        if not self._confined:
            try:
                ready = protocol.read_frame(self.answers, 1000, deadline=time.monotonic() + READY_SECONDS)
            except (protocol.TimedOut, protocol.FrameTooLarge, ValueError):
                return False
            self._confined = ready == {"state": "ready"}
            if not self._confined:
                return False
            self._at_first = self._address_space()
            limited = (resource.RLIMIT_CPU, resource.RLIMIT_FSIZE, resource.RLIMIT_AS) if IS_LINUX else ()
            with contextlib.suppress(ProcessLookupError):
                self._hard = {what: resource.prlimit(self.pid, what)[1] for what in limited}
        return self._is_quiet()

    def is_fit(self) -> bool:
        """Whether it is alive, has said nothing unasked and has not kept much memory from earlier files."""
        return self._is_quiet() and self._address_space() <= self._at_first + MAX_GROWTH

    def limit(self, *, cpu_seconds: float, memory: int, output: int) -> None:
        """Bound what the next run may use on top of what this process has used already. Raises ``Gone``.

        From outside, for the process itself may not change its limits.
        """
        if not IS_LINUX:
            return
        self._set(resource.RLIMIT_CPU, math.ceil(self.cpu_seconds() + cpu_seconds))
        self._set(resource.RLIMIT_FSIZE, output)
        self._set(resource.RLIMIT_AS, self._address_space() + memory)

    def cpu_seconds(self) -> float:
        """Return the processor time it has used. Raises ``Gone``."""
        if not IS_LINUX:
            return 0.0
        try:
            return time.clock_gettime((~self.pid << 3) | 2)  # the clock of a process: clock_getcpuclockid(3)
        except OSError:
            raise Gone from None

    def stop(self) -> None:
        """Let it do nothing until it is woken: a processor may have left threads running."""
        self._signal(signal.SIGSTOP)

    def wake(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it at once; to be called from any thread."""
        self._signal(signal.SIGKILL)

    def end(self, wait: float = 0.0) -> int | None:
        """End it, after ``wait`` seconds to end by itself, and return its exit status, negative for a signal."""
        os.close(self.requests)
        status = None
        if wait:
            self.wake()
            status = self._zygote.reap(self.pid, wait)
        if status is None:
            self.kill()
            status = self._zygote.reap(self.pid, REAP_SECONDS)
        os.close(self.answers)
        if self._statm is not None:
            os.close(self._statm)
        return status

    def _is_quiet(self) -> bool:
        # When the zygote has ended, its children are about to.
        return self._zygote.is_running() and not protocol.readable(self.answers, 0)

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def _set(self, what: int, soft: int) -> None:
        hard = self._hard[what]
        try:
            resource.prlimit(self.pid, what, (soft if hard == resource.RLIM_INFINITY else min(soft, hard), hard))
        except ProcessLookupError:
            raise Gone from None

    def _address_space(self) -> int:
        try:
            if self._statm is None:
                self._statm = os.open(f"/proc/{self.pid}/statm", os.O_RDONLY)
            return int(os.pread(self._statm, 100, 0).split()[0]) * PAGE
        except (OSError, IndexError):
            return 0
