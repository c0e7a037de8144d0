"""How often a JPEG goes over its pixels: each scan of a progressive one is work for all of them, in a few bytes."""

from __future__ import annotations

import mmap
import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from picasso_core.exceptions import InvalidFile

MOST = 50
"""Scans of as many pixels as may be decoded at once; cameras and programs write ten."""
START = b"\xff\xda"
END = b"\xd9"
# Within a scan's data FF is followed by 00, or by the number of a restart.
MARKER = re.compile(rb"\xff+([^\x00\xd0-\xd7\xff])")


def refuse_if_scanned_too_often(path: Path, pixels: int, most: int) -> None:
    """Raise ``InvalidFile`` if the JPEG at ``path`` goes over its ``pixels`` like ``MOST`` images of ``most``."""
    allowed = MOST * most // max(1, pixels)
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
        # What looks like a scan in a video behind the image is none, and is counted only where it matters.
        if _more(_places(content), allowed) and _more(_scans(content), allowed):
            read = f"the {allowed:,} that are read of {pixels / 1e6:.1f} megapixels"
            raise InvalidFile(f"The image is built up in more scans than {read}.", code="limit_exceeded")


def _more(found: Iterator[int], than: int) -> bool:
    return next(islice(found, than, None), None) is not None


def _places(content: mmap.mmap) -> Iterator[int]:
    at = content.find(START)
    while at >= 0:
        yield at
        at = content.find(START, at + 2)


def _scans(content: mmap.mmap) -> Iterator[int]:
    """Yield where the scans of the first image begin."""
    at = 2
    while found := MARKER.search(content, at):
        marker, at = found[1], found.end()
        del found  # it would hold the mapping
        if marker == END:
            return
        if marker == START[1:]:
            yield at
        at += int.from_bytes(content[at : at + 2], "big")
