"""Webhooks: told of every event, signed, tried again, to public addresses alone, whatever is killed on the way."""

from __future__ import annotations

import base64
import hashlib
import hmac
import ipaddress
import json
import os
import signal
import socket
import ssl
import subprocess
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from django.db import connection
from django.db.models import F
from django.db.models.functions import Now
from django.test import Client

from picasso_core import sweeper
from picasso_core.models import Delivery, Event, File, Webhook
from picasso_core.models.webhooks import AT_ONCE, PATIENCE, PAUSES
from picasso_core.webhooks import sending
from picasso_core.webhooks.delivering import Deliverer, follow
from picasso_core.webhooks.signing import signature
from tests.factories import FileFactory
from tests.live import Instance, wait_until

pytestmark = pytest.mark.django_db(transaction=True)
WEBHOOKS = "/webhooks/"


@pytest.fixture(autouse=True)
def empty_log(transactional_db):
    """Leave out what was logged as the rows of the test before were removed."""
    Event.objects.all().delete()


class Endpoint:
    """A real server that notes what it is sent, and answers with ``status`` once ``free`` is set."""

    def __init__(self) -> None:
        self.got: list[tuple[dict[str, str], dict[str, Any]]] = []
        self.status, self.free, self.headers = 204, threading.Event(), {}
        self.free.set()
        self.most = self.now = 0
        lock, endpoint = threading.Lock(), self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                with lock:
                    endpoint.got.append(({**self.headers, "path": self.path, "raw": body.decode()}, json.loads(body)))
                    endpoint.now += 1
                    endpoint.most = max(endpoint.most, endpoint.now)
                endpoint.free.wait(30)
                with lock:
                    endpoint.now -= 1
                self.send_response(endpoint.status)
                for name, value in endpoint.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}/hook?a=b"

    @property
    def kinds(self) -> list[str]:
        return [body["type"] for _, body in self.got]

    @property
    def ids(self) -> list[str]:
        return [headers["webhook-id"] for headers, _ in self.got]


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with serving() as endpoint:
        yield endpoint


@contextmanager
def serving() -> Iterator[Endpoint]:
    endpoint = Endpoint()
    thread = threading.Thread(target=endpoint.server.serve_forever, args=[0.01])
    thread.start()
    try:
        yield endpoint
    finally:
        endpoint.free.set()
        endpoint.server.shutdown()
        thread.join()
        endpoint.server.server_close()


@pytest.fixture(autouse=True)
def private(settings):
    """Allow this machine's own addresses, where the endpoints of these tests are."""
    settings.PICASSO_WEBHOOK_PRIVATE = True


@pytest.fixture
def deliverer() -> Deliverer:
    return Deliverer()


def call(method: str, path: str, status: int, body: Any = None) -> Any:
    sent = json.dumps(body) if body is not None else ""
    answer = getattr(Client(), method)(path, sent, content_type="application/json")
    assert answer.status_code == status, answer.content
    return answer.json() if answer.content else None


def get(path: str) -> Any:
    answer = Client().get(path)
    assert answer.status_code == 200, answer.content
    return answer.json()


def made(url: str, **body: Any) -> tuple[str, Webhook]:
    """Make a webhook and return its path."""
    answer = call("post", WEBHOOKS, 201, {"url": url, **body})
    return f"{WEBHOOKS}{answer['id']}/", Webhook.objects.get(pk=answer["id"])


def deliver(deliverer: Deliverer, until: Any, seconds: float = 10) -> None:
    """Be the sweeper's thread until something is so."""

    def look() -> bool:
        deliverer.step(0.05)
        return bool(until())

    wait_until(look, seconds)


def later(**by: float) -> None:
    """Let time pass for deliveries and webhooks."""
    delta = timedelta(**by)
    for model, names in (
        (Delivery, ("due_at", "lease_until", "created_at")),
        (Webhook, ("failing_since",)),
        (Event, ("at",)),
    ):
        for name in names:
            model.objects.filter(**{f"{name}__isnull": False}).update(**{name: F(name) - delta})


def states() -> list[str]:
    return sorted(Delivery.objects.values_list("state", flat=True))


def over(count: int = 1) -> Any:
    return lambda: Delivery.objects.filter(due_at=None).count() >= count


# --- Delivery --------------------------------------------------------------------------------------------------------


