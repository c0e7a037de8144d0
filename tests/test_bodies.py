"""JSON bodies are read into memory: only so much of them, and nothing in them is an error of the service."""

import pytest
from django.test import Client

pytestmark = pytest.mark.django_db
MiB = 1024 * 1024


@pytest.fixture
def client() -> Client:
    return Client(raise_request_exception=False)


@pytest.mark.parametrize("path", ["/webhooks/", "/backfills/", "/jobs/retry/", "/files/delete/"])
def test_json_beyond_a_mebibyte_is_refused_before_it_is_read(client, path):
    response = client.generic("POST", path, b"not there", content_type="application/json", CONTENT_LENGTH=str(MiB + 1))
    (error,) = response.json()["errors"]
    assert (response.status_code, error["code"]) == (413, "too_large")
    assert str(MiB) in error["detail"]


def test_json_of_a_mebibyte_is_read(client):
    body = b'{"url": "%s"}' % (b"x" * (MiB - 11))
    response = client.generic("POST", "/webhooks/", body, content_type="application/json")
    assert (len(body), response.status_code, response.json()["errors"][0]["attr"]) == (MiB, 400, "url")


SENSELESS = {
    "lists": b"[" * MiB,
    "objects": b'{"a":' * 200_000,
    "a number": b"1" * MiB,
    "signs": b"-" * MiB,
    "a great exponent": b"1e" + b"9" * 1000,
    "a string without end": b'"' + b"\\" * 99_999,
    "no text": b"\xff" * 9,
    "nothing": b"",
}


@pytest.mark.parametrize("body", SENSELESS.values(), ids=SENSELESS)
def test_json_that_makes_no_sense_is_the_clients_fault(client, body):
    response = client.generic("POST", "/webhooks/", body, content_type="application/json")
    assert response.status_code in (400, 415)
    assert response.json()["errors"][0]["detail"]
