"""How much one client may ask for, where the operator has set a rate."""

import urllib.error

import pytest
from django.core.cache import cache
from django.core.files.uploadedfile import SimpleUploadedFile
from rest_framework.test import APIClient

from tests.live import Instance
from tests.threads import at_once

pytestmark = pytest.mark.django_db
TOKENS = ["a" * 32, "b" * 32]


@pytest.fixture(autouse=True)
def nothing_counted():
    cache.clear()
    yield
    cache.clear()


def upload(client):
    return client.post("/upload/", {"file": SimpleUploadedFile("hello.txt", b"hello")}, format="multipart")


def test_without_a_rate_nobody_is_counted():
    assert {APIClient().get("/files/").status_code for _ in range(50)} == {200}


def test_beyond_the_rate_the_answer_is_429_says_why_and_when_to_try_again(settings):
    settings.PICASSO_REQUEST_RATE = (3, 3600)
    client = APIClient()
    assert [client.get("/files/").status_code for _ in range(5)] == [200, 200, 200, 429, 429]
    answer = client.get("/processors/")
    (error,) = answer.json()["errors"]
    assert (answer.status_code, answer.json()["type"], error["code"]) == (429, "client_error", "too_many_requests")
    assert 0 < int(answer["Retry-After"]) <= 3600
    assert error["detail"] == (
        f"At most 3 requests in 3600 seconds are taken from you. Try again in {answer['Retry-After']} seconds."
    )


def test_uploads_have_a_rate_of_their_own_and_leave_nothing_behind(settings, folders):
    settings.PICASSO_UPLOAD_RATE = (1, 3600)
    client = APIClient()
    assert [upload(client).status_code for _ in range(3)] == [201, 429, 429]
    assert {client.get("/files/").status_code for _ in range(5)} == {200}
    assert len([path for path in (folders / "storage").rglob("*") if path.is_file()]) == 1


def test_each_token_and_without_one_each_address_is_counted_by_itself(settings):
    settings.PICASSO_REQUEST_RATE = (1, 3600)
    for address in ("10.0.0.1", "10.0.0.2"):
        client = APIClient(REMOTE_ADDR=address)
        # Nobody is taken for somebody else by a header of his own making.
        headers = [{"x-forwarded-for": f"192.0.2.{number}"} for number in range(3)]
        assert [client.get("/files/", headers=each).status_code for each in headers] == [200, 429, 429]
    settings.PICASSO_TOKENS = TOKENS
    for token in TOKENS:
        clients = [APIClient(headers={"authorization": f"{scheme} {token}"}) for scheme in ("Bearer", "bearer")]
        assert [client.get("/files/").status_code for client in clients] == [200, 429]


def test_behind_a_proxy_the_address_is_the_one_that_the_proxy_saw(settings):
    settings.PICASSO_REQUEST_RATE = (1, 3600)
    settings.REST_FRAMEWORK = {**settings.REST_FRAMEWORK, "NUM_PROXIES": 1}
    seen = ["spoofed, 10.0.0.1", "other, 10.0.0.1", "10.0.0.2"]
    client = APIClient()
    statuses = [client.get("/files/", headers={"x-forwarded-for": each}).status_code for each in seen]
    assert statuses == [200, 429, 200]


def test_a_wrong_token_is_401_and_counts_for_nobody(settings):
    settings.PICASSO_REQUEST_RATE = (1, 3600)
    settings.PICASSO_TOKENS = TOKENS
    assert {APIClient(headers={"authorization": "Bearer x"}).get("/files/").status_code for _ in range(3)} == {401}


def test_who_watches_over_it_and_who_reads_the_contract_is_not_counted(settings):
    settings.PICASSO_REQUEST_RATE = (1, 3600)
    for path in ("/livez", "/readyz", "/schema/", "/docs/"):
        assert {APIClient().get(path).status_code for _ in range(3)} == {200}


@pytest.mark.django_db(transaction=True)
def test_requests_at_the_same_moment_are_all_counted(settings):
    settings.PICASSO_REQUEST_RATE = (4, 3600)
    statuses = at_once(*[lambda: APIClient().get("/files/").status_code] * 12)
    assert sorted(statuses) == [200] * 4 + [429] * 8


def test_an_operator_switches_it_on_in_the_environment(tmp_path):
    with Instance(tmp_path / "data", PICASSO_UPLOAD_RATE="2/day") as instance, instance.running():
        for _ in range(2):
            instance.upload(b"picasso-echo\nhello\n")
        with pytest.raises(urllib.error.HTTPError) as refused:
            instance.upload(b"picasso-echo\nhello\n")
        assert (refused.value.code, int(refused.value.headers["Retry-After"]) > 0) == (429, True)
        refused.value.close()
        assert len(instance.get("/files/")["results"]) == 2
