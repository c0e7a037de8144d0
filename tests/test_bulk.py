"""Many at once: exactly those that matched when it was asked for, a bounded piece of work at each request."""

import json
import time
import urllib.request
from datetime import timedelta
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db.models.functions import Now
from django.test import Client

from picasso_core import bulk, sweeper
from picasso_core.api.filters import FileFilters
from picasso_core.api.job_filters import FailedJobFilters
from picasso_core.backfills import feeder
from picasso_core.models import Artifact, Backfill, Event, File, Job
from tests.clock import advance
from tests.factories import ECHO, FileFactory, JobFactory, OfferFactory
from tests.threads import at_once

pytestmark = pytest.mark.django_db


@pytest.fixture
def client() -> Client:
    return Client(raise_request_exception=False)


@pytest.fixture
def small(monkeypatch):
    """Do two at each request."""
    monkeypatch.setattr(bulk, "BATCH", 2)
    monkeypatch.setattr(bulk, "MOST", 3)
    monkeypatch.setattr(bulk, "SECONDS", 0)


def failed(name: str = "a.echo", file: File | None = None, **job: Any) -> Job:
    """Have a File whose Job has failed."""
    file = file or FileFactory(name=name, media_type=ECHO, status="failed", due_at=None)
    fields = {"error_code": "timeout", "error": "Too slow.", "attempts": 3, "finished_at": Now(), "due_at": None}
    return JobFactory(file=file, **{"state": "failed", **fields, **job})


def post(client, path: str, body: Any, status: int) -> dict:
    answer = client.post(path, body, content_type="application/json")
    assert answer.status_code == status, answer.content
    return answer.json()


def retry(client, body: Any, path: str = "/jobs/retry/") -> int:
    """Retry until nothing is left, and say how many."""
    total = 0
    while body is not None:
        answer = post(client, path, body, 202)
        total, body = total + answer["retried"], answer["next"]
    return total


def delete(client, body: Any) -> int:
    total = 0
    while body is not None:
        answer = post(client, "/files/delete/", body, 200)
        total, body = total + answer["deleted"], answer["next"]
    return total


def queued() -> set[str]:
    return set(Job.objects.filter(state="queued").values_list("processor", flat=True))


# --- Retry by what has failed ----------------------------------------------------------------------------------------


def test_what_matches_is_queued_again_as_new_and_its_file_is_processing(client):
    job = failed()
    assert post(client, "/jobs/retry/", {"processor": "echo"}, 202) == {"retried": 1, "next": None}
    job.refresh_from_db()
    assert (job.state, job.attempts, job.error_code, job.error, job.lane) == ("queued", 0, "", "", "bulk")
    assert job.file.status == "processing"
    assert Event.objects.filter(kind="job.retried", job=job.pk).count() == 1
    assert Job.claim(job.pk).succeed({}, [], [])
    assert File.objects.get().status == "processed"


@pytest.mark.parametrize(
    ("body", "processors"),
    [
        ({"processor": "a"}, {"a"}),
        ({"processor": "A"}, set()),
        ({"version": "2"}, {"b"}),
        ({"error_code": "crashed"}, {"b", "c"}),
        ({"error_code": "crashed", "version": "1"}, {"c"}),
        ({"all": True}, {"a", "b", "c"}),
    ],
)
def test_exactly_those_that_match_all_members(client, body, processors):
    failed(processor="a")
    failed(processor="b", version="2", error_code="crashed")
    failed(processor="c", error_code="crashed")
    for state in ("succeeded", "declined", "cancelled", "waiting"):
        failed(processor=state, state=state, error_code="crashed")
    history = failed(processor="history", error_code="crashed", current=False)
    time.sleep(0.002)  # ids tell which came first, to the millisecond
    failed(file=history.file, processor="history", state="succeeded", repeat=1)
    assert retry(client, body) == len(processors)
    assert queued() == processors


def test_what_a_new_version_failed_on_is_retried_though_the_earlier_result_is_shown(client):
    shown = failed(state="succeeded", error_code="", error="")
    time.sleep(0.002)
    newer = failed(file=shown.file, version="2", current=False)
    assert retry(client, {"processor": "echo", "version": "2"}) == 1
    assert Job.claim(newer.pk).succeed({"by": "2"}, [], [])
    (job,) = client.get(f"/files/{shown.file_id}/").json()["jobs"]
    assert job["data"] == {"by": "2"}


