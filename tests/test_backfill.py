"""What is new reaches the files that are there: plans, walks, windows, pauses, and what comes of a race."""

import time
import uuid
from datetime import timedelta

import pytest
from django.db.models.functions import Now

from picasso_core import sweeper, tasks
from picasso_core.backfills import archive, feeder, walking
from picasso_core.models import Backfill, File, Job, Offer, Switch
from tests.clock import advance
from tests.factories import ECHO, FileFactory, JobFactory, OfferFactory

# Each step in a transaction of its own, as the sweeper does it: a second look waits for those before it to end.
pytestmark = pytest.mark.django_db(transaction=True)
HERE = "picasso.v1"


def files(count: int, **fields) -> list[File]:
    fields = {"name": "a", "size": 10, "sha256": "0" * 64, "media_type": ECHO, "due_at": None, **fields}
    return File.objects.bulk_create(File(status="unsupported", **fields) for _ in range(count))


def only() -> Backfill:
    return Backfill.objects.get()


def run_lane(many: int = 10_000) -> int:
    """Be the workers: run what is in the lane until nothing is."""
    ended = 0
    while taken := feeder.take(HERE, min(many - ended, 50)):
        for file_id in taken:
            for job_id, *_ in Job.due(file_id):
                assert Job.claim(job_id).succeed({}, [], [])
                ended += 1
    return ended


def to_the_end(seconds: float = 20) -> int:
    ended, deadline = 0, time.monotonic() + seconds
    while time.monotonic() < deadline:
        walking.walk()
        ended += run_lane()
        if not Backfill.objects.unfinished().exists():
            return ended
    raise AssertionError(f"it does not end: {Backfill.objects.values()}")


def test_a_processor_never_seen_before_reaches_every_file_that_is_there():
    wanted, other = files(30), files(5, media_type="image/png")
    unknown = files(2, media_type=None)
    OfferFactory()
    walking.propose()
    assert (only().cause, only().state, only().files, only().bytes) == ("installed", "running", 30, 300)
    assert to_the_end() == 30
    assert {job.file_id for job in Job.objects.all()} == {file.pk for file in wanted}
    assert set(File.objects.filter(status="processed", processed=True)) == set(wanted)
    assert not Job.objects.filter(file__in=[*other, *unknown]).exists()
    assert (only().state, only().counts, only().taken_up) == ("done", {"succeeded": 30}, 30)


def test_it_is_planned_once():
    files(3)
    OfferFactory()
    for _ in range(3):
        walking.propose()
        to_the_end()
    assert Backfill.objects.count() == 1


def test_a_new_version_asks_first():
    file = JobFactory(state="succeeded", due_at=None).file
    OfferFactory(version="1", withdrawn=True)
    advance(60)
    OfferFactory(version="2")
    walking.propose()
    assert (only().cause, only().state, only().previous, only().files) == ("upgraded", "planned", "1", 1)
    walking.walk()
    assert not Job.objects.filter(version="2").exists()
    assert only().start()
    assert to_the_end() == 1
    assert Job.objects.get(file=file, current=True).version == "2"


@pytest.mark.parametrize(("upgrades", "state"), [("auto", "running"), ("ask", "planned"), ("off", None)])
def test_what_a_new_version_does_is_the_operators_choice_for_each_processor(upgrades, state):
    files(1)
    OfferFactory(version="1", withdrawn=True)
    OfferFactory(version="2")
    Switch.objects.create(processor="echo", upgrades=upgrades)
    walking.propose()
    assert [each.state for each in Backfill.objects.all()] == ([state] if state else [])


def test_with_nothing_to_do_nobody_is_asked():
    OfferFactory(version="1", withdrawn=True)
    OfferFactory(version="2")
    walking.propose()
    assert to_the_end() == 0
    assert only().state == "done"


def test_files_that_a_switch_excludes_or_that_are_too_large_are_not_in_the_plan():
    files(2, media_type="image/png"), files(3, media_type="image/gif"), files(4, size=99)
    OfferFactory(media_types=["image/*", ECHO], limits={"max_bytes": 50})
    Switch.objects.create(processor="echo", excluded=["image/gif"])
    walking.propose()
    assert only().files == 2
    assert to_the_end() == 2


@pytest.mark.parametrize(
    "patterns", [["*/*"], ["image/*"], ["image/png"], ["IMAGE/PNG", "text/*"], ["video/*"], ["image/png", "image/gif"]]
)
@pytest.mark.parametrize("media_type", ["image/png", "image/gif", "imagery/png", "text/plain"])
def test_the_plan_and_the_identification_agree_on_who_accepts_what(patterns, media_type):
    file = FileFactory(media_type=media_type)
    offer = OfferFactory(media_types=patterns)
    planned = archive.plan("process", "echo", "1", offer).files
    assert bool(planned) is offer.accepts(media_type, file.size)


