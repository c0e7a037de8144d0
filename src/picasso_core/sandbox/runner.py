"""One warm child for one worker thread: give it a file, wait within limits, replace it after any failure."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from . import outcome, protocol
from .client import SandboxUnavailable, Zygote
from .outcome import Outcome

FILES_PER_CHILD = 500
BEAT_SECONDS = 10.0
FRAME_SECONDS = 5.0
LAST_WORDS_SECONDS = 0.5
REAP_SECONDS = 5.0
ABORTED = Outcome(state="aborted")
IDENTIFY = {"seconds": 60.0, "cpu_seconds": 30.0, "memory": 768 * 1024 * 1024, "output": 1024 * 1024}


class Runner:
    """Runs files one after the other in a warm child.

    ``stop`` may be called from another thread; everything else belongs to the thread that uses it. Each call takes
    ``beat``, called at least every 10 seconds: False ends the run, and the outcome is ``aborted``.
    """

    def __init__(self, zygote: Zygote, scratch: Path) -> None:
        scratch.mkdir(parents=True, exist_ok=True)
        self.folder = Path(tempfile.mkdtemp(prefix="slot-", dir=scratch))
        self.deadline: float | None = None
        """When the run under way must have ended, on the monotonic clock; a watchdog reads it."""
        self._zygote = zygote
        self._pid: int | None = None
        self._pipes: tuple[int, int] = (-1, -1)
        self._log = os.open(self.folder / "log", os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        self._served = 0
        self._owner: object = None
        self._stopped = False

    @property
    def workdir(self) -> Path:
        """Where the run under way writes its artifacts."""
        return self.folder / "work"

    @contextmanager
    def input(self, source: Path) -> Iterator[Path]:
        """Put a file within the child's reach, hard-linked where possible, and take all it wrote away afterwards."""
        place = self.folder / "input"
        for each in (place, self.workdir):
            shutil.rmtree(each, ignore_errors=True)
            each.mkdir()
        target = place / "file"
        try:
            try:
                os.link(source, target)
            except FileNotFoundError:
                raise
            except OSError:
                shutil.copyfile(source, target)
            yield target
        finally:
            for each in (place, self.workdir):
                shutil.rmtree(each, ignore_errors=True)

    def identify(
        self, path: Path, *, name: str, declared: str, owner: object = None, beat: Callable[[], bool]
    ) -> Outcome:
        """Find the media type of ``path``; the data has ``media_type`` and ``evidence``."""
        request = {"op": "identify", "path": str(path), "name": name, "declared": declared}
        found = self._run(request, IDENTIFY, owner, beat)
        return outcome.identification(found) if found.state == "succeeded" else found

    def process(
        self, path: Path, *, processor: str, file: dict[str, Any], limits: dict[str, Any], owner: object = None,
        beat: Callable[[], bool],
    ) -> Outcome:  # fmt: skip
        """Run ``processor`` on ``path``; ``file`` has name, media_type, size and sha256."""
        request = {"op": "process", "processor": processor, "path": str(path), "workdir": str(self.workdir), **file}
        return self._run(request, limits, owner, beat)

    def stop(self) -> None:
        """End the run under way, whose outcome is then ``aborted``, and let no other begin."""
        self._stopped = True
        if (pid := self._pid) is not None:
            _kill(pid)

    def close(self) -> None:
        """End the child and remove the scratch directory."""
        self._replace(wait=LAST_WORDS_SECONDS)
        os.close(self._log)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _run(self, request: dict[str, Any], limits: dict[str, Any], owner: object, beat: Callable[[], bool]) -> Outcome:
        if self._stopped:
            return ABORTED
        if self._served >= FILES_PER_CHILD or owner != self._owner:
            self._replace()
        self._served += 1
        self._owner = owner
        allowed = {key: limits[key] for key in ("cpu_seconds", "memory", "output")}
        self.deadline = time.monotonic() + limits["seconds"]
        try:
            return self._exchange({**request, "limits": allowed}, limits, beat)
        finally:
            self.deadline = None

    def _exchange(self, request: dict[str, Any], limits: dict[str, Any], beat: Callable[[], bool]) -> Outcome:
        try:
            if self._pid is None:
                self._pid, *pipes = self._zygote.fork(self.folder, self._log)
                self._pipes = (pipes[0], pipes[1])
        except SandboxUnavailable as error:
            return Outcome(state="aborted", detail=str(error))
        try:
            protocol.write_all(self._pipes[0], protocol.encode(request))
            answer = self._wait(beat)
            result = outcome.validate(answer, self.workdir) if answer is not None else None
        except BrokenPipeError:
            result = None
        except protocol.TimedOut:
            self._replace()
            return outcome.failure("timeout", limits["seconds"])
        except (protocol.FrameTooLarge, ValueError) as error:
            self._replace()
            return outcome.failure("invalid_answer", detail=str(error))
        if result is None:
            status, tail = self._replace(wait=LAST_WORDS_SECONDS)
            if self._stopped or not beat():
                return ABORTED
            return outcome.of_exit(status, limits["cpu_seconds"], tail)
        if result.state not in ("succeeded", "declined"):
            self._replace()
        return result

    def _wait(self, beat: Callable[[], bool]) -> dict[str, Any] | None:
        """Wait for the answer, renewing the claim on the way; None when the child ended or must end."""
        assert self.deadline is not None
        while (now := time.monotonic()) < self.deadline:
            if not protocol.readable(self._pipes[1], min(self.deadline - now, BEAT_SECONDS)):
                if not beat():
                    return None
                continue
            message = protocol.read_frame(self._pipes[1], deadline=time.monotonic() + FRAME_SECONDS)
            if message is None or message.get("state") != "running":
                return message
        raise protocol.TimedOut

    def _replace(self, *, wait: float = 0.0) -> tuple[int | None, str]:
        """End the child, after ``wait`` seconds to end by itself; return its exit status and what it printed last."""
        pid, self._pid = self._pid, None
        self._served = 0
        if pid is None:
            return None, ""
        for pipe in self._pipes:
            os.close(pipe)
        status = self._zygote.reap(pid, wait) if wait else None
        if status is None:
            _kill(pid)
            status = self._zygote.reap(pid, REAP_SECONDS)
        size = os.fstat(self._log).st_size
        return status, os.pread(self._log, 4096, max(0, size - 4096)).decode("utf-8", "replace")


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
