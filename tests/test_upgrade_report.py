"""What a new version made of the files: the figures, the list behind each, and what differs for one file."""

import time
import uuid
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from picasso_core.backfills import differences, report
from picasso_core.models import Artifact, Backfill, File, Job
from picasso_core.models.work import uuid7
from tests.factories import FileFactory, JobFactory, OfferFactory
from tests.test_backfill import files

pytestmark = pytest.mark.django_db
NONE = dict.fromkeys(report.OUTCOMES, 0)


def job(file: File, version: str, state: str, **fields: Any) -> Job:
    """A Job of the echo processor as it stands; a digest says what it has found."""
    time.sleep(0.002)  # ids tell what came before, to the millisecond
    fields = {"current": False, "due_at": None, "digest": "same" if state == "succeeded" else "", **fields}
    return JobFactory(file=file, version=version, state=state, **fields)


@pytest.fixture
def upgrade() -> Backfill:
    """A version 2 of which the backfill is through."""
    OfferFactory(version="2")
    return Backfill(processor="echo", version="2", previous="1", state="done")


def plan(upgrade: Backfill) -> None:
    """Plan it now."""
    time.sleep(0.002)
    upgrade.pk = uuid7()
    upgrade.save(force_insert=True)


def before_and_after(upgrade: Backfill, *pairs: tuple[str | None, str | None], **fields: Any) -> list[File]:
    """Make a File for each pair of the states of the earlier and the later Job."""
    made = files(len(pairs))
    for file, (earlier, _) in zip(made, pairs, strict=True):
        if earlier:
            job(file, "1", earlier)
    plan(upgrade)
    for file, (_, later) in zip(made, pairs, strict=True):
        if later:
            job(file, "2", later, backfill=upgrade, lane="backfill", **fields)
    return made


@pytest.mark.parametrize(
    ("earlier", "later", "outcome"),
    [
        ("succeeded", "succeeded", "identical"),
        ("declined", "declined", "identical"),
        ("failed", "declined", "changed"),
        ("failed", "succeeded", "newly_working"),
        ("declined", "succeeded", "newly_working"),
        ("succeeded", "failed", "newly_failing"),
        ("succeeded", "declined", "newly_failing"),
        ("declined", "failed", "newly_failing"),
        ("failed", "failed", "still_failing"),
        (None, "succeeded", "new"),
        (None, "failed", "new"),
        ("cancelled", "succeeded", "new"),
        ("waiting", "failed", "new"),
        *(("succeeded", state, "pending") for state in ("queued", "running", "waiting", "cancelled")),
        (None, "queued", "pending"),
    ],
)
def test_each_file_comes_to_one_outcome(upgrade, earlier, later, outcome):
    (file,) = before_and_after(upgrade, (earlier, later))
    assert report.counts(upgrade) == {**NONE, outcome: 1}
    for each in report.OUTCOMES:
        listed = report.listed(upgrade, each, after=None, limit=10)
        assert [entry.file for entry in listed] == [file.pk] * (each == outcome)
    assert report.compare(upgrade, file.pk).outcome == outcome


def test_another_result_is_a_change(upgrade):
    before_and_after(upgrade, ("succeeded", "succeeded"), digest="another")
    assert report.counts(upgrade) == {**NONE, "changed": 1}


def test_what_was_uploaded_since_and_what_other_processors_did_is_no_part_of_it(upgrade):
    (file,) = before_and_after(upgrade, ("succeeded", "succeeded"))
    job(files(1)[0], "2", "succeeded")
    JobFactory(file=file, processor="other", version="1", state="failed", due_at=None)
    JobFactory(file=file, processor="other", version="2", state="succeeded", due_at=None, current=False)
    assert report.counts(upgrade) == {**NONE, "identical": 1}


def test_of_several_jobs_the_newest_of_each_side_is_compared(upgrade):
    (file,) = files(1)
    job(file, "0", "failed")
    job(file, "1", "failed")
    job(file, "1", "succeeded", repeat=1)
    plan(upgrade)
    job(file, "2", "failed", backfill=upgrade)
    later = job(file, "2", "succeeded", repeat=1)
    assert report.counts(upgrade) == {**NONE, "identical": 1}
    assert report.compare(upgrade, file.pk).later.job == later.pk


