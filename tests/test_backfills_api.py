"""Backfills through REST and the command line: plan, start, progress, pause, resume, cancel, and the way back."""

import json
import threading
import uuid
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.models.functions import Now
from django.test import Client

from picasso_core.backfills import asking, walking
from picasso_core.management.commands import backfill as command
from picasso_core.models import Backfill, File, Job, Offer, Switch, WorkerBeat
from tests.clock import advance
from tests.factories import JobFactory, OfferFactory
from tests.test_backfill import files, only, run_lane, to_the_end

pytestmark = pytest.mark.django_db(transaction=True)
BACKFILLS = "/backfills/"


def get(path: str) -> Any:
    answer = Client().get(path)
    assert answer.status_code == 200, answer.content
    return answer.json()


def post(path: str, status: int, body: Any = None) -> Any:
    answer = Client().post(path, json.dumps(body) if body is not None else "", content_type="application/json")
    assert answer.status_code == status, answer.content
    return answer.json()


def refused(path: str, status: int, body: Any = None) -> tuple[str, str]:
    (error,) = post(path, status, body)["errors"]
    return error["code"], error["detail"]


def url(verb: str = "", backfill: Backfill | None = None) -> str:
    return f"{BACKFILLS}{(backfill or only()).pk}/{verb}{'/' * bool(verb)}"


def alive() -> None:
    """Be a worker that has shown that it is alive."""
    WorkerBeat.objects.all().delete()
    WorkerBeat.objects.create(queue="picasso.v1", slots=2)


def upgraded(count: int = 3, **fields: Any) -> list[File]:
    """Have files that version 1 succeeded on, and version 2 in force."""
    made = files(count)
    for file in made:
        Job.claim(JobFactory(file=file, **fields).pk).succeed({"by": 1}, [], [], "one")
    OfferFactory(version="1", withdrawn=True)
    advance(60)
    OfferFactory(version="2")
    alive()
    return made


def shown() -> list[str]:
    return sorted(Job.objects.filter(current=True).values_list("version", flat=True))


# --- Plan ------------------------------------------------------------------------------------------------------------


def test_it_is_planned_with_what_there_is_to_do_and_waits_to_be_started():
    upgraded()
    answer = Client().post(BACKFILLS, {"processor": "echo"}, content_type="application/json")
    made = answer.json()
    assert (answer.status_code, answer["Location"]) == (201, f"http://testserver/backfills/{only().pk}/")
    expected = {"kind": "process", "processor": "echo", "version": "2", "previous": "1", "cause": "operator"}
    assert {name: made[name] for name in expected} == expected
    assert (made["state"], made["plan"]["files"], made["plan"]["bytes"]) == ("planned", 3, 30)
    assert made["plan"]["seconds"] is not None
    assert made["progress"]["waits_for"]["code"] == "start"
    walking.walk()
    assert not Job.objects.filter(version="2").exists()


def test_it_is_started_at_once_if_that_is_asked_for():
    upgraded()
    assert post(BACKFILLS, 201, {"processor": "echo", "start": True})["state"] == "running"
    assert to_the_end() == 3
    assert shown() == ["2"] * 3


