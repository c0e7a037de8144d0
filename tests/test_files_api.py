"""The list, a single file, processors, health: what they say and do, and that every error is JSON."""

import hashlib
import re
import time
import urllib.request
import uuid
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.management import CommandError, call_command
from django.test import Client
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from picasso_core.api.filters import FileFilters
from picasso_core.api.pagination import PARAMETERS
from picasso_core.models import Artifact, File, Job, Switch
from tests.clock import advance
from tests.factories import ECHO, FileFactory, JobFactory, OfferFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def client() -> Client:
    return Client(raise_request_exception=False)


@pytest.fixture(autouse=True)
def rung(monkeypatch, silent_doorbell) -> list[tuple[str, str]]:
    """Note what would be published."""
    monkeypatch.setattr(
        "picasso_core.api.jobs_view.publish_soon", lambda file_id, queue: silent_doorbell.append((str(file_id), queue))
    )
    return silent_doorbell


def assert_error(response, status: int, code: str) -> str:
    assert (response.status_code, response["Content-Type"]) == (status, "application/json")
    body = response.json()
    (error,) = body["errors"]
    assert (body["type"], error["code"], error["attr"]) == ("client_error", code, None)
    return error["detail"]


def files(*names: str) -> list[File]:
    """Make Files that came a minute apart."""
    begun = datetime(2026, 1, 1, tzinfo=UTC)
    return [FileFactory(name=name, uploaded_at=begun + timedelta(minutes=age)) for age, name in enumerate(names)]


def walk(client, url: str, direction: str = "next") -> list[dict]:
    """Return the files of every page from ``url`` on."""
    found = []
    while url:
        page = client.get(url).json()
        found += page["results"] if direction == "next" else page["results"][::-1]
        url = page[direction]
    return found


# --- The list --------------------------------------------------------------------------------------------------------


def test_the_list_is_empty_at_first(client):
    assert client.get("/files/").json() == {"next": None, "previous": None, "results": []}


def test_the_list_has_every_file_newest_first_with_the_states_of_its_jobs(client):
    old, _ = files("old", "new")
    JobFactory(file=old, processor="text", version="2", state="succeeded", data={"big": "x" * 1000})
    JobFactory(file=old, processor="echo", state="running")
    JobFactory(file=old, processor="gpu", state="waiting")
    first, second = client.get("/files/").json()["results"]
    assert [first["name"], second["name"]] == ["new", "old"]
    assert first["jobs"] == []
    assert second["id"] == str(old.pk)
    assert second["jobs"] == [
        {"processor": "echo", "version": "1", "state": "running"},
        {"processor": "gpu", "version": "1", "state": "waiting"},
        {"processor": "text", "version": "2", "state": "succeeded"},
    ]
    assert second["pending"] == 2
    assert "identified_by" not in second


@pytest.mark.parametrize("status", File.Status.values)
def test_a_page_takes_two_queries_however_long_it_is(client, django_assert_num_queries, status):
    for _ in range(3):
        JobFactory(file=FileFactory(status=status, media_type=ECHO), state="waiting")
    with django_assert_num_queries(2):
        assert len(client.get("/files/").json()["results"]) == 3


@pytest.mark.parametrize(("asked", "given"), [("3", 3), ("1000", 1000), ("1001", 1000), ("9" * 5000, 1000), ("007", 7)])
def test_a_page_is_as_long_as_asked_for_up_to_1000(client, asked, given):
    File.objects.bulk_create(File(name=str(number), size=1) for number in range(1002))
    page = client.get("/files/", {"page_size": asked}).json()
    assert len(page["results"]) == given
    assert page["next"].startswith("http://testserver/files/?")
    assert page["previous"] is None


def test_pages_hold_each_file_once_though_many_came_at_the_same_moment(client):
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    for age in (0, 0, 0, 0, 0, 1, 2, 2, 2):
        FileFactory(uploaded_at=moment - timedelta(seconds=age))
    expected = [str(file.pk) for file in File.objects.order_by("-uploaded_at", "-id")]
    for size in (1, 2, 3, 4, 5, 9, 10):
        assert [file["id"] for file in walk(client, f"/files/?page_size={size}")] == expected


