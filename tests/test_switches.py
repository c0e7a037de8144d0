"""Switches: an operator turns a processor off and on, keeps files from it, lowers its limits and pins a version."""

from __future__ import annotations

import json
import re
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from picasso_core import sweeper
from picasso_core.execution import process
from picasso_core.models import File, Job, Offer, Switch
from tests.clock import advance
from tests.factories import ECHO, FileFactory, JobFactory, OfferFactory

pytestmark = pytest.mark.django_db

SLOW = b"picasso-echo\nsleep 30\n"


def switch(status: int = 200, name: str = "echo", **decisions) -> dict:
    answer = Client().patch(f"/processors/{name}/", json.dumps(decisions), "application/json")
    assert answer.status_code == status, answer.content
    return answer.json()


def mistakes(status: int = 400, **decisions) -> dict[str, str]:
    answer = switch(status, **decisions)
    assert answer["type"] == "validation_error"
    return {error["attr"]: error["detail"] for error in answer["errors"]}


def only_job() -> Job:
    return Job.objects.get()


# --- Off and on -------------------------------------------------------------------------------------------------------


def test_what_is_switched_off_is_not_claimed_any_more_and_goes_on_when_it_is_on_again(slot):
    OfferFactory()
    job = JobFactory()
    switch(enabled=False)
    process(job.file_id, slot)
    assert only_job().state == "queued"
    switch(enabled=True)
    process(job.file_id, slot)
    assert only_job().state == "succeeded"


def test_what_runs_when_it_is_switched_off_is_not_disturbed():
    OfferFactory()
    held = Job.claim(JobFactory().pk)
    switch(enabled=False)
    assert held.renew()
    assert held.succeed({"text": "hello"}, [], [])


def test_while_it_is_off_queued_jobs_wait_and_hold_up_no_file_and_new_files_get_none(slot):
    OfferFactory()
    job = JobFactory()
    switch(enabled=False)
    advance(6)
    sweeper.move_waiting()
    assert (only_job().state, File.objects.get().status) == ("waiting", "unsupported")
    assert Client().get("/processors/echo/").json()["waiting_jobs"] == 1
    later = FileFactory()
    process(later.pk, slot)
    assert (File.objects.get(pk=later.pk).status, later.jobs.count()) == ("unsupported", 0)
    switch(enabled=True)
    sweeper.move_waiting()
    process(job.file_id, slot)
    assert File.objects.get(pk=job.file_id).status == "processed"


def test_one_that_is_off_does_not_keep_the_others_from_the_same_file(slot):
    OfferFactory()
    OfferFactory(processor="other")
    switch(name="other", enabled=False)
    file = FileFactory(media_type=ECHO, due_at=None)
    JobFactory(file=file)
    JobFactory(file=file, processor="other")
    process(file.pk, slot)
    assert {job.processor: job.state for job in Job.objects.all()} == {"echo": "succeeded", "other": "queued"}


# --- Excluded types ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pattern", [ECHO, "application/*", ECHO.upper()])
def test_files_of_an_excluded_type_get_no_job(slot, pattern):
    OfferFactory()
    switch(excluded=[pattern])
    file = FileFactory()
    process(file.pk, slot)
    assert not Job.objects.exists()
    switch(excluded=[])
    other = FileFactory()
    process(other.pk, slot)
    assert only_job().state == "succeeded"


def test_a_job_that_is_queued_for_an_excluded_type_is_cancelled_when_its_turn_comes(slot):
    OfferFactory()
    job = JobFactory()
    switch(excluded=["application/*"])
    process(job.file_id, slot)
    job = only_job()
    assert (job.state, job.error_code) == ("cancelled", "excluded")
    assert job.error == "The operator keeps files of this type or size from this processor."
    assert File.objects.get().status == "unsupported"


# --- Limits -----------------------------------------------------------------------------------------------------------


def test_a_lowered_limit_holds_for_the_next_run_and_the_error_says_whose_it_is(slot):
    OfferFactory()
    file = FileFactory(content=SLOW, media_type=ECHO, due_at=None)
    JobFactory(file=file, attempts=2)
    switch(limits={"seconds": 1})
    process(file.pk, slot)
    job = only_job()
    assert (job.state, job.error_code) == ("failed", "timeout")
    assert "longer than 1 seconds" in job.error
    assert "the operator's limit for this processor" in job.error


def test_larger_files_than_the_operator_allows_get_no_job(slot):
    OfferFactory()
    switch(limits={"max_bytes": 10})
    small, large = FileFactory(content=b"picasso-ec"), FileFactory()
    assert [offer.accepts(ECHO, file.size) for offer in Offer.objects.active() for file in (small, large)] == [
        True,
        False,
    ]
    JobFactory(file=large)
    File.objects.filter(pk=large.pk).update(media_type=ECHO)
    process(large.pk, slot)
    assert (only_job().state, only_job().error_code) == ("cancelled", "excluded")