def test_a_version_that_came_between_and_was_run_on_few_files_does_not_hide_the_one_before(upgrade):
    first, second = files(2)
    for file in (first, second):
        job(file, "0", "succeeded")
    job(first, "1", "succeeded", digest="between")
    plan(upgrade)
    for file in (first, second):
        job(file, "2", "succeeded", backfill=upgrade)
    assert report.counts(upgrade) == {**NONE, "identical": 1, "changed": 1}
    assert report.compare(upgrade, first.pk).earlier.version == "1"


def test_what_comes_after_changes_no_report(upgrade):
    (file,) = before_and_after(upgrade, ("succeeded", "succeeded"))
    job(file, "3", "succeeded", digest="later")
    job(file, "1", "succeeded", digest="run again", repeat=1)
    assert report.counts(upgrade) == {**NONE, "identical": 1}


def test_while_it_runs_what_it_has_not_come_to_is_pending(upgrade):
    before_and_after(upgrade, ("succeeded", "succeeded"), ("succeeded", "queued"), ("succeeded", None), (None, None))
    files(3, media_type="image/png")
    assert report.counts(upgrade) == {**NONE, "identical": 1, "pending": 1}
    Backfill.objects.update(state="running")
    upgrade.refresh_from_db()
    assert report.counts(upgrade) == {**NONE, "identical": 1, "pending": 3}
    pending = report.listed(upgrade, "pending", after=None, limit=10)
    assert sorted(entry.later.state if entry.later else "" for entry in pending) == ["", "", "queued"]


def test_a_list_is_read_in_pages_through_http(upgrade):
    made = before_and_after(upgrade, *[("succeeded", "failed")] * 5, error="It is too odd.")
    url, found = f"/backfills/{upgrade.pk}/report/newly_failing/?limit=2", []
    while url:
        page = Client().get(url).json()
        url = page["next"]
        found += page["results"]
    assert [each["file"] for each in found] == sorted(str(file.pk) for file in made)
    assert found[0]["name"] == "a"
    assert (found[0]["earlier"]["version"], found[0]["earlier"]["state"]) == ("1", "succeeded")
    assert (found[0]["later"]["version"], found[0]["later"]["state"]) == ("2", "failed")
    assert found[0]["later"]["error"] == "It is too odd."
    assert uuid.UUID(found[0]["later"]["job"])


def test_the_figures_are_read_through_http(upgrade):
    before_and_after(upgrade, ("failed", "succeeded"), ("succeeded", "succeeded"))
    assert Client().get(f"/backfills/{upgrade.pk}/report/").json() == {
        "processor": "echo",
        "version": "2",
        "previous": "1",
        "outcomes": {**NONE, "newly_working": 1, "identical": 1},
    }


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("report/lost/", 404, "not_found"),
        ("report/identical/?limit=0", 400, "invalid"),
        ("report/identical/?after=7", 400, "invalid"),
        ("report/identical/?before=x", 400, "unknown_parameter"),
        ("report/identical/?limit=", 400, "empty"),
        ("report/identical/?limit=1&limit=2", 400, "repeated"),
        (f"report/files/{uuid.UUID(int=0)}/", 404, "not_found"),
    ],
)
def test_what_the_report_does_not_have_is_refused(upgrade, path, status, code):
    upgrade.save(force_insert=True)
    answer = Client().get(f"/backfills/{upgrade.pk}/{path}")
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (status, code)


def test_only_a_backfill_that_runs_a_processor_has_a_report():
    backfill = Backfill.objects.create(kind="identify")
    answer = Client().get(f"/backfills/{backfill.pk}/report/")
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (409, "no_report")


# --- One file --------------------------------------------------------------------------------------------------------


def artifact(of: Job, name: str, content: bytes) -> None:
    key = default_storage.save(f"artifacts/{of.pk}-{name}", ContentFile(content))
    Artifact.objects.create(job=of, name=name, media_type="text/plain", size=len(content), key=key)


