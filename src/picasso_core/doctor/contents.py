"""The bytes: every row against them, and those that no row names."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Iterator

from django.core.files.storage import default_storage

from .. import orphans
from ..models import Artifact, File, Job, Offer
from ..sandbox.outcome import SENTENCES
from .findings import Finding, batches

Progress = Callable[[str, int, int], None]
MISSING = "are not in the storage"


def files(repair: bool, quick: bool, progress: Progress) -> Iterator[Finding]:
    """Check that the bytes of each File are there, as many as came in, and the same."""
    rows = File.objects.only("file", "size", "sha256")
    total, done = rows.order_by().count(), 0
    for batch in batches(rows):
        for file in batch:
            wrong = _examine(str(file.file.name), file.size, "" if quick else file.sha256)
            if wrong and File.objects.filter(pk=file.pk).exists():
                ended = _fail(file.pk) if repair and wrong == MISSING else 0
                what = f"The bytes of the File {file.pk} {wrong}: restore {file.file.name} from a backup"
                yield Finding(f"{what}, or delete the File.{f' {ended} open Jobs have failed for that.' * bool(ended)}")
            done += 1
        progress("files", done, total)


def _examine(key: str, size: int, sha256: str) -> str:
    """Say what is wrong with the bytes of ``key``; nothing if they are as they should be."""
    try:
        stored = default_storage.size(key)
        if stored != size:
            return f"are {stored} and should be {size}"
        if sha256 and _digest(key) != sha256:
            return "are not those that were uploaded"
    except FileNotFoundError:
        return MISSING
    except OSError as error:
        return f"cannot be read ({error.strerror or error})"
    return ""


def _digest(key: str) -> str:
    found = hashlib.sha256()
    with default_storage.open(key) as stream:
        for chunk in stream.chunks(1 << 20):
            found.update(chunk)
    return found.hexdigest()


def _fail(pk: uuid.UUID) -> int:
    """End what is still to be done with a File whose bytes are gone, as a worker that looks for them would."""
    message = SENTENCES["content_missing"]
    File.objects.filter(File.OPEN, pk=pk, lease_token=None).update(not_before=None)
    ended = 0
    if file := File.claim(pk):
        ended += file.unidentifiable(message)
    for job in Job.objects.filter(Job.OPEN, file=pk):
        Job.objects.filter(Job.OPEN, pk=job.pk, lease_token=None).update(not_before=None)
        if claimed := Job.claim(job.pk):
            ended += claimed.fail("content_missing", message)
    return ended


def artifacts(repair: bool, progress: Progress) -> Iterator[Finding]:
    """Check that the bytes of each artifact are there, as many as were made; a Job that lost some runs again."""
    rows = Artifact.objects.select_related("job").only("name", "size", "key", "job__processor", "job__file")
    total, done = rows.order_by().count(), 0
    for batch in batches(rows):
        for artifact in batch:
            wrong = _examine(artifact.key, artifact.size, "")
            if wrong and Artifact.objects.filter(pk=artifact.pk).exists():
                name = f"The bytes of {artifact.name!r}, which {artifact.job.processor} made of {artifact.job.file_id},"
                mended = repair and _run_again(artifact.job_id)
                advice = "its Job runs again" if mended else "doctor --repair runs its Job again"
                if repair and not mended:
                    advice = "no worker has its processor now"
                yield Finding(f"{name} {wrong}: {advice}.", mended)
        done += len(batch)
        progress("artifacts", done, total)


def _run_again(pk: uuid.UUID) -> bool:
    """Queue a Job again whose artifacts are damaged, if a worker can run it and its File is there."""
    job = Job.objects.select_related("file").get(pk=pk)
    offer = Offer.objects.runnable().get(job.processor)
    can = offer is not None and (offer.version, offer.queue) == (job.version, job.queue)
    return can and default_storage.exists(str(job.file.file.name)) and Job.objects.run_again(job)


def orphaned(repair: bool, progress: Progress) -> Iterator[Finding]:
    """Find old bytes that no row names."""
    places = list(orphans.places())
    for done, place in enumerate(places, 1):
        for key in orphans.find(place):
            mended = repair and orphans.remove(place, key)
            yield Finding(f"The bytes {key} belong to no File{'' if mended else ': the sweeper removes them'}.", mended)
        progress("folders", done, len(places))