def test_pages_go_back_as_they_went_forward(client):
    files(*"0123456")
    pages = [url := "/files/?page_size=2"]
    while url := client.get(url).json()["next"]:
        pages.append(url)
    assert [file["name"] for file in walk(client, pages[-1], "previous")] == list("0123456")


def test_what_comes_in_between_two_pages_does_not_move_them(client):
    files(*"0123")
    page = client.get("/files/?page_size=2").json()
    FileFactory(name="new", uploaded_at=datetime(2026, 2, 1, tzinfo=UTC))
    assert [file["name"] for file in page["results"] + walk(client, page["next"])] == ["3", "2", "1", "0"]


def cursor(**fields: str) -> str:
    return b64encode(urlencode(fields).encode()).decode()


ID = "019e1b6c-2f6a-7cc3-98c4-dc0c0c07398f"


@pytest.mark.parametrize(
    "token",
    [
        "nonsense",
        "\x00",
        "é",
        cursor(p="2026-01-01"),
        cursor(i=ID),
        cursor(p="2026-01-01", i="1"),
        cursor(p="2026-01-01", i=ID, s="name"),
        *(
            cursor(p=position, i=ID)
            for position in (
                "nonsense",
                "2026-13-01",
                "\x00",
                "0001-01-01T00:00:00+23:59",
                "9999-12-31T23:59:59-23:59",
                "1e400",
            )
        ),
    ],
)
def test_a_cursor_of_ones_own_making_is_404(client, token):
    assert "follow the URLs" in assert_error(client.get("/files/", {"cursor": token}), 404, "not_found")


@pytest.mark.parametrize(
    ("ordering", "position"), [("size", "-1"), ("size", "9" * 30), ("size", "1.5"), ("name", "\0"), ("name", "x" * 256)]
)
def test_so_is_one_for_another_ordering(client, ordering, position):
    token = cursor(p=position, i=ID, s=ordering)
    assert_error(client.get("/files/", {"cursor": token, "ordering": ordering}), 404, "not_found")


@hypothesis_settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.dictionaries(
        st.sampled_from([*FileFilters.base_filters, *PARAMETERS, "format"]) | st.text(),
        st.text() | st.binary().map(lambda value: b64encode(value).decode()) | st.integers().map(str),
    )
)
def test_no_query_makes_the_list_fail(client, query):
    assert client.get("/files/", query).status_code in (200, 400, 404)


# --- Orderings -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 2, 3, 20])
@pytest.mark.parametrize("ordering", ["uploaded_at", "-uploaded_at", "name", "-name", "size", "-size"])
def test_pages_in_any_order_hold_each_file_once_there_and_back(client, ordering, size):
    for name, length in (("b", 2), ("a", 2), ("b", 1), ("ä😀", 1), ("a", 2), ("B", 3)):
        File.objects.create(name=name, size=length)
    expected = [str(file.pk) for file in File.objects.order_by(ordering, "-pk" if ordering[0] == "-" else "pk")]
    pages = [url := f"/files/?ordering={ordering}&page_size={size}"]
    assert [file["id"] for file in walk(client, url)] == expected
    while url := client.get(url).json()["next"]:
        pages.append(url)
    assert [file["id"] for file in walk(client, pages[-1], "previous")] == expected[::-1]


def test_many_files_of_one_name_are_no_trap(client):
    File.objects.bulk_create(File(name="scan.pdf", size=1) for _ in range(2500))
    assert len({file["id"] for file in walk(client, "/files/?ordering=name&page_size=1000")}) == 2500


def test_a_page_whose_last_file_is_deleted_has_the_same_next(client):
    files(*"01234")
    page = client.get("/files/?page_size=2").json()
    File.objects.filter(name="3").delete()
    assert [file["name"] for file in walk(client, page["next"])] == ["2", "1", "0"]


