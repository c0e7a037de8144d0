"""``manage.py doctor``: it finds what is wrong, mends what it can, and its exit status says what is left."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import time
import uuid
from datetime import timedelta
from pathlib import Path

import pytest
from celery import current_app
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.management import call_command
from django.db.models.functions import Now

from picasso_core.models import Artifact, Beat, File, Job, Offer
from picasso_core.supervisor import free_port
from tests.clock import advance
from tests.factories import ECHO, FileFactory, JobFactory, OfferFactory
from tests.live import ROOT
from tests.papers import of_kind
from tests.test_orphans import file_key, put

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _well(settings, monkeypatch, tmp_path):
    """Have a broker, a worker that has echo, and a sweeper, all just seen."""
    if not settings.PICASSO_BROKER_IS_AMQP:
        options = {"data_folder_in": str(tmp_path / "broker"), "data_folder_out": str(tmp_path / "broker")}
        monkeypatch.setitem(current_app.conf, "broker_transport_options", options)
    OfferFactory()
    Beat.objects.beat()


def doctor(*arguments: str) -> tuple[int, str]:
    """Run it and return its exit status and what it says."""
    said = io.StringIO()
    try:
        call_command("doctor", *arguments, stdout=said)
    except SystemExit as end:
        return int(end.code or 0), said.getvalue()
    return 0, said.getvalue()


def wrong(*arguments: str) -> str:
    """Return the one thing that it finds."""
    status, said = doctor(*arguments)
    *found, last = said.splitlines()
    assert (status, last, len(found)) == (1, "1 wrong, 0 mended.", 1), said
    return found[0].removeprefix("wrong   ")


def mended() -> str:
    """Return the one thing that it finds and mends, after which all is well."""
    status, said = doctor("--repair")
    *found, last = said.splitlines()
    assert (status, last, len(found)) == (0, "0 wrong, 1 mended.", 1), said
    assert doctor() == (0, "All is well.\n")
    return found[0].removeprefix("mended  ")


def ended(state: str = "succeeded", **fields) -> Job:
    """Make a Job that has ended, on a File that has settled by it."""
    job = JobFactory(state=state, due_at=None, **fields)
    with File.locked(job.file_id):
        pass
    return job


def with_artifact(job: Job) -> Artifact:
    key = default_storage.save(f"artifacts/{job.pk.hex[-2:]}/{job.pk}-{uuid.uuid4()}-0", ContentFile(b"hello"))
    return Artifact.objects.create(job=job, name="a.txt", media_type="text/plain", size=5, key=key)


def test_all_is_well_with_work_that_waits_runs_pauses_and_has_ended():
    FileFactory()
    Job.claim(JobFactory().pk)
    Job.claim(JobFactory().pk).give_back(pause=timedelta(hours=20))
    with_artifact(ended())
    ended("failed")
    put(file_key(), age=60)
    assert doctor() == (0, "All is well.\n")
    assert doctor("--repair") == (0, "All is well.\n")


# --- The bytes --------------------------------------------------------------------------------------------------------


def test_a_file_whose_bytes_are_gone_is_named_with_what_to_do():
    file = ended().file
    default_storage.delete(file.file.name)
    said = wrong()
    assert str(file.pk) in said
    assert "are not in the storage: restore" in said


def test_with_repair_the_open_jobs_of_such_a_file_fail_and_nothing_is_deleted():
    OfferFactory(processor="any", media_types=["*/*"])
    fresh, paused, held = FileFactory(), JobFactory(), JobFactory()
    Job.claim(paused.pk).give_back(pause=timedelta(hours=1))
    Job.claim(held.pk)
    for file in (fresh, paused.file, held.file):
        default_storage.delete(file.file.name)
    assert doctor("--repair")[0] == 1
    assert File.objects.count() == 3
    paused.refresh_from_db()
    assert (paused.state, paused.error_code) == ("failed", "content_missing")
    assert "missing" in paused.error
    assert File.objects.get(pk=paused.file_id).status == "failed"
    assert Job.objects.get(pk=held.pk).state == "running"  # its worker finds that out
    assert Job.objects.get(file=fresh).error_code == "content_missing"
    assert doctor("--repair")[0] == 1


def test_bytes_of_another_size_are_found_even_quickly():
    file = ended().file
    Path(default_storage.path(file.file.name)).write_bytes(b"short")
    assert f"{file.pk} are 5 and should be 19" in wrong("--quick")


def test_one_wrong_byte_is_found_unless_quickly():
    file = ended().file
    Path(default_storage.path(file.file.name)).write_bytes(b"picasso-echo\nhellO\n")
    assert doctor("--quick") == (0, "All is well.\n")
    assert f"{file.pk} are not those that were uploaded" in wrong()
    assert "1 wrong, 0 mended" in doctor("--repair")[1]


def test_an_artifact_whose_bytes_are_gone_is_made_again():
    job = ended()
    default_storage.delete(with_artifact(job).key)
    assert "'a.txt', which echo made of" in wrong()
    status, said = doctor("--repair")
    assert (status, "its Job runs again" in said) == (0, True)
    job.refresh_from_db()
    assert job.state == "queued"
    assert Job.claim(job.pk).succeed({}, [], [])
    assert doctor() == (0, "All is well.\n")


def test_an_artifact_that_nobody_can_make_again_is_left_as_it_is():
    job = ended(version="0")
    default_storage.delete(with_artifact(job).key)
    status, said = doctor("--repair")
    assert (status, "no worker has its processor now" in said) == (1, True)
    assert Job.objects.get(pk=job.pk).state == "succeeded"


def test_bytes_that_no_row_names_are_found_and_removed():
    key = put(file_key())
    assert wrong() == f"The bytes {key} belong to no File: the sweeper removes them."
    assert mended() == f"The bytes {key} belong to no File."
    assert not default_storage.exists(key)


# --- The rows ---------------------------------------------------------------------------------------------------------


def corrupt(work, **fields) -> None:
    type(work).objects.filter(pk=work.pk).update(**fields)


@pytest.mark.parametrize("make", [FileFactory, JobFactory], ids=["file", "job"])
@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"due_at": None}, "to do that no sweeper ever looks at"),
        ({"due_at": Now() + timedelta(days=3)}, "scheduled for days ahead"),
        ({"not_before": Now() + timedelta(days=3)}, "scheduled for days ahead"),
        ({"lease_until": Now() + timedelta(days=3), "lease_token": uuid.uuid4()}, "scheduled for days ahead"),
    ],
    ids=["never", "far", "pausing", "held"],
)
def test_open_work_that_nobody_would_look_at_is_due_at_once(make, fields, words):
    work = make()
    corrupt(work, **fields)
    said = wrong()
    assert words in said
    assert str(work.pk) in said
    assert words in mended()
    assert type(work).claim(work.pk)


@pytest.mark.parametrize("make", [FileFactory, JobFactory], ids=["file", "job"])
def test_a_claim_that_expired_long_ago_is_named_and_due_at_once(make):
    work = make()
    type(work).claim(work.pk)
    advance(700)
    Offer.objects.update(last_seen=Now())
    Beat.objects.beat()
    assert "whose worker was lost more than ten minutes ago" in wrong()
    assert "1 mended" in doctor("--repair")[1]
    assert type(work).claim(work.pk)
    assert doctor() == (0, "All is well.\n")


def test_work_that_was_lost_too_often_is_given_up():
    job = Job.claim(JobFactory().pk)
    corrupt(job, losses=5, lease_until=Now() - timedelta(hours=1))
    assert doctor()[0] == 1
    assert doctor("--repair")[0] == 0
    assert Job.objects.get().error_code == "worker_lost"


def test_work_that_is_done_and_still_scheduled_is_cleared():
    job = ended()
    corrupt(job, due_at=Now(), lease_token=uuid.uuid4(), lease_until=Now())
    assert "1 Job done and still scheduled" in wrong()
    mended()
    job.refresh_from_db()
    assert (job.state, job.due_at, job.lease_token) == ("succeeded", None, None)


@pytest.mark.parametrize("fields", [{"status": "failed"}, {"status": "queued"}, {"processed": False}])
def test_a_status_that_does_not_follow_from_the_jobs_is_settled(fields):
    file = ended().file
    corrupt(file, **fields)
    assert f"The status of the File {file.pk} was " in wrong()
    mended()
    file.refresh_from_db()
    assert (file.status, file.processed) == ("processed", True)


def test_a_file_that_is_not_identified_and_says_that_it_is_through_is_queued():
    file = FileFactory()
    corrupt(file, status="processed")
    assert "not identified" in wrong()
    mended()
    assert File.objects.get().status == "queued"


def test_more_rows_than_one_batch_are_mended():
    rows = [File(name="a", size=1, sha256="0", file="files/none", media_type=ECHO, due_at=None) for _ in range(1201)]
    File.objects.bulk_create(rows)
    File.objects.update(media_type=None)
    assert doctor("--quick", "--repair")[1].startswith("mended  1201 Files to do that no sweeper ever looks at")
    assert not File.objects.filter(File.OPEN, due_at=None).exists()


# --- The parts --------------------------------------------------------------------------------------------------------


def test_without_a_worker_it_says_how_to_start_one():
    Offer.objects.update(last_seen=Now() - timedelta(seconds=60))
    assert wrong() == (
        "No worker of the queue picasso.v1 has been seen for 60 seconds: start one: "
        "manage.py worker --queue picasso.v1."
    )
    assert doctor("--repair")[0] == 1


def test_a_queue_without_a_worker_matters_only_if_work_waits_there():
    OfferFactory(queue="gpu", last_seen=Now() - timedelta(days=1))
    assert doctor()[0] == 0
    JobFactory(queue="gpu")
    assert "No worker of the queue gpu" in wrong()


def test_without_a_sweeper_it_says_how_to_start_one():
    Beat.objects.all().delete()
    assert wrong() == "No sweeper has ever been seen: start one: manage.py sweeper."


def test_broken_processors_and_those_that_jobs_wait_for_are_named():
    Offer.objects.update(error="No tesseract.")
    ended("waiting", processor="gone")
    status, said = doctor()
    assert status == 1
    assert "The processor echo (picasso-echo 0.1.0) is broken on the queue picasso.v1: No tesseract." in said
    assert "1 Jobs wait for the processor gone" in said


def test_a_storage_and_a_scratch_folder_that_cannot_be_written_to_are_named(settings, tmp_path):
    (tmp_path / "no-folder").touch()
    settings.PICASSO_SCRATCH = tmp_path / "no-folder"
    assert "PICASSO_SCRATCH" in wrong()


# --- From the command line -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "away",
    [
        {"PICASSO_DATABASE_URL": f"postgres://picasso@127.0.0.1:{free_port()}/picasso"},
        {"PICASSO_DATABASE_URL": "sqlite:////proc/none.sqlite3"},
        {"PICASSO_DATABASE_URL": "sqlite:////dev/null"},
        {"PICASSO_BROKER_URL": f"amqp://guest:guest@127.0.0.1:{free_port()}//"},
    ],
    ids=["postgresql", "no file", "no database", "rabbitmq"],
)
def test_what_is_away_is_said_in_a_sentence_within_seconds(tmp_path, away):
    others = {name: value for name, value in os.environ.items() if not name.startswith("PICASSO_")}
    environment = {**others, "PICASSO_DATA": str(tmp_path / "data"), **away}
    command = [sys.executable, ROOT / "manage.py", "doctor"]
    began = time.monotonic()
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert time.monotonic() - began < 15
    assert (done.returncode, "Traceback" in done.stdout + done.stderr) == (1, False), done.stderr
    assert done.stdout.splitlines()[0].startswith("wrong   ")


def test_a_running_instance_is_well_by_every_command_of_the_papers(instance):
    file = instance.ended(instance.upload(b"picasso-echo\nhello\n"))
    assert file["status"] == "processed"
    commands = [each.text for each in of_kind("command") if each.text.startswith("manage.py doctor")]
    assert len(set(commands)) == 2
    for command in commands:
        done = instance.manage(*command.split()[1:])
        assert (done.returncode, done.stdout) == (0, "All is well.\n"), done.stderr