def test_those_that_failed_in_a_time(client):
    for age, name in ((300, "a"), (200, "b"), (100, "c")):
        failed(processor=name, finished_at=Now() - timedelta(seconds=age))
    a, b, c = (job.finished_at for job in Job.objects.order_by("finished_at"))
    assert retry(client, {"failed_after": b.isoformat(), "failed_before": c.isoformat()}) == 1
    assert queued() == {"b"}
    assert retry(client, {"failed_before": b.isoformat().replace("+00:00", "Z")}) == 1
    assert queued() == {"a", "b"}
    assert retry(client, {"failed_after": a.isoformat()}) == 1


@pytest.mark.usefixtures("small")
def test_many_take_several_requests_and_each_is_retried_once(client):
    for number in range(7):
        failed(f"{number}.echo")
    answer = post(client, "/jobs/retry/", {"processor": "echo"}, 202)
    assert answer["retried"] == 2
    assert set(answer["next"]) == {"processor", "failed_before"}
    # What fails again in the meantime, or for the first time, is not among those that were asked for.
    time.sleep(0.002)
    again = Job.objects.filter(state="queued").first()
    Job.claim(again.pk).fail("timeout", "Too slow.")
    later = failed()
    assert retry(client, answer["next"]) == 5
    assert set(Job.objects.filter(state="failed")) == {again, later}


@pytest.mark.usefixtures("small")
def test_all_of_them_go_on_as_well(client):
    for _ in range(5):
        failed()
    assert retry(client, {"all": True}) == 5


def test_a_file_with_several_failed_jobs_is_one_transaction(client):
    file = FileFactory(media_type=ECHO, status="failed")
    for name in ("a", "b", "c"):
        failed(file=file, processor=name)
    assert retry(client, {"all": True}) == 3
    assert File.objects.get().status == "processing"


@pytest.mark.django_db(transaction=True)
def test_two_who_ask_at_once_retry_each_job_once(client):
    for _ in range(30):
        failed()
    asked = {"processor": "echo"}
    first, second = at_once(*[lambda: retry(Client(), asked)] * 2)
    assert first + second == 30
    assert Job.objects.filter(state="queued").count() == 30
    assert Event.objects.filter(kind="job.retried").count() == 30


def test_their_turn_comes_in_a_window_and_a_new_upload_goes_first(client):
    OfferFactory()
    for number in range(20):
        failed(f"{number}.echo")
    retry(client, {"all": True})
    assert sweeper.take_due("picasso.v1", 1000) == []
    assert feeder.room("picasso.v1", 4) == 4
    assert len(feeder.take("picasso.v1", 4)) == 4
    assert feeder.room("picasso.v1", 4) == 0
    upload = FileFactory()
    advance(16)
    assert sweeper.take_due("picasso.v1", 1000) == [upload.pk]


def test_a_backfill_that_is_paused_does_not_keep_what_was_retried(client):
    backfill = Backfill.objects.create(processor="echo", version="1", state="paused")
    job = failed(lane="backfill", backfill=backfill)
    retry(client, {"all": True})
    Job.objects.update(state="waiting", due_at=None)
    OfferFactory()
    sweeper.move_waiting()
    job.refresh_from_db()
    assert job.state == "queued"


# --- Retry by the filters of files -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "count"),
    [
        ({"status": ["failed"]}, 3),
        ({"status": ["failed", "partial"]}, 4),
        ({"name": "B.EC"}, 2),
        ({"media_type": "application/*", "processed": False}, 4),
        ({"processor": "other"}, 3),
        ({"processor": "other", "job_state": "failed"}, 0),
        ({"all": True}, 4),
    ],
)
@pytest.mark.usefixtures("small")
def test_the_failed_jobs_of_files_that_match_are_queued_again(client, body, count):
    failed("a.echo")
    two = failed("b.echo")
    failed(file=two.file, processor="second")
    partly = failed("c.echo")
    for job in (two, partly):
        failed(file=job.file, processor="other", state="succeeded" if job is partly else "declined")
    File.objects.filter(pk=partly.file_id).update(status="partial")
    failed("d.png", state="succeeded")
    assert retry(client, body, "/files/retry/") == count
    assert Job.objects.filter(state="queued").count() == count