def test_pages_keep_the_filters(client):
    for number in range(5):
        FileFactory(name=str(number), status="failed" if number % 2 else "processed")
    url = "/files/?status=processed&name=&page_size=2&ordering=name".replace("name=&", "")
    assert [file["name"] for file in walk(client, url)] == ["0", "2", "4"]


# --- Filters ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def archive():
    """Four Files that differ in everything."""
    begun = datetime(2026, 1, 1, tzinfo=UTC)
    first = FileFactory(
        name="Holiday Ä.PNG",
        content=b"1",
        media_type="image/png",
        status="processed",
        processed=True,
        uploaded_at=begun,
    )
    JobFactory(file=first, processor="image", state="succeeded")
    JobFactory(file=first, processor="exif", state="failed")
    second = FileFactory(
        name="100%_sure.jpg",
        content=b"2",
        media_type="image/jpeg",
        status="partial",
        processed=True,
        uploaded_at=begun + timedelta(days=1),
    )
    JobFactory(file=second, processor="image", state="failed")
    third = FileFactory(
        name="notes.txt",
        content=b"3",
        media_type="text/plain",
        status="unsupported",
        uploaded_at=begun + timedelta(days=2),
    )
    fourth = FileFactory(name="new", content=b"4", uploaded_at=begun + timedelta(days=3))
    return [first, second, third, fourth]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", "1234"),
        ("status=processed", "1"),
        ("status=processed&status=partial", "12"),
        ("status=processed,partial,queued", "124"),
        ("status=failed", ""),
        ("processed=true", "12"),
        ("processed=false", "34"),
        ("media_type=image/png", "1"),
        ("media_type=IMAGE/PNG", "1"),
        ("media_type=image/*", "12"),
        ("media_type=text/*", "3"),
        ("media_type=imag/*", ""),
        ("media_type=image/p", ""),
        ("processor=image", "12"),
        ("processor=none", ""),
        ("job_state=failed", "12"),
        ("processor=image&job_state=failed", "2"),
        ("processor=exif&job_state=succeeded", ""),
        ("name=holiday", "1"),
        ("name=O", "13"),
        ("name=%25_", "2"),
        ("name=%20", "1"),
        (f"sha256={hashlib.sha256(b'3').hexdigest()}", "3"),
        (f"sha256={hashlib.sha256(b'3').hexdigest().upper()}", "3"),
        (f"sha256={'0' * 64}", ""),
        ("uploaded_after=2026-01-02T00:00:00Z", "234"),
        ("uploaded_before=2026-01-02T00:00:00Z", "1"),
        ("uploaded_after=2026-01-02T00:00:00.001Z", "34"),
        ("uploaded_after=2026-01-02T01:00:00%2B01:00&uploaded_before=2026-01-04T00:00:00Z", "23"),
        ("uploaded_after=0001-01-01T00:00:00%2B23:00", "1234"),
        ("uploaded_before=9999-12-31T23:59:59-23:00", "1234"),
        ("status=partial&media_type=image/*&processed=true&name=sure", "2"),
    ],
)
def test_the_list_is_narrowed(client, archive, django_assert_num_queries, query, found):
    with django_assert_num_queries(2 if found else 1):
        results = client.get(f"/files/?ordering=uploaded_at&{query}").json()["results"]
    assert [file["id"] for file in results] == [str(archive[int(number) - 1].pk) for number in found]


def test_a_file_is_found_by_the_time_that_it_shows(client):
    FileFactory()
    (file,) = client.get("/files/").json()["results"]
    for parameter, found in (("uploaded_after", 1), ("uploaded_before", 0)):
        assert len(client.get("/files/", {parameter: file["uploaded_at"]}).json()["results"]) == found