def test_an_event_is_sent_as_a_signed_message(endpoint, deliverer):
    answer = call("post", WEBHOOKS, 201, {"url": endpoint.url})
    file = FileFactory(name="hello.txt")
    deliver(deliverer, over())
    ((headers, body),) = endpoint.got
    (event,) = get("/events/")["results"]
    assert body == {"type": "file.uploaded", "timestamp": event["at"], "data": event}
    assert (event["file"], event["data"]["name"]) == (str(file.pk), "hello.txt")
    assert (headers["path"], headers["Content-Type"]) == ("/hook?a=b", "application/json")
    assert headers["Host"] == f"127.0.0.1:{endpoint.port}"
    # As a receiver does it, with nothing of ours.
    sent_at = headers["webhook-timestamp"]
    assert abs(time.time() - int(sent_at)) < 60
    key = base64.b64decode(answer["secret"].removeprefix("whsec_"))
    signed = f"{headers['webhook-id']}.{sent_at}.{headers['raw']}".encode()
    expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"
    (delivery,) = get(f"/webhooks/{answer['id']}/deliveries/")["results"]
    assert (delivery["id"], delivery["state"], delivery["status"]) == (headers["webhook-id"], "delivered", 204)
    assert (delivery["attempts"], delivery["due_at"], delivery["body"]) == (1, None, headers["raw"])


def test_the_signature_is_that_of_the_specification():
    secret, message = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek"
    expected = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert signature(secret, message, 1614265330, b'{"test": 2432232314}') == expected


def test_it_is_told_of_what_happens_from_now_on_and_of_the_kinds_that_it_asks_for(endpoint, deliverer):
    FileFactory()
    _, webhook = made(endpoint.url, kinds=["file.deleted"])
    files = [FileFactory() for _ in range(3)]
    for file in files:
        File.remove(file.pk)
    deliver(deliverer, over(3))
    assert sorted(body["data"]["file"] for _, body in endpoint.got) == sorted(str(file.pk) for file in files)
    assert set(endpoint.kinds) == {"file.deleted"}
    before = webhook.position
    webhook.refresh_from_db()
    assert webhook.position > before


def test_every_webhook_is_told(endpoint, deliverer):
    made(endpoint.url), made(endpoint.url)
    FileFactory()
    deliver(deliverer, over(2))
    assert endpoint.kinds == ["file.uploaded"] * 2
    assert len(set(endpoint.ids)) == 2


def test_what_is_refused_is_sent_again_after_longer_and_longer_pauses_and_given_up(endpoint, deliverer):
    path, _ = made(endpoint.url)
    endpoint.status = 500
    FileFactory()
    deliver(deliverer, lambda: Delivery.objects.filter(attempts=1))
    for attempt, pause in enumerate(PAUSES, 1):
        deliverer.step()
        assert len(endpoint.got) == attempt
        later(seconds=pause.total_seconds() - 2)
        # Of the failing for three days another test tells.
        Webhook.objects.update(failing_since=Now())
        deliverer.step()
        assert len(endpoint.got) == attempt
        later(seconds=2)
        deliver(deliverer, lambda expected=attempt + 1: Delivery.objects.filter(attempts=expected))
    (delivery,) = get(f"{path}deliveries/?state=failed")["results"]
    assert (delivery["attempts"], delivery["status"], delivery["error"]) == (9, 500, "It answered 500.")
    assert len(set(endpoint.ids)) == 1
    assert delivery["due_at"] is None


def test_a_success_after_failures_ends_it(endpoint, deliverer):
    path, _ = made(endpoint.url)
    endpoint.status = 503
    FileFactory()
    deliver(deliverer, lambda: Delivery.objects.filter(attempts=1))
    assert get(path)["failing_since"] is not None
    endpoint.status = 200
    later(seconds=6)
    deliver(deliverer, over())
    assert states() == ["delivered"]
    assert get(path)["failing_since"] is None


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_redirects_are_not_followed(endpoint, deliverer, status):
    with serving() as other:
        path, _ = made(endpoint.url)
        endpoint.status, endpoint.headers = status, {"Location": other.url}
        FileFactory()
        deliver(deliverer, lambda: Delivery.objects.filter(attempts=1))
        assert other.got == []
    (delivery,) = get(f"{path}deliveries/")["results"]
    assert (delivery["state"], delivery["error"]) == ("pending", f"It answered {status}.")


