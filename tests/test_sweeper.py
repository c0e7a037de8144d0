"""The sweeper: what is due is published, what is stuck is put right; and the offers that it goes by."""

import threading
import time
import uuid
from datetime import timedelta

import pytest
from celery import current_app
from django.db import connection
from django.db.models import F
from django.db.models.functions import Now

from picasso_core import sweeper
from picasso_core.doorbell import doorbell, make_queue
from picasso_core.models import Beat, File, Job, Offer, Switch, WorkerBeat
from picasso_core.models.work import MAX_LOSSES
from picasso_core.orphans import Walk
from tests.clock import advance
from tests.factories import ECHO, FileFactory, JobFactory, OfferFactory
from tests.multiply import multiply
from tests.threads import at_once

pytestmark = pytest.mark.django_db

HERE = "picasso.v1"


def description(name="echo", version="1", error="", **fields) -> dict:
    """Describe a processor as the zygote does."""
    fixed = {"distribution": f"picasso-{name} {version}", "media_types": [ECHO], "limits": {}}
    return {"name": name, "version": version, "error": error, **fixed, **fields}


def announce(*versions: str, name="echo", queue=HERE) -> None:
    """Have a worker of ``queue`` start that can run these versions of one processor."""
    Offer.objects.announce(queue, [description(name, version) for version in versions])


def silence(version: str, queue=HERE) -> None:
    """Have the workers of this version say nothing for 26 seconds, while another worker of their queue beats."""
    Offer.objects.filter(queue=queue, version=version).update(last_seen=Now() - timedelta(seconds=26))
    Offer.objects.heartbeat(queue, [("other", "1")])


def due(ago: float, **fields) -> File:
    """Make a File that has been due for ``ago`` seconds."""
    return FileFactory(due_at=Now() - timedelta(seconds=ago), **fields)


def due_job(ago: float, **fields) -> Job:
    return JobFactory(due_at=Now() - timedelta(seconds=ago), **fields)


def backlog(count: int) -> None:
    """Make many due Files at once; nobody will look at their bytes."""
    fields = {"size": 1, "sha256": "0", "file": "files/a", "due_at": Now() - timedelta(seconds=1)}
    if connection.vendor == "postgresql":
        multiply(File.objects.create(name="a", **fields), count - 1)
    else:
        File.objects.bulk_create(File(name=str(number), **fields) for number in range(count))


def seconds_until_due(work) -> float:
    soon = type(work).objects.filter(pk=work.pk, due_at__gt=Now() + timedelta(seconds=14))
    late = type(work).objects.filter(pk=work.pk, due_at__gt=Now() + timedelta(seconds=16))
    return 15 if soon.exists() and not late.exists() else -1


def active() -> list[tuple[str, str, str]]:
    return sorted((offer.processor, offer.version, offer.queue) for offer in Offer.objects.active())


def state(job: Job) -> str:
    return Job.objects.get(pk=job.pk).state


@pytest.fixture
def queue(settings, monkeypatch, tmp_path):
    """Have a queue of its own on the real broker: RabbitMQ if there is one, else the embedded."""
    settings.PICASSO_QUEUE = name = f"test-{uuid.uuid4().hex}"
    if not settings.PICASSO_BROKER_IS_AMQP:
        folder = str(tmp_path / "broker")
        options = {"data_folder_in": folder, "data_folder_out": folder}
        monkeypatch.setitem(current_app.conf, "broker_transport_options", options)
    doorbell.close()
    yield name
    doorbell.close()
    with current_app.connection_for_write() as connection:
        connection.default_channel.queue_delete(name)


def messages(queue: str, most: int = 10_000) -> list[str]:
    """Take every message out of the queue, or the first, and return the ids of their Files."""
    taken: list[str] = []
    with current_app.connection_for_write() as broker:
        here = make_queue(queue)(broker.default_channel)
        while len(taken) < most and (message := here.get(no_ack=True)) is not None:
            (file_id,), _, _ = message.decode()
            taken.append(file_id)
    return taken


# --- What is due ------------------------------------------------------------------------------------------------------