@pytest.mark.parametrize(
    ("query", "code", "sentence"),
    [
        ("status=done", "invalid_choice", "'done' is no status: choose among queued, processing,"),
        ("status=queued,", "invalid_choice", "choose among queued"),
        ("processed=yes", "invalid_choice", "choose among true, false"),
        ("media_type=image", "invalid", "image/*"),
        ("media_type=*/*", "invalid", "image/*"),
        ("job_state=done", "invalid_choice", "choose among queued"),
        ("sha256=abc", "invalid", "64 hexadecimal digits"),
        ("name=%00", "null_characters_not_allowed", "Null"),
        ("uploaded_after=yesterday", "invalid", "2026-11-23T12:00:00Z"),
        ("uploaded_after=2026-01-01T00:00:00+01:00", "invalid", "%2B"),
        ("uploaded_before=2026-01-01T00:00:00", "no_zone", "Z for UTC"),
        ("uploaded_before=2026-01-01", "no_zone", "Z for UTC"),
        ("ordering=age", "invalid", "choose among -uploaded_at, uploaded_at"),
        ("page_size=0", "invalid", "from 1 to 1000"),
        ("page_size=-1", "invalid", "from 1 to 1000"),
        ("page_size=x", "invalid", "from 1 to 1000"),
        ("page_size=1.5", "invalid", "from 1 to 1000"),
        ("page_size=٣", "invalid", "from 1 to 1000"),
        ("sha256=", "empty", "leave it out"),
        ("name=a&name=b", "repeated", "more than once"),
        ("staus=failed", "unknown_parameter", "did you mean 'status'?"),
        ("limit=5", "unknown_parameter", "there are status,"),
    ],
)
def test_what_is_not_understood_is_refused_with_what_would_be(client, archive, query, code, sentence):
    response = client.get(f"/files/?{query}")
    (error,) = response.json()["errors"]
    assert (response.status_code, response.json()["type"], error["code"]) == (400, "validation_error", code)
    assert error["attr"] == query.partition("=")[0]
    assert sentence in error["detail"]


# --- One file --------------------------------------------------------------------------------------------------------


def test_a_file_is_shown_with_each_job_whole(client, django_assert_num_queries):
    file = FileFactory(media_type=ECHO, identified_by=[{"by": "echo", "says": ECHO, "why": "its first bytes"}])
    done = JobFactory(
        file=file, state="succeeded", data={"text": "hello"}, warnings=["short"], detail="operators only", attempts=1
    )
    JobFactory(file=file, processor="other", state="failed", error_code="invalid_file", error="It is broken.")
    for name in ("b.txt", "a.png"):
        Artifact.objects.create(job=done, name=name, media_type="text/plain", size=5, key="artifacts/x")
    with django_assert_num_queries(3):
        body = client.get(f"/files/{file.pk}/").json()
    assert list(body)[-3:] == ["identified_by", "jobs", "history"]
    assert body["identified_by"] == [{"by": "echo", "says": ECHO, "why": "its first bytes"}]
    first, second = body["jobs"]
    base = f"http://testserver/files/{file.pk}/artifacts/echo"
    artifacts = [
        {"name": name, "media_type": "text/plain", "size": 5, "url": f"{base}/{name}/"} for name in ("a.png", "b.txt")
    ]
    assert {key: value for key, value in first.items() if not key.endswith("_at")} == {
        "id": str(done.pk),
        "processor": "echo",
        "version": "1",
        "distribution": "picasso-echo 0.1.0",
        "state": "succeeded",
        "attempts": 1,
        "data": {"text": "hello"},
        "artifacts": artifacts,
        "warnings": ["short"],
        "error": None,
        "newer": None,
    }
    assert {"queued_at", "started_at", "finished_at"} < set(first)
    assert (second["state"], second["error"]) == ("failed", {"code": "invalid_file", "message": "It is broken."})
    assert "operators only" not in str(body)


@pytest.mark.parametrize(
    ("status", "job", "reason"),
    [
        ("queued", None, "It waits for a worker."),
        ("processing", None, "Its media type is being identified."),
        ("processing", {"state": "running"}, "At work: echo."),
        ("processed", {"state": "succeeded"}, ""),
        ("failed", {"state": "failed", "error_code": "timeout", "error": "Too slow."}, "echo: Too slow."),
        ("unsupported", None, f"No processor here takes {ECHO} files."),
        ("unsupported", {"state": "declined", "error": "Not mine."}, "echo declined: Not mine."),
        ("unsupported", {"state": "waiting", "error": "No GPU."}, "echo cannot run now: No GPU."),
    ],
)
def test_the_reason_says_why_in_a_sentence(client, status, job, reason):
    file = FileFactory(media_type=ECHO, status=status)
    if job:
        JobFactory(file=file, **job)
    assert client.get(f"/files/{file.pk}/").json()["reason"] == reason


