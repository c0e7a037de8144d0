"""Bytes that no row names, as a process leaves them that is killed between the bytes and the row.

They do no harm but take room, so there is no hurry: small steps, a few folders each. What is removed is old, and was an
orphan at two looks a step apart: whoever was about to name it has had an hour, and where the whole machine slept for
longer than that, a step.
"""

from __future__ import annotations

import os
import random
import re
import tempfile
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import structlog
from django.conf import settings
from django.core.files.storage import FileSystemStorage, Storage, default_storage

from .models import Artifact, File, Job
from .storage import incoming, local_path

logger = structlog.get_logger(__name__)

STEP_SECONDS = 0.1
CHUNK = 500
UUID = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
FILE = re.compile(rf"files/[0-9a-f]{{2}}/({UUID})")
ARTIFACT = re.compile(rf"artifacts/[0-9a-f]{{2}}/({UUID})-({UUID})-\d+")
COMING_IN = re.compile(r"incoming/[^/]+")


class Place(NamedTuple):
    """One folder of a storage."""

    storage: Storage
    folder: str

    def keys(self) -> list[str]:
        """List what lies there; nothing where there is no such folder or the storage cannot say."""
        try:
            return [f"{self.folder}/{name}" for name in self.storage.listdir(self.folder)[1]]
        except (FileNotFoundError, NotImplementedError):
            return []

    def remove(self, key: str) -> bool:
        """Remove the bytes of ``key``; False if somebody else has."""
        path = local_path(self.storage, key)
        if path is None:
            self.storage.delete(key)
            return True
        try:
            path.unlink()
        except FileNotFoundError:
            return False
        return True


def places() -> Iterator[Place]:
    """Go through every folder in which there may be orphans."""
    # Beside a storage that is no folder, files come in through the scratch directory.
    here = default_storage if local_path(default_storage, "incoming") else FileSystemStorage(settings.PICASSO_SCRATCH)
    yield Place(here, "incoming")
    for number in range(256):
        yield Place(default_storage, f"files/{number:02x}")
        yield Place(default_storage, f"artifacts/{number:02x}")


def find(place: Place) -> list[str]:
    """Return the keys there that no row names and that are older than ``PICASSO_ORPHAN_SECONDS``."""
    keys = unnamed(place.keys())
    before = _clock() - timedelta(seconds=settings.PICASSO_ORPHAN_SECONDS) if keys else None
    return [key for key in keys if before and _modified(place.storage, key) < before]


def unnamed(keys: list[str]) -> list[str]:
    """Leave out what a row names, or will once a run has ended, and what Picasso never made."""
    chunks = (keys[start : start + CHUNK] for start in range(0, len(keys), CHUNK))
    return [key for chunk in chunks for key in _unnamed(chunk)]


def _unnamed(keys: list[str]) -> list[str]:
    files = {key: match[1] for key in keys if (match := FILE.fullmatch(key))}
    named = set(File.objects.filter(pk__in=files.values()).values_list("file", flat=True)) if files else set()
    artifacts = {key: (match[1], match[2]) for key in keys if (match := ARTIFACT.fullmatch(key))}
    if artifacts:
        jobs = {uuid.UUID(job) for job, _ in artifacts.values()}
        # The claims first: a Job that ends between the two questions has lost its claim, and has named its artifacts.
        claimed = Job.objects.filter(pk__in=jobs, lease_token__isnull=False).values_list("pk", "lease_token")
        held = {(str(pk), str(token)) for pk, token in claimed}
        named |= {key for key, claim in artifacts.items() if claim in held}
        named |= set(Artifact.objects.filter(job__in=jobs).values_list("key", flat=True))
    coming_in = {key for key in keys if COMING_IN.fullmatch(key)}
    return [key for key in (*files, *artifacts, *coming_in) if key not in named]


def _clock() -> datetime:
    """Say what time it is for the file system, which may be another machine's."""
    with tempfile.TemporaryFile(dir=incoming()) as probe:
        return datetime.fromtimestamp(os.fstat(probe.fileno()).st_mtime, UTC)


def _modified(storage: Storage, key: str) -> datetime:
    try:
        return storage.get_modified_time(key)
    except FileNotFoundError:
        return datetime.max.replace(tzinfo=UTC)


class Walk:
    """Goes round the storage for ever, a step at a time; several may go at once."""

    def __init__(self) -> None:
        # Not from the beginning: a sweeper that is often started anew would never see the end.
        ring = list(places())
        start = random.randrange(len(ring))
        self._places = iter(ring[start:] + ring[:start])
        self._suspects: list[tuple[Place, list[str]]] = []

    def step(self) -> tuple[int, bool]:
        """Remove what was an orphan at the last step and still is, and look on; how many, and whether a round ended."""
        removed = sum(remove(place, key) for place, keys in self._suspects for key in unnamed(keys))
        self._suspects = []
        until = time.monotonic() + STEP_SECONDS
        while time.monotonic() < until:
            place = next(self._places, None)
            if place is None:
                self._places = places()
                return removed, True
            if keys := find(place):
                self._suspects.append((place, keys))
        return removed, False


def remove(place: Place, key: str) -> bool:
    """Remove one orphan and log it; False if somebody else was quicker."""
    if not place.remove(key):
        return False
    logger.warning("orphan removed", key=key)
    return True
