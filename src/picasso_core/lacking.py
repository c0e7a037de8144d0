"""Whether a processor lacks something: one file's word is not enough to take it out of service for all others."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from .sandbox.runner import Runner


def manages_a_sample(
    runner: Runner, processor: str, folder: str, limits: Mapping[str, Any], beat: Callable[[], bool]
) -> bool:
    """Whether ``processor`` lacks nothing when it is given the first of its own samples in ``folder``.

    False where there is none: then the file has to be believed. A file may have taken over the process that spoke for
    it; this is asked of a fresh one, which has read nothing but what came with the plugin.
    """
    if not folder:
        return False
    sample = min((path for path in Path(folder).iterdir() if path.is_file()), default=None)
    if sample is None:
        return False
    found = runner.identify(sample, name=sample.name, declared="", owner=manages_a_sample, beat=beat)
    if found.state != "succeeded":
        return True
    content = sample.read_bytes()
    file = {"name": sample.name, "size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    done = runner.process(
        sample,
        processor=processor,
        file={**file, "media_type": found.data["media_type"]},
        limits=limits,
        owner=manages_a_sample,
        beat=beat,
    )
    return done.state != "missing"
