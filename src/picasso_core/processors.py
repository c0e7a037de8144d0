"""The plugin API: what a processor is, what it is given and what it returns. Standard library only."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

__all__ = ["Artifact", "Bounds", "GiB", "KiB", "Limits", "MiB", "Processor", "Result", "SourceFile", "accepts"]

KiB = 1024
MiB = 1024 * KiB
GiB = 1024 * MiB

ARTIFACT_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """What one run may use at the most; an operator may allow less."""

    seconds: float = 60
    """Wall clock."""
    cpu_seconds: float = 30
    memory: int = 768 * MiB
    """Bytes of address space on top of what the warm process has."""
    output: int = 256 * MiB
    """Bytes of all files that it writes together."""
    max_bytes: int | None = None
    """Larger files are not given to this processor."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Bounds:
    """How much there may be in a file; a processor that finds more raises ``InvalidFile`` and names the setting.

    A few bytes can ask for more than there is of time and memory: a file says so itself, before it is decoded.
    """

    pixels: int = 50_000_000
    """That are decoded of an image: PICASSO_MAX_PIXELS."""
    pages: int = 2_000
    """Of a document: PICASSO_MAX_PAGES."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceFile:
    """An uploaded file, on local disk for as long as ``process()`` runs."""

    path: Path
    """The bytes, read-only."""
    name: str
    """What the uploader called it: show it, never open it."""
    media_type: str
    """Read from the bytes, not from the request."""
    size: int
    sha256: str
    """64 lower-case hexadecimal digits."""
    workdir: Path
    """An empty directory for artifacts and scratch files, removed afterwards."""
    bounds: Bounds = field(default_factory=Bounds)
    """What the operator allows."""
    report: Callable[[int, int], None] = field(default=lambda done, total: None, repr=False)

    def open(self) -> BinaryIO:
        """Open the bytes for reading."""
        return self.path.open("rb")

    def progress(self, done: int, total: int) -> None:
        """Tell that ``done`` of ``total`` steps of any kind are done; this also shows that the run is alive."""
        self.report(done, total)


@dataclass(frozen=True, kw_only=True, slots=True)
class Artifact:
    """A file that ``process()`` made in ``workdir``."""

    name: str
    """How it is asked for: ASCII letters, digits, ``.``, ``_`` and ``-``, at most 100, not starting with a dot."""
    path: Path
    """Directly in ``workdir``, not in a folder below it."""
    media_type: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """What ``process()`` found; an empty result is a result."""

    data: Mapping[str, Any] = field(default_factory=dict)
    """Anything that ``json.dumps`` takes."""
    artifacts: Sequence[Artifact] = ()
    warnings: Sequence[str] = ()
    """Sentences for the uploader about what could not be read."""


class Processor(ABC):
    """Turn a file into a result. One instance serves many files, one after the other, in a process of its own."""

    media_types: ClassVar[Collection[str]]
    """What it accepts: ``image/png``, ``image/*`` or ``*/*``."""
    version: ClassVar[str] = "1"
    """The version of the RESULT, opaque: raise it when results change."""
    limits: ClassVar[Limits] = Limits()
    preload: ClassVar[Sequence[str]] = ()
    """Modules imported once, before files arrive."""
    signatures: ClassVar[Sequence[tuple[int, bytes, str]]] = ()
    """``(offset, bytes, media type)``: formats that this plugin teaches the identification."""
    samples: ClassVar[Path | None] = None
    """A folder of small real files, one for each type: ``make demo`` uploads them."""

    @abstractmethod
    def process(self, file: SourceFile) -> Result:
        """Read ``file`` and return what was found; safe to run twice on the same file.

        Raises a :class:`~picasso_core.exceptions.ProcessorError` to say whose fault it is that nothing was found.
        """


def accepts(media_types: Collection[str], media_type: str) -> bool:
    """Whether the patterns in ``media_types`` (``image/png``, ``image/*``, ``*/*``) cover ``media_type``."""
    wanted = media_type.lower()
    covering = {wanted, f"{wanted.partition('/')[0]}/*", "*/*"}
    return not covering.isdisjoint(map(str.lower, media_types))
