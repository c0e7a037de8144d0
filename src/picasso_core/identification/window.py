"""A bounded view of a file: what the sniffers may look at, however large the file is."""

from __future__ import annotations

from typing import BinaryIO

HEAD = 64 * 1024
"""How much of the start is read once and shared by every sniffer."""
LARGEST_READ = 4 * 1024 * 1024


class Window:
    """The start of a file, and pieces of the rest on request; reading past the end gives fewer bytes."""

    def __init__(self, file: BinaryIO, size: int, name: str = "") -> None:
        self._file = file
        self.size = size
        self.name = name.replace("\\", "/").rpartition("/")[2].strip().lower()
        """What the uploader called it, without folders and in lower case."""
        self.head = self.read(0, HEAD)

    @property
    def extension(self) -> str:
        """The last part of the name without its dot, or nothing."""
        return self.name.rpartition(".")[2] if "." in self.name else ""

    def read(self, offset: int, length: int) -> bytes:
        """Up to ``length`` bytes from ``offset``."""
        if offset < 0 or length <= 0 or offset >= self.size:
            return b""
        self._file.seek(offset)
        return self._file.read(min(length, LARGEST_READ))

    def tail(self, length: int) -> bytes:
        """The last ``length`` bytes."""
        length = min(length, self.size)
        return self.read(self.size - length, length)

    def samples(self, count: int, length: int) -> list[bytes]:
        """Pieces spread evenly over what lies behind the head, the last of them at the very end."""
        rest = self.size - len(self.head)
        if rest <= 0:
            return []
        if rest <= count * length:
            return [self.read(len(self.head), rest)]
        step = (rest - length) // (count - 1)
        return [self.read(len(self.head) + step * number, length) for number in range(count)]
