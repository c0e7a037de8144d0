"""Workers: what each shows of itself, what their offers amount to, different environments, and rolling deploys."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from uuid import UUID

import pytest
from django.test import Client

from picasso_core import sweeper
from picasso_core.execution import process
from picasso_core.models import Offer, WorkerBeat
from picasso_core.models.work import uuid7
from tests.clock import advance
from tests.elsewhere import Elsewhere
from tests.factories import ECHO, FileFactory, OfferFactory
from tests.live import ROOT, Instance
from tests.test_plugins import distribution

HERE = "picasso.v1"


@dataclass
class Process:
    """A worker as far as the database knows it: echo in some version, or other processors."""

    offers: dict[str, str]
    queue: str = HERE
    slots: int = 2
    id: UUID = field(default_factory=uuid7)

    def start(self) -> Process:
        WorkerBeat.objects.beat(self.id, self.queue, self.slots, self.offers.items())
        fixed = {"media_types": [ECHO], "limits": {}, "error": "", "signatures": []}
        descriptions = [
            {"name": name, "version": version, "distribution": f"picasso-{name} {version}", **fixed}
            for name, version in self.offers.items()
        ]
        Offer.objects.announce(self.queue, descriptions)
        self.beat()
        return self

    def beat(self) -> None:
        WorkerBeat.objects.beat(self.id, self.queue, self.slots, self.offers.items())
        Offer.objects.heartbeat(self.queue, list(self.offers.items()))

    def end(self) -> None:
        WorkerBeat.objects.filter(pk=self.id).delete()


def echo(version: str, queue: str = HERE) -> Process:
    return Process({"echo": version}, queue).start()


def active() -> list[tuple[str, str, str]]:
    return sorted((offer.processor, offer.version, offer.queue) for offer in Offer.objects.active())


def listed() -> dict[tuple[str, str], dict]:
    return {(each["version"], each["queue"]): each for each in Client().get("/processors/").json()}


# --- Signs of life ----------------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_a_worker_is_listed_with_its_queue_its_slots_and_when_it_was_seen():
    worker = echo("1", queue="gpu")
    advance(20)
    (seen,) = Client().get("/status/").json()["workers"]
    assert (seen["queue"], seen["slots"], seen["seen_seconds"]) == ("gpu", 2, pytest.approx(20, abs=2))
    started_at = seen["started_at"]
    worker.beat()
    (seen,) = Client().get("/status/").json()["workers"]
    assert (seen["started_at"], seen["seen_seconds"] < 5) == (started_at, True)
    worker.end()
    assert Client().get("/status/").json()["workers"] == []


@pytest.mark.django_db
def test_a_worker_that_is_silent_does_not_count_and_is_forgotten_after_ten_minutes():
    echo("1")
    advance(24)
    assert WorkerBeat.objects.live().count() == 1
    advance(2)
    assert WorkerBeat.objects.live().count() == 0
    assert len(Client().get("/status/").json()["workers"]) == 1
    advance(600)
    other = Process({}, "gpu").start()
    assert list(WorkerBeat.objects.values_list("pk", flat=True)) == [other.id]


# --- What their offers amount to --------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_what_the_only_worker_has_is_in_force_with_its_announcement():
    echo("1")
    assert active() == [("echo", "1", HERE)]


@pytest.mark.django_db
def test_a_processor_that_only_some_workers_of_the_queue_have_waits_for_the_others():
    old = Process({"echo": "1"}).start()
    new = Process({"echo": "1", "new": "1"}).start()
    assert active() == [("echo", "1", HERE)]
    arriving = next(each for each in Client().get("/processors/").json() if each["processor"] == "new")
    assert (arriving["state"], arriving["active"], arriving["workers"]) == ("arriving", False, 1)
    assert arriving["reason"] == ("1 of 2 workers of the queue picasso.v1 have it: files reach it once all of them do.")
    old.end()
    Process({"echo": "1", "new": "1"}).start()
    assert active() == [("echo", "1", HERE), ("new", "1", HERE)]
    new.beat()
    Process({"echo": "1"}).start()
    assert active() == [("echo", "1", HERE), ("new", "1", HERE)], "what came into force stays so"


@pytest.mark.django_db
def test_workers_of_other_queues_have_no_say():
    Process({"other": "1"}, "gpu").start()
    echo("1")
    assert active() == [("echo", "1", HERE), ("other", "1", "gpu")]


@pytest.mark.django_db
def test_in_a_rolling_deploy_the_old_version_is_in_force_until_the_last_old_worker_has_gone():
    one, two = echo("1"), echo("1")
    one.end()
    new = echo("2")
    for worker in (two, new):
        worker.beat()
    assert active() == [("echo", "1", HERE)]
    found = listed()
    assert (found["1", HERE]["state"], found["2", HERE]["state"]) == ("ready", "arriving")
    two.end()
    echo("2")
    assert active() == [("echo", "2", HERE)]
    found = listed()
    assert (found["1", HERE]["state"], found["2", HERE]["state"]) == ("absent", "ready")
    assert found["1", HERE]["reason"] == "No worker of the queue picasso.v1 has it any more."


@pytest.mark.django_db
def test_an_old_worker_that_was_killed_holds_the_new_version_up_until_it_has_been_silent_for_25_seconds():
    echo("1")
    new = echo("2")
    advance(24)
    new.beat()
    assert active() == [("echo", "1", HERE)]
    advance(2)
    new.beat()
    assert active() == [("echo", "2", HERE)]


@pytest.mark.django_db
def test_a_deploy_that_is_turned_back_leaves_the_old_version_in_force():
    echo("1")
    new = echo("2")
    new.end()
    echo("1").beat()
    assert active() == [("echo", "1", HERE)]
    assert listed()["2", HERE]["state"] == "absent"


@pytest.mark.django_db
def test_the_same_version_on_another_queue_takes_nothing_away():
    echo("1")
    echo("1", queue="gpu")
    assert active() == [("echo", "1", HERE)]
    assert listed()["1", "gpu"]["reason"] == "The queue picasso.v1 had this version before."


@pytest.mark.django_db
def test_an_older_version_on_another_queue_does_not_take_over_from_a_later_one():
    worker = echo("1")
    worker.end()
    echo("2")
    echo("1", queue="gpu")
    assert active() == [("echo", "2", HERE)]


@pytest.mark.django_db
def test_what_is_broken_on_one_queue_and_works_on_another_runs_there():
    OfferFactory(queue="gpu", error="No GPU.")
    echo("1")
    assert [(offer.queue, offer.error) for offer in Offer.objects.active()] == [(HERE, "")]


@pytest.mark.django_db
def test_what_a_plugin_teaches_comes_with_its_offer(zygote):
    Offer.objects.announce(HERE, zygote.plugins)
    assert Offer.objects.get(processor="echo").signatures == [[0, b"picasso-echo\n".hex(), ECHO]]


@pytest.mark.django_db
def test_a_job_that_came_to_a_worker_without_its_version_is_published_again_in_a_moment(slot):
    OfferFactory(version="2")
    file = FileFactory()
    process(file.pk, slot)
    advance(0.9)
    assert sweeper.take_due(HERE, 10) == []
    advance(0.2)
    assert sweeper.take_due(HERE, 10) == [file.pk]


# --- Different environments -------------------------------------------------------------------------------------------

CODE = """
import codec
from picasso_core.processors import Processor, Result

