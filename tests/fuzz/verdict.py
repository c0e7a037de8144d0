"""What may not be: each rule says in a sentence which promise an outcome breaks."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from picasso_core.sandbox.limits import Ceilings
from picasso_core.sandbox.outcome import Outcome

BUGS = ("processor_bug", "invalid_answer", "forbidden")
"""Codes for faults of a processor: a file of any content must not bring these about."""
LIMITS = ("timeout", "silent", "cpu_limit", "memory_limit", "output_limit")
FAILURES = (*BUGS, *LIMITS, "crashed", "invalid_file", "limit_exceeded", "encrypted")
STATES = {"succeeded": ("",), "declined": ("declined",), "failed": FAILURES}
"""The states in which a run may end here, each with its codes."""
GRACE_SECONDS = 5.0
NEVER_SAID = re.compile(r"Traceback|File \"|\.py\b|(?<![\w/])/(tmp|proc|usr|home|work|var|dev|root)/|0x[0-9a-f]{8}|\n")
SENTENCE = re.compile(r"[A-Z0-9].{3,400}[.!?]", re.DOTALL)
UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def problems(outcome: Outcome) -> Iterator[str]:
    """Yield what is wrong with the words and the result of a run."""
    if outcome.state not in STATES:
        yield f"a run ended as {outcome.state}: {outcome.message or outcome.detail}"
    elif outcome.code not in STATES[outcome.state]:
        yield f"{outcome.state} with the code {outcome.code!r}, which nobody has heard of"
    if outcome.state != "succeeded" and not SENTENCE.fullmatch(outcome.message):
        yield f"no sentence: {outcome.message[:200]!r}"
    for text in (outcome.message, *outcome.warnings):
        if NEVER_SAID.search(text):
            yield f"a message with a traceback, a path or an address: {text[:200]!r}"
    for warning in outcome.warnings:
        if not SENTENCE.fullmatch(warning):
            yield f"a warning that is no sentence: {warning[:200]!r}"
    yield from _data(outcome.data)
    yield from _artifacts(outcome)


def _data(data: Mapping[str, Any]) -> Iterator[str]:
    try:
        text = json.dumps(data, allow_nan=False, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError) as error:
        yield f"data that is no JSON: {error}"
        return
    if len(text) > Ceilings().result + 1000:
        yield f"{len(text):,} characters of data"
    if "\\u0000" in text or UNSTORABLE.search(text):
        yield "data that PostgreSQL does not store"
    if NEVER_SAID.search(str(data.get("error", ""))):
        yield "data with a traceback"


def _artifacts(outcome: Outcome) -> Iterator[str]:
    if outcome.state != "succeeded" and outcome.artifacts:
        yield "artifacts of a run that failed"
    for each in outcome.artifacts:
        with each.path.open("rb") as file:
            head = file.read(1 << 20)
        if each.media_type == "image/webp" and (head[:4], head[8:12]) != (b"RIFF", b"WEBP"):
            yield f"{each.name} is no WebP"
        if each.media_type == "text/plain" and len(head) < 1 << 20 and not _is_utf8(head):
            yield f"{each.name} is not UTF-8"


def _is_utf8(content: bytes) -> bool:
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True


def cause(outcome: Outcome) -> str:
    """Return by what bugs are grouped: the last line of the traceback, without what differs from file to file."""
    lines = [line for line in outcome.detail.splitlines() if line.strip()]
    place = next((line.strip() for line in reversed(lines) if line.startswith("  File ")), "")
    place = re.sub(r'File ".*/([^/]+/[^/]+)", line (\d+), in (.*)', r"\1:\2", place)
    last = re.sub(r"\d{3,}|0x[0-9a-f]+|'[^']*'|b\"[^\"]*\"", "…", lines[-1])[:160] if lines else outcome.message
    return f"{last} ({place})" if place else last
