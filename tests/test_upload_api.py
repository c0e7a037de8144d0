"""``POST /upload/`` and every way to get it wrong; whatever is refused leaves no row and no byte behind."""

import hashlib
import resource
import time
import unicodedata
import uuid
from contextlib import contextmanager
from email.message import Message
from pathlib import Path

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from hypothesis import HealthCheck, example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from picasso_core.models import File
from picasso_core.uploads import display_name

pytestmark = pytest.mark.django_db

FORM = "multipart/form-data; boundary=bnd"
HIDDEN = ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")


@pytest.fixture
def client() -> Client:
    return Client(raise_request_exception=False)


def part(content: bytes, *, name: str = "file", filename: str | bytes | None = "a.txt", headers: bytes = b"") -> bytes:
    """Make one part of a form; ``filename`` goes in as it is."""
    disposition = b'Content-Disposition: form-data; name="%s"' % name.encode()
    if filename is not None:
        disposition += b'; filename="%s"' % (filename if isinstance(filename, bytes) else filename.encode())
    return b"--bnd\r\n" + disposition + b"\r\n" + headers + b"\r\n" + content + b"\r\n"


def post(client, body: bytes, content_type: str = FORM, **headers):
    return client.generic("POST", "/upload/", body, content_type=content_type, **headers)


def upload(client, content: bytes = b"hello", **options):
    return post(client, part(content, **options) + b"--bnd--\r\n")


def stored(folders: Path) -> list[Path]:
    return [path for path in (folders / "storage").rglob("*") if path.is_file()]


def assert_refused(response, status: int, code: str, folders: Path) -> str:
    """Check the error and that nothing was kept; return the sentence."""
    assert (response.status_code, response["Content-Type"]) == (status, "application/json"), response.content
    body = response.json()
    (error,) = body["errors"]
    assert (body["type"], error["code"], error["attr"]) == ("client_error", code, None)
    assert error["detail"]
    assert "Traceback" not in error["detail"]
    assert not File.objects.exists()
    assert stored(folders) == []
    return error["detail"]


# --- Accepted --------------------------------------------------------------------------------------------------------


def test_an_upload_is_answered_with_the_file_and_its_place(client, folders):
    response = client.post("/upload/", {"file": SimpleUploadedFile("notes.txt", b"hello", "text/plain")})
    body = response.json()
    pk = uuid.UUID(body["id"])
    assert response.status_code == 201
    assert response["Location"] == f"http://testserver/files/{pk}/"
    assert list(body) == [
        "id", "file", "name", "size", "sha256", "duplicate_of", "media_type", "uploaded_at", "status", "processed",
        "pending", "reason", "jobs",
    ]  # fmt: skip
    assert body["file"] == f"http://testserver/files/{pk}/content/"
    assert (body["name"], body["size"], body["media_type"]) == ("notes.txt", 5, None)
    assert body["sha256"] == hashlib.sha256(b"hello").hexdigest()
    assert (body["status"], body["processed"], body["pending"], body["jobs"]) == ("queued", False, 0, [])
    assert body["reason"] == "It waits for a worker."
    file = File.objects.get()
    assert (file.pk, pk.version, file.declared_type, file.owner) == (pk, 7, "text/plain", None)
    assert file.due_at > file.uploaded_at
    (path,) = stored(folders)
    assert path.read_bytes() == b"hello"
    assert path == folders / "storage" / "files" / pk.hex[-2:] / str(pk)


def test_the_answer_is_what_the_file_itself_says(client):
    response = upload(client)
    assert response.json() == {
        key: value
        for key, value in client.get(response["Location"]).json().items()
        if key not in ("identified_by", "history")
    }


def test_an_upload_takes_one_query(client, django_assert_num_queries):
    with django_assert_num_queries(1):
        assert upload(client).status_code == 201