# --- Delete ----------------------------------------------------------------------------------------------------------


def stored() -> set[str]:
    return {
        name for folder in default_storage.listdir("files")[0] for name in default_storage.listdir(f"files/{folder}")[1]
    }


def test_the_files_that_match_are_gone_with_everything_of_them(client):
    kept = FileFactory(name="kept.echo", media_type=ECHO, status="processed")
    job = failed("gone.echo")
    key = default_storage.save("artifacts/x", ContentFile(b"hello"))
    Artifact.objects.create(job=job, name="a.txt", media_type="text/plain", size=5, key=key)
    FileFactory(name="copy.echo", media_type=ECHO, duplicate_of=job.file, status="processed")
    assert post(client, "/files/delete/", {"status": ["failed"]}, 200) == {"deleted": 1, "next": None}
    assert set(File.objects.values_list("name", flat=True)) == {"kept.echo", "copy.echo"}
    assert (Job.objects.count(), Artifact.objects.count()) == (0, 0)
    assert not default_storage.exists(key)
    assert stored() == {str(file.pk) for file in File.objects.all()}
    assert default_storage.exists(kept.file.name)
    assert Event.objects.filter(kind="file.deleted").count() == 1


@pytest.mark.usefixtures("small")
def test_many_are_deleted_by_several_requests_and_what_comes_meanwhile_stays(client):
    for number in range(7):
        FileFactory(name=f"{number}.echo")
    FileFactory(name="other.txt")
    answer = post(client, "/files/delete/", {"name": ".echo"}, 200)
    assert answer["deleted"] == 2
    time.sleep(0.002)
    FileFactory(name="new.echo")
    assert delete(client, answer["next"]) == 5
    assert set(File.objects.values_list("name", flat=True)) == {"other.txt", "new.echo"}


def test_everything_there_is_if_that_is_said(client):
    FileFactory(), FileFactory()
    assert delete(client, {"all": True}) == 2
    assert delete(client, {"all": True}) == 0


def test_bytes_that_cannot_be_removed_now_are_no_error(client, folders):
    file = FileFactory()
    default_storage.delete(file.file.name)
    assert delete(client, {"all": True}) == 1


def test_a_job_that_runs_meanwhile_leaves_nothing(client):
    running = Job.claim(JobFactory().pk)
    delete(client, {"all": True})
    assert not running.succeed({}, [], [])
    assert not Job.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_two_who_delete_at_once_delete_each_file_once():
    files = [FileFactory().pk for _ in range(30)]
    assert sum(at_once(*[lambda: delete(Client(), {"all": True})] * 2)) == 30
    assert Event.objects.filter(kind="file.deleted", file__in=files).count() == 30


BLANKS = [" ", "\t", "\u00a0"]


@pytest.mark.parametrize("blank", BLANKS)
@pytest.mark.parametrize("name", [name for name in FileFilters.base_filters if name not in ("status", "processed")])
def test_a_blank_filter_is_not_everything(client, name, blank):
    """Whether it is refused or taken for what it is: nothing is deleted, retried or listed by accident."""
    FileFactory(name="a"), JobFactory(state="failed")
    for path in ("/files/delete/", "/files/retry/"):
        answer = client.post(path, {name: blank}, content_type="application/json")
        assert answer.status_code == 400 or not answer.json().get("deleted", answer.json().get("retried"))
    listed = client.get("/files/", {name: blank})
    assert listed.status_code == 400 or listed.json()["results"] == []
    assert File.objects.count() == 2


@pytest.mark.parametrize("blank", BLANKS)
@pytest.mark.parametrize("name", FailedJobFilters.base_filters)
def test_nor_is_it_every_failed_job(client, name, blank):
    JobFactory(state="failed")
    answer = client.post("/jobs/retry/", {name: blank}, content_type="application/json")
    assert answer.status_code == 400 or answer.json() == {"retried": 0, "next": None}
    assert Job.objects.get().state == "failed"


