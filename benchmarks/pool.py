"""The same processors in ``multiprocessing.Pool``: all that a machine can do with them, without any service around."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Sequence
from importlib.metadata import entry_points
from multiprocessing.pool import Pool
from pathlib import Path

from picasso_core.processors import Processor, Result, SourceFile, accepts

_processors: list[Processor] = []


def run(pool: Pool, files: Sequence[tuple[Path, str]]) -> float:
    start = time.perf_counter()
    for results in pool.imap_unordered(process, files):
        assert results
    return time.perf_counter() - start


def load_processors(folder: str) -> None:
    tempfile.tempdir = folder
    _processors.extend(entry.load()() for entry in entry_points(group="picasso.processors"))


def process(file: tuple[Path, str]) -> list[Result]:
    """What a task of a plain service would do; what the processors write stays on the disk."""
    path, media_type = file
    source = SourceFile(
        path=path,
        name=path.name,
        media_type=media_type,
        size=os.path.getsize(path),
        sha256="",
        workdir=Path(tempfile.mkdtemp()),
    )
    return [each.process(source) for each in _processors if accepts(each.media_types, media_type)]