def test_the_doorbell_rings_once_after_the_commit(client, silent_doorbell, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        pk = upload(client).json()["id"]
        assert silent_doorbell == []
    assert silent_doorbell == [(pk, "picasso.v1")]


def test_the_same_content_twice_is_two_files_with_bytes_of_their_own(client, folders):
    first, second = upload(client).json(), upload(client).json()
    assert first["id"] != second["id"]
    assert first["sha256"] == second["sha256"]
    assert len({path.stat().st_ino for path in stored(folders)}) == 2


@pytest.mark.parametrize(
    "content",
    [b"x", b"\x00", b"\r\n", b"\r\n--bn", b"--bnd"[:-1] * 1000, b"\r\n" * 300_000, bytes(range(256)) * 4096],
    ids=["one byte", "NUL", "line end", "almost a boundary", "many of those", "line ends", "1 MiB"],
)
def test_bytes_are_kept_as_they_came(client, folders, content):
    body = upload(client, content).json()
    assert (body["size"], body["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())
    (path,) = stored(folders)
    assert path.read_bytes() == content


def test_text_fields_beside_the_file_do_no_harm(client):
    fields = b"".join(part(b"x" * 1000, name=f"field{number}", filename=None) for number in range(20))
    assert post(client, fields + part(b"hello") + fields + b"--bnd--\r\n").status_code == 201


def test_text_around_the_form_does_no_harm(client):
    assert post(client, b"preamble\r\n" + part(b"hello") + b"--bnd--\r\nepilogue" * 10).json()["size"] == 5


def test_a_file_of_exactly_the_limit_is_accepted_and_one_byte_more_is_not(client, settings, folders):
    settings.PICASSO_MAX_UPLOAD_BYTES = 600_000
    assert upload(client, b"x" * 600_000).status_code == 201
    File.objects.all().delete()
    for path in stored(folders):
        path.unlink()
    detail = assert_refused(upload(client, b"x" * 600_001), 413, "too_large", folders)
    assert "at most 600000 bytes" in detail


@pytest.mark.parametrize("declared", ["text/html", "a/" + "b" * 400, "no type at all", "text/\x00\x1bplain", "ä/ö"])
def test_a_declared_type_is_a_hint_that_may_be_nonsense(client, declared):
    response = upload(client, headers=b"Content-Type: " + declared.encode() + b"\r\n")
    assert response.status_code == 201
    assert response.json()["media_type"] is None
    assert "\x00" not in File.objects.get().declared_type


# --- Names -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("filename", "shown"),
    [
        ("../../etc/passwd", "passwd"),
        ("/etc/passwd", "passwd"),
        (r"C:\\Users\\me\\plan.doc", "plan.doc"),
        ("C:plan.doc", "C:plan.doc"),
        ("CON", "CON"),
        ("a\x00b.txt", "ab.txt"),
        ("a\x1b[31mb.txt", "a[31mb.txt"),
        ("a&#13;&#10;X-Evil: 1", "aX-Evil: 1"),
        ("evil\u202efdp.exe", "evilfdp.exe"),
        ("a\u2028b\u200bc\ufeff", "abc"),
        ("😀 café.txt", "😀 café.txt"),
        ("cafe\u0301.txt", "café.txt"),
        (" padded.txt ", "padded.txt"),
        ("   ", "unnamed"),
        ("\u202e", "unnamed"),
        ("<script>alert(1)</script>.svg", "script>.svg"),
        ("n" * 300, "n" * 255),
        ("n" * 254 + "  ..", "n" * 254),
        (b"caf\xe9.txt", "caf\ufffd.txt"),
        (".", None),
        ("..", None),
        ("uploads/", None),
        ("", None),
    ],
)
def test_a_name_is_cleaned_for_show_or_the_part_is_no_file(client, folders, filename, shown):
    response = upload(client, filename=filename)
    if shown is None:
        assert_refused(response, 400, "no_file", folders)
    else:
        assert (response.status_code, response.json()["name"]) == (201, shown)
        assert [path.name for path in stored(folders)] == [response.json()["id"]]


@pytest.mark.parametrize(
    ("encoded", "shown"),
    [
        ("UTF-8''na%C3%AFve.txt", "naïve.txt"),
        ("UTF-8''..%2F..%2Fetc%2Fpasswd", "passwd"),
        ("UTF-8''a%00b%0D%0AX: 1", "abX: 1"),
        ("UTF-8''%ED%A0%80.txt", "\ufffd\ufffd\ufffd.txt"),
        ("UTF-8''%E2%80%AEgpj.exe", "gpj.exe"),
    ],
)
def test_an_encoded_name_is_cleaned_as_well(client, encoded, shown):
    head = b'--bnd\r\nContent-Disposition: form-data; name="file"; filename*=' + encoded.encode() + b"\r\n\r\n"
    assert post(client, head + b"hello\r\n--bnd--\r\n").json()["name"] == shown


def test_a_name_in_an_unknown_encoding_is_no_reason_to_fail(client):
    head = b"--bnd\r\nContent-Disposition: form-data; name=\"file\"; filename*=hex''00\r\n\r\n"
    assert post(client, head + b"hello\r\n--bnd--\r\n").status_code in (201, 400)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("x" * 300 + ".tar.gz", "x" * 252 + ".gz"),
        ("x" * 251 + ".txt", "x" * 251 + ".txt"),
        ("x" * 300, "x" * 255),
        ("." + "x" * 300, "." + "x" * 254),
    ],
)
def test_a_name_that_is_too_long_keeps_its_extension(name, shown):
    assert display_name(name) == shown


