"""Choose the bytes by which the encoding of a large file is judged."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

# chardet weighs its evidence on no more than this.
SAMPLE = 256 << 10
WINDOW = 32 << 10
WINDOWS = 64


def first_bytes(path: Path, count: int) -> bytes:
    """Return the first ``count`` bytes of the file."""
    with path.open("rb") as file:
        return file.read(count)


def sample(path: Path, start: int) -> bytes:
    """Return a small file whole; of a large one the bytes from ``start`` on and windows spread over the file.

    ``start`` is the first byte that shows the encoding. Windows of plain ASCII are left out: they tell nothing.
    """
    size = path.stat().st_size
    if size <= SAMPLE:
        return first_bytes(path, SAMPLE)
    with path.open("rb") as file:
        file.seek(start)
        first = file.read(WINDOW)
        windows = [_window(file, place) for place in range(0, size, max(size // WINDOWS, WINDOW))]
    telling = [window for window in windows if not window.isascii()]
    step = max(len(telling) // (SAMPLE // WINDOW), 1)
    return b"".join([_whole_lines(first, cut_start=False), *telling[::step][: SAMPLE // WINDOW]])


def _window(file: BinaryIO, place: int) -> bytes:
    file.seek(place)
    return _whole_lines(file.read(WINDOW), cut_start=True)


def _whole_lines(window: bytes, *, cut_start: bool) -> bytes:
    """Cut to whole lines where there are any, so that no character is cut in two."""
    last = window.rfind(b"\n") + 1
    first = window.find(b"\n") + 1 if cut_start else 0
    return window[first:last] if first < last else window
