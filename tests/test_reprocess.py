"""A File is processed once more because somebody wants it: what it shows stays until there is something newer."""

import time
import uuid

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from picasso_core import sweeper
from picasso_core.models import Backfill, Event, File, Job, Offer, Switch
from tests.clock import advance
from tests.factories import ECHO, FileFactory, JobFactory, OfferFactory
from tests.threads import at_once

FORM = "application/x-www-form-urlencoded"
pytestmark = pytest.mark.django_db


@pytest.fixture
def client() -> Client:
    return Client(raise_request_exception=False)


@pytest.fixture(autouse=True)
def rung(monkeypatch) -> list[tuple[str, str]]:
    """Note what would be published."""
    rung: list[tuple[str, str]] = []
    monkeypatch.setattr("picasso_core.api.jobs_view.publish_soon", lambda pk, queue: rung.append((str(pk), queue)))
    return rung


def processed(**job) -> File:
    """Have a File that version 1 of echo has had."""
    file = FileFactory(media_type=ECHO, status="processed", processed=True, due_at=None)
    JobFactory(file=file, **{"state": "succeeded", "data": {"by": "the first"}, "due_at": None, **job})
    time.sleep(0.002)  # ids tell which came first, to the millisecond
    return file


def reprocess(client, file: File, status: int = 202, **body) -> dict:
    answer = client.post(f"/files/{file.pk}/reprocess/", body, content_type="application/json")
    assert answer.status_code == status, answer.content
    return answer.json()


def refused(client, file: File, code: str, status: int = 409, **body) -> str:
    (error,) = reprocess(client, file, status, **body)["errors"]
    assert error["code"] == code
    return error["detail"]


def newest(file: File) -> Job:
    return file.jobs.order_by("-pk").first()


def shown(client, file: File) -> dict:
    return client.get(f"/files/{file.pk}/").json()


def test_the_old_result_stays_until_the_new_one_succeeds_and_is_history_then(client, rung):
    OfferFactory()
    file = processed()
    answer = reprocess(client, file)
    (job,) = answer["jobs"]
    assert (answer["status"], answer["processed"], answer["pending"]) == ("processing", True, 1)
    assert (job["state"], job["data"]) == ("succeeded", {"by": "the first"})
    assert job["newer"] == {"version": "1", "state": "queued", "error": ""}
    assert rung == [(str(file.pk), "picasso.v1")]
    assert Job.claim(newest(file).pk).succeed({"by": "the second"}, [], [])
    after = shown(client, file)
    assert (after["status"], after["pending"]) == ("processed", 0)
    assert [job["data"] for job in after["jobs"]] == [{"by": "the second"}]
    assert [job["data"] for job in after["history"]] == [{"by": "the first"}]


def test_where_the_new_one_fails_the_old_result_is_shown_on(client):
    OfferFactory()
    file = processed()
    reprocess(client, file)
    assert Job.claim(newest(file).pk).fail("timeout", "Too slow.")
    (job,) = shown(client, file)["jobs"]
    assert (job["state"], job["newer"]) == ("succeeded", {"version": "1", "state": "failed", "error": "Too slow."})
    assert shown(client, file)["status"] == "processed"


@pytest.mark.parametrize("state", ["failed", "declined", "cancelled"])
def test_whatever_had_become_of_it_the_new_result_is_shown(client, state):
    OfferFactory()
    file = processed(state=state, error_code="x", error="It was so.")
    reprocess(client, file)
    assert Job.claim(newest(file).pk).succeed({"by": "the second"}, [], [])
    assert [job["data"] for job in shown(client, file)["jobs"]] == [{"by": "the second"}]


def test_it_can_be_asked_for_again_and_again(client):
    OfferFactory()
    file = processed()
    for repeat in (1, 2, 3):
        reprocess(client, file)
        assert Job.claim(newest(file).pk).succeed({"by": repeat}, [], [])
        assert newest(file).repeat == repeat
        time.sleep(0.002)
    assert [job["data"] for job in shown(client, file)["jobs"]] == [{"by": 3}]
    assert len(shown(client, file)["history"]) == 3


