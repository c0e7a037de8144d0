"""Uploads that a client sends again, and uploads that say what their bytes are."""

import base64
import hashlib

import pytest
from django.db import connection
from django.test import Client

from picasso_core.models import File
from picasso_core.models.files import first_of
from tests.test_upload_api import assert_refused, part, post, stored, upload
from tests.threads import at_once

pytestmark = pytest.mark.django_db
BODY = part(b"hello") + b"--bnd--\r\n"


@pytest.fixture
def client() -> Client:
    return Client(raise_request_exception=False)


def digest(content: bytes, algorithm: str = "sha256") -> str:
    return base64.b64encode(hashlib.new(algorithm, content).digest()).decode()


def keyed(client, content=b"hello", key="k-1", **options):
    return post(client, part(content, **options) + b"--bnd--\r\n", headers={"Idempotency-Key": key})


def test_the_same_upload_with_the_same_key_gets_the_first_answer_and_is_kept_once(client, folders):
    first = keyed(client)
    File.objects.update(media_type="text/plain", status="processed", processed=True)
    again = keyed(client)
    assert (again.status_code, again.json(), again["Location"]) == (201, first.json(), first["Location"])
    assert File.objects.count() == len(stored(folders)) == 1


def test_bytes_that_are_there_already_are_said_to_be_and_can_be_asked_for_before(client):
    first = upload(client).json()
    assert first["duplicate_of"] is None
    again, once_more = upload(client).json(), upload(client).json()
    assert again["duplicate_of"] == once_more["duplicate_of"] == first["id"]
    found = client.get("/files/", {"sha256": first["sha256"]}).json()["results"]
    assert {each["id"]: each["duplicate_of"] for each in found} == {
        first["id"]: None,
        again["id"]: first["id"],
        once_more["id"]: first["id"],
    }
    client.delete(f"/files/{first['id']}/")
    assert client.get(f"/files/{again['id']}/").json()["duplicate_of"] is None


def test_another_owner_s_bytes_are_nobody_s_business(client, django_user_model):
    other = django_user_model.objects.create(username="other")
    first = upload(client).json()
    File.objects.update(owner=other)
    assert upload(client).json()["duplicate_of"] is None
    assert first["duplicate_of"] is None


def test_another_key_or_none_makes_another_file(client):
    answers = [keyed(client), keyed(client, key="k-2"), upload(client), upload(client)]
    assert len({answer.json()["id"] for answer in answers}) == 4


@pytest.mark.parametrize("other", [{"content": b"other"}, {"filename": "b.txt"}], ids=["bytes", "name"])
def test_another_file_under_the_same_key_gets_409_and_is_not_kept(client, folders, other):
    keyed(client)
    response = keyed(client, **other)
    assert (response.status_code, response.json()["errors"][0]["code"]) == (409, "idempotency_key_reused")
    assert File.objects.count() == len(stored(folders)) == 1


def test_a_key_is_free_again_once_its_file_is_deleted(client):
    first = keyed(client).json()["id"]
    client.delete(f"/files/{first}/")
    assert keyed(client, b"other").json()["id"] != first


@pytest.mark.parametrize("key", ["", " ", "a b", "ü", "x" * 256])
def test_what_cannot_be_a_key_is_refused(client, folders, key):
    response = post(client, BODY, headers={"Idempotency-Key": key})
    assert "255" in assert_refused(response, 400, "bad_idempotency_key", folders)


@pytest.mark.django_db(transaction=True)
def test_the_same_upload_twice_at_once_is_kept_once(folders):
    def send():
        return keyed(Client(raise_request_exception=False), b"hello" * 100_000)

    answers = at_once(*[send] * 4)
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert File.objects.count() == len(stored(folders)) == 1


@pytest.mark.parametrize("algorithm", ["sha-256", "sha-512"])
def test_a_body_that_is_what_content_digest_says_is_taken(client, algorithm):
    announced = f"{algorithm}=:{digest(BODY, algorithm.replace('-', ''))}:, md5=:AAAA:"
    assert post(client, BODY, headers={"Content-Digest": announced}).status_code == 201


def test_a_body_that_is_not_what_content_digest_says_is_refused(client, folders):
    response = post(client, BODY, headers={"Content-Digest": f"sha-256=:{digest(b'other')}:"})
    assert "sha-256" in assert_refused(response, 400, "digest_mismatch", folders)


def test_a_file_that_is_what_its_checksum_says_is_taken(client):
    checksum = hashlib.sha256(b"hello").hexdigest().upper()
    assert post(client, BODY, headers={"X-Checksum-Sha256": checksum}).status_code == 201


def test_a_file_that_is_not_what_its_checksum_says_is_refused(client, folders):
    response = post(client, BODY, headers={"X-Checksum-Sha256": hashlib.sha256(b"other").hexdigest()})
    assert hashlib.sha256(b"hello").hexdigest() in assert_refused(response, 400, "digest_mismatch", folders)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X-Checksum-Sha256", "abc"),
        ("X-Checksum-Sha256", ""),
        ("Content-Digest", ""),
        ("Content-Digest", "sha-256=abc"),
        ("Content-Digest", "sha-256=:a:"),
        ("Content-Digest", "sha-256"),
    ],
)
def test_a_digest_that_cannot_be_read_is_refused(client, folders, name, value):
    assert name in assert_refused(post(client, BODY, headers={name: value}), 400, "bad_digest", folders)


def test_the_first_of_many_with_the_same_bytes_is_found_along_an_index():
    fields = {"name": "a", "size": 1, "file": "files/none"}
    File.objects.bulk_create(File(**fields, sha256=f"{number:064x}") for number in range(3000))
    File.objects.bulk_create(File(**fields, sha256="5a" * 32) for _ in range(3000))
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    plan = first_of(File.objects.filter(owner=None), "5a" * 32).explain()
    assert "file_sha256" in plan
    assert "Sort" not in plan
    assert "B-TREE" not in plan
