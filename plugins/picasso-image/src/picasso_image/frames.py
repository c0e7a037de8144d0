"""How many frames an image has and how long they last, read from the file's structure: no frame is decoded."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice, repeat
from typing import BinaryIO

from PIL import ImageFile

from picasso_core.processors import SourceFile

MAX_COUNTED = 10_000
MAX_BLOCKS = 1_000_000
"""Of a file's structure, in which a hostile file may be rich without holding a frame."""


@dataclass(frozen=True)
class Frames:
    """What the frames of an image are together."""

    count: int
    milliseconds: int
    complete: bool
    """Whether all were counted."""


def frames_of(image: ImageFile.ImageFile, file: SourceFile) -> Frames:
    """Count the frames of ``image``, which was opened from ``file``."""
    found = list(islice(_delays(image, file), MAX_COUNTED + 1)) or [0.0]
    counted = found[:MAX_COUNTED]
    return Frames(
        count=len(counted),
        milliseconds=round(sum(counted)),
        complete=len(found) <= MAX_COUNTED,
    )


def _delays(image: ImageFile.ImageFile, file: SourceFile) -> Iterator[float]:
    """Yield the milliseconds of each frame, 0 where the format has no times."""
    name = image.format or ""
    if name in WALKS:
        # A stream of its own, because Pillow remembers where it is in its own one.
        with file.open() as stream:
            yield from _until_damage(WALKS[name](stream))
    elif name != "PSD":  # whose "frames" are layers; the image is what they make together
        delay = image.info.get("duration", 0) if name == "FLI" else 0
        count = getattr(image, "n_frames", 1)
        # An IM file may give a fraction, or words.
        yield from repeat(delay, min(count, MAX_COUNTED + 1) if isinstance(count, int) else 1)


def _until_damage(frames: Iterator[float]) -> Iterator[float]:
    """Yield ``frames`` up to where the file ends or makes no sense any more."""
    with suppress(struct.error, IndexError, OSError, OverflowError, ValueError):
        yield from frames


def _gif(stream: BinaryIO) -> Iterator[float]:
    def skip_colours(flags: int) -> None:
        if flags & 0x80:
            stream.seek(3 << ((flags & 7) + 1), 1)

    skip_colours(stream.read(13)[10])
    delay = 0.0
    budget = iter(range(MAX_BLOCKS))
    for _ in budget:
        kind = stream.read(1)
        if kind == b"!":
            label, block = stream.read(1), stream.read(stream.read(1)[0])
            if label == b"\xf9":
                delay = struct.unpack_from("<H", block, 1)[0] * 10.0
            if not block:
                continue
        elif kind == b",":
            yield delay
            delay = 0.0
            skip_colours(stream.read(9)[8])
            stream.seek(1, 1)
        else:
            return
        for _ in budget:
            length = stream.read(1)[0]
            if not length:
                break
            stream.seek(length, 1)


def _png(stream: BinaryIO) -> Iterator[float]:
    stream.seek(8)
    for _ in range(MAX_BLOCKS):
        length, kind = struct.unpack(">I4s", stream.read(8))
        end = stream.tell() + length + 4
        if kind == b"fcTL":
            numerator, denominator = struct.unpack_from(">HH", stream.read(26), 20)
            yield numerator * 1000 / (denominator or 100)
        stream.seek(end)


def _webp(stream: BinaryIO) -> Iterator[float]:
    stream.seek(12)
    for _ in range(MAX_BLOCKS):
        kind, length = struct.unpack("<4sI", stream.read(8))
        end = stream.tell() + length + (length & 1)
        if kind == b"ANMF":
            yield float(int.from_bytes(stream.read(15)[12:], "little"))
        stream.seek(end)


def _tiff(stream: BinaryIO) -> Iterator[float]:
    head = stream.read(16)
    order = "<" if head[:2] == b"II" else ">"
    big = struct.unpack_from(f"{order}H", head, 2)[0] == 43
    number, pointer = (order + kind for kind in (("Q", "Q") if big else ("H", "I")))
    entry_size = 20 if big else 12
    at, seen = struct.unpack_from(pointer, head, 8 if big else 4)[0], set[int]()
    budget = MAX_BLOCKS
    while at and at not in seen:
        seen.add(at)
        stream.seek(at)
        (entries,) = struct.unpack(number, stream.read(struct.calcsize(number)))
        budget -= entries
        if budget < 0:
            return
        stream.seek(entries * entry_size, 1)
        yield 0.0
        (at,) = struct.unpack(pointer, stream.read(struct.calcsize(pointer)))


WALKS: dict[str, Callable[[BinaryIO], Iterator[float]]] = {"GIF": _gif, "PNG": _png, "WEBP": _webp, "TIFF": _tiff}
"""What finds the frames in a file of each format."""
