"""Who may come in."""

import pytest
from rest_framework.test import APIClient

pytestmark = pytest.mark.django_db
TOKENS = ["a" * 32, "b" * 32]
WRONG = ["", "Bearer", "Bearer wrong", "Basic YTpi", f"Bearer {'a' * 31}", f"Token {'a' * 32}"]
PATHS = ["/", "/files/", "/processors/", "/files/01a20a36-7be4-7b53-950f-8f952b672472/"]


@pytest.mark.parametrize("path", PATHS)
def test_without_a_token_set_everybody_may_come_in(path):
    assert APIClient().get(path).status_code in (200, 404)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("header", WRONG)
def test_with_tokens_set_nobody_comes_in_without_one(settings, path, header):
    settings.PICASSO_TOKENS = TOKENS
    answer = APIClient(headers={"authorization": header}).get(path)
    assert answer.status_code == 401
    assert answer["WWW-Authenticate"] == "Bearer"
    (error,) = answer.json()["errors"]
    assert error["code"] in ("not_authenticated", "authentication_failed")
    assert "Authorization: Bearer TOKEN" in error["detail"]


@pytest.mark.parametrize("token", TOKENS)
@pytest.mark.parametrize("scheme", ["Bearer", "bearer"])
def test_each_token_opens_the_door(settings, token, scheme):
    settings.PICASSO_TOKENS = TOKENS
    assert APIClient(headers={"authorization": f"{scheme} {token}"}).get("/files/").status_code == 200


def test_an_upload_without_a_token_is_refused_before_its_body_is_read(settings, folders):
    settings.PICASSO_TOKENS = TOKENS
    assert APIClient().post("/upload/", {"file": b"x"}, format="multipart").status_code == 401
    assert not (folders / "storage").exists()


@pytest.mark.parametrize("path", ["/livez", "/readyz"])
def test_who_watches_over_it_needs_no_token(settings, path):
    settings.PICASSO_TOKENS = TOKENS
    assert APIClient().get(path).status_code == 200