# --- Delete ----------------------------------------------------------------------------------------------------------


def stored(folders) -> list:
    return [path for path in (folders / "storage").rglob("*") if path.is_file()]


def test_a_deleted_file_is_gone_with_everything_of_it(client, folders):
    file = FileFactory(media_type=ECHO)
    for number, state in enumerate(("succeeded", "failed", "running")):
        job = JobFactory(file=file, processor=f"p{number}", state=state)
        key = default_storage.save(f"artifacts/{number}", ContentFile(b"x"))
        Artifact.objects.create(job=job, name="a.txt", media_type="text/plain", size=1, key=key)
    kept = FileFactory(name="kept")
    response = client.delete(f"/files/{file.pk}/")
    assert (response.status_code, response.content) == (204, b"")
    assert (File.objects.get(), Job.objects.count(), Artifact.objects.count()) == (kept, 0, 0)
    assert [path.name for path in stored(folders)] == [str(kept.pk)]
    for method in (client.delete, client.get):
        assert_error(method(f"/files/{file.pk}/"), 404, "not_found")
    assert_error(client.post(f"/files/{file.pk}/retry/"), 404, "not_found")


def test_a_file_whose_bytes_are_gone_already_can_be_deleted(client):
    file = FileFactory()
    default_storage.delete(file.file.name)
    assert client.delete(f"/files/{file.pk}/").status_code == 204


def test_a_file_deleted_while_a_job_runs_leaves_nothing_behind(instance):
    file = instance.upload(b"picasso-echo\nsleep 3\n")
    path = f"/files/{file['id']}/"
    instance.wait_until(lambda: [job for job in instance.get(path)["jobs"] if job["state"] == "running"], 20)
    request = urllib.request.Request(instance.url + path, method="DELETE")
    begun = time.monotonic()
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert answer.status == 204
    assert time.monotonic() - begun < 2
    assert instance.get(path) is None
    # The one worker thread is through with it once a later file is.
    after = instance.ended(instance.upload(b"picasso-echo\nhello\n"))
    time.sleep(4)
    listed = {each["id"] for each in instance.get("/files/?page_size=1000")["results"]}
    assert after["id"] in listed
    assert file["id"] not in listed
    assert [found for found in (instance.data / "storage").rglob("*") if file["id"] in found.name] == []
    assert "Traceback" not in instance.log.read_text()


# --- Retry -----------------------------------------------------------------------------------------------------------


def test_failed_jobs_are_run_again_as_new(client, rung):
    file = FileFactory(media_type=ECHO, status="partial")
    failed = {"state": "failed", "attempts": 3, "error_code": "timeout", "error": "Too slow."}
    JobFactory(file=file, processor="a", queue="one", **failed)
    JobFactory(file=file, processor="b", queue="two", **failed)
    JobFactory(file=file, processor="c", queue="two", **failed)
    JobFactory(file=file, processor="d", queue="three", state="succeeded")
    response = client.post(f"/files/{file.pk}/retry/")
    body = response.json()
    assert (response.status_code, body["id"], body["status"], body["pending"]) == (202, str(file.pk), "processing", 3)
    assert [(job["state"], job["attempts"], job["error"]) for job in body["jobs"][:3]] == [("queued", 0, None)] * 3
    assert body["jobs"][3]["state"] == "succeeded"
    assert body == client.get(f"/files/{file.pk}/").json()
    assert sorted(rung) == [(str(file.pk), "one"), (str(file.pk), "two")]


