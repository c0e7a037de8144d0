"""Downloads: harmless to a browser, in parts, on conditions, and the same over a real connection."""

import hashlib
import http.client
import uuid
from datetime import UTC, datetime

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.test import Client
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from picasso_core.models import Artifact
from tests.factories import ECHO, FileFactory, JobFactory

pytestmark = pytest.mark.django_db
DIGITS = b"0123456789"


@pytest.fixture
def client() -> Client:
    return Client(raise_request_exception=False)


def assert_error(response, status: int, code: str) -> str:
    assert (response.status_code, response["Content-Type"]) == (status, "application/json")
    (error,) = response.json()["errors"]
    assert error["code"] == code
    return error["detail"]


@pytest.fixture(params=["file", "artifact"])
def url(request) -> str:
    """Where ten digits are."""
    uploaded_at = datetime(2026, 1, 1, 12, 0, 0, 900_000, tzinfo=UTC)
    file = FileFactory(content=DIGITS, media_type=ECHO, uploaded_at=uploaded_at)
    if request.param == "file":
        return f"/files/{file.pk}/content/"
    job = JobFactory(file=file, state="succeeded", finished_at=uploaded_at)
    key = default_storage.save("artifacts/x", ContentFile(DIGITS))
    Artifact.objects.create(job=job, name="digits", media_type="text/plain", size=10, key=key)
    return f"/files/{file.pk}/artifacts/echo/digits/"


# --- Harmless --------------------------------------------------------------------------------------------------------


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


def test_of_several_versions_the_artifact_of_the_one_that_the_file_shows_is_served(client):
    file = FileFactory(media_type=ECHO)
    for version, state in (("1", "succeeded"), ("2", "succeeded"), ("3", "failed")):
        job = JobFactory(file=file, version=version, state=state, current=version == "2")
        key = default_storage.save(f"artifacts/{version}", ContentFile(version.encode()))
        Artifact.objects.create(job=job, name="a.txt", media_type="text/plain", size=1, key=key)
    assert client.get(f"/files/{file.pk}/artifacts/echo/a.txt/").getvalue() == b"2"
    whole = client.get(f"/files/{file.pk}/").json()
    assert client.get(whole["jobs"][0]["artifacts"][0]["url"]).getvalue() == b"2"
    assert client.get(whole["history"][0]["artifacts"][0]["url"]).getvalue() == b"1"


@pytest.mark.parametrize(("query", "status"), [(f"job={uuid.UUID(int=0)}", 404), ("job=1", 400), ("version=1", 400)])
def test_an_artifact_of_another_job_is_not_served(client, query, status):
    job = JobFactory(state="succeeded")
    Artifact.objects.create(job=job, name="a.txt", media_type="text/plain", size=1, key="artifacts/x")
    assert client.get(f"/files/{job.file_id}/artifacts/echo/a.txt/?{query}").status_code == status


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


# --- Ranges ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [
        ("bytes=0-0", 0, 0),
        ("bytes=2-4", 2, 4),
        ("bytes=7-", 7, 9),
        ("bytes=7-1000", 7, 9),
        ("bytes=0-" + "9" * 999, 0, 9),
        ("bytes=-3", 7, 9),
        ("bytes=-1000", 0, 9),
        ("Bytes= 2-4 ", 2, 4),
    ],
)
def test_one_range_is_answered_with_that_part(client, url, asked, first, last):
    response = client.get(url, headers={"range": asked})
    part = DIGITS[first : last + 1]
    assert (response.status_code, response.getvalue()) == (206, part)
    assert response["Content-Range"] == f"bytes {first}-{last}/10"
    assert response["Content-Length"] == str(len(part))
    assert response["Content-Disposition"].startswith("attachment")
    assert response["ETag"] == client.head(url)["ETag"]


@pytest.mark.parametrize("asked", ["bytes=10-", "bytes=10-20", "bytes=" + "9" * 50 + "-", "bytes=-0"])
def test_a_range_behind_the_end_is_416_and_told_how_much_there_is(client, url, asked):
    response = client.get(url, headers={"range": asked})
    assert "10 bytes" in assert_error(response, 416, "range_not_satisfiable")
    assert response["Content-Range"] == "bytes */10"


@pytest.mark.parametrize(
    "asked",
    [
        "bytes=0-1,3-4",
        "bytes=4-2",
        "bytes=-",
        "bytes=",
        "bytes=a-b",
        "bytes=1",
        "lines=1-2",
        "",
        "bytes=٣-",
        "bytes=--1",
    ],
)
def test_several_ranges_and_what_is_none_are_answered_with_everything(client, url, asked):
    response = client.get(url, headers={"range": asked})
    assert (response.status_code, response.getvalue()) == (200, DIGITS)
    assert response["Accept-Ranges"] == "bytes"
    assert "Content-Range" not in response


def test_an_empty_artifact_has_no_range(client):
    job = JobFactory(state="succeeded")
    key = default_storage.save("artifacts/x", ContentFile(b""))
    Artifact.objects.create(job=job, name="empty", media_type="text/plain", size=0, key=key)
    empty = f"/files/{job.file_id}/artifacts/echo/empty/"
    assert client.get(empty).getvalue() == b""
    for asked in ("bytes=0-", "bytes=-5"):
        assert client.get(empty, headers={"range": asked})["Content-Range"] == "bytes */0"


