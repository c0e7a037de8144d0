"""What became of one run in the sandbox, validated: the worker trusts nothing that a child says."""

from __future__ import annotations

import re
import signal
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from ..processors import ARTIFACT_NAME
from .limits import RunLimits

State = Literal["succeeded", "failed", "declined", "temporary", "missing", "aborted"]

SENTENCES = {
    "processor_bug": "The processor crashed on this file; that is its fault, not the file's.",
    "forbidden": "The processor tried what the sandbox does not allow; that is its fault, not the file's.",
    "invalid_answer": "The processor returned something that Picasso does not accept.",
    "crashed": "The processor's process crashed on this file ({}).",
    "content_missing": "The stored bytes of this file are missing; the operator has to look.",
}
PROCESSORS_FAULT = ("processor_bug", "forbidden", "invalid_answer")
OF_LIMITS = {
    "seconds": ("timeout", "Processing took longer than {} and was stopped ({})."),
    "silence": ("silent", "Processing gave no sign of life for {} and was stopped ({})."),
    "cpu_seconds": ("cpu_limit", "Processing used more than {} of processor time and was stopped ({})."),
    "memory": ("memory_limit", "Processing needed more than {} of memory and was stopped ({})."),
    "output": ("output_limit", "Processing wrote more than {} and was stopped ({})."),
    "result": ("output_limit", "The result is larger than {} ({})."),
    "artifacts": ("output_limit", "Processing made more than {} ({})."),
}
"""A limit's code and sentence."""
MAX_DEPTH = 32
MAX_STRING = 100_000
MEDIA_TYPE = re.compile(
    r"[a-z0-9][a-z0-9!#$&^_.+-]{0,126}/[a-z0-9][a-z0-9!#$&^_.+-]{0,126}", re.IGNORECASE
)  # RFC 6838, 4.2
MAX_CODE = 64
UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


@dataclass(frozen=True, kw_only=True, slots=True)
class Written:
    """An artifact as it lies in the sandbox's scratch directory."""

    name: str
    path: Path
    media_type: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """How a run ended; ``again`` says that the sandbox was lost and another attempt may fare better."""

    state: State
    data: Mapping[str, Any] = field(default_factory=dict)
    artifacts: Sequence[Written] = ()
    warnings: Sequence[str] = ()
    code: str = ""
    message: str = ""
    """For the uploader."""
    detail: str = ""
    """For the operator."""
    again: bool = False


class Unacceptable(ValueError):
    """An answer that does not keep to the protocol."""


def failure(code: str, *values: object, detail: str = "") -> Outcome:
    """An end that is Picasso's finding, not the processor's word."""
    message = SENTENCES[code].format(*values)
    return Outcome(state="failed", code=code, message=message, detail=detail, again=True)


def exceeded(limit: str, limits: RunLimits, detail: str = "") -> Outcome:
    """An end at a limit, which the message names with who set it."""
    code, sentence = OF_LIMITS[limit]
    message = sentence.format(limits.say(limit), limits.whose(limit))
    return Outcome(state="failed", code=code, message=message, detail=detail, again=True)


def identification(answer: Outcome) -> Outcome:
    """Check that a successful identification names a media type and its evidence."""
    media_type, evidence = (answer.data.get(key) for key in ("media_type", "evidence"))
    if not isinstance(media_type, str) or not MEDIA_TYPE.fullmatch(media_type) or not _is_evidence(evidence):
        return failure("invalid_answer", detail=f"no media type: {answer.data!r}"[:1000])
    return answer


def _is_evidence(evidence: object) -> bool:
    return isinstance(evidence, list) and all(
        isinstance(each, dict)
        and each.keys() == {"by", "says", "why"}
        and all(isinstance(word, str) for word in each.values())
        for each in evidence
    )