@pytest.mark.parametrize(
    ("limits", "sentence"),
    [
        ({"seconds": 5}, "seconds is 5 anyway: a limit can only be lowered, write less."),
        ({"seconds": 4, "memory": 2**40}, "memory is 268435456 anyway: a limit can only be lowered, write less."),
        ({"artifacts": 1000}, "artifacts is 100 anyway: a limit can only be lowered, write less."),
    ],
)
def test_a_limit_can_only_be_lowered(limits, sentence):
    OfferFactory()
    assert mistakes(409, limits=limits) == {"limits": sentence}
    assert Client().get("/processors/echo/").json()["switch"]["limits"] == {}


def test_how_large_a_file_may_be_can_be_bounded_where_the_processor_has_no_bound():
    OfferFactory(limits={"max_bytes": None})
    assert switch(limits={"max_bytes": 10**12})["switch"]["limits"] == {"max_bytes": 10**12}


# --- Versions ---------------------------------------------------------------------------------------------------------


def test_a_pinned_version_stays_in_force_and_the_newest_is_again_when_it_is_not():
    OfferFactory(queue="old")
    OfferFactory(version="2", queue="new")
    answer = switch(pinned="1")
    assert {offer["version"]: (offer["state"], offer["reason"]) for offer in answer["offers"]} == {
        "1": ("ready", "No worker of the queue old is alive."),
        "2": ("superseded", "An operator has pinned version 1."),
    }
    assert [offer.version for offer in Offer.objects.active()] == ["1"]
    assert switch(pinned=None)["switch"]["pinned"] is None
    assert [offer.version for offer in Offer.objects.active()] == ["2"]


def test_only_a_version_that_there_has_been_can_be_pinned():
    OfferFactory(version="1", withdrawn=True)
    OfferFactory(version="2")
    JobFactory(version="0")
    assert mistakes(409, pinned="3") == {"pinned": "There has never been a version '3': there are 1, 2."}
    assert switch(pinned="1")["offers"][0]["reason"] == "An operator has pinned version 1, which no worker has."
    assert switch(pinned="0")["switch"]["pinned"] == "0"


# --- What may be written ----------------------------------------------------------------------------------------------


def test_decisions_that_are_left_out_stay():
    OfferFactory()
    switch(enabled=False, excluded=["image/*"], upgrades="auto")
    assert switch(limits={"seconds": 2})["switch"] == {
        "enabled": False,
        "excluded": ["image/*"],
        "limits": {"seconds": 2},
        "pinned": None,
        "upgrades": "auto",
    }
    assert switch()["switch"]["enabled"] is False


@pytest.mark.parametrize(
    ("decisions", "sentence"),
    [
        ({"enabled": "yes"}, "Write true or false."),
        ({"enabled": None}, "Write true or false."),
        ({"excluded": "image/png"}, "Write a list of at most 100 media types."),
        ({"excluded": ["image"]}, "'image' is no media type: write image/png, or image/* for all."),
        ({"excluded": [1]}, "'1' is no media type: write image/png, or image/* for all."),
        ({"excluded": ["*/*"]}, "*/* is everything: switch the processor off instead."),
        ({"limits": []}, 'Write an object such as {"seconds": 10}; {} for no limits but its own.'),
        ({"limits": {"hours": 1}}, "There is no limit 'hours': there are seconds, "),
        ({"limits": {"seconds": 0}}, "seconds must be a whole number, at least 1."),
        ({"limits": {"seconds": 1.5}}, "seconds must be a whole number, at least 1."),
        ({"limits": {"seconds": True}}, "seconds must be a whole number, at least 1."),
        ({"limits": {"max_bytes": 2**63}}, "max_bytes must be a whole number, at least 1."),
        ({"pinned": ""}, "Write a version, or null for whichever is newest."),
        ({"pinned": "\0"}, "Write a version, or null for whichever is newest."),
        ({"pinned": "\ud800"}, "Write a version, or null for whichever is newest."),
        ({"upgrades": "later"}, "Write auto, ask, off, or null for what the settings say."),
        ({"upgrades": ["auto"]}, "Write auto, ask, off, or null for what the settings say."),
        ({"enable": True}, "There is no such field: there are enabled, excluded, limits, pinned and upgrades."),
    ],
)
def test_a_mistake_is_answered_with_what_to_write_and_nothing_changes(decisions, sentence):
    OfferFactory()
    ((field, said),) = mistakes(**decisions, **({} if "upgrades" in decisions else {"upgrades": "off"})).items()
    assert field in decisions
    assert said.startswith(sentence)
    assert not Switch.objects.exists()


def test_every_mistake_is_named_at_once():
    OfferFactory()
    assert set(mistakes(enabled=1, excluded=1, pinned=1)) == {"enabled", "excluded", "pinned"}


@pytest.mark.parametrize("name", ["gone", "a b", "%00", "x" * 100])
def test_a_processor_that_there_has_never_been_is_not_found(name):
    for answer in (
        Client().get(f"/processors/{name}/"),
        Client().patch(f"/processors/{name}/", {}, "application/json"),
    ):
        assert answer.status_code == 404
        assert answer.json()["errors"][0]["detail"].startswith("No worker has ever had a processor ")
    assert not Switch.objects.exists()


