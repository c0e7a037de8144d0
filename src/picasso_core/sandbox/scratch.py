"""The directories where a child writes: measured and cleared without trusting what it made of them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

MAX_ENTRIES = 5000
MAX_DEPTH = 32


class TooMuch(Exception):
    """More entries, or deeper ones, than anybody needs."""


def empty(folder: Path) -> None:
    """Remove all that is in ``folder``, however deep: nothing recurses, and no link is followed."""
    with os.scandir(folder) as entries:
        names = [entry.name for entry in entries]
    if not names:
        return
    top = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        _flatten(top, names)
    finally:
        os.close(top)


def remove(folder: Path) -> None:
    """Remove ``folder`` with all that is in it; what is gone already is no error."""
    with contextlib.suppress(FileNotFoundError):
        empty(folder)
        folder.rmdir()


def _flatten(top: int, names: list[str]) -> None:
    """Remove ``names`` from the directory ``top``: what lies in a folder of folders moves up before that goes."""
    moved = 0
    while names:
        name = names.pop()
        if _unlinked(name, top):
            continue
        below = _open_folder(name, top)
        try:
            for inner in os.listdir(below):
                if not _unlinked(inner, below):
                    os.close(_open_folder(inner, below))
                    moved += 1
                    names.append(f".{moved}.{os.urandom(8).hex()}")
                    os.rename(inner, names[-1], src_dir_fd=below, dst_dir_fd=top)
        finally:
            os.close(below)
        os.rmdir(name, dir_fd=top)


def _unlinked(name: str, folder: int) -> bool:
    """Remove ``name`` unless it is a directory."""
    try:
        os.unlink(name, dir_fd=folder)
    except FileNotFoundError:
        return True
    except (IsADirectoryError, PermissionError):  # the latter is what macOS says of a directory
        return False
    return True


def _open_folder(name: str, folder: int) -> int:
    """Open a directory, with the rights that emptying and moving it needs, even if it was made without any."""
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
    try:
        descriptor = os.open(name, flags, dir_fd=folder)
    except PermissionError:
        place = os.open(name, flags | os.O_PATH, dir_fd=folder)
        try:
            os.chmod(f"/proc/self/fd/{place}", 0o700)
        finally:
            os.close(place)
        return os.open(name, flags, dir_fd=folder)
    if os.fstat(descriptor).st_mode & 0o700 != 0o700:
        os.fchmod(descriptor, 0o700)
    return descriptor


def used(folder: Path, pid: int) -> int:
    """Return the bytes on disk below ``folder``, with those of removed files that the process still holds open.

    Raises ``TooMuch``, also for what nobody can measure: a folder that cannot be read, a removed file that is held
    by a mapping alone.
    """
    seen: dict[tuple[int, int], int] = {}
    waiting = [(str(folder), 0)]
    while waiting:
        place, depth = waiting.pop()
        try:
            with os.scandir(place) as entries:
                for entry in entries:
                    # Whoever removes one all the time does not hide the others.
                    with contextlib.suppress(FileNotFoundError):
                        _count(seen, entry.stat(follow_symlinks=False))
                    if len(seen) > MAX_ENTRIES or depth > MAX_DEPTH:
                        raise TooMuch
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append((entry.path, depth + 1))
        except FileNotFoundError:
            continue
        except PermissionError:  # a folder that was made so that nobody looks into it
            raise TooMuch from None
    device = folder.stat().st_dev
    with contextlib.suppress(OSError):
        for number in os.listdir(f"/proc/{pid}/fd"):
            with contextlib.suppress(OSError):
                held = os.stat(f"/proc/{pid}/fd/{number}")
                if held.st_nlink == 0 and held.st_dev == device:
                    _count(seen, held)
    known = {inode for _, inode in seen}
    if any(inode not in known for inode in _removed_and_mapped(folder, pid)):
        raise TooMuch
    return sum(seen.values())


def _removed_and_mapped(folder: Path, pid: int) -> Iterator[int]:
    """Yield the inodes of removed files of ``folder`` that are in the process's memory."""
    try:
        mappings = Path(f"/proc/{pid}/maps").read_bytes().splitlines()
    except OSError:
        return
    below = os.fsencode(folder) + b"/"
    for mapping in mappings:
        words = mapping.split(maxsplit=5)
        if len(words) == 6 and words[5].startswith(below) and words[5].endswith(b" (deleted)"):
            yield int(words[4])


def _count(seen: dict[tuple[int, int], int], found: os.stat_result) -> None:
    seen[found.st_dev, found.st_ino] = found.st_blocks * 512