@pytest.mark.parametrize("state", [None, "queued", "running", "succeeded", "declined", "waiting"])
def test_where_nothing_has_failed_there_is_nothing_to_retry(client, rung, state):
    file = FileFactory(media_type=ECHO)
    if state:
        JobFactory(file=file, state=state)
    assert "No job" in assert_error(client.post(f"/files/{file.pk}/retry/"), 409, "nothing_to_retry")
    assert rung == []


# --- The contract and its page ---------------------------------------------------------------------------------------


def test_the_contract_and_its_page_are_open_to_everybody(client, settings):
    settings.PICASSO_TOKENS = ["t" * 32]
    contract = client.get("/schema/")
    assert (contract.status_code, contract["Content-Type"]) == (200, "application/yaml")
    assert contract.content.startswith(b"openapi: 3.1.0")
    assert client.get("/schema/?format=json").json()["openapi"] == "3.1.0"
    assert client.get("/schema/", headers={"accept": "application/json"}).json()["info"]["title"] == "Picasso"
    page = client.get("/docs/", headers={"authorization": "Bearer wrong"}).content.decode()
    assert "http" not in page
    for asset in re.findall(r'(?:src|href)="([^"]+)"', page):
        answer = client.get(f"/docs/{asset}")
        assert (answer.status_code, b"".join(answer) != b"") == (200, True), asset
        answer.close()
    for path in ("/docs/other.js", "/docs/..%2f..%2f__init__.py", "/docs/."):
        assert_error(client.get(path), 404, "not_found")


# --- Nothing there, not allowed --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "/nothing/",
        "/files/abc/",
        "/files/abc/content/",
        "/files/00000000-0000-0000-0000-00000000000/",
        "/files/../../etc/passwd",
        "/files/%2e%2e%2f%2e%2e%2fetc%2fpasswd/",
        "/files/%00/",
        "/%ff%fe/",
        "/" + "x" * 5000,
        "/favicon.ico",
    ],
)
def test_no_such_path_is_404(client, path):
    assert assert_error(client.get(path), 404, "not_found").startswith("There is nothing at /")


@pytest.mark.parametrize("path", ["/files", "/upload", "/processors"])
def test_a_missing_slash_is_404_with_the_right_path(client, path):
    assert f"Did you mean {path}/ ?" in assert_error(client.get(path), 404, "not_found")


@pytest.mark.parametrize("path", ["", "content/", "artifacts/echo/a.txt/"])
def test_an_unknown_id_is_404(client, path):
    assert assert_error(client.get(f"/files/{uuid.uuid4()}/{path}"), 404, "not_found") != "Not found."


@pytest.mark.parametrize("state", ["running", "failed"])
def test_an_artifact_that_is_not_there_is_404(client, state):
    job = JobFactory(state=state)
    Artifact.objects.create(job=job, name="a.txt", media_type="text/plain", size=1, key="artifacts/x")
    for name in ("a.txt", "b.txt", "..", "%2e%2e%2fa.txt", "%00"):
        assert_error(client.get(f"/files/{job.file_id}/artifacts/echo/{name}/"), 404, "not_found")


def test_bytes_that_are_gone_are_404(client):
    file = FileFactory()
    default_storage.delete(file.file.name)
    detail = assert_error(client.get(f"/files/{file.pk}/content/"), 404, "not_found")
    assert detail == "The stored bytes are missing."


@pytest.mark.parametrize("path", ["/", "/files/", "/files/{}/", "/files/{}/content/", "/processors/", "/livez"])
@pytest.mark.parametrize("method", ["post", "put", "patch"])
def test_what_only_shows_cannot_be_written_to(client, path, method):
    response = getattr(client, method)(path.format(FileFactory().pk))
    assert_error(response, 405, "method_not_allowed")
    assert "GET" in response["Allow"]


def test_an_unknown_host_is_400_as_json(client):
    assert "Host" in assert_error(client.get("/files/", headers={"host": "evil.example"}), 400, "unknown_host")


# --- The rest --------------------------------------------------------------------------------------------------------