def test_the_version_in_force_runs_whichever_was_there_before(client):
    OfferFactory(withdrawn=True)
    OfferFactory(version="2")
    file = processed()
    reprocess(client, file, processor="echo")
    job = newest(file)
    assert (job.version, job.repeat, job.current) == ("2", 1, False)
    # Which is a Job of that version: a backfill leaves the file out.
    Job.claim(job.pk).succeed({}, [], [])
    assert Event.objects.filter(kind="job.reprocessed", job=job.pk).count() == 1


def test_the_first_job_of_a_processor_is_in_the_log_once_it_starts_as_after_an_upload(client):
    OfferFactory()
    file = FileFactory(media_type=ECHO, status="unsupported", due_at=None)
    reprocess(client, file)
    about = Event.objects.filter(job=newest(file).pk)
    assert not about.exists()
    Job.claim(newest(file).pk)
    assert [event.kind for event in about] == ["job.started"]


def test_a_pinned_version_that_is_run_once_more_shows_its_newest_result(client):
    OfferFactory()
    Switch.objects.create(processor="echo", pinned="1")
    file = processed()
    reprocess(client, file)
    assert Job.claim(newest(file).pk).succeed({"by": "the second"}, [], [])
    assert [job["data"] for job in shown(client, file)["jobs"]] == [{"by": "the second"}]


def test_without_a_name_it_is_each_processor_that_takes_the_file(client, rung):
    OfferFactory(processor="a", queue="one"), OfferFactory(processor="b", queue="two")
    OfferFactory(processor="other", media_types=["image/png"]), OfferFactory(processor="broken", error="No.")
    file = processed(processor="a")
    answer = reprocess(client, file)
    assert sorted(job.processor for job in file.jobs.filter(state="queued")) == ["a", "b"]
    assert [(job["processor"], job["state"]) for job in answer["jobs"]] == [("a", "succeeded"), ("b", "queued")]
    assert sorted(rung) == [(str(file.pk), "one"), (str(file.pk), "two")]


def test_an_empty_body_and_none_are_all_of_them(client):
    OfferFactory()
    for body in ({}, {"data": {}}, {"data": b"", "content_type": "application/x-www-form-urlencoded"}):
        sent = {"data": b"", "content_type": "application/json", **body}
        assert client.post(f"/files/{processed().pk}/reprocess/", **sent).status_code == 202


def test_a_form_is_refused_and_no_file_in_it_is_kept(client):
    OfferFactory()
    file = processed()
    form = {"processor": "echo", "file": SimpleUploadedFile("large", b"x" * 5_000_000)}
    assert client.post(f"/files/{file.pk}/reprocess/", form).status_code == 415
    assert client.post(f"/files/{file.pk}/reprocess/", "processor=echo", content_type=FORM).status_code == 415


def test_with_a_name_it_is_that_one_alone(client):
    OfferFactory(processor="a"), OfferFactory(processor="b")
    file = processed(processor="a")
    reprocess(client, file, processor="b")
    assert [job.processor for job in file.jobs.filter(state="queued")] == ["b"]


@pytest.mark.parametrize("state", ["queued", "running", "waiting"])
@pytest.mark.parametrize("lane", ["interactive", "backfill"])
def test_one_that_is_not_over_is_not_doubled(client, rung, state, lane):
    OfferFactory()
    file = FileFactory(media_type=ECHO)
    JobFactory(file=file, state=state, lane=lane)
    for body in ({}, {"processor": "echo"}):
        assert f"Version 1 of echo is {state}" in refused(client, file, "unfinished_job", **body)
    OfferFactory(processor="other")
    reprocess(client, file)
    assert [job.processor for job in file.jobs.order_by("pk")] == ["echo", "other"]
    assert len(rung) == 1