@example("e\u200d\u0301")
@example("x" * 300 + ". ")
@given(st.text())
def test_what_is_shown_can_be_shown(name):
    shown = display_name(name)
    assert 0 < len(shown) <= 255
    assert shown == shown.strip()
    assert unicodedata.is_normalized("NFC", shown)
    assert not [char for char in shown if unicodedata.category(char) in HIDDEN]


@hypothesis_settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_any_name_is_201_or_no_file_and_comes_back_in_a_harmless_header(client, folders, name):
    response = upload(client, filename=name)
    assert response.status_code in (201, 400), response.content
    if response.status_code == 201:
        download = client.get(response.json()["file"])
        assert download.getvalue() == b"hello"
        header = download["Content-Disposition"]
        assert header.isascii()
        assert header.isprintable()
        assert header.startswith("attachment; filename")
        parsed = Message()
        parsed["Content-Disposition"] = header
        shown = response.json()["name"]
        # Python's own parser takes <…> off, as it does with quotes.
        assert parsed.get_filename() in (shown, shown.removeprefix("<").removesuffix(">"))


# --- Refused ---------------------------------------------------------------------------------------------------------


def test_no_file_is_refused_with_how_to_do_it(client, folders):
    for response in (
        client.post("/upload/", {}),
        client.post("/upload/", {"file": "text, for it has no file name"}),
        post(client, b"", CONTENT_LENGTH="0"),
        post(client, b"--bnd--\r\n"),
    ):
        assert "named 'file'" in assert_refused(response, 400, "no_file", folders)


def test_an_empty_file_is_refused(client, folders):
    assert_refused(upload(client, b""), 400, "empty_file", folders)


def test_a_file_under_another_name_is_refused_and_told_the_right_one(client, folders):
    for rest in (b"", part(b"hello")):
        response = post(client, part(b"hello", name="document") + rest + END)
        detail = assert_refused(response, 400, "no_file", folders)
        assert detail == "The file's part is named 'document': name it 'file'."


@pytest.mark.parametrize("names", [("file", "file"), ("file", "other"), ("file",) * 101])
def test_more_than_one_file_is_refused(client, folders, names):
    body = b"".join(part(b"x" * 100_000, name=name) for name in names)
    assert_refused(post(client, body + b"--bnd--\r\n"), 400, "too_many_files", folders)


@pytest.mark.parametrize(
    "content_type", ["application/json", "text/plain", "application/x-www-form-urlencoded", "nonsense", "image/png"]
)
def test_what_is_no_form_is_refused_with_how_to_do_it(client, folders, content_type):
    detail = assert_refused(post(client, b"{}", content_type), 415, "unsupported_media_type", folders)
    assert content_type in detail
    assert "multipart/form-data" in detail


def test_a_body_without_a_length_is_refused(client, folders):
    body = part(b"hello") + b"--bnd--\r\n"
    for length in ("", "-1", "5.5", "many"):
        response = post(client, body, CONTENT_LENGTH=length)
        assert "Content-Length" in assert_refused(response, 411, "length_required", folders)


def test_a_length_beyond_the_limit_is_refused_before_the_body_is_read(client, settings, folders):
    settings.PICASSO_MAX_UPLOAD_BYTES = 1000
    response = post(client, b"the rest is not there", CONTENT_LENGTH=str(1000 + 1024 * 1024 + 1))
    assert_refused(response, 413, "too_large", folders)
    assert_refused(post(client, b"", CONTENT_LENGTH="9" * 100), 413, "too_large", folders)


END = b"--bnd--\r\n"
WHOLE = part(b"x" * 1000)
REFUSED = {
    "no boundary": (WHOLE + END, "multipart/form-data", "parse_error"),
    "an empty boundary": (WHOLE + END, "multipart/form-data; boundary=", "parse_error"),
    "a boundary that is too long": (WHOLE + END, "multipart/form-data; boundary=" + "b" * 202, "parse_error"),
    "a boundary that is not ASCII": (WHOLE + END, "multipart/form-data; boundary=bäd", "parse_error"),
    "another boundary": (WHOLE + END, "multipart/form-data; boundary=other", "incomplete"),
    "no closing boundary": (WHOLE, FORM, "incomplete"),
    "cut in the file": (WHOLE[:-500], FORM, "incomplete"),
    "cut in the head": (WHOLE[:40], FORM, "incomplete"),
    "cut in the second part": (WHOLE + part(b"y" * 1000)[:-500], FORM, "too_many_files"),
    "a head of 200 kB": (part(b"x", headers=b"X-Long: " + b"h" * 200_000 + b"\r\n") + END, FORM, "parse_error"),
    "a head of 200 kB after a file": (
        WHOLE + part(b"x", filename=None, headers=b"X-Long: " + b"h" * 200_000 + b"\r\n") + END,
        FORM,
        "parse_error",
    ),
    "1,001 text fields": (WHOLE + part(b"x", name="t", filename=None) * 1001 + END, FORM, "parse_error"),
    "100,000 parts": (part(b"", name="t", filename=None) * 100_000 + END, FORM, "parse_error"),
    "100,000 parts without a head": (WHOLE + b"--bnd\r\n\r\n\r\n" * 100_000 + END, FORM, "parse_error"),
    "3 MB of nothing": (b"\r\n" * 1_500_000, FORM, "incomplete"),
    "5 MB of almost boundaries": (part(b"\r\n--bn" * 800_000)[:-4], FORM, "incomplete"),
}