# --- What is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/jobs/retry/", "/files/retry/", "/files/delete/"])
@pytest.mark.parametrize(
    ("body", "attr", "code"),
    [
        ("", "all", "required"),
        ("{}", "all", "required"),
        ('{"all": false}', "all", "required"),
        ('{"all": true, "processor": "echo"}', "all", "contradiction"),
        ('{"all": "true"}', "all", "invalid"),
        ('{"proccesor": "echo"}', "proccesor", "unknown_member"),
        ('{"q": "hello"}', "q", "unknown_member"),
        ('{"processor": ""}', "processor", "blank"),
        ('{"processor": 7}', "processor", "invalid"),
        ('{"processor": null}', "processor", "null"),
        ('{"processor": "' + "a" * 65 + '"}', "processor", "max_length"),
        ("[]", "non_field_errors", "invalid"),
        ("{", None, "parse_error"),
    ],
)
def test_nothing_is_done_by_accident(client, path, body, attr, code):
    failed()
    (error,) = post(client, path, body, 400)["errors"]
    assert (error["attr"], error["code"]) == (attr, code)
    assert error["detail"].strip()
    assert (File.objects.count(), queued()) == (1, set())


@pytest.mark.parametrize(
    "body", [{"failed_before": "yesterday"}, {"failed_before": "2026-11-24T12:00:00"}, {"failed_after": "0001-01-01"}]
)
def test_a_time_has_a_zone(client, body):
    failed()
    post(client, "/jobs/retry/", body, 400)
    assert queued() == set()


@pytest.mark.parametrize("body", [{"status": "failed"}, {"status": []}, {"status": ["odd"]}, {"processed": "true"}])
def test_members_are_of_their_json_types(client, body):
    failed()
    post(client, "/files/delete/", body, 400)
    assert File.objects.count() == 1


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        ({"status": "failed"}, 'Write a list of strings, also of one: ["failed"].'),
        ({"status": {"failed": True}}, "Write a list of strings."),
        ({"status": []}, "It is empty: name some, or leave it out."),
        ({"status": [7]}, "Write a string."),
    ],
)
def test_what_is_no_list_of_strings_is_told_how_to_write_one(client, body, detail):
    assert [error["detail"] for error in post(client, "/files/delete/", body, 400)["errors"]] == [detail]


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
def test_the_ends_of_time_are_times(client, moment):
    failed()
    retry(client, {"failed_before": moment})
    delete(client, {"uploaded_before": moment})


@pytest.mark.parametrize("path", ["/jobs/retry/", "/files/retry/", "/files/delete/"])
def test_a_form_is_415_and_a_question_in_the_address_does_nothing(client, path):
    failed()
    assert client.post(path).status_code == 415
    assert client.post(f"{path}?status=failed", {}, content_type="application/json").status_code == 400
    assert File.objects.count() == 1


# --- With a worker ---------------------------------------------------------------------------------------------------


def test_a_worker_works_off_what_was_retried(instance):
    def listed() -> list[dict]:
        return instance.get("/files/?name=bulk-&page_size=1000")["results"]

    def send(path: str) -> dict:
        body = b'{"name": "bulk-"}'
        request = urllib.request.Request(instance.url + path, body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.load(answer)

    def runs(file: dict) -> list[str]:
        return [each["kind"] for each in instance.get(f"/events/?file={file['id']}")["results"]]

    uploaded = [instance.upload(b"picasso-echo\nraise InvalidFile\n", f"bulk-{number}.echo") for number in range(12)]
    for file in uploaded:
        assert instance.ended(file)["status"] == "failed"
    assert send("/files/retry/") == {"retried": 12, "next": None}
    for file in uploaded:
        instance.wait_until(lambda file=file: runs(file)[-1] == "job.failed" and len(runs(file)) == 7, 30)
        assert runs(file)[4:] == ["job.retried", "job.started", "job.failed"]
        assert instance.ended(file)["status"] == "failed"
    assert send("/files/delete/") == {"deleted": 12, "next": None}
    assert listed() == []
