"""What is uploaded: files of many kinds, no two alike, each with what is known beforehand about its end."""

from __future__ import annotations

import hashlib
import random
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

PLUGINS = Path(__file__).parents[2] / "plugins"
KiB = 1024


@dataclass(frozen=True)
class Sample:
    """One file to upload; its name begins with its kind."""

    kind: str
    name: str
    content: bytes

    @cached_property
    def sha256(self) -> str:
        """What must come out again."""
        return hashlib.sha256(self.content).hexdigest()


def _shipped(plugin: str, name: str) -> bytes:
    return (PLUGINS / f"picasso-{plugin}" / "src" / f"picasso_{plugin}" / "samples" / name).read_bytes()


def _png(number: int) -> bytes:
    """Put a comment behind the first chunk."""
    whole, comment = _shipped("image", "logo.png"), f"Comment\0number {number:09}".encode()
    chunk = struct.pack(">I", len(comment)) + b"tEXt" + comment + struct.pack(">I", zlib.crc32(b"tEXt" + comment))
    return whole[:33] + chunk + whole[33:]


def _jpeg(number: int) -> bytes:
    whole, comment = _shipped("image", "photo.jpg"), f"number {number:09}".encode()
    return whole[:2] + b"\xff\xfe" + struct.pack(">H", len(comment) + 2) + comment + whole[2:]


def _noise(number: int, size: int) -> bytes:
    return b"\x00\x01\x02picasso knows nothing of this\x00" + random.Random(number).randbytes(size)


def _echo(command: str) -> Callable[[int], bytes]:
    return lambda number: f"picasso-echo\n{command}\nnumber {number:09}\n".encode()


# Kind: how many of a hundred, the ending of its name, what makes one.
KINDS: dict[str, tuple[int, str, Callable[[int], bytes]]] = {
    "text": (26, ".txt", lambda n: _shipped("text", "lighthouse.txt") * 8 + f"number {n:09}\n".encode()),
    "table": (8, ".csv", lambda n: _shipped("text", "tides.csv").rstrip() + b"\n" + f"{n:09}".encode() + b",1,1\n"),
    "png": (12, ".png", _png),
    "jpeg": (8, ".jpg", _jpeg),
    "pdf": (10, ".pdf", lambda n: _shipped("pdf", "almanac.pdf") + f"% number {n:09}\n".encode()),
    "unknown": (12, ".bin", lambda n: _noise(n, 20 * KiB)),
    "large": (2, ".bin", lambda n: _noise(n, 1024 * KiB)),
    "echo": (14, ".echo", _echo("hello")),
    "slow": (4, ".echo", _echo("sleep 2")),
    "exit": (2, ".echo", _echo("exit 3")),
    "eat": (1, ".echo", _echo("eat")),
    "bug": (1, ".echo", _echo("raise ValueError")),
}


def make(kind: str, number: int) -> Sample:
    """Make a file of a kind; the same number makes the same file."""
    _, ending, content = KINDS[kind]
    return Sample(kind, f"{kind}-{number:09}{ending}", content(number))


def mixed(number: int, choice: random.Random) -> Sample:
    """Make a file of a random kind."""
    kind = choice.choices(list(KINDS), [share for share, _, _ in KINDS.values()])[0]
    return make(kind, number)
