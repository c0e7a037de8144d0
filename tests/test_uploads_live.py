"""Uploads through the real server: clients that go away, stall, lie; and the server's own end."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from picasso_core.supervisor import free_port
from tests.live import alive, wait_until
from tests.services import own_database

MANAGE = Path(__file__).parent.parent / "manage.py"
MiB = 1024 * 1024
HEAD = b'--bnd\r\nContent-Disposition: form-data; name="file"; filename="a.bin"\r\n\r\n'
TAIL = b"\r\n--bnd--\r\n"
FORM = HEAD + b"x" * MiB + TAIL
HALF = len(FORM) // 2


class Web:
    """``manage.py web`` on a free port, and on a broker and a storage of its own."""

    def __init__(self, data: Path, database: str | None) -> None:
        self.data = data
        self.port = free_port()
        self._environment = {**os.environ, "PICASSO_DATA": str(data), "PICASSO_MAX_UPLOAD_BYTES": str(400 * MiB)}
        self._environment.pop("PICASSO_BROKER_URL", None)
        if database:
            self._environment["PICASSO_DATABASE_URL"] = database

    def migrate(self) -> None:
        subprocess.run([sys.executable, MANAGE, "migrate", "--verbosity=0"], env=self._environment, check=True)

    @contextmanager
    def running(self, *arguments: str) -> Iterator[Web]:
        command = [sys.executable, str(MANAGE), "web", "--port", str(self.port), "--parent", str(os.getpid())]
        with (self.data.parent / f"{self.data.name}.log").open("ab") as log:
            self.process = subprocess.Popen([*command, *arguments], env=self._environment, stdout=log, stderr=log)
        family = []
        try:
            wait_until(lambda: self.answers("/livez"))
            family = self.family()
            yield self
        finally:
            self.process.kill()
            self.process.wait()
            wait_until(lambda: not alive(family))

    def answers(self, path: str) -> bool:
        with suppress(OSError):
            return self.get(path)[0] == 200
        return False

    def get(self, path: str) -> tuple[int, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        connection.request("GET", path)
        answer = connection.getresponse()
        body = json.load(answer)
        connection.close()
        return answer.status, body

    def upload(self, content: bytes = b"hello", timeout: float = 10) -> dict[str, Any]:
        status, _, body = self.send(HEAD + content + TAIL, timeout=timeout)
        assert status == 201, body
        return json.loads(body)

    def send(self, body: bytes, *, length: int | None = None, timeout: float = 10) -> tuple[int, dict[str, str], bytes]:
        """Post ``body``, as if it were ``length`` bytes."""
        with self.begin(body, length=len(body) if length is None else length, timeout=timeout) as connection:
            return answer_of(connection)

    def begin(self, sent: bytes, *, length: int, timeout: float = 10) -> socket.socket:
        """Open a connection and send the first bytes of an upload that is said to be ``length`` bytes."""
        connection = socket.create_connection(("127.0.0.1", self.port), timeout)
        connection.sendall(head(length) + sent)
        return connection

    def family(self) -> list[int]:
        """Return the server's processes, the first of them the one that we started."""
        return descendants(self.process.pid)

    def incoming(self) -> list[str]:
        return [path.name for path in (self.data / "storage" / "incoming").glob("*")]

    def kept(self) -> tuple[int, int]:
        """Return how many files there are in the database and in the storage."""
        rows, url = 0, "/files/?page_size=1000"
        while url:
            page = self.get(url)[1]
            rows += len(page["results"])
            url = (page["next"] or "").partition(str(self.port))[2]
        return rows, sum(path.is_file() for path in (self.data / "storage" / "files").rglob("*"))


def head(length: int | None, *headers: str) -> bytes:
    lines = ["POST /upload/ HTTP/1.1", "Host: localhost", "Content-Type: multipart/form-data; boundary=bnd", *headers]
    if length is not None:
        lines.append(f"Content-Length: {length}")
    return "\r\n".join([*lines, "", ""]).encode()


def answer_of(connection: socket.socket) -> tuple[int, dict[str, str], bytes]:
    answer = http.client.HTTPResponse(connection)
    answer.begin()
    with answer:
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()


def descendants(pid: int) -> list[int]:
    found = [pid]
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(FileNotFoundError, ProcessLookupError):
            for child in children.read_text().split():
                found += descendants(int(child))
    return found


def memory_of(pid: int, line: str) -> int:
    status = dict(each.split(":", 1) for each in Path(f"/proc/{pid}/status").read_text().splitlines())
    return int(status[line].split()[0]) * 1024


