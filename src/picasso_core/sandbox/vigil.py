"""Watching over one run: its clocks, its processor time, what it writes, and the claim that it holds."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from . import protocol, scratch
from .limits import RunLimits
from .warm import Gone, WarmChild

BEAT_SECONDS = 10.0
LOOK_SECONDS = 0.25
FRAME_SECONDS = 5.0
ROOM_FOR_WORDS = 256 * 1024
"""An answer is more than its result: messages and tracebacks."""
MAX_PROGRESS = 200
MAX_LOG = 4 * 1024 * 1024
QUIET_MESSAGES = 100
CHATTER_SECONDS = 0.01


class Exceeded(Exception):
    """A limit was passed; its name is the argument."""


class Vigil:
    """The wait for one answer."""

    def __init__(
        self, child: WarmChild, workdir: Path, log: int, limits: RunLimits, deadline: float, beat: Callable[[], bool]
    ) -> None:
        self._child = child
        self._workdir = workdir
        self._log = log
        self._limits = limits
        self._deadline = deadline
        self._beat = beat
        self._cpu_at_first = child.cpu_seconds()

    def keep(self) -> dict[str, Any]:
        """Return the answer.

        Raises ``Exceeded``; ``Gone`` where the child ended or has to; and what ``protocol.read_frame`` does.
        """
        heard = looked = beaten = now = time.monotonic()
        messages = 0
        while True:
            if now >= self._deadline:
                raise Exceeded("seconds")
            if now >= heard + self._limits.silence:
                raise Exceeded("silence")
            if now >= looked + LOOK_SECONDS:
                self._look()
                looked = now
            if now >= beaten + BEAT_SECONDS:
                if not self._beat():
                    raise Gone
                beaten = now
            until = min(self._deadline, heard + self._limits.silence, looked + LOOK_SECONDS, beaten + BEAT_SECONDS)
            if protocol.readable(self._child.answers, until - now):
                answer = self._read()
                if answer.get("state") != "running":
                    return answer
                heard = time.monotonic()
                messages += 1
                if messages > QUIET_MESSAGES:
                    # Nobody needs so many: the rest waits in the pipe.
                    time.sleep(CHATTER_SECONDS)
            now = time.monotonic()

    def _read(self) -> dict[str, Any]:
        limit = self._limits.result + ROOM_FOR_WORDS
        body = protocol.read_body(self._child.answers, limit, deadline=time.monotonic() + FRAME_SECONDS)
        if body is None:
            raise Gone
        answer = protocol.decode(body)
        if answer.get("state") == "running" and len(body) > MAX_PROGRESS:
            # Decoded over and over, such ones would take the worker's time from its other slots.
            raise ValueError(f"a progress message of {len(body)} bytes")
        return answer

    def _look(self) -> None:
        """See what the kernel does not bound by itself, or lets a process put off by blocking a signal."""
        try:
            used = scratch.used(self._workdir, self._child.pid)
        except scratch.TooMuch:
            raise Exceeded("output") from None
        if used > self._limits.output or os.fstat(self._log).st_size > min(MAX_LOG, self._limits.output):
            raise Exceeded("output")
        if self._child.cpu_seconds() - self._cpu_at_first > self._limits.cpu_seconds:
            raise Exceeded("cpu_seconds")