def test_a_processor_that_is_absent_for_a_month_is_no_longer_listed(client):
    OfferFactory(processor="gone", withdrawn=True)
    advance(29 * 24 * 3600)
    assert [offer["processor"] for offer in client.get("/processors/").json()] == ["gone"]
    advance(2 * 24 * 3600)
    OfferFactory()
    assert [offer["processor"] for offer in client.get("/processors/").json()] == ["echo"]


def test_an_operator_can_forget_an_absent_processor_and_its_results_stay(client, capsys):
    OfferFactory(processor="gone", withdrawn=True)
    OfferFactory()
    file = FileFactory(media_type=ECHO, status="processed")
    JobFactory(file=file, processor="gone", state="succeeded", data={"kept": True})
    call_command("processors", forget="gone")
    assert [offer["processor"] for offer in client.get("/processors/").json()] == ["echo"]
    assert client.get(f"/files/{file.pk}/").json()["jobs"][0]["data"] == {"kept": True}
    for name, sentence in (("echo", "Workers have 'echo'"), ("gone", "No worker has ever had a processor 'gone'.")):
        with pytest.raises(CommandError, match=sentence):
            call_command("processors", forget=name)
    assert [offer["processor"] for offer in client.get("/processors/").json()] == ["echo"]


def test_processors_are_listed_with_what_keeps_them_from_running(client):
    OfferFactory()
    OfferFactory(processor="gpu", error="No GPU.")
    OfferFactory(processor="off")
    Switch.objects.create(processor="off", enabled=False)
    OfferFactory(processor="gone", withdrawn=True)
    listed = {offer["processor"]: offer for offer in client.get("/processors/").json()}
    assert {name: offer["state"] for name, offer in listed.items()} == {
        "echo": "ready",
        "gpu": "broken",
        "off": "off",
        "gone": "absent",
    }
    assert (listed["echo"]["media_types"], listed["gpu"]["error"]) == ([ECHO], "No GPU.")


def test_the_root_names_the_endpoints(client):
    where = client.get("/").json()
    assert {"upload", "files", "processors", "backfills", "events", "webhooks", "status", "docs"} <= where.keys()
    assert where["upload"] == "http://testserver/upload/"
    for name, url in where.items():
        assert client.get(url).status_code == (405 if name == "upload" else 200)


def test_it_lives_without_asking_the_database(client, django_assert_num_queries):
    with django_assert_num_queries(0):
        assert client.get("/livez").json() == {"status": "ok"}


def test_it_is_ready_when_database_and_storage_are(client, folders):
    assert client.get("/readyz").json() == {"database": "ok", "storage": "ok"}
    assert list((folders / "storage" / "incoming").iterdir()) == []


def test_it_is_not_ready_without_a_storage(client, folders):
    (folders / "storage").touch()
    response = client.get("/readyz")
    assert (response.status_code, response.json()["database"]) == (503, "ok")
    assert response.json()["storage"].startswith("away")
    assert int(response["Retry-After"]) > 0


def test_of_several_versions_the_file_shows_one_and_keeps_the_others_as_history(client):
    file = FileFactory(media_type=ECHO, status="processed", processed=True)
    for version, state in (("0", "failed"), ("1", "succeeded"), ("2", "failed")):
        time.sleep(0.002)  # ids tell which came first, to the millisecond
        fields = {"data": {"by": version}} if state == "succeeded" else {"error_code": "invalid_file", "error": "Odd."}
        JobFactory(file=file, version=version, state=state, current=version == "1", **fields)
    listed = client.get("/files/").json()["results"][0]
    assert listed["jobs"] == [{"processor": "echo", "version": "1", "state": "succeeded"}]
    assert (listed["status"], listed["reason"], listed["pending"]) == ("processed", "", 0)
    whole = client.get(f"/files/{file.pk}/").json()
    (shown,) = whole["jobs"]
    assert (shown["version"], shown["data"]) == ("1", {"by": "1"})
    assert shown["newer"] == {"version": "2", "state": "failed", "error": "Odd."}
    assert [(job["version"], job["state"]) for job in whole["history"]] == [("0", "failed"), ("2", "failed")]