@pytest.fixture(scope="module")
def database() -> Iterator[str | None]:
    """Have a database that no other test writes to; None is a file of SQLite's in the data folder."""
    url = os.environ.get("PICASSO_DATABASE_URL", "")
    with ExitStack() as stack:
        server, _, _ = url.rpartition("/")
        yield stack.enter_context(own_database(f"{server}/postgres")) if url.startswith("postgres") else None


@pytest.fixture(scope="module")
def shared(tmp_path_factory, database) -> Iterator[Web]:
    web = Web(tmp_path_factory.mktemp("web") / "data", database)
    web.migrate()
    with web.running():
        yield web


@pytest.fixture
def web(shared) -> Iterator[Web]:
    """Have a server that must be in order after the test, whatever happened to it."""
    rows, files = shared.kept()
    yield shared
    wait_until(lambda: shared.incoming() == [])
    assert shared.upload()["size"] == 5
    more_rows, more_files = shared.kept()
    assert more_rows - rows == more_files - files


@pytest.fixture
def own(shared, database) -> Web:
    """Have a server that the test starts and ends itself, on the database and the storage of the shared one."""
    return Web(shared.data, database)


# --- Clients that go away or lie -------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["closed", "reset", "half closed"])
def test_a_client_that_goes_away_leaves_nothing_behind(web, ending):
    before = web.kept()
    cuts = [0, *random.Random(ending).sample(range(len(FORM)), 18), len(FORM) - 1]
    for cut in cuts:
        with web.begin(FORM[:cut], length=len(FORM)) as connection:
            time.sleep(0.02)  # for the server to be in the middle of it
            if ending == "reset":
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            elif ending == "half closed":
                connection.shutdown(socket.SHUT_WR)
                with suppress(ConnectionError):
                    assert answer_of(connection)[0] == 400
    wait_until(lambda: web.incoming() == [])
    assert web.kept() == before


def test_a_body_shorter_than_its_length_is_refused_though_its_file_is_whole(web):
    before = web.kept()
    for _ in range(20):
        with web.begin(FORM, length=len(FORM) + 1) as connection:
            connection.shutdown(socket.SHUT_WR)
            with suppress(ConnectionError):
                assert json.loads(answer_of(connection)[2])["errors"][0]["code"] == "incomplete"
    wait_until(lambda: web.incoming() == [])
    assert web.kept() == before


def test_a_body_longer_than_its_length_is_cut_there(web):
    before = web.kept()
    status, _, body = web.send(FORM, length=len(FORM) - len(TAIL))
    assert (status, json.loads(body)["errors"][0]["code"]) == (400, "incomplete")
    assert web.kept() == before


def test_a_chunked_body_is_411_and_too_long_a_one_413_before_it_is_sent(web):
    for headers, status, code in (
        (head(None, "Transfer-Encoding: chunked"), 411, "length_required"),
        (head(10**12), 413, "too_large"),
    ):
        with socket.create_connection(("127.0.0.1", web.port), 2) as connection:
            connection.sendall(headers)
            answer = answer_of(connection)
        assert (answer[0], json.loads(answer[2])["errors"][0]["code"]) == (status, code)


@pytest.mark.parametrize("charset", ["hex", "undefined", "utf-16", "nonsense"])
def test_a_strange_charset_is_ignored(web, charset):
    for path in ("/livez", "/files/?page_size=1", "/nothing/"):
        connection = http.client.HTTPConnection("127.0.0.1", web.port, timeout=10)
        connection.request("GET", path, headers={"Content-Type": f"text/plain; charset={charset}"})
        answer = connection.getresponse()
        assert answer.status == (404 if path == "/nothing/" else 200)
        assert json.load(answer)
        connection.close()


# --- Many clients, slow clients, large files -------------------------------------------------------------------------


def test_forty_stalled_uploads_do_not_hold_up_another(web):
    before = web.kept()[0]
    with ExitStack() as stack:
        for _ in range(40):
            stack.enter_context(web.begin(FORM[:HALF], length=len(FORM)))
        wait_until(lambda: len(web.incoming()) == 40)
        begun = time.perf_counter()
        web.upload(timeout=5)
        took = time.perf_counter() - begun
        print(f"beside 40 stalled uploads one took {took * 1000:.0f} ms")
        assert took < 2
        assert web.answers("/livez")
    wait_until(lambda: web.incoming() == [])
    assert web.kept()[0] == before + 1


