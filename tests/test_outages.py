"""A database or a broker that cannot be used: clients get a sentence, operators one clear line, and it heals."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from picasso_core.outages import Pauses
from picasso_core.supervisor import free_port
from tests.live import ROOT, Instance, wait_until
from tests.services import own_database

BROKER = os.environ.get("PICASSO_BROKER_URL", "")
DATABASE = os.environ.get("PICASSO_DATABASE_URL", "")
needs_rabbitmq = pytest.mark.skipif(not BROKER.startswith("amqp"), reason="needs RabbitMQ: runs in make test-services")
needs_postgresql = pytest.mark.skipif(not DATABASE.startswith("postgres"), reason="needs PostgreSQL")


class Process:
    """One command of manage.py with what it writes."""

    def __init__(self, log: Path, process: subprocess.Popen[bytes]) -> None:
        self.log = log
        self.process = process

    @property
    def lines(self) -> list[str]:
        """Return what it logged, but for how its sandbox is confined, which depends on the machine."""
        lines = self.log.read_text().splitlines()
        return [line for line in lines if re.match(r"\d{4}-|Traceback| +File ", line) and "sandbox" not in line]

    def says(self, words: str, times: int = 1) -> list[str]:
        """Wait until ``times`` lines have the words, and return all lines."""
        wait_until(lambda: sum(words in line for line in self.lines) >= times, 30, self.log)
        return self.lines


@contextmanager
def started(tmp_path: Path, *command: str, **environment: str) -> Iterator[Process]:
    log = tmp_path / f"{command[0]}.log"
    environment = {**os.environ, "PICASSO_DATA": str(tmp_path / "data"), **environment}
    with log.open("wb") as out:
        line = [sys.executable, str(ROOT / "manage.py"), *command, "--parent", str(os.getpid())]
        process = subprocess.Popen(line, env=environment, stdout=out, stderr=out)
    try:
        yield Process(log, process)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(40)


def ask(url: str, path: str) -> tuple[int, dict]:
    try:
        with urllib.request.urlopen(url + path, timeout=20) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def until_it_answers(url: str) -> None:
    def answers() -> bool:
        with suppress(OSError):
            return ask(url, "/livez")[0] == 200
        return False

    wait_until(answers, 30)


@pytest.fixture
def unmigrated(tmp_path) -> Iterator[dict[str, str]]:
    """Have settings of a database without tables."""
    with ExitStack() as stack:
        if DATABASE.startswith("postgres"):
            yield {"PICASSO_DATABASE_URL": stack.enter_context(own_database(DATABASE))}
        else:
            yield {}


def test_before_the_migration_clients_are_told_to_wait_and_operators_what_to_do_and_after_it_all_goes_on(
    tmp_path, unmigrated
):
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    quiet = {**unmigrated, "PICASSO_QUEUE": f"test.{port}"}
    with (
        started(tmp_path, "web", "--port", str(port), **quiet) as web,
        started(tmp_path, "worker", "--concurrency", "1", **quiet) as worker,
        started(tmp_path, "sweeper", **quiet) as sweeper,
    ):
        until_it_answers(url)
        one = "019e1b6c-2f6a-7cc3-98c4-dc0c0c07398f"
        for path in ("/files/", f"/files/{one}/", f"/files/{one}/content/", "/processors/"):
            status, answer = ask(url, path)
            assert (status, answer["errors"][0]["code"]) == (503, "unavailable"), path
            assert "Try again" in answer["errors"][0]["detail"]
        client = Instance(tmp_path / "unused")
        client.url = url
        with pytest.raises(urllib.error.HTTPError) as refused:
            client.upload(b"picasso-echo\nhello\n")
        assert (refused.value.code, refused.value.headers["Retry-After"]) == (503, "5")
        refused.value.close()
        assert ask(url, "/readyz")[0] == 503
        assert [path for path in (tmp_path / "data" / "storage").rglob("*") if path.is_file()] == []
        for process in (web, worker, sweeper):
            lines = process.says("run manage.py migrate")
            assert [line for line in lines if "run manage.py migrate" not in line] == []
        assert len(web.lines) == 6  # one for each request
        environment = {**os.environ, "PICASSO_DATA": str(tmp_path / "data"), **quiet}
        migrate = [sys.executable, str(ROOT / "manage.py"), "migrate", "--verbosity=0"]
        subprocess.run(migrate, env=environment, check=True)
        client.log = worker.log
        file = client.upload(b"picasso-echo\nhello\n")
        assert client.ended(file, seconds=40)["status"] == "processed"


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        pytest.param("password", "RabbitMQ refuses this user, password or queue", marks=needs_rabbitmq),
        pytest.param("vhost", "RabbitMQ lets this user into no such virtual host", marks=needs_rabbitmq),
        ("port", "The broker does not answer"),
        ("host", "Nobody knows the host that PICASSO_BROKER_URL names"),
    ],
)
def test_a_broker_that_cannot_be_used_is_one_line_for_each_try_with_longer_and_longer_pauses(tmp_path, wrong, sentence):
    server = urlsplit(BROKER).netloc.rpartition("@")[2] or "127.0.0.1"
    url = {
        "password": f"amqp://guest:wrong-one@{server}//",
        "vhost": f"amqp://guest:guest@{server}/nowhere",
        "port": f"amqp://guest:wrong-one@127.0.0.1:{free_port()}//",
        "host": "amqp://guest:wrong-one@nobody.invalid//",
    }[wrong]
    data = {"PICASSO_BROKER_URL": url, "PICASSO_DATABASE_URL": f"sqlite:///{tmp_path}/x.sqlite3"}
    environment = {**os.environ, "PICASSO_DATA": str(tmp_path / "data"), **data}
    subprocess.run([sys.executable, str(ROOT / "manage.py"), "migrate", "-v0"], env=environment, check=True)
    with (
        started(tmp_path, "worker", "--concurrency", "1", **data) as worker,
        started(tmp_path, "sweeper", **data) as sweeper,
    ):
        for process in (worker, sweeper):
            process.says(sentence, times=2)
        time.sleep(2)
        for process in (worker, sweeper):
            lines = process.lines
            assert [line for line in lines if sentence not in line or "PICASSO_BROKER_URL" not in line] == []
            assert 2 <= len(lines) <= 4
            assert "wrong-one" not in "".join(lines)
            assert "next_try_in=1.0" in lines[0]
            assert "next_try_in=2.0" in lines[1]
    assert "shutdown" not in worker.log.read_text()


@needs_postgresql
def test_a_database_that_refuses_the_user_is_503_and_named_in_the_log(tmp_path):
    port = free_port()
    server = urlsplit(DATABASE).netloc.rpartition("@")[2]
    wrong = {"PICASSO_DATABASE_URL": f"postgres://nobody_at_all:secret@{server}/postgres"}
    with started(tmp_path, "web", "--port", str(port), **wrong) as web:
        until_it_answers(f"http://127.0.0.1:{port}")
        assert ask(f"http://127.0.0.1:{port}", "/files/")[0] == 503
        lines = web.says("PICASSO_DATABASE_URL")
        assert any('"nobody_at_all"' in line for line in lines)
        assert len(lines) <= 4
        assert "secret" not in "".join(lines)


def test_what_a_client_does_wrong_is_no_line_in_the_log(instance):
    before = instance.log.read_text()
    for path in ("/nothing/", "/files/?status=wrong", "/files/019e1b6c-2f6a-7cc3-98c4-dc0c0c07398f/"):
        assert ask(instance.url, path)[0] in (400, 404)
    evil = urllib.request.Request(f"{instance.url}/files/", headers={"Host": "evil.example"})
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(evil, timeout=10)
    with refused.value:
        assert json.load(refused.value)["errors"][0]["code"] == "unknown_host"
    assert instance.log.read_text() == before


def test_a_host_name_that_is_not_served_is_one_line_at_info(tmp_path):
    port = free_port()
    with started(tmp_path, "web", "--port", str(port), PICASSO_LOG_LEVEL="INFO") as web:
        until_it_answers(f"http://127.0.0.1:{port}")
        evil = urllib.request.Request(f"http://127.0.0.1:{port}/files/", headers={"Host": "evil.example"})
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(evil, timeout=10)
        refused.value.close()
        (line,) = web.says("PICASSO_ALLOWED_HOSTS")
        assert "'evil.example'" in line


def test_pauses_grow_to_four_seconds_and_begin_anew_after_a_quiet_minute(monkeypatch):
    now = [1000.0]
    monkeypatch.setattr("picasso_core.outages.time.monotonic", lambda: now[0])
    pauses = Pauses()
    assert [pauses.after_failure() for _ in range(6)] == [1, 2, 4, 4, 4, 4]
    now[0] += 61
    assert pauses.after_failure() == 1
