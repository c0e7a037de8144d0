"""One warm child for one worker thread: give it a file, wait within limits, replace it after any failure."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from types import MappingProxyType
from typing import Any

from . import outcome, protocol, scratch
from .client import SandboxUnavailable, Zygote
from .limits import Ceilings, RunLimits
from .outcome import Outcome
from .vigil import Exceeded, Vigil
from .warm import Gone, WarmChild

LAST_WORDS_SECONDS = 0.5
ABORTED = Outcome(state="aborted")
IDENTIFY = {"output": 1024 * 1024}


class Runner:
    """Runs files one after the other in a warm child.

    ``stop`` may be called from another thread; everything else belongs to the thread that uses it. Each call takes
    ``beat``, called at least every 10 seconds: False ends the run, and the outcome is ``aborted``.
    """

    def __init__(self, zygote: Zygote, parent: Path, ceilings: Ceilings | None = None) -> None:
        """Make a folder in ``parent`` to work in."""
        parent.mkdir(parents=True, exist_ok=True)
        self.folder = Path(tempfile.mkdtemp(prefix="slot-", dir=parent))
        self.workdir = self.folder / "work"
        """Where the run under way writes its artifacts."""
        self._input = self.folder / "input" / "file"
        for folder in (self._input.parent, self.workdir):
            folder.mkdir()
        self.deadline: float | None = None
        """When the run under way must have ended, on the monotonic clock; a watchdog reads it."""
        self._zygote = zygote
        self._ceilings = ceilings or Ceilings()
        self._child: WarmChild | None = None
        self._spare: WarmChild | None = None
        """Forked while the one before it works, so that nobody waits for it; it has seen no file."""
        self._log = os.open(self.folder / "log", os.O_RDWR | os.O_CREAT, 0o600)
        self._stopped = False

    @contextmanager
    def input(self, source: Path) -> Iterator[Path]:
        """Put a file within the child's reach for any number of runs, hard-linked where possible.

        What the runs wrote is taken away afterwards. The directories stay: the child's right to them is a right to
        these very ones.
        """
        try:
            _put(source, self._input)
            yield self._input
        finally:
            self._input.unlink(missing_ok=True)
            scratch.empty(self.workdir)

    def identify(
        self, path: Path, *, name: str, declared: str, owner: object = None, beat: Callable[[], bool]
    ) -> Outcome:
        """Find the media type of ``path``; the data has ``media_type`` and ``evidence``."""
        request = {"op": "identify", "path": str(path), "name": name, "declared": declared}
        found = self._run(request, IDENTIFY, {}, owner, beat)
        return outcome.identification(found) if found.state == "succeeded" else found

    def process(
        self, path: Path, *, processor: str, file: dict[str, Any], limits: Mapping[str, Any],
        switched: Mapping[str, Any] = MappingProxyType({}), owner: object = None, beat: Callable[[], bool],
    ) -> Outcome:  # fmt: skip
        """Run ``processor`` on ``path``, within the lowest of its ``limits``, the ceilings and ``switched``.

        ``file`` has name, media_type, size and sha256. What the run before wrote is taken away.
        """
        request = {"op": "process", "processor": processor, "path": str(path), "workdir": str(self.workdir), **file}
        request["bounds"] = asdict(self._ceilings.bounds)
        return self._run(request, limits, switched, owner, beat)

    def stop(self) -> None:
        """End the run under way, whose outcome is then ``aborted``, and let no other begin."""
        self._stopped = True
        if (child := self._child) is not None:
            child.kill()

    def close(self) -> None:
        """End the child and remove the scratch directory."""
        self._replace(wait=LAST_WORDS_SECONDS)
        if self._spare is not None:
            self._spare.end()
        os.close(self._log)
        scratch.remove(self.folder)

    def _run(
        self, request: dict[str, Any], asked: Mapping[str, Any], switched: Mapping[str, Any], owner: object,
        beat: Callable[[], bool],
    ) -> Outcome:  # fmt: skip
        if self._stopped:
            return ABORTED
        limits = RunLimits.lower_of(self._ceilings, asked, switched)
        try:
            child = self._ready_for(owner)
            # A zygote that has to be started first takes none of the file's time.
            self.deadline = time.monotonic() + limits.seconds
            return self._exchange(child, {**request, "max_result": limits.result}, limits, beat)
        except SandboxUnavailable as error:
            _, tail = self._replace()
            return Outcome(state="aborted", detail=f"{error}. {tail}" if tail else str(error))
        finally:
            self.deadline = None

    def _ready_for(self, owner: object) -> WarmChild:
        """Return a child that served nobody but ``owner``, with an empty work directory."""
        child = self._child
        if child and child.owner == owner and child.served < self._ceilings.reuse and child.is_fit():
            scratch.empty(self.workdir)
            return child
        self._child = None
        try:
            if child:
                child.kill()
            # Made while the other goes; it has nothing to do until that is gone and the directory is empty.
            self._child = self._take_spare() or self._fork()
        finally:
            if child:
                child.end()
        scratch.empty(self.workdir)
        self._child.wait_until_confined()
        self._child.owner = owner
        return self._child

    def _take_spare(self) -> WarmChild | None:
        """Return the spare child, if there is one and it is fit."""
        spare, self._spare = self._spare, None
        if spare is None or spare.is_confined():
            return spare
        spare.end()
        return None

    def _fork(self) -> WarmChild:
        # Opened anew for each: it cannot read what one before it wrote, nor leave the next a place to write at.
        log = os.open(self.folder / "log", os.O_WRONLY | os.O_APPEND)
        try:
            return WarmChild(self._zygote, self.folder, log)
        finally:
            os.close(log)

    def _have_a_spare(self) -> None:
        """Have the child forked that comes after the one that is at work."""
        if self._spare is None:
            # Whoever needs it will say what is wrong.
            with suppress(SandboxUnavailable):
                self._spare = self._fork()

    def _exchange(
        self, child: WarmChild, request: dict[str, Any], limits: RunLimits, beat: Callable[[], bool]
    ) -> Outcome:
        """Have a child answer one request; it is replaced unless all went well."""
        assert self.deadline is not None
        child.served += 1
        try:
            if self._stopped:
                raise Gone
            child.limit(cpu_seconds=limits.cpu_seconds, memory=limits.memory, output=limits.output)
            os.ftruncate(self._log, 0)
            child.wake()
            vigil = Vigil(child, self.workdir, self._log, limits, self.deadline, beat)
            protocol.write_all(child.requests, protocol.encode(request))
            self._have_a_spare()
            answer = vigil.keep()
            # From here on nothing changes what it wrote.
            child.stop() if child.served < self._ceilings.reuse else child.kill()
            result = outcome.validate(answer, self.workdir, limits)
            if outcome.size_of(result.artifacts) > limits.output:
                result = outcome.exceeded("output", limits)
        except (Gone, BrokenPipeError):
            status, tail = self._replace(wait=LAST_WORDS_SECONDS)
            return ABORTED if self._stopped or not beat() else outcome.of_exit(status, limits, tail)
        except Exceeded as limit:
            _, tail = self._replace()
            return outcome.exceeded(str(limit), limits, tail)
        except protocol.FrameTooLarge:
            result = outcome.exceeded("result", limits)
        except (protocol.TimedOut, ValueError) as error:
            result = outcome.failure("invalid_answer", detail=str(error))
        if result.state not in ("succeeded", "declined"):
            self._replace()
        return result

    def _replace(self, *, wait: float = 0.0) -> tuple[int | None, str]:
        """End the child, after ``wait`` seconds to end by itself; return its exit status and what it printed last."""
        child, self._child = self._child, None
        status = child.end(wait) if child else None
        size = os.fstat(self._log).st_size
        return status, os.pread(self._log, 4096, max(0, size - 4096)).decode("utf-8", "replace")


def _put(source: Path, target: Path) -> None:
    """Link ``source`` to ``target``, or copy it: never onto a file that is there, perhaps another's bytes."""
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except FileNotFoundError:
        raise
    except OSError:
        with source.open("rb") as stored, target.open("xb") as copy:
            shutil.copyfileobj(stored, copy, 1 << 20)
