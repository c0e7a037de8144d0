"""Take an upload in: bytes streamed to disk, counted, hashed, synced; then one row; then the doorbell rings."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import tempfile
import unicodedata
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog
from django.conf import settings
from django.core.files.storage import default_storage
from django.db import IntegrityError, InterfaceError, OperationalError, connection, transaction

from . import storage
from .models import File
from .models.files import key_for
from .outages import is_outdated
from .publisher import publish_soon

logger = structlog.get_logger(__name__)

MAX_NAME = 255
MAX_EXTENSION = 16
CHUNK = 256 * 1024


class TooLarge(Exception):
    """The upload has more bytes than ``PICASSO_MAX_UPLOAD_BYTES``."""

    def __init__(self) -> None:
        super().__init__(f"The file is too large: at most {settings.PICASSO_MAX_UPLOAD_BYTES} bytes are accepted.")


class KeyReused(Exception):
    """An ``Idempotency-Key`` that came with another upload before."""


@dataclass(frozen=True)
class Upload:
    """The bytes of one file, complete, in the storage's folder for files on their way in."""

    path: Path
    out: io.FileIO
    name: str
    """Fit to be shown."""
    declared_type: str
    size: int
    sha256: str


class Incoming:
    """A file that streams to disk while it is counted and hashed."""

    def __init__(self) -> None:
        self._path, self._out = storage.new_incoming()
        self._hash = hashlib.sha256()
        self._size = 0

    def write(self, chunk: bytes) -> None:
        """Take the next bytes. Raises ``TooLarge``, and ``OSError`` where the disk does not take them."""
        self._size += len(chunk)
        if self._size > settings.PICASSO_MAX_UPLOAD_BYTES:
            raise TooLarge
        self._hash.update(chunk)
        written = self._out.write(chunk)
        while written < len(chunk):
            written += self._out.write(memoryview(chunk)[written:])

    def complete(self, name: str, declared_type: str) -> Upload:
        """Return what has come in. Raises ``OSError`` where that is not all in the file."""
        stored = os.fstat(self._out.fileno()).st_size
        if stored != self._size:
            raise OSError(f"the file has {stored} bytes of {self._size} that came in")
        return Upload(
            path=self._path,
            out=self._out,
            name=display_name(name),
            declared_type=_shown(declared_type)[:255],
            size=stored,
            sha256=self._hash.hexdigest(),
        )

    def close(self) -> None:
        """Be done with what somebody else has taken over."""
        self._out.close()

    def discard(self) -> None:
        """Remove the bytes, unless somebody has taken them over."""
        self.close()
        self._path.unlink(missing_ok=True)


def accept(upload: Upload, *, owner: Any = None, key: str | None = None) -> File:
    """Take the bytes over, insert the File and have the doorbell rung; it is safe once this returns.

    The same upload with the same ``key`` once more changes nothing: what is returned is the File as it was then.
    Raises ``KeyReused`` where the key came with another one.
    """
    file = File(
        owner=owner,
        name=upload.name,
        declared_type=upload.declared_type,
        size=upload.size,
        sha256=upload.sha256,
        idempotency_key=key,
    )
    place = key_for(file)
    # Before the bytes are stored: while the database is away, none are left behind.
    connection.ensure_connection()
    if key and (earlier := _earlier(file)):
        upload.path.unlink()
        return earlier
    storage.keep(upload.path, upload.out, place)
    file.file.name = place
    try:
        file = _insert(file)
    except IntegrityError:
        # The same request, twice at once: the other was quicker.
        if earlier := _earlier(file):
            return earlier
        raise
    logger.info("uploaded", file=str(file.pk), size=file.size)
    transaction.on_commit(lambda: publish_soon(file.pk, settings.PICASSO_QUEUE), robust=True)
    return file


def _earlier(file: File) -> File | None:
    """Return the File that the key of ``file`` came with before, as it was when it was new. Raises ``KeyReused``."""
    earlier = File.objects.filter(owner=file.owner, idempotency_key=file.idempotency_key).first()
    if earlier is None:
        return None
    if any(getattr(earlier, name) != getattr(file, name) for name in ("sha256", "name", "declared_type")):
        raise KeyReused
    logger.info("uploaded again", file=str(earlier.pk))
    earlier.media_type, earlier.status, earlier.processed = None, File.Status.QUEUED, False
    return earlier


def _insert(file: File) -> File:
    """Insert the row, or remove the bytes if there is certainly none."""
    try:
        with transaction.atomic() if file.idempotency_key else nullcontext():
            file.insert()
        return file
    except (OperationalError, InterfaceError) as error:
        if is_outdated(error):
            # Without the table there is no row.
            _remove(file)
            raise
        # What the broken connection lost may be the answer to an INSERT that was done. Only the database knows; if it
        # does not come back for this question, the bytes stay.
        logger.warning("database away under a new file", file=str(file.pk), error=str(error))
        connection.close()
        if inserted := File.objects.filter(pk=file.pk).first():
            return inserted
        raise
    except BaseException:
        _remove(file)
        raise


def _remove(file: File) -> None:
    with contextlib.suppress(OSError):
        default_storage.delete(str(file.file.name))


def display_name(name: str) -> str:
    """Make a name fit to be shown: composed, without control and direction characters, at most 255 long.

    A longer one is cut before its extension.
    """
    shown = unicodedata.normalize("NFC", _shown(name))
    if len(shown) > MAX_NAME:
        extension = shown[-MAX_EXTENSION:].rpartition(".")[2]
        end = f".{extension}" if 0 < len(extension) < MAX_EXTENSION else ""
        shown = shown[: MAX_NAME - len(end)] + end
    return shown.strip() or "unnamed"


def _shown(text: str) -> str:
    hidden = ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")
    return "".join(char for char in text if unicodedata.category(char) not in hidden).strip()


def probe() -> None:
    """Write and remove a byte where uploads come in. Raises ``OSError`` if that is not possible."""
    with tempfile.TemporaryFile(dir=storage.incoming()) as stream:
        stream.write(b"?")
        stream.flush()
