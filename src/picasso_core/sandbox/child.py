"""The confined process: read a request, identify or process one file, write the answer; one file at a time."""

from __future__ import annotations

import contextlib
import errno
import faulthandler
import os
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..exceptions import Declined, InvalidFile, MissingDependency, ProcessorError, TemporaryFailure
from ..identification import identify
from ..processors import Bounds, Processor, Result, SourceFile
from .confinement import Confinement, keep_only
from .protocol import FrameTooLarge, encode, read_frame, write_all

ENDS = {Declined: "declined", TemporaryFailure: "temporary", MissingDependency: "missing", InvalidFile: "failed"}
BUG = {"state": "failed", "code": "processor_bug", "again": True}
FORBIDDEN = {"state": "failed", "code": "forbidden", "again": True}
OF_LIMITS = {errno.EFBIG: "output", errno.ENOMEM: "memory"}
OF_DISK = (errno.ENOSPC, errno.EDQUOT)
PROGRESS_SECONDS = 0.1
NICENESS = 5
MAX_DETAIL = 20_000

Emit = Callable[[dict[str, Any]], None]


def serve(
    processors: dict[str, Processor], pipes: tuple[int, int, int], folder: Path, parent: int, confinement: Confinement
) -> None:
    """Confine this process to ``folder``, then answer requests until the worker closes the pipe."""
    requests, answers, log = pipes
    _step_back()
    nothing = os.open(os.devnull, os.O_RDONLY)
    for target, source in ((0, nothing), (1, log), (2, log)):
        os.dup2(source, target)
    try:
        confinement.apply(folder, parent)
    except OSError:
        traceback.print_exc()
        return
    if confinement.active:
        keep_only(requests, answers)
    faulthandler.enable(file=2)
    signatures = [signature for each in processors.values() for signature in each.signatures]
    write_all(answers, encode({"state": "ready"}))
    while (request := read_frame(requests)) is not None:
        answer = handle(request, processors, signatures, lambda message: write_all(answers, encode(message)))
        write_all(answers, answer)


def _step_back() -> None:
    """Leave the processors first to those who wait for the others: worker, web and database; then take longer turns."""
    with contextlib.suppress(OSError):
        os.nice(NICENESS)
        if sys.platform == "linux":
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


def handle(
    request: dict[str, Any],
    processors: dict[str, Processor],
    signatures: list[tuple[int, bytes, str]],
    emit: Emit,
) -> bytes:
    """Do what ``request`` asks and return the frame of the answer; nothing that a file provokes is raised."""
    try:
        if request["op"] == "identify":
            found = identify(
                Path(request["path"]), name=request["name"], declared=request["declared"], signatures=signatures
            )
            evidence = [{"by": each.by, "says": each.says, "why": each.why} for each in found.evidence]
            return encode({"state": "succeeded", "data": {"media_type": found.media_type, "evidence": evidence}})
        return _process(request, processors[request["processor"]], emit)
    except MemoryError:
        return encode({"exceeded": "memory"})
    except ProcessorError as error:
        return encode({"state": _state(error), "code": error.code[:64], "message": error.message[:2000]})
    except OSError as error:
        return encode(_refused(error))
    except BaseException:
        return encode(BUG | {"detail": traceback.format_exc()[-MAX_DETAIL:]})


def _refused(error: OSError) -> dict[str, Any]:
    """Say whose fault it is that the system refused something."""
    if error.errno in OF_LIMITS:
        return {"exceeded": OF_LIMITS[error.errno]}
    if error.errno in OF_DISK:
        return {"state": "temporary", "message": "There is no room on the disk for what a processor writes."}
    what = FORBIDDEN if error.errno in (errno.EPERM, errno.EACCES) else BUG
    return what | {"detail": traceback.format_exc()[-MAX_DETAIL:]}


def _state(error: ProcessorError) -> str:
    return next((state for kind, state in ENDS.items() if isinstance(error, kind)), "failed")


def _process(request: dict[str, Any], processor: Processor, emit: Emit) -> bytes:
    file = SourceFile(
        path=Path(request["path"]),
        name=request["name"],
        media_type=request["media_type"],
        size=request["size"],
        sha256=request["sha256"],
        workdir=Path(request["workdir"]),
        bounds=Bounds(**request["bounds"]),
        report=_Progress(emit),
    )
    result = processor.process(file)
    try:
        return encode(_answer(result), request["max_result"])
    except FrameTooLarge:
        return encode({"exceeded": "result"})
    except (TypeError, ValueError, AttributeError, RecursionError) as error:
        return encode({"state": "failed", "code": "invalid_answer", "again": True, "detail": str(error)[:MAX_DETAIL]})


def _answer(result: object) -> dict[str, Any]:
    if not isinstance(result, Result):
        raise TypeError(f"process() returned {type(result).__name__}, not Result")
    artifacts = [
        {"name": each.name, "path": os.fspath(each.path), "media_type": each.media_type} for each in result.artifacts
    ]
    return {"state": "succeeded", "data": dict(result.data), "artifacts": artifacts, "warnings": [*result.warnings]}


class _Progress:
    """Tells the worker that the run is alive, not more often than anybody wants to know."""

    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        self._next = 0.0

    def __call__(self, done: int, total: int) -> None:
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + PROGRESS_SECONDS
            self._emit({"state": "running", "done": int(done), "total": int(total)})
