"""PostgreSQL away, silent or restarted: requests are told so within seconds, and work under way is not lost."""

from __future__ import annotations

import http.client
import os
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import psycopg
import pytest

from tests.live import Instance
from tests.proxy import Proxy
from tests.services import own_database
from tests.test_uploads_live import HEAD, TAIL, Web

DATABASE = os.environ.get("PICASSO_DATABASE_URL", "")
pytestmark = pytest.mark.skipif(not DATABASE.startswith("postgres"), reason="needs PostgreSQL: in make test-services")

FORM = HEAD + b"picasso-echo\nhello\n" + TAIL
FILE = f"/files/{uuid.uuid4()}"
KINDS = {
    "upload": ("POST", "/upload/"),
    "list": ("GET", "/files/"),
    "filter": ("GET", "/files/?status=failed"),
    "look": ("GET", f"{FILE}/"),
    "download": ("GET", f"{FILE}/content/"),
    "artifact": ("GET", f"{FILE}/artifacts/echo/echo.txt/"),
    "delete": ("DELETE", f"{FILE}/"),
    "retry": ("POST", f"{FILE}/retry/"),
    "processors": ("GET", "/processors/"),
    "status": ("GET", "/status/"),
    "ready": ("GET", "/readyz"),
}
TROUBLES = ["go_away", "freeze"]


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    """A way to PostgreSQL that can be cut."""
    address = urlsplit(DATABASE)
    proxy = Proxy((address.hostname or "", address.port or 5432))
    yield proxy
    proxy.close()


@pytest.fixture
def through(proxy) -> str:
    """The URL of PostgreSQL by that way."""
    address = urlsplit(DATABASE)
    user = address.netloc.rpartition("@")[0]
    return address._replace(netloc=f"{user}@127.0.0.1:{proxy.port}" if user else f"127.0.0.1:{proxy.port}").geturl()


@pytest.fixture
def web(tmp_path, through) -> Iterator[Web]:
    with own_database(DATABASE) as database:
        web = Web(tmp_path / "data", urlsplit(through)._replace(path=urlsplit(database).path).geturl())
        web.migrate()
        with web.running():
            yield web


def ask(web: Web, kind: str) -> tuple[str, int, bool, float]:
    """Send one request; its kind, the status, whether it says when to try again, the seconds that it took."""
    method, path = KINDS[kind]
    body = FORM if kind == "upload" else b""
    headers = {"Content-Type": "multipart/form-data; boundary=bnd"} if body else {}
    connection = http.client.HTTPConnection("127.0.0.1", web.port, timeout=30)
    began = time.monotonic()
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return kind, answer.status, bool(answer.getheader("Retry-After")), time.monotonic() - began


@pytest.mark.parametrize("trouble", TROUBLES)
def test_every_request_is_503_with_retry_after_within_six_seconds(web, proxy, trouble):
    with ThreadPoolExecutor(30) as pool:
        list(pool.map(lambda _: web.get("/files/"), range(30)))  # so that there are connections that lie idle
        getattr(proxy, trouble)()
        answers = list(pool.map(lambda kind: ask(web, kind), list(KINDS) * 10))
    assert web.get("/livez")[0] == 200
    slow = [answer for answer in answers if answer[3] > 6]
    print(f"{trouble}: slowest of {len(answers)} {max(seconds for *_, seconds in answers):.2f} s")
    assert {(status, retry) for _, status, retry, _ in answers} == {(503, True)}
    assert slow == []
    proxy.thaw()
    proxy.come_back()
    began = time.monotonic()
    while ask(web, "list")[1] != 200:
        assert time.monotonic() - began < 15
    print(f"{trouble}: back after {time.monotonic() - began:.2f} s")
    with ThreadPoolExecutor(10) as pool:
        assert {status for _, status, *_ in pool.map(lambda _: ask(web, "list"), range(50))} == {200}


def test_after_a_restart_one_request_at_the_most_meets_a_connection_that_is_gone(web, proxy):
    with ThreadPoolExecutor(10) as pool:
        list(pool.map(lambda _: web.get("/files/"), range(50)))
    proxy.go_away()
    proxy.come_back()
    ask(web, "list")
    assert {ask(web, kind)[1] for kind in ("list", "upload", "processors") for _ in range(5)} == {200, 201}


@pytest.mark.parametrize("trouble", TROUBLES)
def test_what_runs_while_the_database_is_away_is_recorded_when_it_is_back(tmp_path, through, proxy, trouble):
    with Instance(tmp_path / "data", PICASSO_DATABASE_URL=through) as instance, instance.running():
        instance.ended(instance.upload(b"picasso-echo\nwarm\n"))
        files = [instance.upload(b"picasso-echo\nsleep 3\n") for _ in range(2)]
        instance.wait_until(lambda: all(instance.get(f"/files/{file['id']}/")["jobs"] for file in files), seconds=20)
        time.sleep(0.5)
        getattr(proxy, trouble)()
        time.sleep(8)
        proxy.thaw()
        proxy.come_back()
        back = time.monotonic()
        ended = [instance.ended(file, seconds=60) for file in files]
        print(f"{trouble}: ended {time.monotonic() - back:.1f} s after the database was back")
        assert [file["status"] for file in ended] == ["processed"] * 2
        proxied = urlsplit(instance._environment["PICASSO_DATABASE_URL"])
        with psycopg.connect(urlsplit(DATABASE)._replace(path=proxied.path).geturl()) as connection:
            assert connection.execute("SELECT sum(losses), sum(attempts) FROM picasso_job").fetchone() == (0, 0)