def test_a_range_goes_with_the_version_that_it_belongs_to(client, url):
    whole = client.head(url)
    for validator in (whole["ETag"], whole["Last-Modified"]):
        headers = {"range": "bytes=2-4", "if-range": validator}
        assert client.get(url, headers=headers).getvalue() == b"234"
    for validator in ('"other"', f"W/{whole['ETag']}", "Thu, 01 Jan 2026 12:00:01 GMT", ""):
        headers = {"range": "bytes=2-4", "if-range": validator}
        assert (client.get(url, headers=headers).getvalue()) == DIGITS


def test_a_large_file_comes_in_blocks_from_anywhere(client):
    content = bytes(range(256)) * 8192
    url = f"/files/{FileFactory(content=content).pk}/content/"
    response = client.get(url, headers={"range": "bytes=1000-1999999"})
    assert response.streaming
    blocks = list(response)
    response.close()
    assert b"".join(blocks) == content[1000:2_000_000]
    assert {len(block) for block in blocks[:-1]} == {256 * 1024}


@hypothesis_settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.dictionaries(
        st.sampled_from(["Range", "If-Range", "If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since"]),
        st.text(st.characters(max_codepoint=255)) | st.from_regex(r"\Abytes=[0-9]{0,30}-[0-9]{0,30}\Z"),
    )
)
def test_no_header_makes_a_download_fail(client, url, headers):
    response = client.get(url, headers=headers)
    assert response.status_code in (200, 206, 304, 412, 416)
    if response.status_code in (200, 206):
        assert len(response.getvalue()) == int(response["Content-Length"])


# --- Conditions ------------------------------------------------------------------------------------------------------


def test_the_tag_of_a_file_is_its_hash(client):
    file = FileFactory()
    assert client.head(f"/files/{file.pk}/content/")["ETag"] == f'"{file.sha256}"'


def test_another_result_has_another_tag(client):
    file, tags = FileFactory(media_type=ECHO), set()
    for version in "12":
        file.jobs.update(current=False)
        job = JobFactory(file=file, version=version, state="succeeded", finished_at=datetime.now(UTC))
        key = default_storage.save(f"artifacts/{version}", ContentFile(b"same size"))
        Artifact.objects.create(job=job, name="a.txt", media_type="text/plain", size=9, key=key)
        tags.add(client.head(f"/files/{file.pk}/artifacts/echo/a.txt/")["ETag"])
    assert len(tags) == 2


def test_what_the_client_has_is_not_sent_again(client, url):
    whole = client.head(url)
    conditions = [("if-none-match", value) for value in (whole["ETag"], f'"x", W/{whole["ETag"]}', "*")]
    conditions += [("if-modified-since", value) for value in (whole["Last-Modified"], "Sat, 01 Jan 2028 00:00:00 GMT")]
    for name, value in conditions:
        for method in (client.get, client.head):
            response = method(url, headers={name: value, "range": "bytes=2-4"})
            assert (response.status_code, response.content) == (304, b""), (name, value)
            assert (response["ETag"], response["Cache-Control"]) == (whole["ETag"], "private, no-cache")


def test_what_the_client_does_not_have_is_sent(client, url):
    for name, value in (
        ("if-none-match", '"x"'),
        ("if-none-match", "nonsense"),
        ("if-match", "*"),
        ("if-match", client.head(url)["ETag"]),
        ("if-modified-since", "Thu, 01 Jan 2026 11:59:59 GMT"),
        ("if-modified-since", "nonsense"),
        ("if-unmodified-since", "Thu, 01 Jan 2026 12:00:00 GMT"),
    ):
        assert client.get(url, headers={name: value}).getvalue() == DIGITS


def test_a_condition_that_does_not_hold_is_412(client, url):
    for name, value in (
        ("if-match", '"x"'),
        ("if-match", f"W/{client.head(url)['ETag']}"),
        ("if-unmodified-since", "Thu, 01 Jan 2026 11:59:59 GMT"),
    ):
        assert "If-Match" in assert_error(client.get(url, headers={name: value}), 412, "precondition_failed")


def test_head_says_what_get_would_and_asks_for_no_part(client, url):
    whole, head = client.get(url), client.head(url, headers={"range": "bytes=2-4"})
    assert (head.status_code, head.getvalue()) == (200, b"")
    assert {**head.headers} == {**whole.headers}
    whole.close()


# --- Over a real connection ------------------------------------------------------------------------------------------


def test_a_real_server_sends_just_those_bytes(instance):
    content = bytes(range(256)) * 4096
    file = instance.upload(content, "large.bin")
    connection = http.client.HTTPConnection(instance.url.removeprefix("http://"), timeout=10)
    # On one connection: a byte too many or too few would spoil the next answer.
    for method, headers, status, expected in (
        ("HEAD", {}, 200, b""),
        ("GET", {"Range": "bytes=1000-599999"}, 206, content[1000:600_000]),
        ("GET", {"Range": "bytes=-5"}, 206, content[-5:]),
        ("GET", {"If-None-Match": f'"{hashlib.sha256(content).hexdigest()}"'}, 304, b""),
        ("GET", {"Range": "bytes=1048576-"}, 416, None),
        ("HEAD", {"Range": "bytes=1048576-"}, 200, b""),
        ("GET", {}, 200, content),
    ):
        connection.request(method, f"/files/{file['id']}/content/", headers=headers)
        response = connection.getresponse()
        received = response.read()
        assert (response.status, response.getheader("Accept-Ranges") or "bytes") == (status, "bytes")
        assert expected is None or received == expected
        if method == "HEAD":
            assert response.getheader("Content-Length") == str(len(content))
    connection.close()
