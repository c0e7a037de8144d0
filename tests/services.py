"""Run a command against a real RabbitMQ and PostgreSQL: `python tests/services.py pytest tests`.

For each of the two: the server that PICASSO_TEST_BROKER_URL or PICASSO_TEST_DATABASE_URL names, else the one that
answers on the usual local port (unless PICASSO_TEST_PRIVATE is set), else a private one made of the installed binaries;
PICASSO_TEST_PRIVATE=durable makes the private database sync to the disk.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import kombu
import psycopg

from picasso_core.supervisor import free_port

BROKER = "amqp://guest:guest@127.0.0.1:{}//"
DATABASE = "postgres://postgres@127.0.0.1:{}/postgres"
START_SECONDS = 90
STOP_SECONDS = 20

Server = AbstractContextManager[str]  # inside it, the URL


def broker_answers(url: str) -> bool:
    with kombu.Connection(url, connect_timeout=2) as connection, suppress(OSError, *connection.connection_errors):
        return bool(connection.connect())
    return False


def database_answers(url: str) -> bool:
    with suppress(psycopg.OperationalError), psycopg.connect(url, connect_timeout=2):
        return True
    return False


def port_answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def running(command: list[str], answers: Callable[[], bool], stop: signal.Signals, **options: Any) -> Iterator[None]:
    # In a session of its own: Ctrl-C in the terminal is for the tests alone.
    with tempfile.TemporaryFile("w+", errors="replace") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True, cwd="/", **options)
        try:
            deadline = time.monotonic() + START_SECONDS
            while not answers():
                if process.poll() is not None or time.monotonic() > deadline:
                    log.seek(0)
                    sys.exit(f"{command[0]} did not start:\n{log.read()[-4000:]}")
                time.sleep(0.2)
            yield
        finally:
            process.send_signal(stop)
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)


@contextmanager
def own_database(url: str) -> Iterator[str]:
    """Make a database beside the one at ``url``: two clones, or two instances, may test at once on one server."""
    name = f"picasso_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    try:
        yield urlsplit(url)._replace(path=f"/{name}").geturl()
    finally:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@dataclass(frozen=True)
class Program:
    """How a private server is started on data of its own, and how one knows that it answers."""

    url: str
    command: list[str]
    answers: Callable[[], bool]
    options: dict[str, Any]
    """Of Popen: its account, its environment."""


def postgresql_in(folder: str, bindir: Path) -> Program:
    """Make an empty cluster in ``folder``, where everybody may look."""
    data, port = f"{folder}/data", free_port()
    account: dict[str, Any] = {}
    os.mkdir(data, 0o700)
    if os.geteuid() == 0:  # which PostgreSQL refuses
        account = {"user": "postgres", "group": "postgres", "extra_groups": ()}
        os.chmod(folder, 0o755)
        shutil.chown(data, "postgres", "postgres")
    # With a password, as in production: each new connection then costs what it costs there.
    secret = Path(folder, "password")
    secret.write_text("password")
    initdb = [f"{bindir}/initdb", "-D", data, "--username=postgres", "--encoding=UTF8", "--no-locale", "--no-sync"]
    password = ["--auth=scram-sha-256", f"--pwfile={secret}"]
    subprocess.run([*initdb, *password], check=True, stdout=subprocess.DEVNULL, cwd="/", **account)
    url = DATABASE.format(port).replace("postgres@", "postgres:password@")
    command = [f"{bindir}/postgres", "-D", data, "-k", data, "-h", "127.0.0.1", "-p", str(port)]
    return Program(url, command, lambda: database_answers(url), account)


@contextmanager
def rabbitmq_in(folder: str, bindir: Path) -> Iterator[Program]:
    """Prepare a node in ``folder``; Erlang's name server runs meanwhile, for one that RabbitMQ starts stays behind."""
    port, epmd_port = free_port(), free_port()
    environment = os.environ | {
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "ERL_EPMD_PORT": str(epmd_port),
        "HOME": folder,  # of the Erlang cookie
        "RABBITMQ_CONFIG_FILE": f"{folder}/none",
        "RABBITMQ_DIST_PORT": str(free_port()),
        "RABBITMQ_ENABLED_PLUGINS_FILE": f"{folder}/none",
        "RABBITMQ_LOG_BASE": folder,
        "RABBITMQ_MNESIA_BASE": folder,
        "RABBITMQ_NODENAME": f"picasso{os.getpid()}@localhost",
        "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODE_PORT": str(port),
    }
    url = BROKER.format(port)
    with running(["epmd"], lambda: port_answers(epmd_port), signal.SIGKILL, env=environment):
        yield Program(url, [f"{bindir}/rabbitmq-server"], lambda: broker_answers(url), {"env": environment})


