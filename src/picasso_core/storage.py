"""Where bytes lie: the storage of Django, and a quick, safe way in for local folders."""

from __future__ import annotations

import hashlib
import io
import os
import stat
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.conf import settings
from django.core.files import File as Stream
from django.core.files.storage import Storage, default_storage


class NotRegular(Exception):
    """Something a processor calls its artifact is no file."""


def incoming() -> Path:
    """Return the folder for files on their way in: in the storage's own file system where it has one."""
    root = local_path(default_storage, "incoming")
    folder = root or Path(settings.PICASSO_SCRATCH, "incoming")
    if not folder.is_dir():
        folder.mkdir(parents=True, exist_ok=True)
    return folder


def new_incoming() -> tuple[Path, io.FileIO]:
    """Make an empty file for an upload on its way in; its path, and where to write, unbuffered."""
    path = incoming() / f"upload-{uuid.uuid4().hex}"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    return path, io.FileIO(descriptor, "wb")


def keep(path: Path, out: io.FileIO, key: str) -> None:
    """Move a finished file, to which ``out`` writes, into the storage under ``key``; it survives a power failure then.

    Whoever is killed in the middle leaves bytes under a key that nobody knows. Raises ``OSError`` and leaves none.
    """
    target = local_path(default_storage, key)
    if target is None:
        with path.open("rb") as stream:
            saved = default_storage.save(key, Stream(stream))
        if saved != key:
            raise OSError(f"the storage renamed {key} to {saved}")
        path.unlink()
        return
    try:
        os.rename(path, target)
    except FileNotFoundError:
        _make_folder(target.parent)
        os.rename(path, target)
    try:
        # After it has its name: so the file system writes its journal once for both.
        os.fsync(out.fileno())
        sync_folder(target.parent)
    except OSError:
        target.unlink(missing_ok=True)
        raise


def save_copy(path: Path, key: str) -> tuple[int, str]:
    """Copy a regular file that the sandbox wrote into the storage under ``key``; its size in bytes and its SHA-256.

    Raises ``NotRegular`` where there is no file or something else, such as a link; ``OSError`` when storing fails.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        raise NotRegular(f"{path.name}: {error.strerror}") from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise NotRegular(f"{path.name} is no regular file")
    with open(descriptor, "rb") as source:
        place, out = new_incoming()
        try:
            digest = hashlib.sha256()
            with out, io.BufferedWriter(out) as copy:
                while chunk := source.read(1 << 20):
                    digest.update(chunk)
                    copy.write(chunk)
                copy.flush()
                size = copy.tell()
                keep(place, out, key)
        except BaseException:
            place.unlink(missing_ok=True)
            raise
    return size, digest.hexdigest()


@contextmanager
def on_disk(key: str) -> Iterator[Path]:
    """Give the path of stored bytes: their own where the storage is a folder, else that of a copy."""
    path = local_path(default_storage, key)
    if path is not None:
        yield path
        return
    with tempfile.NamedTemporaryFile(dir=incoming()) as copy:
        with default_storage.open(key) as source:
            for chunk in source.chunks():
                copy.write(chunk)
        copy.flush()
        yield Path(copy.name)


def _make_folder(folder: Path) -> None:
    """Make ``folder`` and those above it, each so that it survives a power failure."""
    if not folder.is_dir():
        _make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """Make a rename in ``folder`` survive a power failure."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def local_path(storage: Storage, key: str) -> Path | None:
    """Return the path of ``key`` if ``storage`` is a folder."""
    try:
        return Path(storage.path(key))
    except NotImplementedError:
        return None
