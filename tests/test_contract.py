"""What the interface says of itself is true: it is asked what its own description allows, and what it does not."""

import contextlib
import os
import uuid
from pathlib import Path

import pytest
import schemathesis
import yaml
from django.core.cache import cache
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.management import call_command
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from django.test import Client
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

from config.wsgi import application
from picasso_core.models import Artifact, Backfill, Delivery, File, Offer, Webhook
from tests.factories import ECHO, FileFactory, JobFactory, OfferFactory

ROOT = Path(__file__).parent.parent
TOKEN = "t" * 32
DIGESTS = ("Content-Digest", "X-Checksum-Sha256")
STORED = uuid.UUID("019e1b6c-2f6a-7cc3-98c4-dc0c0c07398f")
# For a longer run by hand: PICASSO_CONTRACT_EXAMPLES=2000 pytest tests/test_contract.py --timeout 0
bounded = hypothesis_settings(
    max_examples=int(os.environ.get("PICASSO_CONTRACT_EXAMPLES", "8")),
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


def server(environ, start_response):
    """Serve as web servers do, who close what they have sent; Schemathesis does not."""
    with contextlib.closing(application(environ, start_response)) as answer:
        return list(answer)


contract = schemathesis.openapi.from_wsgi("/schema/", server)
# A range may lie behind the last byte, and a request without a body has no length.
contract.config.checks.positive_data_acceptance.expected_statuses.append("416")
contract.config.checks.negative_data_rejection.expected_statuses.append("411")


@contract.hook
def map_path_parameters(context, path_parameters):
    """Have half of the requests find something."""
    try:
        hit = uuid.UUID(path_parameters["id"]).int % 2
    except (KeyError, TypeError, ValueError):
        named = path_parameters if isinstance(path_parameters, dict) and set(path_parameters) == {"name"} else None
        return {"name": "echo"} if named and len(str(named)) % 2 else path_parameters
    names = {"id": str(STORED), "file_id": str(STORED), "processor": "echo", "name": "a.txt", "outcome": "changed"}
    names["delivery"] = str(STORED)
    return {**path_parameters, **{name: names[name] for name in path_parameters}} if hit else path_parameters


@schemathesis.hook
def before_call(context, case, kwargs):
    """Leave digests out of what is to be accepted: whatever is made up is not that of the body."""
    if case.meta.generation.mode.is_positive:
        for name in DIGESTS:
            (case.headers or {}).pop(name, None)


@pytest.fixture
def database(db):
    """Keep the test's transaction open between requests, as Django's own client does."""
    signals = (request_started, request_finished)
    for signal in signals:
        signal.disconnect(close_old_connections)
    yield
    for signal in signals:
        signal.connect(close_old_connections)


@pytest.fixture(autouse=True)
def rung(monkeypatch, silent_doorbell) -> list[tuple[str, str]]:
    """Note what would be published."""
    monkeypatch.setattr(
        "picasso_core.api.jobs_view.publish_soon", lambda file_id, queue: silent_doorbell.append((str(file_id), queue))
    )
    return silent_doorbell


def store() -> None:
    """Have a File with a failed Job, one that waits and an artifact, a processor, and a backfill."""
    if not Offer.objects.exists():
        OfferFactory()
    if not Backfill.objects.filter(pk=STORED).exists():
        Backfill.objects.create(pk=STORED, processor="echo", version="1", previous="0")
    if not Delivery.objects.filter(pk=STORED).exists():
        webhook, _ = Webhook.objects.get_or_create(pk=STORED, defaults={"url": "https://hooks.example/"})
        Delivery.objects.create(pk=STORED, webhook=webhook, kind="webhook.test", body="{}")
    if File.objects.filter(pk=STORED).exists():
        return
    file = FileFactory(id=STORED, media_type=ECHO, status="failed")
    JobFactory(file=file, processor="other", state="failed", error_code="timeout", error="Too slow.")
    JobFactory(id=STORED, file=file, processor="waiting", state="waiting")
    job = JobFactory(file=file, state="succeeded", data={"text": "hello"}, warnings=["short"], backfill_id=STORED)
    key = default_storage.save("artifacts/x", ContentFile(b"hello"))
    Artifact.objects.create(job=job, name="a.txt", media_type="text/plain", size=5, key=key)


# --- The document ----------------------------------------------------------------------------------------------------


def test_the_contract_is_valid_and_the_one_that_is_committed(tmp_path):
    call_command("spectacular", validate=True, fail_on_warn=True, file=str(tmp_path / "openapi.yaml"))
    assert (tmp_path / "openapi.yaml").read_text() == (ROOT / "openapi.yaml").read_text(), "make schema"


def test_it_is_served_as_it_is_committed():
    served = Client().get("/schema/")
    assert served.content == (ROOT / "openapi.yaml").read_bytes()
    assert Client().get("/schema/?format=json").json() == yaml.safe_load(served.content)


def operations():
    document = yaml.safe_load((ROOT / "openapi.yaml").read_text())
    return [(document, path, operation) for path, item in document["paths"].items() for operation in item.values()]


@pytest.mark.parametrize(
    ("document", "path", "operation"), operations(), ids=lambda each: each if isinstance(each, str) else ""
)
def test_every_operation_says_what_it_does_and_how_it_fails(document, path, operation):
    assert operation["summary"]
    assert operation["description"]
    assert all(parameter["description"] for parameter in operation.get("parameters", []))
    for status, answer in operation["responses"].items():
        if "$ref" in answer:
            answer = document["components"]["responses"][answer["$ref"].rpartition("/")[2]]
            (content,) = answer["content"].values()
            assert content["schema"] == {"$ref": "#/components/schemas/Error"}
        assert answer["description"], status
        assert status < "400" or "content" in answer
    assert {"400", "405", "500"} <= set(operation["responses"])
    assert path in ("/livez", "/readyz") or operation["security"] == [{"bearer": []}, {}]


def test_an_answer_without_a_length_or_with_too_much_is_described():
    upload = next(operation for _, path, operation in operations() if path == "/upload/")
    assert {"201", "400", "401", "405", "409", "411", "413", "415", "429", "500", "503", "507"} == set(
        upload["responses"]
    )
    form = upload["requestBody"]["content"]["multipart/form-data"]["schema"]
    assert (form["required"], form["properties"]["file"]["format"]) == (["file"], "binary")
    assert "Location" in upload["responses"]["201"]["headers"]


# --- Every operation -------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("database")
@contract.parametrize()
@bounded
def test_every_answer_is_one_that_the_contract_describes(case):
    store()
    case.call_and_validate()


@pytest.fixture
def tokens(settings):
    """Have a token; set once, since each setting nests in the one before."""
    settings.PICASSO_TOKENS = [TOKEN]


@pytest.mark.usefixtures("database", "tokens")
@pytest.mark.parametrize("shown", [TOKEN, "wrong", None])
@contract.parametrize()
@bounded
def test_so_it_is_with_a_token_with_a_wrong_one_and_without(case, shown):
    store()
    case.call_and_validate(headers={"Authorization": f"Bearer {shown}"} if shown else None)


@pytest.fixture
def rates(settings):
    """Have a rate that the first request uses up."""
    cache.clear()
    settings.PICASSO_UPLOAD_RATE = settings.PICASSO_REQUEST_RATE = (1, 86400)
    yield
    cache.clear()


@pytest.mark.usefixtures("database", "rates")
@contract.parametrize()
@hypothesis_settings(bounded, max_examples=5)
def test_so_it_is_beyond_the_rate(case):
    store()
    case.call_and_validate()