def test_fifty_stalled_downloads_do_not_hold_up_an_upload(web):
    path = web.upload(b"x" * 20 * MiB)["file"].partition("localhost")[2]
    with ExitStack() as stack:
        for _ in range(50):
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", web.port), 5))
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            assert connection.recv(12) == b"HTTP/1.1 200"
        begun = time.perf_counter()
        web.upload(timeout=5)
        assert time.perf_counter() - begun < 2


def test_uploads_at_the_same_time_are_all_kept(web):
    before = web.kept()[0]
    contents = [os.urandom(10_000) for _ in range(64)]
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(web.upload, contents))
    assert [each["sha256"] for each in answers] == [hashlib.sha256(content).hexdigest() for content in contents]
    assert web.kept()[0] == before + 64


def test_a_large_file_passes_through_little_memory_both_ways(web):
    block = os.urandom(MiB)
    size = 300 * MiB
    expected = hashlib.sha256(block * 300).hexdigest()
    served_by = web.family()[-1]
    web.upload(block)
    Path(f"/proc/{served_by}/clear_refs").write_text("5")  # forget the peak
    before = memory_of(served_by, "VmRSS")
    with web.begin(HEAD, length=len(HEAD) + size + len(TAIL), timeout=60) as connection:
        for _ in range(300):
            connection.sendall(block)
        connection.sendall(TAIL)
        file = json.loads(answer_of(connection)[2])
    assert (file["size"], file["sha256"]) == (size, expected)
    connection = http.client.HTTPConnection("127.0.0.1", web.port, timeout=60)
    connection.request("GET", file["file"].partition("localhost")[2])
    answer = connection.getresponse()
    assert int(answer.headers["Content-Length"]) == size
    assert hashlib.file_digest(answer, "sha256").hexdigest() == expected
    connection.close()
    grown = memory_of(served_by, "VmHWM") - before
    print(f"300 MiB up and down again: {grown / MiB:.1f} MiB more at the peak, over {before / MiB:.0f} MiB")
    assert grown < 32 * MiB


# --- The server's end ------------------------------------------------------------------------------------------------


def test_on_the_way_out_an_upload_in_flight_is_finished_and_a_stalled_one_is_cut_off(own):
    with (
        own.running(),
        own.begin(FORM[:HALF], length=len(FORM)),
        own.begin(FORM[:HALF], length=len(FORM)) as going_on,
    ):
        wait_until(lambda: len(own.incoming()) == 2)
        family = own.family()
        own.process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        going_on.sendall(FORM[HALF:])
        status, _, body = answer_of(going_on)
        own.process.wait(12)
        assert alive(family) == []
    assert status == 201
    key = json.loads(body)["id"]
    assert (own.data / "storage" / "files" / key[-2:] / key).read_bytes() == b"x" * MiB
    (left,) = (own.data / "storage" / "incoming").iterdir()  # a process that is killed tidies nothing
    left.unlink()


def test_an_idle_server_ends_at_once(own):
    with own.running():
        own.process.send_signal(signal.SIGTERM)
        assert own.process.wait(5) == 0


def test_of_two_processes_one_that_dies_is_replaced_and_none_outlives_the_first(own):
    with own.running("--processes", "2"):
        with ThreadPoolExecutor(8) as pool:
            assert len({file["id"] for file in pool.map(own.upload, [b"hello"] * 40)}) == 40
        before = own.family()
        os.kill(before[-1], signal.SIGKILL)
        wait_until(lambda: len(own.family()) == len(before) and before[-1] not in own.family())
        assert own.upload()["size"] == 5
        family = own.family()
        own.process.kill()
        own.process.wait()
        wait_until(lambda: not alive(family), 5)


def test_while_the_database_is_away_uploads_are_503_and_nothing_is_kept(tmp_path):
    web = Web(tmp_path / "data", f"postgres://picasso@127.0.0.1:{free_port()}/picasso")
    with web.running():
        begun = time.perf_counter()
        with ThreadPoolExecutor() as pool:
            readiness = pool.submit(web.get, "/readyz")
            status, headers, body = web.send(FORM)
        assert time.perf_counter() - begun < 10
        assert (status, json.loads(body)["errors"][0]["code"]) == (503, "unavailable")
        assert int(headers["retry-after"]) > 0
        assert readiness.result()[0] == 503
        assert web.answers("/livez")
        assert [path for path in (web.data / "storage").rglob("*") if path.is_file()] == []
