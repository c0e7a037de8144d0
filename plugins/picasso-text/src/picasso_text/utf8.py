"""Whether a whole file is UTF-8."""

from __future__ import annotations

import codecs
from dataclasses import dataclass
from pathlib import Path

CHUNK = 1 << 20


@dataclass(frozen=True, kw_only=True, slots=True)
class Utf8:
    """What a strict reading as UTF-8 came to."""

    ascii: bool
    odd: bool
    """NUL, an escape or ``~{`` was seen: other encodings hide behind these in plain ASCII."""
    first_bad: int | None = None
    """Where the first byte is that does not fit; None where the whole file does."""
    cut_at_end: bool = False
    """Only the last character is incomplete."""


def scan(path: Path) -> Utf8:
    """Read the file up to the first byte that is not UTF-8."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    ascii_only, odd, done = True, False, 0
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            odd = odd or b"\0" in chunk or b"\x1b" in chunk or b"~{" in chunk
            waiting = len(decoder.getstate()[0])
            if waiting or not chunk.isascii():
                ascii_only = False
                try:
                    decoder.decode(chunk)
                except UnicodeDecodeError as error:
                    return Utf8(ascii=False, odd=odd, first_bad=max(done - waiting + error.start, 0))
            done += len(chunk)
    waiting = len(decoder.getstate()[0])
    if waiting:
        return Utf8(ascii=False, odd=odd, first_bad=done - waiting, cut_at_end=True)
    return Utf8(ascii=ascii_only, odd=odd)