@pytest.mark.parametrize(("body", "content_type", "code"), REFUSED.values(), ids=REFUSED)
def test_a_malformed_form_is_refused_quickly(client, folders, body, content_type, code):
    begun = time.perf_counter()
    response = post(client, body, content_type)
    assert time.perf_counter() - begun < 2
    assert_refused(response, 400, code or response.json()["errors"][0]["code"], folders)


def test_too_much_text_is_refused(client, folders):
    long = part(b"t" * 3_000_000, name="t", filename=None)
    for body in (long, WHOLE + long, part(b"t" * 3_000_000, filename=None)):
        assert "file name" in assert_refused(post(client, body + END), 413, "too_large", folders)


def test_a_file_in_another_encoding_than_its_own_is_refused(client, folders):
    response = upload(client, b"aGVs\r\nbG8=", headers=b"Content-Transfer-Encoding: base64\r\n")
    assert "'base64'" in assert_refused(response, 400, "parse_error", folders)
    assert upload(client, headers=b"Content-Transfer-Encoding: binary\r\n").status_code == 201


def test_a_form_in_pieces_is_the_same_form(client, monkeypatch):
    content = b"\r\n--bn\r\n\r\n--bn-\r" * 3
    for size in range(1, 150):
        monkeypatch.setattr("picasso_core.api.upload_form.CHUNK", size)
        assert upload(client, content).json()["sha256"] == hashlib.sha256(content).hexdigest()


@hypothesis_settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_form_damaged_anywhere_is_201_or_400_and_leaves_nothing_behind(client, folders, data):
    body = bytearray(part(b"hello", headers=b"Content-Type: text/plain\r\n") + part(b"t", filename=None) + END)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(body) - 1))
        body[at : at + data.draw(st.integers(0, 9))] = data.draw(st.binary(max_size=9))
    response = post(client, bytes(body))
    assert response.status_code in (201, 400), response.content
    assert len(stored(folders)) == File.objects.count()


@pytest.mark.parametrize("method", ["get", "put", "patch", "delete"])
def test_another_method_is_refused(client, folders, method):
    response = getattr(client, method)("/upload/")
    assert_refused(response, 405, "method_not_allowed", folders)
    assert "POST" in response["Allow"]


# --- The world's faults ----------------------------------------------------------------------------------------------


@contextmanager
def room_for(size: int):
    """Have the operating system refuse to write files beyond ``size`` bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_is_507_and_nothing_is_kept(client, folders):
    with room_for(300_000):
        response = upload(client, b"x" * 1_000_000)
    assert (response.status_code, response.json()["errors"][0]["code"]) == (507, "disk_full")
    assert not File.objects.exists()
    assert stored(folders) == []


def test_a_storage_that_fails_is_503_and_nothing_is_kept(client, folders):
    (folders / "storage").mkdir()
    (folders / "storage" / "files").touch()
    response = upload(client)
    assert (response.status_code, response.json()["errors"][0]["code"]) == (503, "unavailable")
    assert int(response["Retry-After"]) > 0
    assert [path.name for path in stored(folders)] == ["files"]


REFUSE_ROWS = {
    "sqlite": ["CREATE TRIGGER refuse BEFORE INSERT ON {table} BEGIN SELECT RAISE(ABORT, 'no'); END"],
    "postgresql": [
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''no''; END'",
        "CREATE TRIGGER refuse BEFORE INSERT ON {table} EXECUTE FUNCTION refuse()",
    ],
}


def test_a_row_that_the_database_refuses_is_500_without_details_and_no_byte_is_kept(client, folders):
    with connection.cursor() as cursor:
        for statement in REFUSE_ROWS[connection.vendor]:
            cursor.execute(statement.format(table=File._meta.db_table))
    response = upload(client)
    (error,) = response.json()["errors"]
    assert (response.status_code, error["code"]) == (500, "error")
    assert error["detail"] == "Picasso failed on this request; its operator finds why in the log."
    assert stored(folders) == []
