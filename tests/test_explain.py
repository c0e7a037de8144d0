"""GET /files/{id}/explain/: why a file is as it is, in codes for programs and sentences for people."""

from __future__ import annotations

import time
import uuid
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db.models.functions import Now
from django.test import Client

from picasso_core.execution import process
from picasso_core.models import Backfill, File, Job, Switch, WorkerBeat
from tests.factories import ECHO, FileFactory, JobFactory, OfferFactory

pytestmark = pytest.mark.django_db


def explain(file: File) -> dict:
    answer = Client().get(f"/files/{file.pk}/explain/")
    assert answer.status_code == 200, answer.content
    return answer.json()


def about(file: File, processor: str = "echo") -> dict:
    (found,) = (each for each in explain(file)["processors"] if each["processor"] == processor)
    return found


def decision(file: File, processor: str = "echo") -> tuple[str, str]:
    found = about(file, processor)
    return found["code"], found["sentence"]


def end_of(job: Job) -> tuple[str, str]:
    found = next(each for each in about(job.file, job.processor)["jobs"] if each["id"] == str(job.pk))
    return found["code"], found["sentence"]


def identified(**fields) -> File:
    return FileFactory(**{"media_type": ECHO, "due_at": None, "status": "unsupported", **fields})


# --- The media type ---------------------------------------------------------------------------------------------------


def test_what_was_found_comes_with_who_found_it(slot):
    OfferFactory()
    file = FileFactory()
    assert explain(file)["identification"] == {
        "code": "queued",
        "sentence": "It waits for a worker that finds its media type.",
        "media_type": None,
        "evidence": [],
        "next_try_at": None,
    }
    assert decision(file)[0] == "not_identified"
    process(file.pk, slot)
    found = explain(file)
    assert (found["status"], found["identification"]["code"]) == ("processed", "identified")
    assert found["identification"]["sentence"] == f"It is {ECHO}, by signature: 13 bytes at 0."
    assert found["identification"]["evidence"][0]["by"] == "signature"


def test_an_identification_that_runs_pauses_has_failed_or_is_done_again():
    file = FileFactory()
    held = File.claim(file.pk)
    assert explain(file)["identification"]["code"] == "running"
    held.try_again()
    paused = explain(file)["identification"]
    assert (paused["code"], paused["next_try_at"] is not None) == ("failed_for_now", True)
    failed = [{"by": "picasso", "says": "application/octet-stream", "why": "identification_failed: It crashed."}]
    file = identified(media_type="application/octet-stream", identified_by=failed)
    assert explain(file)["identification"]["code"] == "failed"
    assert explain(identified(identify_again=True))["identification"]["code"] == "again"


# --- The processors ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("offer", "switch", "code", "sentence"),
    [
        ({"media_types": ["image/*"]}, {}, "not_accepted", f"It takes image/*, and the file is {ECHO}."),
        ({"limits": {"max_bytes": 9}}, {}, "too_large", "It takes files of at most 9 bytes, and this one has 19."),
        ({}, {"enabled": False}, "off", "An operator has switched it off."),
        ({}, {"excluded": ["application/*"]}, "excluded", "An operator keeps application/* from it."),
        (
            {},
            {"limits": {"max_bytes": 9}},
            "too_large",
            "An operator gives it files of at most 9 bytes; this one has 19.",
        ),
        ({"withdrawn": True}, {}, "absent", "No worker of the queue picasso.v1 has it any more."),
        ({"error": "No GPU."}, {}, "broken", "It takes such files and is broken: No GPU."),
        ({"error": "Cannot be imported.", "media_types": [], "version": ""}, {}, "broken", None),
        ({"activated_at": None}, {}, "arriving", None),
        ({}, {}, "no_job", None),
    ],
)
def test_each_processor_says_why_such_a_file_gets_no_job(offer, switch, code, sentence):
    OfferFactory(**offer)
    if switch:
        Switch.objects.create(processor="echo", **switch)
    found = decision(identified())
    assert found[0] == code
    assert sentence in (None, found[1])


def test_one_that_takes_the_file_says_where_a_job_would_run(slot):
    OfferFactory()
    WorkerBeat.objects.beat(uuid.uuid4(), "picasso.v1", 4, [("echo", "1")])
    WorkerBeat.objects.beat(uuid.uuid4(), "picasso.v1", 2, [("echo", "1")])
    WorkerBeat.objects.beat(uuid.uuid4(), "gpu", 8, [("echo", "1")])
    file = FileFactory()
    process(file.pk, slot)
    found = about(file)
    assert (found["code"], found["sentence"]) == (
        "accepted",
        "It takes such files. On the queue picasso.v1 2 live workers work on 6 files at a time.",
    )
    assert found["where"] == {
        "version": "1",
        "distribution": "picasso-echo 0.1.0",
        "queue": "picasso.v1",
        "workers": 2,
        "slots": 6,
    }
    assert [(job["code"], job["current"]) for job in found["jobs"]] == [("succeeded", True)]


def test_of_several_versions_the_one_in_force_is_spoken_of():
    OfferFactory(withdrawn=True)
    OfferFactory(version="2")
    file = identified()
    JobFactory(file=file, state="succeeded", due_at=None)
    found = about(file)
    assert (found["code"], found["where"]["version"]) == ("older_version", "2")
    assert found["sentence"] == "Version 2 is in force and has not had this file. No backfill is under way."
    backfill = Backfill.objects.create(processor="echo", version="2")
    for state, sentence in (
        ("planned", "A backfill is planned and waits to be started."),
        ("running", "A backfill is on its way to it."),
        ("paused", "The backfill that would reach it is paused."),
    ):
        Backfill.objects.filter(pk=backfill.pk).update(state=state)
        assert about(file)["sentence"].endswith(sentence)