@contextmanager
def private_database(bindir: Path) -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="picasso-postgresql-") as folder:
        server = postgresql_in(folder, bindir)
        # Without fsync, for these bytes need not outlive the tests, unless it is their cost that is measured.
        fsync = "on" if os.environ.get("PICASSO_TEST_PRIVATE") == "durable" else "off"
        with running([*server.command, "-c", f"fsync={fsync}"], server.answers, signal.SIGINT, **server.options):
            yield server.url


@contextmanager
def private_broker(bindir: Path) -> Iterator[str]:
    with ExitStack() as stack:
        # A port that was free when it was chosen may be somebody else's by now: once more, then.
        for last in (False, True):
            with ExitStack() as attempt, nullcontext() if last else suppress(SystemExit):
                folder = attempt.enter_context(tempfile.TemporaryDirectory(prefix="picasso-rabbitmq-"))
                server = attempt.enter_context(rabbitmq_in(folder, bindir))
                attempt.enter_context(running(server.command, server.answers, signal.SIGTERM, **server.options))
                stack.push(attempt.pop_all())
                break
        yield server.url


def installed(program: str, pattern: str) -> Path | None:
    """Debian keeps servers' programs off the PATH, or has a wrapper there that insists on its own user."""
    if found := sorted(Path("/").glob(pattern), key=lambda path: [int(part) for part in path.parts if part.isdigit()]):
        return found[-1]
    on_path = shutil.which(program)
    return Path(on_path).parent if on_path else None


def broker() -> Server | None:
    if url := os.environ.get("PICASSO_TEST_BROKER_URL"):
        return nullcontext(url)
    if "PICASSO_TEST_PRIVATE" not in os.environ and broker_answers(BROKER.format(5672)):
        return nullcontext(BROKER.format(5672))
    bindir = installed("rabbitmq-server", "usr/lib/rabbitmq/bin")
    return private_broker(bindir) if bindir else None


def database() -> Server | None:
    if url := os.environ.get("PICASSO_TEST_DATABASE_URL"):
        return nullcontext(url)
    if "PICASSO_TEST_PRIVATE" not in os.environ and database_answers(DATABASE.format(5432)):
        return own_database(DATABASE.format(5432))
    bindir = installed("postgres", "usr/lib/postgresql/*/bin")
    return private_database(bindir) if bindir else None


def run(command: list[str], environment: dict[str, str]) -> int:
    child = subprocess.Popen(command, env=environment)
    while True:
        try:
            status = child.wait()
        except KeyboardInterrupt:
            continue  # the terminal told the child as well
        except SystemExit:
            child.terminate()
        else:
            return status if status >= 0 else 128 - status


def main(command: list[str]) -> int:
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, frame: sys.exit(128 + number))  # on the way out servers are stopped
    servers = {"RabbitMQ": broker(), "PostgreSQL": database()}
    if missing := [name for name, server in servers.items() if server is None]:
        print(f"No {' and no '.join(missing)}, neither running nor installed: the tests on real services are skipped")
        return int(os.environ.get("CI") == "true")
    with ExitStack() as stack:
        urls = [stack.enter_context(server) for server in servers.values() if server]
        environment = dict(zip(("PICASSO_BROKER_URL", "PICASSO_DATABASE_URL"), urls, strict=True))
        print("On", *urls, flush=True)
        return run(command, os.environ | environment)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