def test_only_what_is_due_is_taken_and_the_oldest_first():
    young, old, middle = due(1), due(300), due(20)
    FileFactory()
    FileFactory(due_at=None, media_type=ECHO)
    assert sweeper.take_due(HERE, 10) == [old.pk, middle.pk, young.pk]


def test_no_more_is_taken_than_there_is_room_and_the_rest_stays_due():
    files = [due(ago) for ago in (50, 40, 30)]
    assert sweeper.take_due(HERE, 2) == [files[0].pk, files[1].pk]
    assert sweeper.take_due(HERE, 2) == [files[2].pk]


def test_what_was_taken_is_looked_at_again_after_fifteen_seconds():
    file, job = due(5), due_job(5)
    assert set(sweeper.take_due(HERE, 10)) == {file.pk, job.file_id}
    assert (seconds_until_due(file), seconds_until_due(job)) == (15, 15)
    assert sweeper.take_due(HERE, 10) == []
    advance(16)
    assert set(sweeper.take_due(HERE, 10)) == {file.pk, job.file_id}


def test_an_upload_is_looked_at_after_fifteen_seconds_in_case_its_message_was_lost():
    file = FileFactory()
    advance(14)
    assert sweeper.take_due(HERE, 10) == []
    advance(2)
    assert sweeper.take_due(HERE, 10) == [file.pk]


def test_work_that_is_held_is_due_when_its_lease_is_over():
    job = JobFactory()
    Job.claim(job.pk)
    advance(29)
    assert sweeper.take_due(HERE, 10) == []
    advance(2)
    assert sweeper.take_due(HERE, 10) == [job.file_id]


def test_work_that_pauses_is_due_when_the_pause_is_over():
    job = JobFactory()
    Job.claim(job.pk).give_back(pause=timedelta(hours=1))
    advance(3599)
    assert sweeper.take_due(HERE, 10) == []
    advance(2)
    assert sweeper.take_due(HERE, 10) == [job.file_id]


def test_jobs_and_files_are_taken_in_one_order_so_that_neither_waits_for_all_of_the_other():
    newer = [due(ago) for ago in (30, 20)]
    job = due_job(3600)
    assert sweeper.take_due(HERE, 2) == [job.file_id, newer[0].pk]
    assert sweeper.take_due(HERE, 2) == [newer[1].pk]


def test_a_file_with_several_due_jobs_is_taken_once():
    file = FileFactory(media_type=ECHO, due_at=None)
    for name in ("one", "two", "three"):
        due_job(5, file=file, processor=name)
    assert sweeper.take_due(HERE, 10) == [file.pk]
    assert sweeper.take_due(HERE, 10) == []


def test_each_queue_gets_its_own_jobs_and_only_the_main_one_the_uploads():
    file, here, there = due(5), due_job(5), due_job(5, queue="gpu")
    assert sweeper.take_due("gpu", 10) == [there.file_id]
    assert set(sweeper.take_due(HERE, 10)) == {file.pk, here.file_id}


@pytest.mark.parametrize("state", ["succeeded", "failed", "declined", "cancelled", "waiting"])
def test_a_job_that_is_not_open_is_never_due(state):
    due_job(5, state=state)
    assert sweeper.take_due(HERE, 10) == []


@pytest.mark.django_db(transaction=True)
def test_two_sweepers_at_once_never_take_the_same_row():
    for _ in range(5):
        File.objects.all().delete()
        backlog(60)
        taken = at_once(*[lambda: sweeper.take_due(HERE, 20)] * 4)
        assert all(len(each) <= 20 for each in taken)
        together = [pk for each in taken for pk in each]
        assert len(together) == len(set(together))
        left = sweeper.take_due(HERE, 100)
        assert set(together).isdisjoint(left)
        assert len(together) + len(left) == 60


# --- The doorbell -----------------------------------------------------------------------------------------------------


def test_a_backfill_takes_half_of_the_slots(queue):
    for slots in (3, 4):
        WorkerBeat.objects.beat(uuid.uuid4(), queue, slots, [])
    JobFactory.create_batch(5, lane="backfill", queue=queue, due_at=Now())
    sweeper.feed(queue)
    assert doorbell.waiting(queue) == 3
    sweeper.feed(queue)
    assert doorbell.waiting(queue) == 3