def of_exit(status: int | None, limits: RunLimits, detail: str) -> Outcome:
    """Name the end of a child that died by itself; ``status`` as in ``subprocess.Popen.returncode``."""
    if status == -signal.SIGXCPU:
        return exceeded("cpu_seconds", limits, detail)
    if status == -signal.SIGXFSZ:
        return exceeded("output", limits, detail)
    if status is not None and status < 0:
        return failure("crashed", _name(-status), detail=detail)
    return failure("crashed", "it was lost" if status is None else f"exit status {status}", detail=detail)


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def validate(answer: Mapping[str, Any], workdir: Path, limits: RunLimits) -> Outcome:
    """Turn a child's answer into an Outcome. Raises ``Unacceptable``."""
    limit = answer.get("exceeded")
    if isinstance(limit, str) and limit in OF_LIMITS:
        return exceeded(limit, limits)
    state = answer.get("state")
    if state not in ("succeeded", "failed", "declined", "temporary", "missing"):
        raise Unacceptable(f"state {state!r}")
    code, message, detail = (clean(answer.get(key, "")) for key in ("code", "message", "detail"))
    data, warnings = clean(answer.get("data", {})), clean(answer.get("warnings", []))
    if not isinstance(data, dict) or not isinstance(warnings, list):
        raise Unacceptable("data is no object or warnings is no list")
    if not all(isinstance(text, str) for text in (code, message, detail, *warnings)):
        raise Unacceptable("a code, message or warning that is no string")
    if len(code) > MAX_CODE:
        raise Unacceptable(f"a code of {len(code)} characters")
    artifacts = answer.get("artifacts", [])
    if not isinstance(artifacts, list):
        raise Unacceptable("artifacts is no list")
    if len(artifacts) > limits.artifacts:
        return exceeded("artifacts", limits)
    return Outcome(
        state=state,
        data=data,
        artifacts=tuple(_artifacts(artifacts, workdir)),
        warnings=tuple(warnings[:100]),
        code=code,
        message=message or (SENTENCES[code] if code in PROCESSORS_FAULT else ""),
        detail=detail,
        again=answer.get("again") is True,
    )


def _artifacts(described: list[object], workdir: Path) -> list[Written]:
    written: dict[str, Written] = {}
    for each in described:
        match each:
            case {"name": str(name), "path": str(path), "media_type": str(media_type)}:
                inside = Path(path)
            case _:
                raise Unacceptable(f"artifact {each!r}"[:200])
        if not ARTIFACT_NAME.fullmatch(name) or not MEDIA_TYPE.fullmatch(media_type) or name in written:
            raise Unacceptable(f"artifact name {name!r} or media type {media_type!r}"[:200])
        if inside.parent != workdir:
            # Not in a folder below either: the child could make that folder a link to somewhere else.
            raise Unacceptable(f"artifact {name} does not lie directly in the workdir")
        written[name] = Written(name=name, path=inside, media_type=media_type)
    return list(written.values())


def size_of(artifacts: Sequence[Written]) -> int:
    """Return the bytes of all artifacts, which are regular files and no links. Raises ``Unacceptable``."""
    total = 0
    for each in artifacts:
        try:
            found = each.path.lstat()
        except OSError as error:
            raise Unacceptable(f"artifact {each.name}: {error.strerror}") from None
        if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1:
            raise Unacceptable(f"artifact {each.name} is no regular file")
        total += found.st_size
    return total


def clean(value: Any, depth: int = 0) -> Any:
    """Make decoded JSON fit for PostgreSQL: no NUL, no lone surrogates, no endless strings. Raises ``Unacceptable``."""
    if depth > MAX_DEPTH:
        raise Unacceptable(f"data nested deeper than {MAX_DEPTH}")
    if isinstance(value, str):
        return UNSTORABLE.sub("\ufffd", value[:MAX_STRING])
    if isinstance(value, dict):
        return {clean(key): clean(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list):
        return [clean(item, depth + 1) for item in value]
    if isinstance(value, float) and value - value != 0:
        raise Unacceptable("a number that is not finite")
    return value