def test_a_file_identified_while_it_walks_is_found_by_the_second_look():
    files(3)
    offer = OfferFactory()
    walking.propose()
    assert len(archive.take_up(only(), offer, 500)) == 3
    assert only().looks == 1
    # Its identification had read the offers before this one was there, and saved after the walk had passed.
    late = files(1, pk=uuid.UUID(int=1))[0]
    assert to_the_end() == 4
    assert Job.objects.filter(file=late, state="succeeded").exists()


def test_only_a_window_is_on_its_way_and_each_end_makes_room_for_one_more():
    files(20)
    OfferFactory()
    walking.propose()
    walking.walk()
    assert feeder.open_in(HERE) == 20
    assert len(feeder.take(HERE, feeder.room(HERE, 4))) == 4
    assert feeder.room(HERE, 4) == 0
    job = Job.claim(Job.objects.filter(due_at__gt=Now())[0].pk)
    assert feeder.room(HERE, 4) == 0
    job.succeed({}, [], [])
    assert feeder.room(HERE, 4) == 1
    advance(16)  # the other messages were lost
    assert feeder.room(HERE, 4) == 4


def test_a_file_with_the_work_of_two_backfills_makes_room_for_one(slot, monkeypatch):
    monkeypatch.setattr(tasks, "SLICE_SECONDS", -1)
    for file in files(6):
        for processor, version in sorted(slot.offered)[:2]:
            JobFactory(file=file, processor=processor, version=version, lane="backfill", due_at=Now())
    (first,) = feeder.take(HERE, 1)
    ((second, queue),) = tasks._work(first, slot)
    assert queue == HERE
    assert second != first
    assert Job.objects.filter(file=first, attempts=1).count() == 2  # their bytes are missing


def test_jobs_that_pause_for_long_do_not_fill_the_window():
    files(5)
    OfferFactory()
    walking.propose()
    walking.walk()
    feeder.take(HERE, 4)
    for job in Job.objects.filter(due_at__gt=Now()):
        Job.claim(job.pk).postpone("The network is down.")
    assert feeder.room(HERE, 4) == 4


def test_the_lane_is_not_published_with_the_uploads():
    files(5)
    OfferFactory()
    upload = FileFactory(due_at=Now() - timedelta(seconds=1))
    walking.propose()
    walking.walk()
    assert sweeper.take_due(HERE, 100) == [upload.pk]


def test_no_more_jobs_are_made_than_are_soon_to_be_done(monkeypatch):
    monkeypatch.setattr(walking, "AHEAD", 7)
    files(20)
    OfferFactory()
    walking.propose()
    walking.walk()
    assert Job.objects.count() == 7
    walking.walk()
    assert Job.objects.count() == 7
    assert to_the_end() == 20


def test_a_pause_holds_everything_that_has_not_begun_and_a_restart_goes_on_from_there(monkeypatch):
    monkeypatch.setattr(walking, "AHEAD", 8)
    files(20)
    OfferFactory()
    walking.propose()
    walking.walk()
    assert run_lane(3) == 3
    begun = Job.claim(Job.objects.filter(state="queued")[0].pk)
    assert only().pause()
    assert begun.succeed({}, [], [])
    for _ in range(2):
        walking.walk()
        sweeper.move_waiting()
        assert run_lane() == 0
    assert Job.objects.filter(state="waiting").count() == 4
    assert not only().pause()
    assert only().resume()
    assert to_the_end() == 16
    assert only().counts == {"succeeded": 20}


def test_the_time_of_a_pause_does_not_count():
    files(5)
    OfferFactory()
    walking.propose()
    advance(100)
    assert only().pause()
    advance(1000)
    assert only().resume()
    advance(50)
    to_the_end()
    assert 149 <= only().ran.total_seconds() <= 155


def test_what_is_cancelled_leaves_what_is_done_and_forgets_the_rest():
    files(20)
    OfferFactory()
    walking.propose()
    walking.walk()
    run_lane(3)
    begun = Job.claim(Job.objects.filter(state="queued")[0].pk)
    assert only().cancel()
    assert not only().cancel()
    assert sorted(Job.objects.values_list("state", flat=True)) == ["running"] + ["succeeded"] * 3
    assert begun.succeed({}, [], [])
    assert walking.plan("process", Offer.objects.get(), start=True).files == 16
    assert to_the_end() == 16


def test_there_is_one_unfinished_backfill_for_each_version():
    files(1)
    offer = OfferFactory()
    assert walking.plan("process", offer, start=False)
    assert walking.plan("process", offer, start=False) is None