def test_one_that_nobody_knows_any_more_is_named_for_its_result():
    file = identified()
    JobFactory(file=file, processor="gone", state="succeeded", due_at=None, data={"kept": True})
    assert decision(file, "gone")[0] == "forgotten"
    assert (about(file, "gone")["where"], about(file, "gone")["jobs"][0]["code"]) == (None, "succeeded")


# --- The jobs ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "code", "sentence", "fault"),
    [
        ({}, "queued", "It waits for a worker on the queue picasso.v1.", None),
        ({"lane": "backfill"}, "queued", "It waits for its turn in a backfill on the queue picasso.v1.", None),
        (
            {"lane": "bulk"},
            "queued",
            "It waits for its turn among many that were retried on the queue picasso.v1.",
            None,
        ),
        ({"state": "running"}, "running", "A worker is at work on it.", None),
        ({"state": "succeeded", "data": {"text": ""}}, "succeeded", "It succeeded.", None),
        ({"state": "succeeded"}, "found_nothing", "It succeeded and found nothing.", None),
        ({"state": "declined", "error": "Not mine."}, "declined", "It declined the file: Not mine.", None),
        ({"state": "cancelled"}, "cancelled", "It was cancelled.", None),
        ({"state": "cancelled", "error_code": "excluded", "error": "Kept."}, "excluded", "Kept.", None),
        ({"state": "failed", "error_code": "invalid_file", "error": "Bad."}, "failed", None, "file"),
        ({"state": "failed", "error_code": "encrypted", "error": "Bad."}, "failed", None, "file"),
        ({"state": "failed", "error_code": "processor_bug", "error": "Bad."}, "failed", None, "processor"),
        ({"state": "failed", "error_code": "crashed", "error": "Bad."}, "failed", None, "processor"),
        ({"state": "failed", "error_code": "timeout", "error": "Bad."}, "failed", None, "limit"),
        ({"state": "failed", "error_code": "worker_lost", "error": "Bad."}, "failed", None, "installation"),
    ],
)
def test_each_job_says_what_became_of_it_and_whose_fault_that_is(fields, code, sentence, fault):
    OfferFactory()
    job = JobFactory(file=identified(), **fields)
    assert end_of(job)[0] == code
    assert sentence in (None, end_of(job)[1])
    assert sentence or end_of(job)[1] == "It failed for good: Bad."
    assert about(job.file)["jobs"][0]["fault"] == fault


def test_one_that_failed_for_now_says_when_it_is_tried_again():
    OfferFactory()
    job = JobFactory(file=identified())
    Job.claim(job.pk).postpone("The network is down.")
    (told,) = about(job.file)["jobs"]
    assert (told["code"], told["sentence"]) == (
        "failed_for_now",
        "It failed for now and is tried again: The network is down.",
    )
    assert told["next_try_at"] is not None
    Job.objects.update(not_before=Now() - timedelta(seconds=1))
    assert (end_of(job)[0], about(job.file)["jobs"][0]["next_try_at"]) == ("queued", None)


@pytest.mark.parametrize(
    ("offer", "lack"),
    [
        ({"withdrawn": True}, "No worker of the queue picasso.v1 has it any more."),
        ({"error": "No GPU."}, "No GPU."),
        (None, "no worker has it."),
    ],
)
def test_one_that_waits_says_for_what(offer, lack):
    if offer is not None:
        OfferFactory(**offer)
    job = JobFactory(file=identified(), state="waiting", due_at=None)
    assert end_of(job) == ("waiting", f"It waits until its processor can run: {lack}")


def test_history_is_told_the_newest_first_and_what_is_shown_is_marked():
    OfferFactory(version="2")
    file = identified()
    JobFactory(file=file, state="succeeded", data={"old": True}, due_at=None)
    time.sleep(0.002)  # ids are in the order of milliseconds
    JobFactory(file=file, version="2", state="failed", error="Bad.", current=False, due_at=None)
    assert [(job["version"], job["code"], job["current"]) for job in about(file)["jobs"]] == [
        ("2", "failed", False),
        ("1", "succeeded", True),
    ]


# --- Asking -----------------------------------------------------------------------------------------------------------


def test_a_file_that_is_not_there_cannot_be_explained():
    assert Client().get(f"/files/{uuid.uuid4()}/explain/").status_code == 404
    with pytest.raises(CommandError, match="There is no file with this id"):
        call_command("explain", str(uuid.uuid4()))


def test_it_asks_as_much_for_many_processors_as_for_one(django_assert_num_queries):
    file = identified()
    for number in range(20):
        OfferFactory(processor=f"p{number}")
        JobFactory(file=file, processor=f"p{number}", state="succeeded", due_at=None)
    with django_assert_num_queries(7):
        assert len(explain(file)["processors"]) == 20


def test_the_command_line_says_the_same():
    OfferFactory(error="No GPU.")
    job = JobFactory(file=identified(status="unsupported"), state="waiting", due_at=None)
    out = StringIO()
    call_command("explain", str(job.file_id), stdout=out)
    assert out.getvalue().splitlines() == [
        f"hello.echo is unsupported. It is {ECHO}.",
        "",
        "echo: It takes such files and is broken: No GPU.",
        "  version 1: It waits until its processor can run: No GPU.",
    ]