def test_a_webhook_that_has_failed_for_three_days_is_switched_off_and_says_why(endpoint, deliverer):
    path, _ = made(endpoint.url)
    endpoint.status = 500
    FileFactory(), FileFactory()
    deliver(deliverer, lambda: Delivery.objects.filter(attempts=1).count() == 2)
    later(seconds=PATIENCE.total_seconds() + 1)
    deliver(deliverer, lambda: not get(path)["enabled"])
    assert get(path)["reason"] == "Everything has failed for 3 days, the last time so: It answered 500."
    sent = len(endpoint.got)
    later(days=1)
    FileFactory()
    deliverer.step(0.2)
    assert len(endpoint.got) == sent
    # Switched on again it goes on where it was.
    endpoint.status = 200
    assert call("patch", path, 200, {"enabled": True})["reason"] == ""
    deliver(deliverer, over(3))
    assert states() == ["delivered"] * 3


def test_one_that_answers_gone_is_switched_off_at_once(endpoint, deliverer):
    path, _ = made(endpoint.url)
    endpoint.status = 410
    FileFactory()
    deliver(deliverer, lambda: not get(path)["enabled"])
    assert get(path)["reason"] == "It answered 410, Gone: it wants no more."


def test_a_slow_endpoint_holds_up_its_own_alone(endpoint, deliverer):
    endpoint.free.clear()
    made(endpoint.url)
    with serving() as other:
        made(other.url)
        for _ in range(10):
            FileFactory()
        deliver(deliverer, lambda: len(other.got) == 10 and over(10)())
        assert (endpoint.most, len(endpoint.got)) == (AT_ONCE, AT_ONCE)
    endpoint.free.set()
    deliver(deliverer, over(20))
    assert endpoint.most <= AT_ONCE
    assert len(set(endpoint.ids)) == 10


def test_one_that_fails_gets_one_message_at_a_time(endpoint, deliverer):
    made(endpoint.url)
    Webhook.objects.update(failing_since=Now())
    endpoint.free.clear()
    for _ in range(5):
        FileFactory()
    deliver(deliverer, lambda: endpoint.got)
    for _ in range(3):
        deliverer.step(0.02)
    assert endpoint.most == 1


def test_many_events_are_not_made_into_deliveries_before_they_can_be_sent(endpoint, deliverer, monkeypatch):
    monkeypatch.setattr("picasso_core.models.webhooks.AHEAD", 3)
    monkeypatch.setattr("picasso_core.webhooks.delivering.BATCH", 2)
    made(endpoint.url)
    for _ in range(10):
        FileFactory()

    def settled() -> bool:
        while follow():
            continue
        return Delivery.objects.count() >= 4

    wait_until(settled)
    follow()
    assert Delivery.objects.count() == 4
    deliver(deliverer, over(10))
    assert len(set(endpoint.ids)) == 10


# --- Whatever is killed ----------------------------------------------------------------------------------------------


def test_a_sweeper_killed_on_the_way_loses_nothing_and_repeats_with_the_same_id(endpoint, deliverer):
    made(endpoint.url)
    endpoint.free.clear()
    FileFactory()
    deliver(deliverer, lambda: endpoint.got)
    # Nobody comes back for the answer; another sweeper takes over once the claim has expired.
    other = Deliverer()
    assert not other.step()
    later(seconds=31)
    endpoint.free.set()
    deliver(other, over())
    assert (len(endpoint.got), len(set(endpoint.ids))) == (2, 1)
    # The first one was only slow: what it records now changes nothing.
    deliverer.record(5)
    assert Delivery.objects.get().attempts == 1


def test_position_and_deliveries_are_one(endpoint, monkeypatch):
    _, webhook = made(endpoint.url)
    FileFactory()
    wait_until(lambda: Webhook.behind())

    def killed(*args: Any, **kwargs: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("django.db.models.query.QuerySet.update", killed)
        with pytest.raises(KeyboardInterrupt):
            Webhook.follow(webhook.pk, 10)
    assert not Delivery.objects.exists()
    Webhook.follow(webhook.pk, 10)
    Webhook.follow(webhook.pk, 10)
    assert Delivery.objects.count() == 1


def test_two_sweepers_make_and_send_each_message_once(endpoint):
    made(endpoint.url)
    for _ in range(30):
        FileFactory()
    wait_until(lambda: Webhook.behind())

    def run() -> None:
        own, until = Deliverer(), time.monotonic() + 20
        while not over(30)() and time.monotonic() < until:
            own.step(0.02)
        connection.close()

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(endpoint.got), len(set(endpoint.ids)), endpoint.most <= AT_ONCE) == (30, 30, True)