def test_a_body_that_is_no_object_is_refused():
    OfferFactory()
    answer = Client().patch("/processors/echo/", "[]", "application/json")
    assert (answer.status_code, answer.json()["errors"][0]["detail"]) == (400, "The body is no JSON object.")
    assert Client().patch("/processors/echo/", "enabled=false", "text/plain").status_code == 415


# --- What is shown ----------------------------------------------------------------------------------------------------


def test_processors_tell_what_keeps_files_from_them_and_how_many_jobs_wait():
    OfferFactory(processor="broken", error="No tesseract.")
    OfferFactory(processor="gone", withdrawn=True)
    OfferFactory(processor="off")
    Switch.objects.create(processor="off", enabled=False)
    for name, count in {"broken": 2, "gone": 1}.items():
        for _ in range(count):
            JobFactory(processor=name, state="waiting", due_at=None)
    listed = {each["processor"]: each for each in Client().get("/processors/").json()}
    assert {name: (each["state"], each["reason"], each["waiting_jobs"]) for name, each in listed.items()} == {
        "broken": ("broken", "No tesseract.", 2),
        "gone": ("absent", "No worker of the queue picasso.v1 has it any more.", 1),
        "off": ("off", "An operator has switched it off.", 0),
    }
    assert listed["off"]["switch"]["enabled"] is False


def test_the_list_asks_as_much_for_many_processors_as_for_one(django_assert_num_queries):
    for number in range(20):
        OfferFactory(processor=f"p{number}")
    with django_assert_num_queries(6):
        assert len(Client().get("/processors/").json()) == 20


# --- On the command line ----------------------------------------------------------------------------------------------


def command(*arguments: str) -> list[str]:
    out = StringIO()
    call_command("processors", *arguments, stdout=out)
    return out.getvalue().splitlines()


def test_the_command_line_decides_the_same():
    OfferFactory()
    assert command("--off", "echo") == ["echo is off: its Jobs wait, and no new ones are made."]
    assert command("--on", "echo") == ["echo is on."]
    assert command("--exclude", "echo", "image/*", "text/html")[1:] == ["echo is given no image/*, text/html."]
    assert command("--exclude", "echo")[1:] == ["echo is given all that it accepts."]
    assert command("--limit", "echo", "seconds=2", "max_bytes=9")[1:] == ["echo is limited to seconds=2, max_bytes=9."]
    assert command("--limit", "echo")[1:] == ["echo has no limits but its own and those of the settings."]
    assert command("--pin", "echo", "1")[1:] == ["echo is pinned to version 1."]
    assert command("--unpin", "echo")[1:] == ["echo is pinned to no version."]
    assert command("--upgrades", "echo", "auto")[1:] == ["A new version of echo: run on the files that are there."]
    assert command("--upgrades", "echo", "settings")[1:] == ["A new version of echo: what the settings say."]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--off", "gone"], "No worker has ever had a processor 'gone'."),
        (["--exclude", "echo", "image"], "'image' is no media type"),
        (["--limit", "echo", "seconds"], "'seconds' is no limit: write one such as seconds=10."),
        (["--limit", "echo", "seconds=99"], "seconds is 5 anyway"),
        (["--pin", "echo", "2"], "There has never been a version '2': there are 1."),
        (["--upgrades", "echo", "later"], "Write auto, ask, off"),
    ],
)
def test_the_command_line_says_what_is_wrong(arguments, sentence):
    OfferFactory()
    with pytest.raises(CommandError, match=re.escape(sentence)):
        command(*arguments)


def test_the_list_of_the_command_line_tells_what_the_workers_lack():
    OfferFactory(processor="gone", withdrawn=True)
    OfferFactory(processor="off")
    Switch.objects.create(processor="off", enabled=False)
    JobFactory(processor="gone", state="waiting", due_at=None)
    said = command()
    assert any(line.startswith("echo         version 1") for line in said)
    assert said[-3:] == [
        "gone         absent   version 1: No worker of the queue picasso.v1 has it any more.",
        "off          off      version 1: An operator has switched it off.",
        "gone         1 Job waits for it.",
    ]


def test_what_is_installed_here_is_listed_once_with_what_keeps_files_from_it_at_the_workers():
    for queue in ("picasso.v1", "gpu"):
        OfferFactory(queue=queue)
    OfferFactory(version="0", withdrawn=True)
    Switch.objects.create(processor="echo", enabled=False)
    said = command()
    (place,) = (place for place, line in enumerate(said) if line.startswith("echo         version 1"))
    assert said[place + 1] == "             off      An operator has switched it off."
    assert [line for line in said[place + 2 :] if "echo" in line or "off" in line] == [
        "echo         absent   version 0: No worker of the queue picasso.v1 has it any more."
    ]