assert codec.VERSION == {needs}, "this needs another codec"


class Reader(Processor):
    media_types = {{"text/plain"}}
    version = "{version}"

    def process(self, file):
        return Result(data={{"codec": codec.VERSION, "version": self.version}})
"""


def environment(folder, codec: int, name: str, version: str = "1") -> Elsewhere:
    """Make an environment with one version of a library, and a plugin that needs just that one."""
    folder.mkdir()
    elsewhere = Elsewhere(folder / "venv")
    (elsewhere.site / "codec.py").write_text(f"VERSION = {codec}\n")
    code = CODE.format(needs=codec, version=version)
    distribution(elsewhere.site, f"shop-{name}", code, f"{name} = shop_{name}:Reader", f"{version}.0")
    return elsewhere


@contextmanager
def worker(instance: Instance, elsewhere: Elsewhere, queue: str) -> Iterator[subprocess.Popen]:
    """Have one more worker of the instance, in another environment."""
    settings = {**os.environ, **instance._environment, "PICASSO_DATA": str(instance.data)}
    command = [str(elsewhere.python), str(ROOT / "manage.py"), "worker", "--queue", queue, "--concurrency", "1"]
    with (elsewhere.site / "worker.log").open("ab") as log:
        process = subprocess.Popen(command, env=settings, stdout=log, stderr=log)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(40)


def seen(instance: Instance, processor: str) -> dict[str, dict]:
    offers = (each for each in instance.get("/processors/") if each["processor"] == processor)
    return {each["version"]: each for each in offers}


def results(file: dict, processor: str) -> list[dict]:
    return [job["data"] for job in file["jobs"] if job["processor"] == processor]


def ended_as(instance: Instance, file: dict, processor: str) -> list[dict]:
    """Wait until a processor has a result for the File, whatever the others do."""
    return instance.wait_until(lambda: results(instance.get(f"/files/{file['id']}/"), processor), 30)


def test_environments_that_contradict_each_other_work_on_one_file_on_queues_of_their_own(tmp_path):
    one, two = environment(tmp_path / "one", 1, "left"), environment(tmp_path / "two", 2, "right")
    with Instance(tmp_path / "data", python=str(one.python)) as instance, instance.running():
        instance.wait_until(lambda: "1" in seen(instance, "left"), 30)
        queue = f"{instance.queue}-two"
        with worker(instance, two, queue):
            instance.wait_until(lambda: "1" in seen(instance, "right"), 30)
            workers = {each["queue"]: each["slots"] for each in instance.get("/status/")["workers"]}
            assert (set(workers), workers[queue]) == ({instance.queue, queue}, 1)
            file = instance.ended(instance.upload(b"hello\n", "hello.txt"))
            assert results(file, "left") == [{"codec": 1, "version": "1"}]
            assert results(file, "right") == [{"codec": 2, "version": "1"}]
        # Its worker has gone in order: the Job is kept, and done when one is back.
        instance.wait_until(lambda: len(instance.get("/status/")["workers"]) == 1, 30)
        file = instance.upload(b"hello again\n", "again.txt")
        ended_as(instance, file, "left")
        told = {each["processor"]: each for each in instance.get(f"/files/{file['id']}/explain/")["processors"]}
        where = {"version": "1", "distribution": "shop-right 1.0", "queue": queue, "workers": 0, "slots": 0}
        assert (told["right"]["where"], told["right"]["jobs"][0]["code"]) == (where, "queued")
        with worker(instance, two, queue):
            file = instance.ended(file)
            assert results(file, "right") == [{"codec": 2, "version": "1"}]


def test_old_and_new_workers_of_one_queue_overlap_without_a_file_waiting_for_long(tmp_path):
    old, new = environment(tmp_path / "old", 1, "reader"), environment(tmp_path / "new", 2, "reader", version="2")
    with Instance(tmp_path / "data", python=str(old.python)) as instance:
        with instance.running():
            instance.wait_until(lambda: "1" in seen(instance, "reader"), 30)
            with worker(instance, new, instance.queue):
                instance.wait_until(lambda: "2" in seen(instance, "reader"), 30)
                states = {version: each["state"] for version, each in seen(instance, "reader").items()}
                assert states == {"1": "ready", "2": "arriving"}
                # Every other message comes to a worker that cannot run the version in force.
                files = [instance.upload(b"%d\n" % number, "hello.txt") for number in range(6)]
                for file in files:
                    assert results(instance.ended(file, seconds=20), "reader") == [{"codec": 1, "version": "1"}]
        instance._command[0] = str(new.python)
        with instance.running():
            instance.wait_until(lambda: seen(instance, "reader").get("2", {}).get("state") == "ready", 30)
            assert seen(instance, "reader")["1"]["state"] == "absent"
            file = instance.ended(instance.upload(b"hello\n", "hello.txt"))
            assert results(file, "reader") == [{"codec": 2, "version": "2"}]