def test_a_sweeper_told_to_end_gives_back_what_has_no_answer_yet(endpoint, deliverer):
    made(endpoint.url)
    endpoint.free.clear()
    FileFactory()
    deliver(deliverer, lambda: endpoint.got)
    began = time.monotonic()
    deliverer.stop()
    assert time.monotonic() - began < 5
    assert Delivery.objects.filter(lease_token=None, due_at__lte=Now(), attempts=0).count() == 1


def test_the_sweeper_of_a_live_instance_delivers_and_so_does_the_next_one(tmp_path):
    allowed = {"PICASSO_WEBHOOK_PRIVATE": "true"}
    with serving() as endpoint, Instance(tmp_path / "data", **allowed) as instance, instance.running():
        request = ["curl", "-sS", "-H", "Content-Type: application/json", f"{instance.url}/webhooks/"]
        subprocess.run([*request, "-d", json.dumps({"url": endpoint.url})], check=True, capture_output=True)
        instance.ended(instance.upload(b"picasso-echo\nhello\n"))
        expected = {"file.uploaded", "file.identified", "job.started", "job.succeeded"}
        instance.wait_until(lambda: expected <= set(endpoint.kinds), 20)
        endpoint.free.clear()
        before = len(endpoint.got)
        instance.ended(instance.upload(b"picasso-echo\nagain\n"))
        instance.wait_until(lambda: len(endpoint.got) > before, 20)
        for pid in instance.pids("manage.py", "sweeper"):
            os.kill(pid, signal.SIGKILL)
        endpoint.free.set()
        # What was on its way is sent again when the claim of the killed one has expired.
        instance.wait_until(lambda: len(succeeded(endpoint)) == 2 and all_delivered(instance), 60)


def succeeded(endpoint: Endpoint) -> set[str]:
    return {body["data"]["file"] for _, body in endpoint.got if body["type"] == "job.succeeded"}


def all_delivered(instance: Instance) -> bool:
    (webhook,) = instance.get("/webhooks/")
    return not instance.get(f"/webhooks/{webhook['id']}/deliveries/?state=pending")["results"]


# --- Where nothing is sent -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "127.1", "0.0.0.0", "2130706433", "0x7f000001", "10.0.0.1", "172.16.0.1", "192.168.1.1",
        "169.254.169.254", "100.64.0.1", "224.0.0.1", "255.255.255.255", "[::1]", "[::]", "[::ffff:127.0.0.1]",
        "[::ffff:a9fe:a9fe]", "[::127.0.0.1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "[fe80::1]", "[fc00::1]",
        "[fec0::1]", "[ff02::1]", "localhost",
    ],
)  # fmt: skip
def test_private_addresses_are_refused_however_they_are_written(host):
    target = sending.Target.read(f"http://{host}/")
    with pytest.raises(sending.Refused, match=r"no public address|Nobody knows"):
        sending.addresses(target, private=False)


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.215.14", True),
        ("2606:2800:21f:cb07:6820:80da:af6b:8b2c", True),
        ("::ffff:93.184.215.14", True),
        ("64:ff9b::5db8:d70e", True),
        ("::ffff:10.0.0.1", False),
        ("64:ff9b::a00:1", False),
        ("64:ff9b:1::a00:1", False),
    ],
)
def test_which_addresses_are_public(address, public):
    assert sending.is_public(ipaddress.ip_address(address)) is public


@pytest.mark.parametrize("known", [["127.0.0.1"], ["::1"], ["::ffff:127.0.0.1"], ["93.184.215.14", "127.0.0.1"]])
def test_a_name_that_leads_to_a_private_address_is_refused(settings, endpoint, deliverer, monkeypatch, known):
    settings.PICASSO_WEBHOOK_PRIVATE = False
    look_up = [(0, socket.SOCK_STREAM, 6, "", (address, endpoint.port)) for address in known]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: look_up)
    path, _ = made(f"http://rebound.example:{endpoint.port}/")
    call("post", f"{path}test/", 202)
    deliver(deliverer, lambda: Delivery.objects.filter(attempts=1))
    (delivery,) = get(f"{path}deliveries/")["results"]
    assert delivery["error"].startswith("The host rebound.example is at no public address")
    assert endpoint.got == []