def test_what_no_format_was_found_for_is_identified_again():
    files(2, media_type="text/plain"), files(1, media_type="application/octet-stream"), files(1)
    made = post(BACKFILLS, 201, {"kind": "identify", "start": True})
    assert (made["processor"], made["version"], made["plan"]["files"]) == ("", "", 3)
    walking.walk()
    again = File.objects.filter(identify_again=True)
    assert again.count() == 3
    seen = get(url())["progress"]
    assert (seen["taken_up"], seen["done"], seen["remaining"], seen["waits_for"]["code"]) == (3, 0, 3, "worker")
    for file in again:
        assert File.claim(file.pk).identified("text/plain", [], [])
    walking.walk()
    assert get(url())["state"] == "done"


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"processor": "nobody"}, 404, "absent"),
        ({"processor": "nobody", "kind": "repoint", "version": "1"}, 404, "no_result"),
        ({"kind": "repoint", "processor": "echo", "version": "9"}, 404, "no_result"),
        ({"kind": "repoint", "processor": "echo"}, 400, "required"),
        ({}, 400, "required"),
        ({"processor": "echo", "version": "1"}, 400, "unknown_member"),
        ({"kind": "identify", "processor": "echo"}, 400, "unknown_member"),
        ({"processor": "echo", "begin": True}, 400, "unknown_member"),
        ({"processor": "echo", "start": "true"}, 400, "invalid"),
        ({"processor": "echo", "start": 1}, 400, "invalid"),
        ({"processor": 7}, 400, "invalid"),
        ({"processor": ""}, 400, "blank"),
        ({"processor": "e" * 65}, 400, "max_length"),
        ({"processor": "a\0b"}, 400, "null_characters_not_allowed"),
        ({"processor": "echo", "kind": "anything"}, 400, "invalid_choice"),
        ({"processor": "echo", "kind": ["process"]}, 400, "invalid_choice"),
        ([], 400, "invalid"),
    ],
)
def test_what_cannot_be_planned_is_refused(body, status, code):
    OfferFactory()
    assert refused(BACKFILLS, status, body)[0] == code
    assert not Backfill.objects.exists()


def test_a_member_that_is_no_text_is_refused_too():
    answer = Client().post(BACKFILLS, r'{"\ud800": 1, "kind": "\ud800"}', content_type="application/json")
    assert answer.status_code == 400


@pytest.mark.parametrize(
    ("fields", "switch", "code", "sentence"),
    [
        ({"withdrawn": True}, {}, "absent", "No worker has the processor 'echo'."),
        ({"error": "No ffmpeg."}, {}, "broken", "The processor 'echo' is broken: No ffmpeg."),
        ({}, {"enabled": False}, "off", "The processor 'echo' is off."),
        ({"activated_at": None}, {}, "absent", "Not all workers of its queue have the processor 'echo' yet."),
    ],
)
def test_a_processor_that_cannot_run_is_not_planned(fields, switch, code, sentence):
    OfferFactory(**fields)
    if switch:
        Switch.objects.create(processor="echo", **switch)
    assert refused(BACKFILLS, 409, {"processor": "echo"}) == (code, sentence)


def test_there_is_one_unfinished_backfill_of_a_kind_which_the_refusal_names():
    upgraded()
    post(BACKFILLS, 201, {"processor": "echo"})
    code, sentence = refused(BACKFILLS, 409, {"processor": "echo"})
    assert code == "unfinished_backfill"
    assert f"{only().pk} is planned" in sentence


# --- List ------------------------------------------------------------------------------------------------------------


def test_the_list_is_newest_first_in_pages_and_narrowed():
    made = [str(Backfill.objects.create(processor=f"p{n}", state="done").pk) for n in range(5)]
    Backfill.objects.filter(processor="p3").update(state="cancelled", kind="repoint")
    path, found = f"{BACKFILLS}?limit=2", []
    while path:
        page = get(path)
        path = page["next"]
        found += [each["id"] for each in page["results"]]
    assert found == sorted(made, reverse=True)
    for narrowed in ("state=cancelled", "kind=repoint", "processor=p3"):
        assert [each["processor"] for each in get(f"{BACKFILLS}?{narrowed}")["results"]] == ["p3"]


@pytest.mark.parametrize("query", ["state=lost", "state=", "states=done", "limit=0", "before=1", "processor=%00"])
def test_a_list_that_is_not_understood_is_refused(query):
    assert Client().get(f"{BACKFILLS}?{query}").status_code == 400


def test_there_is_no_backfill_of_another_id():
    for verb in ("", "report/", "report/new/"):
        assert Client().get(f"{BACKFILLS}{uuid.uuid4()}/{verb}").status_code == 404
    for verb in ("start", "pause", "resume", "cancel", "rollback"):
        assert refused(f"{BACKFILLS}{uuid.uuid4()}/{verb}/", 404)[0] == "not_found"