def test_what_is_due_is_published_once_in_its_order(queue):
    files = [due(ago) for ago in (50, 40, 30)]
    assert sweeper.publish() is False
    assert sweeper.publish() is False
    assert doorbell.waiting(queue) == 3
    assert messages(queue) == [str(file.pk) for file in files]


def test_a_lost_message_is_published_again_by_a_later_sweep(queue):
    file = due(5)
    sweeper.publish()
    messages(queue)
    advance(16)
    sweeper.publish()
    assert messages(queue) == [str(file.pk)]


def test_each_queue_with_due_jobs_is_published_to(queue):
    gpu = f"{queue}-gpu"
    file, job = due(5), due_job(5, queue=gpu)
    try:
        sweeper.publish()
        assert messages(queue) == [str(file.pk)]
        assert messages(gpu) == [str(job.file_id)]
    finally:
        with current_app.connection_for_write() as connection:
            connection.default_channel.queue_delete(gpu)


def test_a_queue_with_a_backlog_does_not_keep_the_next_one_waiting(queue):
    backlog(sweeper.BATCH)
    job = due_job(5, queue=f"{queue}-z")
    try:
        assert sweeper.publish() is True
        assert messages(f"{queue}-z") == [str(job.file_id)]
    finally:
        with current_app.connection_for_write() as connection:
            connection.default_channel.queue_delete(f"{queue}-z")


def test_a_whole_batch_says_that_there_may_be_more(queue):
    backlog(sweeper.BATCH + 1)
    assert sweeper.publish() is True
    assert sweeper.publish() is False
    assert doorbell.waiting(queue) == sweeper.BATCH + 1


def test_a_backlog_never_puts_more_than_a_thousand_messages_into_the_queue(queue):
    backlog(3000)
    for _ in range(12):
        sweeper.publish()
    assert doorbell.waiting(queue) == sweeper.TARGET
    for _ in range(3):
        advance(16)
        while sweeper.publish():
            pass
        assert doorbell.waiting(queue) == sweeper.TARGET


@pytest.mark.django_db(transaction=True)
def test_sweepers_at_once_exceed_that_by_a_batch_each_at_the_most(queue):
    backlog(3000)
    for _ in range(8):
        at_once(*[lambda: sweeper.publish_due(queue)] * 3)
    assert sweeper.TARGET <= doorbell.waiting(queue) <= sweeper.TARGET + 2 * sweeper.BATCH


