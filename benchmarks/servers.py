"""Start what is measured: Picasso's processes one by one and the plain service, each on a database of its own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.parse
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import kombu
import psycopg
from measure import listener

from picasso_core.supervisor import free_port

ROOT = Path(__file__).resolve().parent.parent
CORES = os.cpu_count() or 2
START_SECONDS = 60


@dataclass(frozen=True)
class Stage:
    """The services, and a folder of its own in which everything happens."""

    folder: Path
    broker: str = field(default_factory=lambda: os.environ["PICASSO_BROKER_URL"])
    database: str = field(default_factory=lambda: os.environ["PICASSO_DATABASE_URL"])
    queue: str = field(default_factory=lambda: f"bench.{uuid.uuid4().hex[:12]}")

    @property
    def services(self) -> list[int]:
        """The processes of database and broker; they also work for whoever else uses them."""
        ports = (urllib.parse.urlsplit(url).port or 0 for url in (self.broker, self.database))
        return [pid for port in ports for pid in listener(port)]

    def environment(self, data: str, database: str) -> dict[str, str]:
        """What one Picasso or plain service is told."""
        folder = self.folder / data
        folder.mkdir(exist_ok=True)
        own = {"PICASSO_DATA": str(folder), "PICASSO_DATABASE_URL": database, "PICASSO_QUEUE": f"{self.queue}.{data}"}
        return {**os.environ, **own}


@contextmanager
def database(stage: Stage, name: str) -> Iterator[str]:
    """One more database beside the one that we were given."""
    place, _, base = stage.database.rpartition("/")
    with psycopg.connect(stage.database, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {base}_{name}")
        try:
            yield f"{place}/{base}_{name}"
        finally:
            connection.execute(f"DROP DATABASE {base}_{name} WITH (FORCE)")


@contextmanager
def without_queues(stage: Stage, *names: str) -> Iterator[None]:
    """Remove these queues in the end."""
    try:
        yield
    finally:
        with kombu.Connection(stage.broker) as connection, closing(connection.channel()) as channel:
            for name in names:
                with suppress(connection.channel_errors):
                    channel.queue_delete(f"{stage.queue}.{name}")


def manage(environment: dict[str, str], *arguments: str) -> list[str]:
    """The command line of one of Picasso's commands, which ends with this process, once its database is ready."""
    command = [sys.executable, str(ROOT / "manage.py")]
    subprocess.run([*command, "migrate", "--verbosity=0"], env=environment, check=True)
    return [*command, *arguments, "--parent", str(os.getpid())]


@contextmanager
def web(environment: dict[str, str]) -> Iterator[tuple[int, int]]:
    """Picasso's web with a process per core; its process id and port."""
    port = free_port()
    command = manage(environment, "web", "--port", str(port), "--processes", str(CORES))
    with _running(command, environment, lambda: _answers(port)) as pid:
        yield pid, port


@contextmanager
def worker(environment: dict[str, str], ready: Callable[[], bool]) -> Iterator[int]:
    """Picasso's worker; its process id."""
    command = manage(environment, "worker")
    with _running(command, environment, ready) as pid:
        yield pid


@contextmanager
def plain(environment: dict[str, str]) -> Iterator[tuple[int, int]]:
    """The plain service under gunicorn with as many workers; its process id and port."""
    port, here = free_port(), ROOT / "benchmarks"
    table = [sys.executable, "-c", "import reference; reference.create_table()"]
    subprocess.run(table, env=environment, cwd=here, check=True)
    command = [sys.executable, "-m", "gunicorn", f"--workers={CORES}", f"--bind=127.0.0.1:{port}"]
    with _running([*command, "reference:application"], environment, lambda: _answers(port), cwd=here) as pid:
        yield pid, port


@contextmanager
def _running(
    command: list[str], environment: dict[str, str], ready: Callable[[], bool], cwd: Path | None = None
) -> Iterator[int]:
    log = Path(environment["PICASSO_DATA"], "log")
    with log.open("ab") as stream:
        # In a session of its own: Ctrl-C is for the benchmark, which then stops everything in order.
        process = subprocess.Popen(
            command, env=environment, stdout=stream, stderr=stream, cwd=cwd, start_new_session=True
        )
    try:
        deadline = time.monotonic() + START_SECONDS
        while not ready():
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"{' '.join(command)} did not start:\n{log.read_text()[-4000:]}")
            time.sleep(0.1)
        yield process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(40)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