# --- Start, pause, resume, cancel ------------------------------------------------------------------------------------


def test_it_is_started_paused_resumed_and_cancelled():
    upgraded()
    post(BACKFILLS, 201, {"processor": "echo"})
    assert post(url("start"), 202)["state"] == "running"
    walking.walk()
    run_lane(1)
    paused = post(url("pause"), 200)
    assert (paused["state"], paused["progress"]["waits_for"]["code"]) == ("paused", "resume")
    assert run_lane() == 0
    assert post(url("resume"), 202)["state"] == "running"
    assert run_lane(1) == 1
    over = post(url("cancel"), 200)
    assert (over["state"], over["progress"]["remaining"], over["progress"]["done"]) == ("cancelled", 0, 2)
    assert over["finished_at"]
    assert shown() == ["1", "2", "2"]


@pytest.mark.parametrize(
    ("state", "possible"),
    [
        ("planned", {"start", "cancel"}),
        ("running", {"pause", "cancel"}),
        ("paused", {"resume", "cancel"}),
        ("done", set()),
        ("cancelled", set()),
    ],
)
def test_what_its_state_does_not_allow_is_refused_with_the_reason(state, possible):
    OfferFactory()
    for verb in ("start", "pause", "resume", "cancel"):
        backfill = Backfill.objects.create(processor="echo", version="1", state=state)
        if verb in possible:
            post(url(verb, backfill), 202 if verb in ("start", "resume") else 200)
        else:
            code, sentence = refused(url(verb, backfill), 409)
            assert code == "wrong_state"
            assert sentence.startswith(f"It is {state}; one can {verb} what is ")
        backfill.delete()


def test_what_a_newer_version_has_overtaken_is_not_started():
    OfferFactory(version="3")
    old = Backfill.objects.create(processor="echo", version="2")
    Backfill.objects.create(processor="echo", version="3", state="cancelled")
    code, sentence = refused(url("start", old), 409)
    assert (code, Backfill.objects.get(pk=old.pk).state) == ("superseded", "planned")
    assert "Version 3 of 'echo' is in force now" in sentence


# --- Progress --------------------------------------------------------------------------------------------------------


def test_after_a_tenth_of_the_work_one_knows_when_it_will_be_through():
    upgraded(50)
    Job.objects.update(started_at=None)
    post(BACKFILLS, 201, {"processor": "echo", "start": True})
    walking.walk()
    advance(10)
    alive()
    run_lane(5)
    seen = get(url())["progress"]
    assert (seen["taken_up"], seen["done"], seen["remaining"], seen["failed"]) == (50, 5, 45, 0)
    assert seen["states"] == {"queued": 45, "succeeded": 5}
    assert seen["waits_for"] is None
    assert seen["rate"] == pytest.approx(0.5, rel=0.1)
    assert seen["eta_seconds"] == pytest.approx(90, rel=0.1)


def test_before_the_first_file_is_done_the_plan_says_how_long_it_takes():
    upgraded(4)
    Job.objects.all().update(started_at=ago(8), finished_at=ago(0))
    made = post(BACKFILLS, 201, {"processor": "echo", "start": True})
    assert made["plan"]["seconds"] == pytest.approx(4 * 8 / 2)
    assert made["progress"]["rate"] is None
    assert made["progress"]["eta_seconds"] == made["plan"]["seconds"]


def ago(seconds: float) -> Any:
    """A time so long ago, as all rows have it."""
    return Now() - timedelta(seconds=seconds)