def test_fifty_thousand_files_do_not_multiply_messages(queue):
    count, rounds = (50_000, 3) if connection.vendor == "postgresql" else (2_000, 2)
    backlog(count)
    seen: set[str] = set()
    for _ in range(rounds):  # a quarter of a minute passes each time, in which workers take half of what waits
        while sweeper.publish():
            pass
        assert doorbell.waiting(queue) == sweeper.TARGET
        taken = messages(queue, sweeper.TARGET // 2)
        assert len(set(taken)) == len(taken)
        assert seen.isdisjoint(taken)
        seen |= set(taken)
        File.objects.filter(pk__in=taken).update(due_at=None, media_type=ECHO)
        File.objects.filter(due_at__gt=Now()).update(due_at=F("due_at") - timedelta(seconds=16))


def test_a_queue_that_workers_empty_is_topped_up_with_what_has_not_been_published_yet(queue):
    backlog(sweeper.BATCH * 2)
    sweeper.publish()
    first = messages(queue)
    sweeper.publish()
    second = messages(queue)
    assert (len(first), len(second)) == (sweeper.BATCH, sweeper.BATCH)
    assert set(first).isdisjoint(second)


# --- Jobs whose processor went or came --------------------------------------------------------------------------------


@pytest.mark.parametrize("gone", [{"withdrawn": True}, {"error": "No tesseract."}], ids=["withdrawn", "broken"])
def test_a_job_waits_while_its_processor_is_gone_and_is_queued_when_it_is_back(gone):
    offer, job = OfferFactory(), JobFactory()
    advance(6)
    sweeper.move_waiting()
    assert state(job) == "queued"
    Offer.objects.update(**gone)
    sweeper.move_waiting()
    parked = Job.objects.get()
    assert (parked.state, parked.due_at) == ("waiting", None)
    assert File.objects.get().status == "unsupported"
    sweeper.move_waiting()
    assert state(job) == "waiting"
    Offer.objects.update(**{name: Offer._meta.get_field(name).get_default() for name in gone})
    sweeper.move_waiting()
    assert (state(job), File.objects.get().status) == ("queued", "processing")
    assert sweeper.take_due(HERE, 10) == [job.file_id]
    assert Job.claim(job.pk).version == offer.version


def test_a_job_without_any_offer_waits():
    job = JobFactory()
    advance(6)
    sweeper.move_waiting()
    assert state(job) == "waiting"


def test_a_job_made_just_now_is_not_moved():
    job = JobFactory()
    sweeper.move_waiting()
    assert state(job) == "queued"


def test_a_job_that_runs_is_not_moved():
    job = JobFactory()
    Job.claim(job.pk)
    advance(20)
    sweeper.move_waiting()
    assert state(job) == "running"


def test_a_job_whose_worker_was_lost_waits_too_when_nobody_can_take_it_over():
    job = JobFactory()
    late = Job.claim(job.pk)
    advance(31)
    sweeper.move_waiting()
    parked = Job.objects.get()
    assert (parked.state, parked.losses) == ("waiting", 1)
    assert (parked.lease_token, parked.lease_until, parked.due_at) == (None, None, None)
    assert File.objects.get().status == "unsupported"
    assert not late.succeed({}, [], [])
    OfferFactory(version="2")
    sweeper.move_waiting()
    assert Job.claim(job.pk).version == "2"


def test_a_waiting_job_takes_over_the_version_and_the_queue_that_are_active_now():
    announce("1")
    job = JobFactory(attempts=2, losses=4)
    announce("2", queue="gpu")
    silence("1")
    advance(6)
    sweeper.move_waiting()
    resumed = Job.objects.get()
    assert resumed.pk == job.pk
    assert (resumed.state, resumed.version, resumed.queue) == ("queued", "2", "gpu")
    assert resumed.distribution == "picasso-echo 2"
    assert sweeper.take_due("gpu", 10) == [job.file_id]


def test_a_new_version_starts_counting_anew():
    job = JobFactory(state="waiting", attempts=2, losses=4)
    job.resume(OfferFactory(version="2"))
    assert (Job.objects.get().attempts, Job.objects.get().losses) == (0, 0)


def test_the_same_version_goes_on_counting():
    job = JobFactory(state="waiting", attempts=2, losses=4)
    job.resume(OfferFactory())
    assert (Job.objects.get().attempts, Job.objects.get().losses) == (2, 4)


def test_a_temporary_failure_after_a_long_wait_does_not_pause_for_as_long():
    job = JobFactory(state="waiting")
    advance(86_400)
    job.resume(OfferFactory())
    held = Job.claim(job.pk)
    held.postpone("The network is down.")
    assert (Job.objects.get().not_before - held.started_at).total_seconds() == pytest.approx(10, abs=1)


def test_a_waiting_job_is_cancelled_if_the_active_version_has_one_already():
    file = FileFactory(media_type=ECHO, due_at=None)
    old = JobFactory(file=file, state="waiting", current=False)
    new = JobFactory(file=file, version="2", state="succeeded")
    OfferFactory(version="2")
    sweeper.move_waiting()
    assert (state(old), state(new)) == ("cancelled", "succeeded")
    assert File.objects.get().status == "processed"


def test_waiting_jobs_that_the_active_version_does_not_accept_are_cancelled_and_hold_up_no_others():
    for _ in range(sweeper.BATCH):
        JobFactory(state="waiting", due_at=None, file__media_type="image/png")
    wanted = JobFactory(state="waiting")
    OfferFactory()
    sweeper.move_waiting()
    sweeper.move_waiting()
    assert state(wanted) == "queued"
    others = Job.objects.exclude(pk=wanted.pk)
    assert set(others.values_list("state", "due_at")) == {("cancelled", None)}


def test_only_a_waiting_job_is_resumed_and_only_one_without_a_worker_is_parked():
    queued, running, done = JobFactory(), JobFactory(), JobFactory(state="succeeded")
    Job.claim(running.pk)
    before = {job.pk: job for job in Job.objects.all()}
    for job in (queued, running, done):
        job.resume(OfferFactory.build(version="2"))
    running.park()
    done.park()
    after = {job.pk: job for job in Job.objects.all()}
    assert {pk: (job.state, job.version, job.lease_token) for pk, job in after.items()} == {
        pk: (job.state, job.version, job.lease_token) for pk, job in before.items()
    }


def test_a_repair_with_nothing_wrong_changes_nothing():
    OfferFactory()
    FileFactory()
    Job.claim(JobFactory().pk)
    advance(6)
    before = list(File.objects.order_by("pk").values()), list(Job.objects.order_by("pk").values())
    sweeper.repair()
    assert (list(File.objects.order_by("pk").values()), list(Job.objects.order_by("pk").values())) == before


# --- Workers that are lost for good -----------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [FileFactory, JobFactory], ids=["file", "job"])
def test_a_worker_that_renews_its_claim_in_the_last_moment_is_not_given_up(make):
    work = make()
    held = type(work).claim(work.pk)
    type(work).objects.update(losses=MAX_LOSSES, lease_until=Now() - timedelta(seconds=1))
    lost = type(work).objects.get(pk=work.pk)  # as a sweeper has just read it
    assert held.renew()
    assert not lost.seize()
    assert held.renew()


def test_of_two_sweepers_one_gives_a_lost_worker_up_which_then_comes_too_late():
    held = Job.claim(JobFactory().pk)
    Job.objects.update(losses=MAX_LOSSES, lease_until=Now() - timedelta(seconds=1))
    one, other = Job.objects.get(), Job.objects.get()
    assert one.seize()
    assert not other.seize()
    assert not held.renew()
    assert one.fail("worker_lost", "Lost.")


# --- Its sign of life -------------------------------------------------------------------------------------------------


def test_a_sweeper_leaves_a_sign_of_life_with_the_messages_of_each_queue_that_has_a_worker(queue):
    OfferFactory(queue=queue)
    due(5)
    sweeper.publish()
    sweeper.beat(Walk())
    beat = Beat.objects.sweeper()
    assert beat.messages == {queue: 1}
    advance(60)
    sweeper.beat(Walk())
    assert Beat.objects.filter(seen_at__gt=Now() - timedelta(seconds=5)).count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_running_sweeper_beats(queue):
    stopping = threading.Event()
    thread = threading.Thread(target=lambda: (sweeper.run(stopping), connection.close()))
    thread.start()
    deadline = time.monotonic() + 10
    while not Beat.objects.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    stopping.set()
    thread.join(10)
    assert not thread.is_alive()
    assert Beat.objects.sweeper().messages == {queue: 0}


# --- Offers -----------------------------------------------------------------------------------------------------------


def test_announcing_records_an_offer_once():
    announce("1")
    announce("1")
    offer = Offer.objects.get()
    assert (offer.processor, offer.version, offer.queue, offer.distribution) == ("echo", "1", HERE, "picasso-echo 1")
    assert (offer.withdrawn, offer.error) == (False, "")


def test_announcing_again_brings_what_changed_and_mends_what_was_broken():
    announce("1")
    first_seen = Offer.objects.get().first_seen
    Offer.objects.break_down("echo", "1", HERE, "No tesseract.")
    Offer.objects.update(withdrawn=True)
    Offer.objects.announce(HERE, [description(media_types=["image/*"], limits={"seconds": 1})])
    offer = Offer.objects.get()
    assert (offer.error, offer.withdrawn, offer.media_types, offer.limits) == ("", False, ["image/*"], {"seconds": 1})
    assert offer.first_seen == first_seen


def test_an_offer_is_withdrawn_after_25_seconds_of_silence_while_others_beat():
    announce("1")
    announce("1", name="other")
    advance(24)
    Offer.objects.heartbeat(HERE, [("other", "1")])
    assert active() == [("echo", "1", HERE), ("other", "1", HERE)]
    advance(2)
    Offer.objects.heartbeat(HERE, [("other", "1")])
    assert active() == [("other", "1", HERE)]


def test_an_offer_comes_back_with_its_next_heartbeat():
    announce("1")
    silence("1")
    assert active() == []
    Offer.objects.heartbeat(HERE, [("echo", "1")])
    assert active() == [("echo", "1", HERE)]


def test_offers_stay_while_no_worker_of_their_queue_is_alive():
    announce("1")
    advance(10**6)
    Offer.objects.heartbeat("gpu", [("other", "1")])
    assert active() == [("echo", "1", HERE)]


def test_a_worker_that_lost_every_plugin_withdraws_what_its_queue_had():
    announce("1")
    advance(26)
    Offer.objects.heartbeat(HERE, [])
    assert active() == []


def test_on_one_queue_the_old_version_stays_in_force_until_its_workers_are_gone():
    announce("1")
    announce("2")
    assert active() == [("echo", "1", HERE)]
    silence("1")
    assert active() == [("echo", "2", HERE)]


def test_a_worker_that_goes_back_to_an_old_version_brings_it_into_force():
    announce("1")
    announce("2")
    silence("1")
    announce("1")
    silence("2")
    assert active() == [("echo", "1", HERE)]


def test_among_queues_the_version_first_seen_last_is_in_force():
    announce("1", queue="old")
    announce("2", queue="new")
    assert active() == [("echo", "2", "new")]


def test_a_pinned_version_stays_in_force_whatever_is_newer():
    announce("1", queue="old")
    Switch.objects.create(processor="echo", pinned="1")
    announce("2", queue="new")
    announce("0", queue="old")
    assert active() == [("echo", "1", "old")]


def test_a_pinned_version_is_in_force_beside_an_older_one_on_its_queue():
    announce("1")
    announce("2")
    Switch.objects.create(processor="echo", pinned="2")
    assert active() == [("echo", "2", HERE)]


def test_each_processor_has_a_version_in_force():
    announce("1")
    announce("9", name="other", queue="gpu")
    assert active() == [("echo", "1", HERE), ("other", "9", "gpu")]


def test_what_is_withdrawn_is_not_in_force():
    announce("1")
    Offer.objects.update(withdrawn=True)
    assert active() == []


def test_a_broken_offer_is_in_force_and_accepts_but_does_not_run():
    Offer.objects.announce(HERE, [description(error="No tesseract.")])
    assert active() == [("echo", "1", HERE)]
    assert [offer.error for offer in Offer.objects.accepting(ECHO, 1)] == ["No tesseract."]
    assert Offer.objects.runnable() == {}


def test_breaking_down_is_about_one_version_on_one_queue():
    announce("1", "2")
    announce("1", queue="gpu")
    Offer.objects.break_down("echo", "1", HERE, "No tesseract.")
    assert {(offer.version, offer.queue) for offer in Offer.objects.exclude(error="")} == {("1", HERE)}


@pytest.mark.parametrize(
    ("media_types", "media_type", "size", "accepted"),
    [
        ([ECHO], ECHO, 1, True),
        ([ECHO], "image/png", 1, False),
        (["image/*"], "image/png", 1, True),
        (["image/*"], "imagery/png", 1, False),
        (["*/*"], "image/png", 1, True),
        ([], "image/png", 1, False),
        (["*/*"], "image/png", 100, True),
        (["*/*"], "image/png", 101, False),
    ],
)
def test_an_offer_accepts_its_types_up_to_its_size(media_types, media_type, size, accepted):
    OfferFactory(media_types=media_types, limits={"max_bytes": 100})
    assert bool(list(Offer.objects.accepting(media_type, size))) is accepted


def test_without_a_limit_a_file_of_any_size_is_accepted():
    OfferFactory(limits={})
    assert list(Offer.objects.accepting(ECHO, 10**12))
