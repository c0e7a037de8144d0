"""Take an upload in: bytes streamed to disk, counted, hashed and synced, then one row; the doorbell rings afterwards."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
import unicodedata
from pathlib import Path
from typing import Any, BinaryIO

from django.conf import settings
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import UploadedFile
from django.core.files.uploadhandler import FileUploadHandler
from django.db import transaction

from . import storage
from .models import File
from .models.files import key_for
from .publisher import publish_soon

MAX_NAME = 255
CHUNK = 256 * 1024


class TooLarge(Exception):
    """The upload has more bytes than ``PICASSO_MAX_UPLOAD_BYTES``."""


class Upload(UploadedFile):
    """The bytes of one file part, complete and synced, in the storage's folder for files on their way in."""

    def __init__(self, *, path: Path, name: str, content_type: str, size: int, sha256: str) -> None:
        # Without the name, which Django would refuse where it looks like a path; ours is only ever shown.
        super().__init__(file=None, name=None, content_type=content_type, size=size)
        self.path = path
        self.display_name = name
        self.sha256 = sha256

    def __bool__(self) -> bool:
        """Be true without a name: Django drops file parts that are not."""
        return True

    def discard(self) -> None:
        """Remove the bytes, unless they were accepted."""
        self.path.unlink(missing_ok=True)


class StreamToStorage(FileUploadHandler):
    """Django's hook for the file parts of a form: each streams to disk while it is counted and hashed."""

    chunk_size = CHUNK

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        super().new_file(*args, **kwargs)
        descriptor, path = tempfile.mkstemp(prefix="upload-", dir=storage.incoming())
        self._path = Path(path)
        self._out: BinaryIO | None = os.fdopen(descriptor, "wb", buffering=0)
        self._hash = hashlib.sha256()
        self._size = 0

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        self._size += len(raw_data)
        if self._size > settings.PICASSO_MAX_UPLOAD_BYTES:
            self._abandon()
            raise TooLarge
        self._hash.update(raw_data)
        view = memoryview(raw_data)
        assert self._out is not None
        try:
            while view:
                view = view[self._out.write(view) :]
        except OSError:
            self._abandon()
            raise

    def file_complete(self, file_size: int) -> Upload:
        assert self._out is not None
        try:
            os.fsync(self._out.fileno())
            stored = os.fstat(self._out.fileno()).st_size
        except OSError:
            self._abandon()
            raise
        self._out.close()
        self._out = None
        if not stored == file_size == self._size:
            self._path.unlink(missing_ok=True)
            raise OSError(f"{stored} bytes are on disk of {file_size} that came in")
        return Upload(
            path=self._path,
            name=display_name(self.file_name or ""),
            content_type=self.content_type or "",
            size=stored,
            sha256=self._hash.hexdigest(),
        )

    def upload_interrupted(self) -> None:
        self._abandon()

    def _abandon(self) -> None:
        if getattr(self, "_out", None) is not None:
            assert self._out is not None
            self._out.close()
            self._out = None
            self._path.unlink(missing_ok=True)


def accept(upload: Upload, *, owner: Any = None) -> File:
    """Store the bytes for good, insert the File and have the doorbell rung; it is safe once this returns."""
    file = File(
        owner=owner,
        name=upload.display_name,
        declared_type=(upload.content_type or "")[:255],
        size=upload.size,
        sha256=upload.sha256,
    )
    key = key_for(file)
    storage.keep(upload.path, key)
    file.file.name = key
    try:
        file.save(force_insert=True)
    except BaseException:
        with contextlib.suppress(OSError):
            default_storage.delete(key)
        raise
    transaction.on_commit(lambda: publish_soon(file.pk, settings.PICASSO_QUEUE), robust=True)
    return file


def display_name(name: str) -> str:
    """Make a name fit to be shown: composed, without control and direction characters, at most 255 long."""
    composed = unicodedata.normalize("NFC", name)
    shown = "".join(char for char in composed if unicodedata.category(char) not in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp"))
    return shown.strip()[:MAX_NAME] or "unnamed"


def probe() -> None:
    """Write and remove a byte where uploads come in. Raises ``OSError`` if that is not possible."""
    with tempfile.TemporaryFile(dir=storage.incoming()) as stream:
        stream.write(b"?")
        stream.flush()
