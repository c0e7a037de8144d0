"""Length-limited JSON frames over file descriptors: four bytes of length, then UTF-8."""

from __future__ import annotations

import json
import os
import select
import struct
import time
from typing import Any

HEADER = struct.Struct("!I")
MAX_FRAME = 4 * 1024 * 1024


class FrameTooLarge(Exception):
    """The other side announced a frame beyond the limit."""


class TimedOut(Exception):
    """No whole frame arrived in time."""


def encode(message: dict[str, Any], limit: int = MAX_FRAME) -> bytes:
    """Make a frame of ``message``. Raises ``FrameTooLarge``; ``ValueError`` or ``TypeError`` for what is not JSON."""
    body = json.dumps(message, allow_nan=False, separators=(",", ":")).encode()
    if len(body) > limit:
        raise FrameTooLarge(len(body))
    return HEADER.pack(len(body)) + body


def write_all(fd: int, data: bytes) -> None:
    """Write every byte of ``data`` to ``fd``."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def read_frame(fd: int, limit: int = MAX_FRAME, deadline: float | None = None) -> dict[str, Any] | None:
    """Read one frame; None at the end of the stream.

    ``deadline`` is on the monotonic clock and is checked while the frame trickles in, since the writer may be hostile.
    Raises ``TimedOut``, ``FrameTooLarge``, and ``ValueError`` for what is not a JSON object.
    """
    body = read_body(fd, limit, deadline)
    return None if body is None else decode(body)


def read_body(fd: int, limit: int = MAX_FRAME, deadline: float | None = None) -> bytes | None:
    """Read one frame as ``read_frame`` does, and leave it as bytes."""
    header = _read(fd, HEADER.size, deadline)
    if header is None:
        return None
    (length,) = HEADER.unpack(header)
    if length > limit:
        raise FrameTooLarge(length)
    return _read(fd, length, deadline)


def decode(body: bytes) -> dict[str, Any]:
    """Return the message in a frame. Raises ``ValueError`` for what is not a JSON object."""
    try:
        message = json.loads(body)
    except RecursionError:
        raise ValueError("a frame nested too deeply") from None
    if not isinstance(message, dict):
        raise ValueError("a frame that is not a JSON object")
    return message


def _read(fd: int, length: int, deadline: float | None) -> bytes | None:
    chunks = bytearray()
    while len(chunks) < length:
        if deadline is not None and not readable(fd, deadline - time.monotonic()):
            raise TimedOut
        chunk = os.read(fd, min(length - len(chunks), 1 << 20))
        if not chunk:
            return None
        chunks += chunk
    return bytes(chunks)


def readable(fd: int, seconds: float) -> bool:
    """Whether ``fd`` has something to read, or has ended, within ``seconds``."""
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return bool(poll.poll(max(0.0, seconds) * 1000))
