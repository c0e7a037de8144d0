"""A Job is cancelled: whatever it was doing, it ends, and what its File had before it keeps."""

import json
import time
import urllib.request
import uuid

import pytest
from django.test import Client

from picasso_core import ends, sweeper
from picasso_core.models import Artifact, File, Job, Switch
from tests.clock import advance, expire
from tests.elsewhere import Elsewhere
from tests.factories import ECHO, FileFactory, JobFactory, OfferFactory
from tests.live import Instance
from tests.threads import at_once


@pytest.fixture
def client() -> Client:
    return Client(raise_request_exception=False)


def cancel(client, job: Job, status: int = 200) -> dict:
    answer = client.post(f"/jobs/{job.pk}/cancel/")
    assert answer.status_code == status, answer.content
    return answer.json()


def status_of(file: File) -> str:
    return File.objects.get(pk=file.pk).status


pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("state", ["queued", "waiting"])
def test_what_has_not_begun_never_does(client, state):
    job = JobFactory(state=state, error_code="temporary_failure", error="The network was down.")
    answer = cancel(client, job)
    assert (answer["id"], answer["file"], answer["state"]) == (str(job.pk), str(job.file_id), "cancelled")
    assert answer["error"] == {"code": "cancelled", "message": "Somebody has cancelled it."}
    assert answer["finished_at"] is not None
    assert Job.claim(job.pk) is None
    OfferFactory()
    advance(3600)
    sweeper.move_waiting()
    assert sweeper.take_due("picasso.v1", 10) == []
    assert Job.objects.get().state == "cancelled"


def test_what_runs_loses_its_claim_and_its_result_is_thrown_away(client):
    running = Job.claim(JobFactory().pk)
    cancel(client, running)
    assert not running.renew()
    artifact = Artifact(job=running, name="late.txt", media_type="text/plain", size=1, key="artifacts/x")
    assert not running.succeed({"late": True}, [], [artifact])
    assert not running.give_back()
    job = Job.objects.get()
    assert (job.state, job.data, job.lease_token, job.due_at) == ("cancelled", {}, None, None)
    assert not Artifact.objects.exists()


@pytest.mark.parametrize(
    ("others", "status"),
    [([], "unsupported"), (["succeeded"], "processed"), (["failed"], "failed"), (["queued"], "processing")],
)
def test_the_status_follows(client, others, status):
    job = JobFactory()
    for number, state in enumerate(others):
        JobFactory(file=job.file, processor=f"other{number}", state=state)
    cancel(client, job)
    assert status_of(job.file) == status


def test_a_file_whose_only_job_was_cancelled_says_so(client):
    job = JobFactory()
    cancel(client, job)
    assert client.get(f"/files/{job.file_id}/").json()["reason"] == "echo: Somebody has cancelled it."
    explained = client.get(f"/files/{job.file_id}/explain/").json()["processors"][0]["jobs"][0]
    assert (explained["code"], explained["sentence"]) == ("cancelled", "Somebody has cancelled it.")
    assert "cancelled" in ends.ENDS


@pytest.mark.parametrize("state", ["succeeded", "failed", "declined"])
def test_what_the_file_showed_before_it_goes_on_showing(client, state):
    file = FileFactory(media_type=ECHO, status="processed")
    JobFactory(file=file, state=state, data={"by": "the first"}, error="x", error_code="x")
    time.sleep(0.002)  # ids tell which came first, to the millisecond
    newer = JobFactory(file=file, repeat=1, current=False)
    cancel(client, newer)
    (job,) = client.get(f"/files/{file.pk}/").json()["jobs"]
    assert (job["state"], job["data"]) == (state, {"by": "the first"})
    assert job["newer"]["state"] == "cancelled"


@pytest.mark.parametrize("state", ["succeeded", "failed", "declined", "cancelled"])
def test_what_is_over_stays_as_it_is(client, state):
    job = JobFactory(state=state)
    (error,) = cancel(client, job, 409)["errors"]
    assert error["code"] == "over"
    assert state in error["detail"]
    assert Job.objects.get().state == state


def test_a_job_that_is_not_there_is_404(client):
    answer = client.post(f"/jobs/{uuid.uuid4()}/cancel/")
    assert (answer.status_code, answer.json()["errors"][0]["detail"]) == (404, "There is no Job with this id.")


def test_one_whose_processor_is_off_can_be_cancelled_and_does_not_return(client):
    OfferFactory()
    job = JobFactory(state="waiting")
    Switch.objects.create(processor="echo", enabled=False)
    cancel(client, job)
    Switch.objects.update(enabled=True)
    sweeper.move_waiting()
    assert Job.objects.get().state == "cancelled"


def test_one_whose_worker_was_lost_can_be_cancelled(client):
    job = Job.claim(JobFactory().pk)
    expire(job)
    cancel(client, job)
    sweeper.give_up_lost()
    assert Job.objects.get().state == "cancelled"


@pytest.mark.django_db(transaction=True)
def test_of_a_cancellation_and_an_end_at_once_one_comes_first(client):
    for _ in range(5):
        running = Job.claim(JobFactory().pk)
        cancelled, ended = at_once(
            lambda job=running: Client().post(f"/jobs/{job.pk}/cancel/").status_code,
            lambda job=running: job.succeed({"late": True}, [], []),
        )
        job = Job.objects.get(pk=running.pk)
        assert (cancelled, ended, job.state) in [(200, False, "cancelled"), (409, True, "succeeded")]
        assert status_of(job.file) == {"cancelled": "unsupported", "succeeded": "processed"}[job.state]


SLOW = """
import time
from picasso_core.processors import Limits, Processor, Result

class SlowProcessor(Processor):
    media_types = {"text/plain"}
    limits = Limits(seconds=120)

    def process(self, file):
        time.sleep(100)
        return Result()
"""
PROJECT = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
[project]
name = "picasso-slow"
version = "0.1.0"
[project.entry-points."picasso.processors"]
slow = "slow:SlowProcessor"
[tool.hatch.build.targets.wheel]
include = ["slow.py"]
"""


def test_the_sandbox_of_a_cancelled_job_is_stopped_and_its_worker_goes_on(tmp_path):
    (tmp_path / "slow").mkdir()
    (tmp_path / "slow" / "slow.py").write_text(SLOW)
    (tmp_path / "slow" / "pyproject.toml").write_text(PROJECT)
    elsewhere = Elsewhere(tmp_path / "venv")
    elsewhere.pip("install", "--no-deps", "--no-build-isolation", str(tmp_path / "slow"))
    with Instance(tmp_path / "data", python=str(elsewhere.python)) as instance, instance.running():
        file = instance.upload(b"hello\n", "hello.txt")

        def running() -> list[dict]:
            jobs = (instance.get(f"/files/{file['id']}/") or {"jobs": []})["jobs"]
            return [job for job in jobs if (job["processor"], job["state"]) == ("slow", "running")]

        (job,) = instance.wait_until(running, 30)
        request = urllib.request.Request(f"{instance.url}/jobs/{job['id']}/cancel/", method="POST")
        with urllib.request.urlopen(request, timeout=10) as answer:
            assert json.load(answer)["state"] == "cancelled"
        # The thread comes to the file's next Job within a renewal, not when the hundred seconds are over.
        after = instance.ended(file, 20)
        assert after["status"] == "processed"
        states = {job["processor"]: (job["state"], job["attempts"]) for job in after["jobs"]}
        assert states == {"slow": ("cancelled", 0), "text": ("succeeded", 0)}
        assert "Traceback" not in instance.log.read_text()
