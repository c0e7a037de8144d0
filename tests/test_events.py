"""The log of events: whoever does what, it is in it once, in an order in which nothing is ever found behind one."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from django.db import connection, transaction
from django.db.models import BigIntegerField, F, Value
from django.test import Client

from picasso_core import sweeper
from picasso_core.models import Event, File, Follower, Job, Position, restored
from picasso_core.models.events import START
from tests.clock import expire
from tests.factories import ECHO, FileFactory, JobFactory, OfferFactory
from tests.live import wait_until
from tests.papers import PAPERS, in_paper

pytestmark = pytest.mark.django_db(transaction=True)
postgresql = pytest.mark.skipif("connection.vendor != 'postgresql'", reason="PostgreSQL's transactions overlap")


@pytest.fixture(autouse=True)
def empty_log(transactional_db):
    """Leave out what was logged as the rows of the test before were removed."""
    Event.objects.all().delete()


def settled(look: Any) -> Any:
    """Wait until it is so: on PostgreSQL an event is shown once every older transaction of the database is over."""
    return wait_until(look, 20)


def kinds(count: int, position: Position = START) -> list[str]:
    events = settled(lambda: (found := Event.objects.after(position, 1000)) and len(found) >= count and found)
    return [event.kind for event in events]


def get(path: str, status: int = 200) -> Any:
    answer = Client().get(path)
    assert answer.status_code == status, answer.content
    return answer.json()


def only(kind: str) -> Event:
    settled(lambda: Event.objects.filter(kind=kind).after(START, 1))
    return Event.objects.get(kind=kind)


# --- What is logged --------------------------------------------------------------------------------------------------


def test_the_life_of_a_file_is_in_the_log_in_order():
    file = FileFactory(name="hello.echo")
    File.claim(file.pk).identified(ECHO, [], [OfferFactory()])
    Job.claim(Job.objects.get().pk).fail("timeout", "Too slow.")
    Job.objects.retry(file.pk)
    Job.claim(Job.objects.get().pk).succeed({}, [], [])
    job = Job.objects.get()
    File.remove(file.pk)
    expected = [
        "file.uploaded", "file.identified", "job.started", "job.failed", "job.retried", "job.started", "job.succeeded",
        "file.deleted",
    ]  # fmt: skip
    assert kinds(len(expected)) == expected
    events = Event.objects.after(START, 100)
    assert {event.file for event in events} == {file.pk}
    assert [event.data for event in events[:4]] == [
        {"name": "hello.echo", "size": file.size},
        {"media_type": ECHO},
        {"lane": "interactive"},
        {"lane": "interactive", "error_code": "timeout"},
    ]
    about = {(event.job, event.processor, event.version) for event in events if event.kind.startswith("job.")}
    assert about == {(job.pk, "echo", "1")}
    assert [event.position for event in events] == sorted(event.position for event in events)


def test_a_job_that_is_declined_is():
    Job.claim(JobFactory().pk).decline("Not mine.")
    assert only("job.declined").data["lane"] == "interactive"


def test_what_a_backfill_takes_up_is_and_what_an_upload_brings_is_not():
    JobFactory(), JobFactory(processor="other", lane="backfill")
    assert only("job.backfilled").processor == "other"


def test_what_is_reprocessed_is():
    job = JobFactory()
    JobFactory(file=job.file, repeat=1, current=False)
    assert only("job.reprocessed").file == job.file_id


def test_a_job_that_is_cancelled_is_whoever_does_it():
    job = JobFactory()
    with connection.cursor() as cursor:
        cursor.execute("UPDATE picasso_job SET state = 'cancelled'")
    assert only("job.cancelled").job == job.pk


def test_a_job_that_another_worker_takes_over_is_started_again():
    job = JobFactory()
    Job.claim(job.pk)
    expire(job)
    Job.claim(job.pk)
    assert kinds(3) == ["file.uploaded", "job.started", "job.started"]


def test_a_renewal_a_pause_and_a_wait_are_no_events():
    job = Job.claim(JobFactory().pk)
    job.renew()
    job.give_back(pause=timedelta(seconds=1))
    Job.objects.get().park()
    assert kinds(2) == ["file.uploaded", "job.started"]


def test_what_is_rolled_back_has_not_happened():
    with transaction.atomic():
        FileFactory()
        transaction.set_rollback(True)
    FileFactory()
    assert kinds(1) == ["file.uploaded"]


def test_an_event_that_is_written_by_hand_has_its_place_too():
    Event.objects.create(kind="file.deleted", file=FileFactory().pk, data={})
    assert kinds(2) == ["file.uploaded", "file.deleted"]


# --- Order -----------------------------------------------------------------------------------------------------------


@postgresql
def test_what_commits_late_is_not_skipped_where_a_sequence_alone_would_skip_it():
    written, commit = threading.Event(), threading.Event()

    def slow() -> None:
        with transaction.atomic():
            FileFactory(name="slow")
            written.set()
            commit.wait(20)
        connection.close()

    thread = threading.Thread(target=slow)
    thread.start()
    assert written.wait(20)
    FileFactory(name="fast")
    # A reader who goes by the number has now seen the later one, and goes on after it.
    (seen,) = Event.objects.all()
    assert seen.data["name"] == "fast"
    before, position = Event.objects.page(START, 10)
    assert before == []
    # Others are shown meanwhile neither, and the position is not past what will come.
    assert Event.objects.after(START, 10) == []
    commit.set()
    thread.join()
    assert [event.data["name"] for event in Event.objects.filter(pk__gt=seen.pk)] == []
    events = settled(lambda: len(found := Event.objects.page(position, 10)[0]) == 2 and found)
    assert [event.data["name"] for event in events] == ["slow", "fast"]


@contextmanager
def somebody(database: str | None = None) -> Iterator[psycopg.Connection]:
    """Have another connection to this database, or to another one of the server; it is rolled back in the end."""
    server = connection.get_connection_params() | ({"dbname": database} if database else {})
    for option in ("cursor_factory", "context", "prepare_threshold"):
        server.pop(option, None)
    with psycopg.connect(**server) as other:
        yield other
        other.rollback()


@postgresql
@pytest.mark.parametrize(("database", "shown"), [("postgres", ["late"]), (None, [])], ids=["another", "this"])
def test_what_somebody_leaves_open_holds_the_log_up_in_this_database_and_in_no_other(database, shown):
    with somebody(database) as other:
        other.execute("CREATE TEMPORARY TABLE left_open (id int)")
        FileFactory(name="late")
        # The tests beside this one have transactions too, for a moment also without a table's lock.
        seen = settled(lambda: Event.objects.after(START, 10)) if shown else Event.objects.after(START, 10)
        assert [event.data["name"] for event in seen] == shown
    assert [event.data["name"] for event in settled(lambda: Event.objects.after(START, 10))] == ["late"]


@postgresql
def test_a_position_that_was_told_stays_good_when_another_database_counts_again():
    with somebody("postgres") as other:
        other.execute("SAVEPOINT before")
        other.execute("CREATE TEMPORARY TABLE left_open (id int)")
        FileFactory(name="late")
        position = settled(lambda: (page := get("/events/"))["results"] and page["next"])
        other.execute("ROLLBACK TO before")  # and with it the lock that told where it belongs
        assert Position.read(position) > Event.objects.horizon()
        page = get(f"/events/?after={position}")
        assert page == {"results": [], "next": position}


@postgresql
def test_a_reader_that_has_written_itself_is_told_of_nothing_past_what_somebody_still_writes():
    with somebody() as other:
        slow = "INSERT INTO picasso_event (kind, file, data) VALUES ('file.uploaded', gen_random_uuid(), '{}')"
        other.execute(slow)
        with transaction.atomic():
            Follower.named("reader")
            _, position = Event.objects.page(START, 10)
        other.commit()
    (event,) = settled(lambda: Event.objects.page(position, 10)[0])
    assert event.kind == "file.uploaded"


@postgresql
def test_who_has_written_is_told_of_nothing_past_what_it_may_still_write():
    with transaction.atomic():
        FileFactory(name="first")
        seen, position = Event.objects.page(START, 10)
        FileFactory(name="second")
    assert seen == []
    events, _ = settled(lambda: (page := Event.objects.page(position, 10)) and len(page[0]) == 2 and page)
    assert [event.data["name"] for event in events] == ["first", "second"]


def test_readers_who_follow_while_many_write_see_each_event_once_and_in_order():
    count, writers = 20, 4

    def write() -> None:
        for number in range(count):
            with transaction.atomic():
                file = FileFactory()
                if number % 3 == 0:
                    file.delete()
        connection.close()

    threads = [threading.Thread(target=write) for _ in range(writers)]
    for thread in threads:
        thread.start()
    seen: list[Event] = []
    position = START

    def follow() -> bool:
        nonlocal position
        page, position = Event.objects.page(position, 7)
        seen.extend(page)
        return not any(thread.is_alive() for thread in threads) and len(seen) >= Event.objects.count()

    settled(follow)
    assert len(seen) == len({event.pk for event in seen}) == writers * (count + len(range(0, count, 3)))
    assert [event.position for event in seen] == sorted(event.position for event in seen)


def test_a_position_goes_past_what_a_filter_leaves_out():
    FileFactory()
    settled(lambda: Event.objects.after(START, 1))
    events, position = Event.objects.filter(kind="file.deleted").page(START, 10)
    assert events == []
    assert Event.objects.after(position, 10) == []
    FileFactory()
    assert len(kinds(1, position)) == 1


def test_of_two_who_move_a_follower_one_does():
    first, second = Follower.named("test"), Follower.named("test")
    assert first.move(Position(1, 2))
    assert not second.move(Position(3, 4))
    assert Follower.named("test").position == Position(1, 2)


@postgresql
def test_a_database_that_came_from_a_dump_goes_on():
    early, late = FileFactory(), FileFactory()
    kinds(2)
    first, second = Event.objects.after(START, 2)
    # As if the server before had counted further.
    far = 10**15
    Event.objects.update(xid=F("xid") + Value(far, BigIntegerField()))
    Follower.objects.create(name="behind", xid=first.xid + far, event=first.pk)
    Follower.objects.create(name="through", xid=second.xid + far + 5)
    Follower.objects.create(name="new", xid=0)
    FileFactory(name="afterwards")
    settled(lambda: Event.objects.after(START, 10))
    assert restored.renumber() == 2
    assert restored.renumber() == 0
    files = [event.file for event in Event.objects.after(START, 10)]
    assert files[:2] == [early.pk, late.pk]

    def read(name: str) -> list[str]:
        return [event.data["name"] for event in Event.objects.after(Follower.named(name).position, 10)]

    settled(lambda: read("through") == ["afterwards"])
    assert read("behind") == [late.name, "afterwards"]
    assert read("new") == [early.name, late.name, "afterwards"]
    # And where no event of before is left, whoever had read them.
    Event.objects.all().delete()
    Follower.objects.filter(name="through").update(xid=far)
    assert restored.renumber() == 0
    assert Follower.named("through").position == START


# --- REST ------------------------------------------------------------------------------------------------------------


def test_the_log_is_read_in_pages_and_gone_on_with():
    files = [FileFactory() for _ in range(5)]
    kinds(5)
    seen: list[str] = []
    page = get("/events/?limit=2")
    while page["results"]:
        assert len(page["results"]) <= 2
        seen += [event["file"] for event in page["results"]]
        page = get(f"/events/?limit=2&after={page['next']}")
    assert seen == [str(file.pk) for file in files]
    # There is always somewhere to go on.
    FileFactory(name="later")
    (event,) = settled(lambda: get(f"/events/?after={page['next']}")["results"])
    assert (event["kind"], event["data"]["name"], event["job"]) == ("file.uploaded", "later", None)
    assert get(f"/events/?after={event['position']}")["results"] == []


def test_it_is_narrowed_to_a_file_that_may_be_gone_and_to_a_kind():
    gone, other = FileFactory(), FileFactory()
    File.remove(gone.pk)
    kinds(3)
    assert [event["kind"] for event in get(f"/events/?file={gone.pk}")["results"]] == ["file.uploaded", "file.deleted"]
    assert [event["file"] for event in get("/events/?kind=file.uploaded")["results"]] == [str(gone.pk), str(other.pk)]
    assert get(f"/events/?kind=file.deleted&file={other.pk}")["results"] == []


def test_an_empty_log_has_a_position_too():
    page = get("/events/")
    assert page["results"] == []
    Position.read(page["next"])
    assert get(f"/events/?after={page['next']}")["results"] == []


def test_the_paper_shows_what_is_answered():
    page, message = (json.loads(block) for block in in_paper("docs/events.md", "json"))
    shown = page["results"][0]
    job = JobFactory(processor=shown["processor"], version=shown["version"])
    Job.claim(job.pk).fail("timeout", "Too slow.")
    only("job.failed")
    answer = get("/events/?kind=job.failed")
    varies = ("position", "at", "file", "job")
    assert set(answer) == set(page)
    assert answer["results"][0] == shown | {name: answer["results"][0][name] for name in varies}
    # Of the message test_webhooks.py says that it is made of this.
    assert message == {"type": shown["kind"], "timestamp": shown["at"], "data": shown}
    table = re.findall(r"`((?:file|job)\.\w+)`", next(each for each in PAPERS if each.name == "events.md").read_text())
    assert set(table) >= set(Event.Kind.values)


@pytest.mark.parametrize(
    "query",
    [
        "after=1", "after=", "after=a-b", "after=1-2-3", "after=-1-2", "after=1-2&after=1-2", f"after={'9' * 19}-1",
        "after=%00", "after=１-２", "limit=0", "limit=x", "kind=file.forgotten", "kind=", "file=x", "before=1-2",
    ],
)  # fmt: skip
def test_what_is_not_understood_is_refused(query):
    assert get(f"/events/?{query}", 400)["type"] == "validation_error"


def test_a_position_of_another_database_is_said_to_be_one():
    assert get(f"/events/?after={'9' * 18}-1", 409)["errors"][0]["code"] == "ahead"


# --- Age -------------------------------------------------------------------------------------------------------------


def test_old_events_are_removed_by_the_sweeper_in_batches(settings, monkeypatch):
    monkeypatch.setattr(sweeper, "PRUNED", 2)
    for _ in range(3):
        FileFactory()
    kinds(3)
    position = Event.objects.page(START, 10)[1]
    sweeper.repair()
    assert Event.objects.count() == 3
    Event.objects.update(at=F("at") - timedelta(days=settings.PICASSO_EVENT_DAYS + 1))
    sweeper.repair()
    assert Event.objects.count() == 1
    sweeper.repair()
    assert Event.objects.count() == 0
    # Whoever was at the end of the log still is.
    assert get(f"/events/?after={position}")["results"] == []
    FileFactory()
    assert kinds(1, position) == ["file.uploaded"]
