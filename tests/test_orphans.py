"""Bytes that no row names: removed when they are old, and never before a row that comes late."""

from __future__ import annotations

import os
import time
import uuid
from pathlib import Path

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import InMemoryStorage, Storage, default_storage

from picasso_core import orphans, storage, sweeper
from picasso_core.models import Artifact, Beat, File, Job
from tests.factories import FileFactory, JobFactory
from tests.threads import at_once

pytestmark = pytest.mark.django_db

HOUR = 3600


def put(key: str, *, age: float = 2 * HOUR) -> str:
    """Put bytes into the storage that were written ``age`` seconds ago."""
    default_storage.save(key, ContentFile(b"orphan"))
    return grow_old(key, age)


def grow_old(key: str, age: float = 2 * HOUR) -> str:
    then = time.time() - age
    os.utime(default_storage.path(key), (then, then))
    return key


def file_key() -> str:
    pk = uuid.uuid4()
    return f"files/{pk.hex[-2:]}/{pk}"


def artifact_key(job: Job) -> str:
    return f"artifacts/{job.pk.hex[-2:]}/{job.pk}-{job.lease_token or uuid.uuid4()}-0"


def rounds(count: int = 2, walk: orphans.Walk | None = None) -> int:
    """Walk round the whole storage and return how many orphans were removed."""
    walk, removed = walk or orphans.Walk(), 0
    while count:
        step, ended = walk.step()
        removed += step
        count -= ended
    return removed


def there(*keys: str) -> list[str]:
    return [key for key in keys if default_storage.exists(key)]


def test_old_bytes_that_no_row_names_are_removed_wherever_picasso_leaves_such():
    keys = [put(file_key()), put(artifact_key(JobFactory())), put("incoming/upload-a1b2"), put("incoming/tmpx1y2")]
    assert rounds() == 4
    assert there(*keys) == []


def test_bytes_with_a_row_are_kept_however_old():
    file, job = FileFactory(), JobFactory()
    key = put(artifact_key(job))
    Artifact.objects.create(job=job, name="a", media_type="text/plain", size=6, key=key)
    keys = [grow_old(str(file.file.name)), grow_old(str(job.file.file.name)), key]
    assert rounds() == 0
    assert there(*keys) == keys


def test_young_bytes_are_kept_for_their_row_may_still_come():
    keys = [put(file_key(), age=HOUR - 60), put("incoming/upload-a1b2", age=60)]
    assert rounds() == 0
    assert there(*keys) == keys


def test_the_age_that_is_old_is_a_setting(settings):
    settings.PICASSO_ORPHAN_SECONDS = 60
    put(file_key(), age=90)
    assert rounds() == 1


def test_a_row_that_comes_between_two_looks_saves_its_bytes():
    key = put(file_key())
    walk = orphans.Walk()
    walk.step()
    File.objects.create(pk=key.rpartition("/")[2], name="late", size=6, sha256="0" * 64, file=key)
    assert rounds(walk=walk) == 0
    assert there(key) == [key]


def test_the_artifacts_of_a_run_whose_claim_is_still_held_are_kept_even_if_its_lease_is_long_over():
    job = Job.claim(JobFactory().pk)
    key = put(artifact_key(job))
    assert rounds() == 0
    assert job.succeed({}, [], [Artifact(job=job, name="a", media_type="text/plain", size=6, key=key)])
    assert rounds() == 0
    assert there(key) == [key]


def test_the_artifacts_of_a_run_that_was_thrown_away_are_removed():
    late = Job.claim(JobFactory().pk)
    key = put(artifact_key(late))
    late.give_back()
    assert rounds() == 1
    assert there(key) == []


def test_what_picasso_did_not_put_there_is_left_alone():
    keys = [put("files/ab/notes.txt"), put("artifacts/cd/lost+found"), put("elsewhere/ab")]
    assert rounds() == 0
    assert there(*keys) == keys


def test_several_sweepers_remove_each_orphan_once_and_say_so_once(caplog):
    caplog.set_level("WARNING")
    keys = [put(file_key()) for _ in range(20)]
    walks = [orphans.Walk(), orphans.Walk()]
    assert sum(rounds(1, walk) for walk in walks * 3) == 20
    assert there(*keys) == []
    said = [record.getMessage() for record in caplog.records if "orphan removed" in record.getMessage()]
    assert sorted(key for message in said for key in keys if key in message) == sorted(keys)


@pytest.mark.django_db(transaction=True)
def test_at_the_same_moment_too():
    for _ in range(20):
        put(file_key())
    walks = [orphans.Walk() for _ in range(3)]
    assert sum(at_once(*[lambda walk=walk: rounds(3, walk) for walk in walks])) == 20


def test_a_step_is_short_however_much_there_is():
    for number in range(256):
        Path(default_storage.path(f"files/{number:02x}")).mkdir(parents=True)
        for _ in range(4):
            (Path(default_storage.path(f"files/{number:02x}")) / str(uuid.uuid4())).touch()
    walk, steps, ended = orphans.Walk(), 0, False
    while not ended:
        began = time.monotonic()
        _, ended = walk.step()
        assert time.monotonic() - began < 1
        steps += 1
    assert steps > 1


class Bucket(Storage):
    """A storage that is no folder, in memory."""

    def __init__(self) -> None:
        self._memory = InMemoryStorage()
        for name in ("_save", "_open", "exists", "listdir", "delete", "get_modified_time"):
            setattr(self, name, getattr(self._memory, name))


@pytest.mark.parametrize("kind", [Bucket, Storage], ids=["one that lists", "one that cannot"])
def test_a_storage_that_is_no_folder_is_swept_if_it_can_list(settings, kind):
    settings.STORAGES = {**settings.STORAGES, "default": {"BACKEND": f"{kind.__module__}.{kind.__qualname__}"}}
    settings.PICASSO_ORPHAN_SECONDS = -1
    if kind is Bucket:
        default_storage.save(file_key(), ContentFile(b"orphan"))
    left = storage.incoming() / "upload-a1b2"
    left.touch()
    assert rounds() == (2 if kind is Bucket else 1)
    assert not left.exists()


def test_a_sweeper_says_what_it_removed_and_when_it_was_through():
    put(file_key())
    walk = orphans.Walk()
    for _ in range(60):
        sweeper.beat(walk)
        if (beat := Beat.objects.sweeper()).orphans:
            break
    assert (beat.orphans, beat.walked_at is not None) == (1, True)