def test_the_time_in_which_it_was_paused_or_its_worker_was_away_does_not_count():
    upgraded(10)
    post(BACKFILLS, 201, {"processor": "echo", "start": True})
    walking.walk()
    advance(10)
    post(url("pause"), 200)
    advance(1000)
    alive()
    post(url("resume"), 202)
    advance(10)
    WorkerBeat.objects.all().delete()
    walking.walk()
    assert get(url())["progress"]["waits_for"] == {
        "code": "worker",
        "sentence": "No worker of the queue 'picasso.v1' is alive.",
    }
    assert get(url())["progress"]["eta_seconds"] is None
    advance(1000)
    walking.walk()
    alive()
    walking.walk()
    advance(10)
    alive()
    run_lane(5)
    seen = get(url())["progress"]
    assert seen["ran_seconds"] == pytest.approx(30, abs=2)
    assert seen["eta_seconds"] == pytest.approx(30, abs=2)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"withdrawn": True}, "absent"),
        ({"error": "No ffmpeg."}, "broken"),
    ],
)
def test_it_says_that_its_processor_is_away(change, code):
    upgraded()
    post(BACKFILLS, 201, {"processor": "echo", "start": True})
    Offer.objects.update(**change)
    assert get(url())["progress"]["waits_for"]["code"] == code
    walking.walk()
    assert only().resumed_at is None
    Offer.objects.filter(version="2").update(withdrawn=False, error="")
    walking.walk()
    assert get(url())["progress"]["waits_for"] is None
    assert to_the_end() == 3


def test_what_failed_is_counted_and_once_it_is_over_kept():
    upgraded()
    post(BACKFILLS, 201, {"processor": "echo", "start": True})
    walking.walk()
    Job.claim(Job.objects.filter(version="2")[0].pk).fail("invalid_file", "Odd.")
    assert get(url())["progress"]["failed"] == 1
    to_the_end()
    seen = get(url())
    assert seen["counts"] == {"failed": 1, "succeeded": 2}
    assert (seen["progress"]["done"], seen["progress"]["remaining"], seen["progress"]["eta_seconds"]) == (3, 0, None)
    File.objects.all().delete()
    assert get(url())["progress"]["done"] == 3


# --- Back and forward ------------------------------------------------------------------------------------------------


def test_after_a_roll_back_every_file_shows_what_the_earlier_version_found():
    made = upgraded(4)
    Job.objects.filter(file=made[0]).update(state="failed")
    post(BACKFILLS, 201, {"processor": "echo", "start": True})
    assert to_the_end() == 4
    new = only()
    answer = Client().post(url("rollback"))
    back = answer.json()
    assert (answer.status_code, answer["Location"]) == (202, f"http://testserver/backfills/{back['id']}/")
    expected = {"kind": "repoint", "version": "1", "previous": "2", "state": "running"}
    assert {name: back[name] for name in expected} == expected
    assert back["plan"]["files"] == 3
    assert Switch.objects.get().pinned == "1"
    # Asked again meanwhile.
    assert post(url("rollback", new), 202)["id"] == back["id"]
    to_the_end()
    assert shown() == ["1", "1", "1", "2"]
    code, sentence = refused(url("rollback", new), 409)
    assert code == "nothing_to_go_back_to"
    assert sentence.startswith("Version 1 is pinned")


def test_a_roll_back_in_the_middle_gives_up_what_is_left():
    upgraded(5)
    post(BACKFILLS, 201, {"processor": "echo", "start": True})
    new = only()
    walking.walk()
    run_lane(2)
    late = Job.claim(Job.objects.filter(version="2", state="queued")[0].pk)
    post(url("rollback", new), 202)
    assert late.succeed({"by": 2}, [], [])
    to_the_end()
    new.refresh_from_db()
    assert (new.state, shown()) == ("cancelled", ["1"] * 5)
    assert not Job.objects.filter(state="queued").exists()


def test_forward_again_is_the_pin_taken_back_and_a_repoint():
    upgraded()
    post(BACKFILLS, 201, {"processor": "echo", "start": True})
    to_the_end()
    post(url("rollback"), 202)
    to_the_end()
    forward = {"kind": "repoint", "processor": "echo", "version": "2", "start": True}
    code, sentence = refused(BACKFILLS, 409, forward)
    assert (code, sentence) == ("pinned", "Version 1 of 'echo' is pinned: take that back first.")
    Switch.objects.update(pinned="")
    assert post(BACKFILLS, 201, forward)["plan"]["files"] == 3
    to_the_end()
    assert shown() == ["2"] * 3