def test_the_address_that_was_looked_at_is_the_one_that_is_connected_to(endpoint, monkeypatch):
    """A name may lead elsewhere at a second look: there is none."""
    looks = []

    def once(host: str, port: int, *args: Any, **kwargs: Any) -> Any:
        if host == "rebound.example":
            looks.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr(socket, "getaddrinfo", once)
    monkeypatch.setattr(sending, "is_public", lambda address: True)
    answer = sending.send(f"http://rebound.example:{endpoint.port}/", b"{}", {}, private=False)
    assert (answer.status, looks) == (204, ["rebound.example"])
    assert endpoint.got[0][0]["Host"] == f"rebound.example:{endpoint.port}"


def test_a_host_that_nobody_knows_is_a_failure_like_others():
    answer = sending.send("http://nobody.invalid/", b"{}", {}, private=True)
    assert answer == sending.Answer(None, "Nobody knows the host nobody.invalid.")


# --- Bounds ----------------------------------------------------------------------------------------------------------


@contextmanager
def answering(*parts: bytes, pause: float = 0.0) -> Iterator[str]:
    """Have a server that sends these, with pauses, and says nothing else."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            stream, _ = listening.accept()
            with stream:
                stream.recv(65536)
                try:
                    for part in parts:
                        stream.sendall(part)
                        time.sleep(pause)
                except OSError:
                    return

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/"
        thread.join()


@pytest.mark.django_db(transaction=True)
def test_an_answer_that_no_database_stores_is_a_failure_like_any_other():
    with answering(b"\0\0oops\xff\r\n") as url:
        answer = sending.send(url, b"{}", {}, private=True)
    assert (answer.status, answer.error.isprintable()) == (None, True)
    delivery = Webhook.objects.create(url="https://hooks.example/").test()
    (claimed,) = Delivery.objects.claim(delivery.webhook_id, 1)
    assert claimed.fail(answer.error)
    assert Delivery.objects.get().attempts == 1


def test_a_name_with_many_dead_addresses_takes_no_longer_than_one(monkeypatch):
    monkeypatch.setattr(sending, "SECONDS", 0.5)
    monkeypatch.setattr(sending, "CONNECT_SECONDS", 0.3)
    monkeypatch.setattr(sending, "addresses", lambda target, private: [listening[1]] * 20)
    with socket.socket() as full:
        # Nobody accepts, and the queue of those that wait is full: whoever comes now gets no answer.
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        listening = (full.getsockname()[1], "127.0.0.1")
        waiting = [socket.socket() for _ in range(3)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(full.getsockname())
        began = time.monotonic()
        answer = sending.send(f"http://dead.example:{listening[0]}/", b"{}", {}, private=True)
        assert time.monotonic() - began < 1
        for each in waiting:
            each.close()
    assert answer.status is None


def test_an_answer_that_trickles_is_cut_off(monkeypatch):
    monkeypatch.setattr(sending, "SECONDS", 0.5)
    with answering(*[b"H"] * 20, pause=0.1) as url:
        began = time.monotonic()
        answer = sending.send(url, b"{}", {}, private=True)
        assert time.monotonic() - began < 1.5
    assert answer == sending.Answer(None, "It did not answer: it took longer than 0 seconds.")


def test_a_long_answer_is_not_read_to_its_end():
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n"
    with answering(head, *[b"x" * 65536] * 50) as url:
        assert sending.send(url, b"{}", {}, private=True).taken


def test_what_is_no_answer_is_a_failure():
    with answering(b"SSH-2.0-OpenSSH\r\n") as url:
        answer = sending.send(url, b"{}", {}, private=True)
    assert answer.status is None
    assert answer.error.startswith("It did not answer:")


def test_a_certificate_has_to_be_good(tmp_path, monkeypatch):
    key, certificate = tmp_path / "key", tmp_path / "certificate"
    subject = ["-subj", "/CN=hook.example", "-addext", "subjectAltName=DNS:hook.example"]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", *subject]
    subprocess.run([*command, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    known = [(socket.AF_INET, socket.SOCK_STREAM, 6, "")]
    with serving() as endpoint:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        names: list[str | None] = []
        context.sni_callback = lambda stream, name, context: names.append(name)
        endpoint.server.socket = context.wrap_socket(endpoint.server.socket, server_side=True)
        look_up = [(*known[0], ("127.0.0.1", endpoint.port))]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: look_up)
        url = f"https://hook.example:{endpoint.port}/"
        answer = sending.send(url, b"{}", {}, private=True)
        assert (answer.status, answer.error.startswith("Its certificate is not good:")) == (None, True)
        monkeypatch.setattr(ssl, "create_default_context", lambda: _trusting(str(certificate)))
        assert sending.send(url, b"{}", {}, private=True).status == 204
        wrong = sending.send(f"https://other.example:{endpoint.port}/", b"{}", {}, private=True)
        assert wrong.error.startswith("Its certificate is not good:")
        assert names == ["hook.example", "hook.example", "other.example"]


def _trusting(certificate: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(certificate)
    return context


# --- The interface ---------------------------------------------------------------------------------------------------


def test_the_secret_is_shown_once(endpoint):
    answer = call("post", WEBHOOKS, 201, {"url": endpoint.url, "kinds": ["job.failed", "job.failed", "file.deleted"]})
    assert len(base64.b64decode(answer["secret"].removeprefix("whsec_"))) == 32
    path = f"{WEBHOOKS}{answer['id']}/"
    shown = get(path)
    assert shown == {name: value for name, value in answer.items() if name != "secret"}
    assert (shown["kinds"], shown["enabled"]) == (["file.deleted", "job.failed"], True)
    assert get(WEBHOOKS) == [shown]
    assert answer["secret"] not in json.dumps(call("patch", path, 200, {"kinds": []}))


def test_it_is_changed_and_deleted(endpoint):
    path, _ = made(endpoint.url)
    changed = call("patch", path, 200, {"url": "https://example.org/x", "kinds": ["job.failed"], "enabled": False})
    assert (changed["url"], changed["kinds"], changed["enabled"]) == ("https://example.org/x", ["job.failed"], False)
    assert call("patch", path, 200, {}) == changed
    call("post", f"{path}test/", 202)
    call("delete", path, 204)
    assert not Delivery.objects.exists()
    for method, below in (("get", ""), ("patch", ""), ("delete", ""), ("post", "test/"), ("post", "replay/")):
        body = {"after": "0-0"} if below == "replay/" else {} if method == "patch" else None
        call(method, path + below, 404, body)


@pytest.mark.parametrize(
    ("body", "attr"),
    [
        ({}, "url"),
        ({"url": 7}, "url"),
        ({"url": ""}, "url"),
        *(
            ({"url": url}, "url")
            for url in (
                "ftp://example.org/", "https://", "example.org", "https://user:pw@example.org/", "https://e.org/#x",
                "https://e.org:0/", "https://e.org:65536/", "https://e.org/ x", "https://e.org/\n", "https://e_x.org/",
                "https://e.org\\@127.0.0.1/", "https://é.org/", "https://e.org/\0", "https://" + "e" * 2000 + ".org/",
            )
        ),
        ({"url": "https://e.org", "kinds": "job.failed"}, "kinds"),
        ({"url": "https://e.org", "kinds": ["job.forgotten"]}, "kinds.0"),
        ({"url": "https://e.org", "enabled": 1}, "enabled"),
        ({"url": "https://e.org", "secret": "x"}, "secret"),
    ],
)  # fmt: skip
def test_what_is_no_webhook_is_refused(body, attr):
    assert [error["attr"] for error in call("post", WEBHOOKS, 400, body)["errors"]] == [attr]
    assert not Webhook.objects.exists()


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("https://e.org", sending.Target(True, "e.org", 443, "/")),
        ("http://e.org?a=b", sending.Target(False, "e.org", 80, "/?a=b")),
        ("http://[2001:db8::1]:8080/x/y?z", sending.Target(False, "2001:db8::1", 8080, "/x/y?z")),
    ],
)
def test_how_a_url_is_read(url, target):
    assert sending.Target.read(url) == target


def test_there_are_no_more_than_a_hundred(monkeypatch, endpoint):
    monkeypatch.setattr("picasso_core.api.webhooks_view.MOST", 1)
    made(endpoint.url)
    assert call("post", WEBHOOKS, 409, {"url": endpoint.url})["errors"][0]["code"] == "too_many_webhooks"


def test_a_test_message_tells_of_nothing(endpoint, deliverer):
    path, _ = made(endpoint.url, kinds=["job.failed"])
    assert call("post", f"{path}test/", 202)["state"] == "pending"
    call("post", f"{path}test/", 202)
    deliver(deliverer, over(2))
    assert endpoint.kinds == ["webhook.test"] * 2
    assert endpoint.got[0][1]["data"] == {}


def test_deliveries_come_in_pages_the_newest_first(endpoint, deliverer):
    path, _ = made(endpoint.url)
    for _ in range(5):
        call("post", f"{path}test/", 202)
        time.sleep(0.002)
    Delivery.objects.filter(pk=Delivery.objects.first().pk).update(state="failed", due_at=None)
    whole = get(f"{path}deliveries/")
    assert (len(whole["results"]), whole["next"]) == (5, None)
    seen, page = [], get(f"{path}deliveries/?limit=2")
    while True:
        seen += [each["id"] for each in page["results"]]
        if page["next"] is None:
            break
        page = get(page["next"].removeprefix("http://testserver"))
    assert seen == [each["id"] for each in whole["results"]]
    assert len(get(f"{path}deliveries/?state=failed")["results"]) == 1
    for wrong in ("state=x", "before=x", "limit=0", "order=x", "state="):
        call("get", f"{path}deliveries/?{wrong}", 400)


def test_one_message_is_sent_again_as_the_same(endpoint, deliverer):
    path, _ = made(endpoint.url)
    FileFactory()
    deliver(deliverer, over())
    delivery = Delivery.objects.get()
    again = call("post", f"{path}deliveries/{delivery.pk}/replay/", 202)
    assert (again["state"], again["attempts"]) == ("pending", 0)
    deliver(deliverer, over())
    assert endpoint.ids == [str(delivery.pk)] * 2
    assert endpoint.got[0][0]["raw"] == endpoint.got[1][0]["raw"]
    other, _ = made(endpoint.url)
    call("post", f"{other}deliveries/{delivery.pk}/replay/", 404)
    call("post", f"{path}deliveries/{uuid.uuid4()}/replay/", 404)


def test_everything_since_a_position_is_sent_again_as_the_same(endpoint, deliverer):
    path, _ = made(endpoint.url)
    for _ in range(3):
        FileFactory()
    deliver(deliverer, over(3))
    first, second, third = (each["position"] for each in get("/events/")["results"])
    sent = {body["data"]["position"]: headers["webhook-id"] for headers, body in endpoint.got}
    endpoint.got.clear()
    # And the deliveries of one of them have been removed in the meantime.
    Delivery.objects.filter(pk=sent[third]).delete()
    assert call("post", f"{path}replay/", 202, {"after": first})["position"] == first
    deliver(deliverer, lambda: len(endpoint.got) == 2 and over(3)())
    again = {body["data"]["position"]: headers["webhook-id"] for headers, body in endpoint.got}
    assert set(again) == {second, third}
    assert again[second] == sent[second]
    assert again[third] != sent[third]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({}, 400, "required"),
        ({"after": 7}, 400, "invalid"),
        ({"after": "7"}, 400, "invalid"),
        ({"after": f"{'9' * 18}-1"}, 409, "ahead"),
        ({"after": f"{'9' * 19}-1"}, 400, "invalid"),
    ],
)
def test_a_position_that_is_none_is_refused(endpoint, body, status, code):
    path, _ = made(endpoint.url)
    assert call("post", f"{path}replay/", status, body)["errors"][0]["code"] == code


def test_old_deliveries_are_removed_with_the_events(settings, endpoint, deliverer):
    made(endpoint.url)
    FileFactory()
    deliver(deliverer, over())
    made(endpoint.url)
    Webhook.objects.last().test()
    later(days=91)
    FileFactory()
    sweeper.prune()
    assert Event.objects.count() == 1
    # What has still to be sent is kept.
    assert states() == ["pending"]
