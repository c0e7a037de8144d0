"""SIGTERM loses nothing and ends within 30 seconds; no process survives the one that started it, however it ends."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from urllib.request import Request, urlopen

import pytest

from tests.elsewhere import Elsewhere
from tests.live import Instance, alive

PATIENT = """
import time

from picasso_core.processors import Limits, Processor, Result


class PatientProcessor(Processor):
    media_types = {"text/plain"}
    limits = Limits(seconds=120)

    def process(self, file):
        seconds = float(file.path.read_text())
        for second in range(int(seconds)):
            time.sleep(1)
            file.progress(second, int(seconds))
        return Result(data={"slept": seconds})
"""
PROJECT = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "picasso-patient"
version = "0.1.0"
dependencies = ["picasso-core"]

[project.entry-points."picasso.processors"]
patient = "patient:PatientProcessor"

[tool.hatch.build.targets.wheel]
include = ["patient.py"]
"""
JOBS = (
    "import json; from picasso_core.models import Job; "
    "print(json.dumps(list(Job.objects.filter(processor='patient', file='{}')"
    ".values('state', 'losses', 'attempts', 'data'))))"
)


@pytest.fixture(scope="module")
def instance(tmp_path_factory) -> Iterator[Instance]:
    """Have an instance with a processor that takes as many seconds as the file says."""
    folder = tmp_path_factory.mktemp("shutdown")
    elsewhere, plugin = Elsewhere(folder / "venv"), folder / "patient"
    plugin.mkdir()
    (plugin / "patient.py").write_text(PATIENT)
    (plugin / "pyproject.toml").write_text(PROJECT)
    elsewhere.pip("install", "--no-deps", "--no-build-isolation", str(plugin))
    with (
        Instance(folder / "data", python=str(elsewhere.python), PICASSO_MAX_SECONDS="120") as instance,
        instance.running(),
    ):
        yield instance


@pytest.fixture(autouse=True)
def nothing_at_work(instance) -> Iterator[None]:
    """Leave no run behind, for which the next test's worker would wait when it is told to end."""
    yield
    if left := instance.get("/files/?status=processing")["results"]:
        for file in left:
            urlopen(Request(f"{instance.url}/files/{file['id']}/", method="DELETE")).close()
        (worker,) = instance.wait_until(lambda: instance.pids("manage.py worker"), seconds=40)
        os.kill(worker, signal.SIGKILL)
        instance.wait_until(lambda: set(instance.pids("manage.py worker")) - {worker}, seconds=40)


def start(instance: Instance, seconds: float) -> tuple[dict, int]:
    """Upload a file that takes so long and wait until it is at work; the File and the worker that has it."""
    file = instance.upload(str(seconds).encode(), "seconds.txt")

    def at_work() -> bool:
        jobs = (instance.get(f"/files/{file['id']}/") or {"jobs": []})["jobs"]
        return any((job["processor"], job["state"]) == ("patient", "running") for job in jobs)

    instance.wait_until(at_work, seconds=40)
    (worker,) = instance.pids("manage.py worker")
    return file, worker


def job(instance: Instance, file: dict) -> dict:
    done = instance.manage("shell", "--verbosity=0", "-c", JOBS.format(file["id"]))
    (found,) = json.loads(done.stdout)
    return found


def seconds_to_end(instance: Instance, pid: int, number: signal.Signals) -> float:
    family = [pid, *(zygote for zygote in instance.pids("sandbox.zygote") if number == signal.SIGKILL)]
    began = time.monotonic()
    os.kill(pid, number)
    instance.wait_until(lambda: not alive(family), seconds=40)
    return time.monotonic() - began


def test_a_worker_that_is_told_to_end_finishes_what_takes_three_seconds(instance):
    file, worker = start(instance, 3)
    assert seconds_to_end(instance, worker, signal.SIGTERM) < 15
    assert job(instance, file) == {"state": "succeeded", "losses": 0, "attempts": 0, "data": {"slept": 3.0}}


def test_what_takes_a_minute_it_gives_back_and_the_next_worker_takes_it_at_once(instance):
    file, worker = start(instance, 60)
    assert 15 < seconds_to_end(instance, worker, signal.SIGTERM) < 30
    instance.wait_until(lambda: job(instance, file)["state"] == "running", seconds=25)
    assert job(instance, file) == {"state": "running", "losses": 0, "attempts": 0, "data": {}}


def test_a_worker_that_is_killed_takes_its_sandbox_with_it(instance):
    _, worker = start(instance, 30)
    assert len(instance.pids("sandbox.zygote")) > 1
    assert seconds_to_end(instance, worker, signal.SIGKILL) < 5


def test_a_sweeper_that_is_told_to_end_does_so_at_once_and_a_new_one_beats(instance):
    instance.wait_until(lambda: instance.get("/status/")["sweeper_seconds"] is not None, seconds=30)
    (sweeper,) = instance.pids("manage.py sweeper")
    assert seconds_to_end(instance, sweeper, signal.SIGTERM) < 10
    instance.wait_until(lambda: instance.pids("manage.py sweeper"), seconds=20)
    instance.wait_until(lambda: instance.get("/status/")["sweeper_seconds"] < 5, seconds=40)


def test_web_that_is_told_to_end_is_back_within_seconds_and_has_lost_nothing(instance):
    files = [instance.upload(b"0", "seconds.txt") for _ in range(3)]
    assert seconds_to_end(instance, min(instance.pids("manage.py web")), signal.SIGTERM) < 15
    instance.wait_until(lambda: instance.get("/livez"), seconds=30)
    assert {instance.ended(file, seconds=60)["status"] for file in files} == {"processed"}