def test_a_result_that_was_run_again_is_shown_once_and_not_walked_to_twice():
    (file,) = upgraded(1)
    JobFactory(file=file, version="1", repeat=1, state="succeeded", due_at=None, current=False)
    post(BACKFILLS, 201, {"processor": "echo", "start": True})
    to_the_end()
    assert post(url("rollback"), 202)["plan"]["files"] == 1
    to_the_end()
    assert Job.objects.get(current=True).repeat == 1
    assert refused(url("rollback", Backfill.objects.get(kind="process")), 409)[0] == "nothing_to_go_back_to"


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"kind": "repoint", "version": "1", "previous": "2"}, "It is not the backfill of a new version"),
        ({"version": "1"}, "It is not the backfill of a new version"),
        ({"version": "2", "previous": "1"}, "Version 1 of 'echo' has left no result."),
    ],
)
def test_there_may_be_nothing_to_go_back_to(fields, sentence):
    backfill = Backfill.objects.create(processor="echo", state="done", **fields)
    code, detail = refused(url("rollback", backfill), 409)
    assert (code, detail[: len(sentence)]) == ("nothing_to_go_back_to", sentence)
    assert not Switch.objects.exists()


@pytest.mark.skipif("connection.vendor == 'sqlite'", reason="SQLite writes one after another")
def test_a_job_that_ends_without_knowing_of_the_pin_does_not_stay_in_front():
    upgraded(1)
    post(BACKFILLS, 201, {"processor": "echo", "start": True})
    new = only()
    walking.walk()
    late = Job.claim(Job.objects.get(version="2").pk)
    began, end = threading.Event(), threading.Event()

    def finish() -> None:
        with File.locked(late.file_id):
            assert late.succeed({"by": 2}, [], [])
            began.set()
            end.wait(20)
        connection.close()

    thread = threading.Thread(target=finish)
    thread.start()
    began.wait(20)
    back = asking.roll_back(new)
    for _ in range(3):
        walking.walk()
    back.refresh_from_db()
    assert (back.state, back.looks) == ("running", 0)
    end.set()
    thread.join()
    to_the_end()
    assert shown() == ["1"]


# --- The command -----------------------------------------------------------------------------------------------------


def manage(*arguments: str) -> str:
    out = StringIO()
    call_command("backfill", *arguments, stdout=out)
    return out.getvalue()


def test_the_command_does_what_rest_does():
    made = upgraded()
    planned = manage("plan", "echo")
    assert planned.startswith(f"{only().pk} is planned. Run echo 2, which was 1: 3 files, 30 bytes, about ")
    assert f"{only().pk}  planned    Run echo 2, which was 1: 3 files, 30 bytes" in manage("list")
    assert "is running" in manage("start", "echo")
    assert "is paused" in manage("pause", str(only().pk))
    assert "paused    0 of 3 done, 0 failed. It is paused, and waits for somebody to resume it.\n" in manage(
        "show", "echo"
    )
    assert "is running" in manage("resume", "echo")
    walking.walk()
    Job.claim(Job.objects.filter(version="2", file=made[0])[0].pk).fail("invalid_file", "O\x1b[31mdd.")
    to_the_end()
    assert "done      3 of 3 done, 1 failed" in manage("show", "echo", "--watch")
    assert manage("report", "echo").splitlines()[:2] == ["echo 2 after 1", "identical              0"]
    assert manage("report", "echo", "newly_failing") == f"{made[0].pk}  a  1 succeeded  2 failed: O\\x1b[31mdd.\n"
    assert manage("report", "echo", str(made[1].pk)).splitlines() == [
        "a: changed",
        "1 succeeded",
        "2 succeeded",
        "- /by: 1",
    ]
    assert "Show the results of echo 1: 2 files" in manage("rollback", "echo")
    to_the_end()
    Switch.objects.update(pinned="")
    assert "is running. Show the results of echo 2: 2 files" in manage("plan", "echo", "--show-version", "2", "--start")
    assert "is cancelled" in manage("cancel", "echo")
    assert "Identify again what no format was found for: 0 files, 0 bytes" in manage("plan", "--identify")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("start", "echo"), "It is done; one can start what is planned."),
        (("show", "other"), "There is no backfill 'other': manage.py backfill list has them."),
        (("show", str(uuid.UUID(int=0))), f"There is no backfill '{uuid.UUID(int=0)}'"),
        (("plan",), "Name a processor, or say --identify."),
        (("plan", "echo", "--identify"), "Name a processor, or say --identify."),
        (("plan", "other"), "No worker has the processor 'other'."),
        (("report", "echo", "lost"), "'lost' is neither a file of this report nor one of identical, "),
        (("rollback", "echo"), "It is not the backfill of a new version"),
    ],
)
def test_the_command_refuses_with_a_sentence(arguments, sentence):
    Backfill.objects.create(processor="echo", version="1", state="done")
    with pytest.raises(CommandError) as refusal:
        manage(*arguments)
    assert str(refusal.value).startswith(sentence)


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        ({"state": "done"}, "done      nothing to do"),
        ({"state": "cancelled"}, "cancelled nothing to do"),
        ({"state": "cancelled", "files": 7}, "cancelled 0 of 7 done, 0 failed"),
    ],
)
def test_where_nothing_was_done_the_command_says_of_how_many_or_that_there_was_nothing(fields, line):
    Backfill.objects.create(processor="echo", version="1", **fields)
    assert manage("show", "echo").splitlines()[-1] == line


