"""The list, a single file, downloads, processors, health: what they say, and that every error is JSON."""

import uuid
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.test import Client
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from picasso_core.models import Artifact, File
from tests.factories import ECHO, FileFactory, JobFactory, OfferFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def client() -> Client:
    return Client(raise_request_exception=False)


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


@pytest.mark.parametrize(("asked", "given"), [("3", 3), ("1000", 1000), ("1001", 1000), ("0", 100), ("x", 100)])
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


@pytest.mark.parametrize(
    "position", ["nonsense", "2026-13-01", "\x00", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "1e400"]
)
def test_a_cursor_of_ones_own_making_is_404(client, position):
    cursor = b64encode(urlencode({"p": position}).encode()).decode()
    assert assert_error(client.get("/files/", {"cursor": cursor}), 404, "not_found") == "Invalid cursor"


def test_a_cursor_without_a_time_zone_is_understood(client):
    FileFactory()
    for position in ("2099-01-01", "2099-01-01T00:00:00", "2099-01-01T00:00:00+01:00"):
        cursor = b64encode(urlencode({"p": position}).encode()).decode()
        assert len(client.get("/files/", {"cursor": cursor}).json()["results"]) == 1


@hypothesis_settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.dictionaries(
        st.sampled_from(["cursor", "page_size", "format", "ordering", "search"]),
        st.text() | st.binary().map(lambda value: b64encode(value).decode()) | st.integers().map(str),
    )
)
def test_no_query_makes_the_list_fail(client, query):
    assert client.get("/files/", query).status_code in (200, 404)


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
    assert list(body)[-2:] == ["identified_by", "jobs"]
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
        ("unsupported", None, f"No installed processor accepts {ECHO}."),
        ("unsupported", {"state": "declined", "error": "Not mine."}, "echo declined: Not mine."),
        ("unsupported", {"state": "waiting", "error": "No GPU."}, "echo cannot run now: No GPU."),
    ],
)
def test_the_reason_says_why_in_a_sentence(client, status, job, reason):
    file = FileFactory(media_type=ECHO, status=status)
    if job:
        JobFactory(file=file, **job)
    assert client.get(f"/files/{file.pk}/").json()["reason"] == reason


# --- Downloads -------------------------------------------------------------------------------------------------------


def assert_harmless(response, content: bytes, disposition: str, media_type: str) -> None:
    assert (response.status_code, response.getvalue()) == (200, content)
    assert response["Content-Disposition"] == disposition
    assert response["Content-Type"] == media_type
    assert response["Content-Length"] == str(len(content))
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert response["Cross-Origin-Resource-Policy"] == "same-site"
    assert "private" in response["Cache-Control"]


@pytest.mark.parametrize(
    ("name", "media_type", "disposition", "served"),
    [
        ("page.html", "text/html", 'attachment; filename="page.html"', "text/html"),
        ("image.svg", "image/svg+xml", 'attachment; filename="image.svg"', "image/svg+xml"),
        ("new.bin", None, 'attachment; filename="new.bin"', "application/octet-stream"),
        ('a"; filename="b\\', None, 'attachment; filename="a\\"; filename=\\"b\\\\"', "application/octet-stream"),
        (
            "naïve 😀.txt",
            None,
            "attachment; filename*=utf-8''na%C3%AFve%20%F0%9F%98%80.txt",
            "application/octet-stream",
        ),
    ],
)
def test_the_content_comes_as_an_attachment_that_no_browser_runs(client, name, media_type, disposition, served):
    file = FileFactory(content=b"<script>alert(1)</script>", name=name, media_type=media_type)
    assert_harmless(client.get(f"/files/{file.pk}/content/"), b"<script>alert(1)</script>", disposition, served)


def test_an_artifact_comes_as_an_attachment_that_no_browser_runs(client):
    job = JobFactory(state="succeeded")
    key = default_storage.save("artifacts/x", ContentFile(b"<svg/>"))
    Artifact.objects.create(job=job, name="preview.svg", media_type="image/svg+xml", size=6, key=key)
    response = client.get(f"/files/{job.file_id}/artifacts/echo/preview.svg/")
    assert_harmless(response, b"<svg/>", 'attachment; filename="preview.svg"', "image/svg+xml")


def test_of_two_versions_the_artifact_of_the_latest_success_is_served(client):
    file = FileFactory(media_type=ECHO)
    for version, state, age in (("1", "succeeded", 3), ("2", "succeeded", 2), ("3", "failed", 1)):
        finished = datetime.now(UTC) - timedelta(hours=age)
        job = JobFactory(file=file, version=version, state=state, finished_at=finished)
        key = default_storage.save(f"artifacts/{version}", ContentFile(version.encode()))
        Artifact.objects.create(job=job, name="a.txt", media_type="text/plain", size=1, key=key)
    assert client.get(f"/files/{file.pk}/artifacts/echo/a.txt/").getvalue() == b"2"


def test_a_large_file_is_streamed(client):
    content = bytes(range(256)) * 8192
    response = client.get(f"/files/{FileFactory(content=content).pk}/content/")
    assert response.streaming
    assert response.getvalue() == content


@pytest.mark.parametrize("accept", ["image/*", "application/octet-stream", "text/html", "nonsense"])
def test_a_download_does_not_ask_what_the_client_accepts(client, accept):
    file = FileFactory()
    assert client.get(f"/files/{file.pk}/content/", headers={"accept": accept}).getvalue() == b"picasso-echo\nhello\n"
    missing = client.get(f"/files/{uuid.uuid4()}/content/", headers={"accept": accept})
    assert_error(missing, 404, "not_found")


def test_head_tells_the_size_without_the_bytes(client):
    response = client.head(f"/files/{FileFactory().pk}/content/")
    assert (response.status_code, response["Content-Length"]) == (200, "19")
    assert response.getvalue() == b""


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
@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_what_only_shows_cannot_be_written_to(client, path, method):
    response = getattr(client, method)(path.format(FileFactory().pk))
    assert_error(response, 405, "method_not_allowed")
    assert "GET" in response["Allow"]


def test_an_unknown_host_is_400_as_json(client):
    assert "evil.example" in assert_error(client.get("/files/", headers={"host": "evil.example"}), 400, "bad_request")


# --- The rest --------------------------------------------------------------------------------------------------------


def test_processors_are_listed_with_what_keeps_them_from_running(client):
    OfferFactory()
    OfferFactory(processor="gpu", error="No GPU.")
    OfferFactory(processor="off", enabled=False)
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
    assert client.get("/").json() == {name: f"http://testserver/{name}/" for name in ("upload", "files", "processors")}


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