def test_the_two_results_of_a_file_are_set_side_by_side(upgrade):
    file = FileFactory(media_type="text/plain", name="side.txt")
    earlier = job(file, "1", "succeeded", data={"pages": 1, "author": "x"}, warnings=["old", "both"])
    for name, content in (("gone", b"1"), ("same", b"2"), ("other", b"3"), ("longer", b"4")):
        artifact(earlier, name, content)
    plan(upgrade)
    later = job(file, "2", "succeeded", data={"pages": 2, "title": "y"}, warnings=["both", "new"], digest="z")
    for name, content in (("came", b"1"), ("same", b"2"), ("other", b"5"), ("longer", b"44")):
        artifact(later, name, content)
    found = Client().get(f"/backfills/{upgrade.pk}/report/files/{file.pk}/").json()
    assert found["outcome"] == "changed"
    assert found["data"] == [
        {"path": "/author", "old": "x"},
        {"path": "/pages", "old": 1, "new": 2},
        {"path": "/title", "new": "y"},
    ]
    assert found["cut"] is False
    assert found["artifacts"] == {"added": ["came"], "removed": ["gone"], "changed": ["longer", "other"]}
    assert found["warnings"] == {"added": ["new"], "removed": ["old"]}
    assert (found["earlier"]["job"], found["later"]["job"]) == (str(earlier.pk), str(later.pk))


def test_an_artifact_whose_bytes_are_gone_counts_as_changed(upgrade):
    file = FileFactory(media_type="text/plain")
    for version, digest in (("1", "a"), ("2", "b")):
        made = job(file, version, "succeeded", digest=digest)
        artifact(made, "a", b"1")
        if version == "1":
            plan(upgrade)
    default_storage.delete(made.artifacts.get().key)
    assert report.compare(upgrade, file.pk).artifacts["changed"] == ["a"]


def test_where_one_version_has_no_result_the_errors_say_it_all(upgrade):
    (file,) = before_and_after(upgrade, ("succeeded", "failed"), error="Too odd.")
    found = report.compare(upgrade, file.pk)
    assert (found.data, found.later.error) == ([], "Too odd.")


def test_a_thousand_differences_are_enough(upgrade):
    file = FileFactory(media_type="text/plain")
    job(file, "1", "succeeded")
    plan(upgrade)
    job(file, "2", "succeeded", data={str(number): number for number in range(1001)}, digest="z")
    found = report.compare(upgrade, file.pk)
    assert (len(found.data), found.cut) == (1000, True)


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ({}, {}, []),
        ({"a": 1}, {"a": 1.0}, [{"path": "/a", "old": 1, "new": 1.0}]),
        ({"a": 1}, {"a": True}, [{"path": "/a", "old": 1, "new": True}]),
        ({"a": None}, {}, [{"path": "/a", "old": None}]),
        ({}, {"a": None}, [{"path": "/a", "new": None}]),
        ({"a": [1]}, {"a": {"0": 1}}, [{"path": "/a", "old": [1], "new": {"0": 1}}]),
        ({"a/b": {"~": 1}}, {"a/b": {"~": 2}}, [{"path": "/a~1b/~0", "old": 1, "new": 2}]),
        ([1, 2, 3], [0, 1, 2, 3], [{"path": "/0", "new": 0}]),
        ([1, 2, 3], [1, 3], [{"path": "/1", "old": 2}]),
        ([{"x": 1}, 2], [{"x": 3}, 2], [{"path": "/0/x", "old": 1, "new": 3}]),
        (list(range(600)), [9, *range(1, 600), 7], [{"path": "/0", "old": 0, "new": 9}, {"path": "/600", "new": 7}]),
        ([[[1]]], [[[2]]], [{"path": "/0/0/0", "old": 1, "new": 2}]),
    ],
)
def test_data_differ_member_by_member(old, new, found):
    assert list(differences.of_data(old, new)) == found


def test_data_may_be_nested_deeper_than_python_calls():
    deep: Any = 1
    for _ in range(5000):
        deep = {"a": deep}
    other: Any = 2
    for _ in range(5000):
        other = {"a": other}
    ((path, old, new),) = ((each["path"], each["old"], each["new"]) for each in differences.of_data(deep, other))
    assert (path, old, new) == ("/a" * 5000, 1, 2)


@pytest.mark.parametrize("many", [1, 50])
def test_the_figures_take_three_statements_however_many_files_there_are(upgrade, many):
    before_and_after(upgrade, *[("succeeded", "succeeded")] * many)
    with CaptureQueriesContext(connection) as asked:
        report.counts(upgrade)
    assert len(asked) <= 3