NOT_YET = "Version 2 of 'echo' is not planned yet: ask again in a few seconds."


@pytest.mark.parametrize("old", ["planned", "done", None])
@pytest.mark.parametrize("withdrawn", [True, False])
def test_a_version_that_has_just_come_is_not_mistaken_for_the_one_before(old, withdrawn):
    OfferFactory(version="1", withdrawn=withdrawn)
    advance(60)
    OfferFactory(version="2", activated_at=Now() if withdrawn else None)
    if old:
        Backfill.objects.create(processor="echo", version="1", state=old)
    if old == "planned" and not withdrawn:
        assert "is running. Run echo 1" in manage("start", "echo")
        return
    with pytest.raises(CommandError) as refusal:
        manage("start", "echo")
    assert str(refusal.value).endswith(NOT_YET)
    Offer.objects.filter(version="1").update(withdrawn=True)
    Offer.objects.update(activated_at=Now())
    walking.propose()
    assert "Run echo 2, which was 1" in manage("show", "echo")


@pytest.mark.parametrize(
    "decided", [{"enabled": False}, {"pinned": "1"}, {"upgrades": "off"}], ids=lambda decided: next(iter(decided))
)
def test_nor_is_one_promised_that_an_operator_does_not_want(decided):
    OfferFactory(version="1")
    OfferFactory(version="2")
    Switch.objects.create(processor="echo", **decided)
    walking.propose()
    Backfill.objects.create(processor="echo", version="1", state="cancelled")
    with pytest.raises(CommandError) as refusal:
        manage("start", "echo")
    assert "not planned yet" not in str(refusal.value)


def test_the_command_watches_until_it_is_over(monkeypatch):
    upgraded(3)
    manage("plan", "echo", "--start")

    def work(seconds: float) -> None:
        walking.walk()
        run_lane(1)

    monkeypatch.setattr(command.time, "sleep", work)
    lines = manage("show", "echo", "--watch").splitlines()
    assert [line.split(",")[0] for line in lines if "of 3" in line][-1] == "done      3 of 3 done"
    assert len(lines) > 5
    cancelled = Backfill.objects.create(processor="gone", state="cancelled")
    with pytest.raises(SystemExit) as status:
        manage("show", str(cancelled.pk), "--watch")
    assert status.value.code == 1


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.2, "a moment"), (12.4, "12 s"), (61, "1 min 1 s"), (3600, "1 h 0 min"), (90061, "25 h 1 min")],
)
def test_a_duration_is_said_in_the_two_units_that_matter(seconds, words):
    assert command.duration(seconds) == words
