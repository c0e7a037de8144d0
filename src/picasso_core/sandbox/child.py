"""The confined process: read a request, identify or process one file, write the answer; one file at a time."""

from __future__ import annotations

import faulthandler
import os
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..exceptions import Declined, InvalidFile, MissingDependency, ProcessorError, TemporaryFailure
from ..identification import identify
from ..processors import Processor, Result, SourceFile
from .confinement import apply_limits, confine
from .protocol import FrameTooLarge, encode, read_frame, write_all

ENDS = {Declined: "declined", TemporaryFailure: "temporary", MissingDependency: "missing", InvalidFile: "failed"}
BUG = {"state": "failed", "code": "processor_bug", "message": "", "again": True}
MAX_ANSWER = 1024 * 1024


def serve(processors: dict[str, Processor], requests: int, answers: int, log: int, folder: Path, parent: int) -> None:
    """Confine this process to ``folder``, then answer requests until the worker closes the pipe."""
    confine(folder, parent)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for target, source in ((0, nothing), (1, log), (2, log)):
        os.dup2(source, target)
    faulthandler.enable(file=2)
    signatures = [signature for each in processors.values() for signature in each.signatures]
    while (request := read_frame(requests)) is not None:
        os.ftruncate(log, 0)
        answer = handle(request, processors, signatures, lambda message: write_all(answers, encode(message)))
        write_all(answers, answer)


def handle(
    request: dict[str, Any],
    processors: dict[str, Processor],
    signatures: list[tuple[int, bytes, str]],
    emit: Callable[[dict[str, Any]], None],
) -> bytes:
    """Do what ``request`` asks and return the frame of the answer; nothing that a file provokes is raised."""
    try:
        apply_limits(**request["limits"])
        if request["op"] == "identify":
            found = identify(
                Path(request["path"]), name=request["name"], declared=request["declared"], signatures=signatures
            )
            evidence = [{"by": each.by, "says": each.says, "why": each.why} for each in found.evidence]
            return encode({"state": "succeeded", "data": {"media_type": found.media_type, "evidence": evidence}})
        return _process(request, processors[request["processor"]], emit)
    except MemoryError:
        return encode({"state": "failed", "code": "memory_limit", "again": True})
    except ProcessorError as error:
        return encode({"state": _state(error), "code": error.code[:64], "message": error.message[:2000]})
    except BaseException:
        return encode(BUG | {"detail": traceback.format_exc()[-20_000:]})


def _state(error: ProcessorError) -> str:
    return next((state for kind, state in ENDS.items() if isinstance(error, kind)), "failed")


def _process(request: dict[str, Any], processor: Processor, emit: Callable[[dict[str, Any]], None]) -> bytes:
    file = SourceFile(
        path=Path(request["path"]),
        name=request["name"],
        media_type=request["media_type"],
        size=request["size"],
        sha256=request["sha256"],
        workdir=Path(request["workdir"]),
        report=lambda done, total: emit({"state": "running", "done": int(done), "total": int(total)}),
    )
    result = processor.process(file)
    if not isinstance(result, Result):
        raise TypeError(f"process() returned {type(result).__name__}, not Result")
    artifacts = [
        {"name": each.name, "path": os.fspath(each.path), "media_type": each.media_type} for each in result.artifacts
    ]
    answer = {"state": "succeeded", "data": dict(result.data), "artifacts": artifacts, "warnings": [*result.warnings]}
    try:
        return encode(answer, MAX_ANSWER)
    except FrameTooLarge as error:
        message = f"The result has {error} bytes; {MAX_ANSWER} are allowed."
        return encode({"state": "failed", "code": "output_limit", "message": message})