def test_while_its_processor_is_away_it_waits_and_then_goes_on():
    files(5)
    offer = OfferFactory()
    walking.propose()
    Offer.objects.update(withdrawn=True)
    walking.walk()
    assert not Job.objects.exists()
    Offer.objects.update(withdrawn=False)
    walking.walk()
    Offer.objects.update(withdrawn=True)
    advance(6)
    sweeper.move_waiting()
    assert set(Job.objects.values_list("state", flat=True)) == {"waiting"}
    walking.walk()
    assert only().state == "running"
    Offer.objects.filter(pk=offer.pk).update(withdrawn=False)
    sweeper.move_waiting()
    assert to_the_end() == 5


def test_a_newer_version_in_force_ends_the_backfill_of_an_older_one():
    files(5)
    OfferFactory(version="1")
    walking.propose()
    walking.walk()
    Offer.objects.update(withdrawn=True)
    advance(60)
    OfferFactory(version="2")
    walking.propose()
    walking.walk()
    assert Backfill.objects.get(version="1").state == "cancelled"
    assert Backfill.objects.get(version="2").state == "planned"
    assert not Job.objects.exists()


def test_a_new_signature_has_files_without_a_format_identified_again():
    plain, unknown, image = (
        FileFactory(media_type=media_type, due_at=None, status="processed", processed=True)
        for media_type in ("text/plain", "application/octet-stream", "image/png")
    )
    OfferFactory(signatures=[[0, b"picasso".hex(), ECHO]])
    walking.propose()
    again = Backfill.objects.get(kind="identify")
    assert (again.cause, again.state, again.files) == ("taught", "running", 2)
    walking.walk()
    taken = feeder.take(HERE, 10)
    assert set(taken) == {plain.pk, unknown.pk}
    assert File.claim(image.pk) is None
    claimed = File.claim(plain.pk)
    assert (claimed.status, claimed.processed) == ("processed", True)
    assert claimed.identified(ECHO, [], Offer.objects.accepting(ECHO, 1))
    assert Job.objects.get(file=plain).lane == "backfill"
    failed = File.claim(unknown.pk)
    assert failed.unidentifiable("It crashed.")
    assert File.objects.get(pk=unknown.pk).media_type == "application/octet-stream"
    assert not File.objects.filter(identify_again=True).exists()
    walking.walk()
    again.refresh_from_db()
    assert again.state == "done"
    assert run_lane() == 1


def test_a_signature_that_an_earlier_version_taught_is_not_new():
    files(1, media_type="text/plain")
    OfferFactory(version="1", signatures=[[0, "ff", ECHO]], withdrawn=True)
    OfferFactory(version="2", signatures=[[0, "ff", ECHO]])
    walking.propose()
    assert not Backfill.objects.filter(kind="identify").exists()


def test_pointing_back_shows_the_results_of_the_earlier_version_again():
    old, new = JobFactory(), None
    Job.claim(old.pk).succeed({"by": 1}, [], [])
    with File.locked(old.file_id) as locked:
        Job.objects.add(locked, [OfferFactory(version="2")], lane="backfill")
    new = Job.objects.get(version="2")
    Job.claim(new.pk).succeed({"by": 2}, [], [])
    assert Job.objects.get(current=True).pk == new.pk
    offer = OfferFactory(version="1")
    Switch.objects.create(processor="echo", pinned="1")
    backfill = walking.plan("repoint", offer, start=True)
    assert backfill.files == 1
    to_the_end()
    assert Job.objects.get(current=True).pk == old.pk


def test_cancelling_leaves_a_job_alone_that_a_worker_takes_in_that_moment(monkeypatch):
    files(2)
    offer = OfferFactory()
    backfill = walking.plan("process", offer, start=True)
    walking.walk()
    first = Job.objects.earliest("pk")
    become = Backfill._become

    def taken_meanwhile(self, state, *earlier, **fields):
        changed = become(self, state, *earlier, **fields)
        Job.claim(first.pk).succeed({}, [], [])
        return changed

    monkeypatch.setattr(Backfill, "_become", taken_meanwhile)
    assert backfill.cancel()
    assert [(job.pk, job.state) for job in Job.objects.all()] == [(first.pk, "succeeded")]
    assert File.objects.get(pk=first.file_id).processed


def test_what_was_to_be_identified_again_waits_during_a_pause_and_is_left_alone_after_a_cancel():
    (file,) = files(1, media_type="text/plain")
    backfill = walking.plan("identify", OfferFactory(), start=True)
    walking.walk()
    assert backfill.pause()
    assert feeder.take(HERE, 10) == []
    assert backfill.resume()
    assert File.objects.get(pk=file.pk).due_at is not None
    assert backfill.cancel()
    assert feeder.take(HERE, 10) == []
    assert not File.objects.filter(identify_again=True).exists()