@pytest.mark.parametrize(
    ("fields", "switch", "code"),
    [
        ({"error": "It lacks tesseract."}, {}, "broken"),
        ({"withdrawn": True}, {}, "absent"),
        ({"activated_at": None}, {}, "arriving"),
        ({"media_types": ["image/png"]}, {}, "not_accepted"),
        ({"limits": {"max_bytes": 3}}, {}, "too_large"),
        ({}, {"enabled": False}, "off"),
        ({}, {"excluded": [ECHO]}, "excluded"),
        ({}, {"limits": {"max_bytes": 3}}, "too_large"),
    ],
)
def test_a_processor_that_cannot_run_is_refused_with_the_reason(client, rung, fields, switch, code):
    OfferFactory(**fields)
    Switch.objects.create(processor="echo", **switch)
    file = processed()
    assert refused(client, file, code, processor="echo").startswith("echo cannot process it now. ")
    assert "explain" in refused(client, file, "no_processor")
    assert rung == []
    assert file.jobs.count() == 1


@pytest.mark.parametrize("name", ["nobody", "a b", "é"])
def test_a_processor_that_nobody_has_ever_had_is_404(client, name):
    assert repr(name) in refused(client, processed(), "unknown_processor", status=404, processor=name)


def test_a_file_whose_type_is_not_known_yet_is_to_be_waited_for(client):
    OfferFactory()
    assert "not known yet" in refused(client, FileFactory(), "not_identified")
    refused(client, FileFactory(), "not_identified", processor="echo")


def test_a_file_that_is_not_there_is_404(client):
    assert client.post(f"/files/{uuid.uuid4()}/reprocess/", content_type="application/json").status_code == 404


@pytest.mark.parametrize("body", ['{"processors": "echo"}', '{"processor": 7}', '{"processor": ""}', "[]", "{", "7"])
def test_a_body_that_is_not_understood_is_refused(client, body):
    answer = client.post(f"/files/{processed().pk}/reprocess/", body, content_type="application/json")
    assert answer.status_code == 400
    assert Job.objects.count() == 1


def test_it_waits_for_its_processor_like_any_other_and_goes_on_when_that_is_back(client):
    offer = OfferFactory()
    file = processed()
    reprocess(client, file)
    Offer.objects.update(error="It lacks tesseract.")
    advance(6)
    sweeper.move_waiting()
    assert (newest(file).state, shown(client, file)["status"]) == ("waiting", "processed")
    Offer.objects.filter(pk=offer.pk).update(error="")
    sweeper.move_waiting()
    assert (newest(file).state, newest(file).repeat) == ("queued", 1)


def test_one_that_waited_while_a_newer_version_had_the_file_is_cancelled(client):
    OfferFactory(withdrawn=True)
    OfferFactory(version="2")
    file = processed()
    JobFactory(file=file, state="waiting", repeat=1, current=False)
    JobFactory(file=file, version="2", state="succeeded", current=False)
    sweeper.move_waiting()
    assert file.jobs.get(version="1", repeat=1).state == "cancelled"


def test_a_file_that_is_identified_again_gets_no_second_job_of_a_version(client):
    offer = OfferFactory(version="2")
    file = processed()
    reprocess(client, file)
    File.objects.filter(pk=file.pk).update(identify_again=True)
    assert File.claim(file.pk).identified(ECHO, [], [offer])
    assert sorted(file.jobs.values_list("version", "repeat")) == [("1", 0), ("2", 1)]


def test_a_backfill_that_is_over_is_not_changed_by_it(client):
    OfferFactory()
    backfill = Backfill.objects.create(processor="echo", version="1", state="done", counts={"succeeded": 1})
    file = processed(backfill=backfill)
    reprocess(client, file)
    assert newest(file).backfill is None


@pytest.mark.django_db(transaction=True)
def test_two_who_ask_at_once_get_one_job(client):
    OfferFactory()
    file = processed()
    path = f"/files/{file.pk}/reprocess/"
    answers = at_once(*[lambda: Client().post(path, content_type="application/json").status_code] * 4)
    assert sorted(answers) == [202, 409, 409, 409]
    assert file.jobs.count() == 2
