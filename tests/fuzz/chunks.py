"""Cutting a file where its format does: chunks of PNG, segments of JPEG, boxes, objects of a PDF, lines of a text."""

from __future__ import annotations

import random
import re
import struct
import zlib
from itertools import pairwise

PNG = b"\x89PNG\r\n\x1a\n"


def pieces(content: bytes, chance: random.Random) -> list[bytes]:
    """Return the parts of ``content``, at least one; of a format without parts, some of any length."""
    for start, offset, cut in FORMATS:
        if content.startswith(start, offset):
            parts = cut(content)
            if len(parts) > 1:
                return parts
    if b"\n" in content and b"\0" not in content[:200]:
        return content.splitlines(keepends=True)
    places = sorted(chance.randrange(max(1, len(content))) for _ in range(8))
    return [content[begin:end] for begin, end in zip([0, *places], [*places, len(content)], strict=True)]


def with_checksums(content: bytes) -> bytes:
    """Return a PNG with checksums that are right, so that what is wrong in it is read."""
    if not content.startswith(PNG):
        return content
    found = [PNG]
    for chunk in _png(content)[1:]:
        whole = len(chunk) >= 12 and len(chunk) == struct.unpack(">I", chunk[:4])[0] + 12
        found.append(chunk[:-4] + struct.pack(">I", zlib.crc32(chunk[4:-4])) if whole else chunk)
    return b"".join(found)


def _png(content: bytes) -> list[bytes]:
    return [content[:8], *_sized(content, 8, ">I", extra=12)]


def _riff(content: bytes) -> list[bytes]:
    return [content[:12], *_sized(content, 12, "<I", at=4, extra=8)]


def _icns(content: bytes) -> list[bytes]:
    return [content[:8], *_sized(content, 8, ">I", at=4)]


def _boxes(content: bytes) -> list[bytes]:
    return _sized(content, 0, ">I")


def _sized(content: bytes, begin: int, field: str, *, at: int = 0, extra: int = 0) -> list[bytes]:
    """Cut into chunks that say how long they are; the last is whatever is left."""
    found = []
    while begin + at + 4 <= len(content):
        (length,) = struct.unpack_from(field, content, begin + at)
        length += extra
        if length < 8 or begin + length > len(content):
            break
        found.append(content[begin : begin + length])
        begin += length
    return [*found, content[begin:]] if begin < len(content) else found


def _jpeg(content: bytes) -> list[bytes]:
    return _before(rb"\xff[\xc0-\xfe]", content)


def _pdf(content: bytes) -> list[bytes]:
    return _before(rb"\n\d+ 0 obj|\nstream|\nendstream|\nxref|\ntrailer|\nstartxref", content)


def _gif(content: bytes) -> list[bytes]:
    return _before(rb"\x00[!,]", content)


def _before(mark: bytes, content: bytes) -> list[bytes]:
    places = [0, *(found.start() for found in re.finditer(mark, content) if found.start()), len(content)]
    return [content[begin:end] for begin, end in pairwise(places)]


FORMATS = (
    (PNG, 0, _png),
    (b"\xff\xd8", 0, _jpeg),
    (b"RIFF", 0, _riff),
    (b"GIF8", 0, _gif),
    (b"icns", 0, _icns),
    (b"ftyp", 4, _boxes),
    (b"jP  ", 4, _boxes),
    (b"%PDF", 0, _pdf),
)
"""What a file begins with, where, and what cuts it."""
