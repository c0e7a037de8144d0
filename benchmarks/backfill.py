"""A processor newly installed beside an archive: ``python benchmarks/backfill.py [--files N] [--kill]``.

On a RabbitMQ and a PostgreSQL of its own. Measures how long new uploads take before and meanwhile, what every process
holds, how many messages wait and whether plan and ETA were right; ``--kill`` kills worker, sweeper and broker once
each on the way. Exit status 1 if something that must hold does not, saying which.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT))

import kombu  # noqa: E402 - the tests' folder first
import psycopg  # noqa: E402
from client import Client, fetch, upload  # noqa: E402
from measure import cpu_seconds, resident  # noqa: E402

from picasso_core.supervisor import free_port  # noqa: E402
from tests.chaos.servers import Broker, Database  # noqa: E402
from tests.elsewhere import Elsewhere  # noqa: E402
from tests.services import installed, postgresql_in, rabbitmq_in  # noqa: E402

ECHO = b"picasso-echo\n"
TYPE = "application/vnd.picasso.echo"
LINKS = 20_000
"""How many names one inode gets."""
PLUGIN = f"""
from picasso_core.processors import Processor, Result


class NoopProcessor(Processor):
    media_types = {{"{TYPE}"}}

    def process(self, file):
        return Result()
"""
IDLE_UPLOADS, PACE = 150, 0.1
P95_RATIO, MEMORY, MESSAGES, ETA = 3.0, 32.0, 1000, 0.25
LIMIT_SECONDS = 1800
LOOK_SECONDS, MEMORY_SECONDS = 0.5, 5.0
"""Looking costs what is looked at: the kernel adds a process's memory up page by page."""


@dataclass
class Seen:
    """What was seen while it ran."""

    memory: dict[str, list[float]] = field(default_factory=dict)
    waits: list[float] = field(default_factory=list)
    memory_at: float = 0.0
    messages: int = 0
    eta: float = 0.0
    eta_at: float = 0.0


class Service:
    """Picasso's processes, each started again after it was killed."""

    def __init__(self, folder: Path, broker: Broker, database: Database) -> None:
        self.port = free_port()
        self.broker, self.database = broker, database
        self.data = folder / "data"
        self.data.mkdir()
        own = {"PICASSO_DATA": str(self.data), "PICASSO_DATABASE_URL": database.url, "PICASSO_BROKER_URL": broker.url}
        self.environment = {**os.environ, **own}
        self.environment.pop("PICASSO_QUEUE", None)
        self._connection: psycopg.Connection[Any] | None = None
        self._log = (folder / "log").open("ab")
        self.processes: dict[str, tuple[subprocess.Popen[bytes], str, list[str]]] = {}

    def manage(self, python: str, *arguments: str) -> list[str]:
        return [python, str(ROOT / "manage.py"), *arguments]

    def start(self, name: str, *arguments: str, python: str = sys.executable) -> None:
        command = self.manage(python, *arguments, "--parent", str(os.getpid()))
        process = subprocess.Popen(
            command, env=self.environment, stdout=self._log, stderr=self._log, start_new_session=True
        )
        self.processes[name] = process, python, list(arguments)

    def stop(self, name: str) -> None:
        process, *_ = self.processes.pop(name)
        process.send_signal(signal.SIGTERM)
        process.wait(40)

    def kill(self, name: str) -> None:
        process, python, arguments = self.processes[name]
        process.kill()
        process.wait()
        time.sleep(1)
        self.start(name, *arguments, python=python)

    def rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        if self._connection is None:
            self._connection = psycopg.connect(self.database.url, autocommit=True, connect_timeout=5)
        return self._connection.execute(sql, values or None).fetchall()

    def one(self, sql: str, *values: Any) -> Any:
        return self.rows(sql, *values)[0][0]

    def cpu(self) -> dict[str, float]:
        """Seconds of processor time so far, of each process with all below it."""
        pids = {name: process.pid for name, (process, *_) in self.processes.items()}
        servers = {"broker": self.broker.process, "database": self.database.process}
        pids |= {name: process.pid for name, process in servers.items() if process}
        return {name: cpu_seconds([pid]) for name, pid in pids.items()}

    def waiting(self) -> int:
        with suppress(Exception), kombu.Connection(self.broker.url, connect_timeout=2) as connection:
            return int(connection.default_channel.queue_declare("picasso.v1", passive=True).message_count)
        return 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--kill", action="store_true")
    options = parser.parse_args()
    rabbitmq, postgresql = (
        installed("rabbitmq-server", "usr/lib/rabbitmq/bin"),
        installed("postgres", "usr/lib/postgresql/*/bin"),
    )
    if rabbitmq is None or postgresql is None:
        return print("It needs the programs of RabbitMQ and PostgreSQL.") or 1
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="picasso-backfill-")))
        os.chmod(folder, 0o755)
        (folder / "postgresql").mkdir(), (folder / "rabbitmq").mkdir()
        program = stack.enter_context(rabbitmq_in(str(folder / "rabbitmq"), rabbitmq))
        broker = Broker(program, folder / "rabbitmq.log", "picasso.v1")
        database = Database(postgresql_in(str(folder / "postgresql"), postgresql), folder / "postgresql.log")
        for server in (broker, database):
            stack.callback(server.close)
            server.start()
        service = Service(folder, broker, database)
        stack.callback(lambda: [service.stop(name) for name in list(service.processes)])
        wrong = measure(service, folder, options.files, options.kill)
    for each in wrong:
        print(f"MISSED: {each}")
    return int(bool(wrong))


def measure(service: Service, folder: Path, files: int, kill: bool) -> list[str]:
    subprocess.run(
        service.manage(sys.executable, "migrate", "--verbosity=0"), env=service.environment, check=True, cwd=ROOT
    )
    service.start("web", "web", "--port", str(service.port))
    service.start("sweeper", "sweeper")
    service.start("worker", "worker")
    _until(lambda: service.one("SELECT count(*) FROM picasso_offer") > 0, 90)
    # Theirs are planned within seconds and have nothing to do yet; later they would have all that is put in.
    done = "SELECT count(*) FROM picasso_backfill WHERE kind = 'process' AND state = 'done'"
    _until(lambda: service.one(done) == service.one("SELECT count(*) FROM picasso_offer"), 60)
    began = time.monotonic()
    put(service, files)
    print(f"{files:,} files put into the archive in {time.monotonic() - began:.0f} s", flush=True)
    before = idle_latencies(service)
    other = install(folder / "elsewhere")
    service.stop("worker")
    service.start("worker", "worker", python=str(other.python))
    where = "WHERE processor = 'noop' AND kind = 'process'"
    _until(lambda: service.one(f"SELECT count(*) FROM picasso_backfill {where}") == 1, 60)  # noqa: S608
    planned = service.one(f"SELECT files FROM picasso_backfill {where}")  # noqa: S608
    there = service.one("SELECT count(*) FROM picasso_file")
    seen, began, used = Seen(), time.monotonic(), service.cpu()
    during = watch(service, seen, began, planned, kill)
    took = time.monotonic() - began
    if not kill:
        each = {name: round((now - used[name]) * 1000 / planned, 2) for name, now in service.cpu().items()}
        print(f"{'processor time for a file, ms, uploads meanwhile included':<58} {each}")
    # Every new file has the new processor's work as well: an idle system that has it is what compares.
    waits = {"idle, without it": before, "idle": idle_latencies(service), "during": latencies(service, during)}
    return report(service, files, planned, there, waits, seen, took)


def put(service: Service, files: int) -> None:
    """Add processed files to the archive: rows by one statement, bytes as hard links."""
    content = ECHO + b"an archive of old\n"
    offers = "INSERT INTO picasso_file (id, name, declared_type, size, sha256, media_type, identified_by, status, "
    with psycopg.connect(service.database.url, autocommit=True) as connection:
        columns = "processed, file, attempts, losses, uploaded_at, identify_again"
        made = (
            "SELECT id, 'old.echo', '', %s, repeat('0', 64), %s, '[]', 'processed', true, "
            "'files/' || right(replace(id::text, '-', ''), 2) || '/' || id, 0, 0, now(), false FROM ("
            "SELECT (lpad(to_hex((extract(epoch FROM now()) * 1000)::bigint - %s + number), 12, '0') "
            "|| '7' || substr(md5(number::text), 1, 3) || '8' || substr(md5(number::text), 4, 15))::uuid AS id "
            "FROM generate_series(1, %s) AS number) AS made RETURNING file"
        )
        cursor = connection.execute(offers + f"{columns}) {made}", (len(content), TYPE, files, files))
        keys = [key for (key,) in cursor.fetchall()]
        connection.execute("ANALYZE")
    storage = service.data / "storage"
    storage.mkdir(exist_ok=True)
    for number, key in enumerate(keys):
        place = storage / key
        if number % LINKS == 0:
            source = storage / f"source-{number}"
            source.write_bytes(content)
        place.parent.mkdir(parents=True, exist_ok=True)
        os.link(source, place)
    for source in storage.glob("source-*"):
        source.unlink()


def install(folder: Path) -> Elsewhere:
    """Make an environment that has one more processor."""
    other = Elsewhere(folder)
    (other.site / "noop.py").write_text(PLUGIN)
    metadata = other.site / "picasso_noop-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: picasso-noop\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[picasso.processors]\nnoop = noop:NoopProcessor\n")
    return other


def uploads(port: int, many: int, stopping: threading.Event) -> list[str]:
    """Upload one small file after the other at a steady pace."""
    client, ids = Client(port), list[str]()
    while len(ids) < many and not stopping.is_set():
        content = ECHO + os.urandom(64).hex().encode()
        try:
            ids.append(json.loads(client.ask(upload("new.echo", content)))["id"])
        except OSError:
            client.close()
        stopping.wait(PACE)
    client.close()
    return ids


def idle_latencies(service: Service) -> list[float]:
    """Of uploads while nothing else is to be done."""
    ids = uploads(service.port, IDLE_UPLOADS, threading.Event())
    _until(lambda: not open_files(service), 60)
    return latencies(service, ids)


def latencies(service: Service, ids: list[str]) -> list[float]:
    """Milliseconds from an upload to the end of its last Job."""
    sql = (
        "SELECT extract(epoch FROM max(job.finished_at) - file.uploaded_at) * 1000 FROM picasso_file AS file "
        "JOIN picasso_job AS job ON job.file_id = file.id WHERE file.id = ANY(%s::uuid[]) GROUP BY file.id"
    )
    return [float(row[0]) for row in service.rows(sql, ids)]


def open_files(service: Service) -> int:
    return int(service.one("SELECT count(*) FROM picasso_file WHERE status IN ('queued', 'processing')"))


def watch(service: Service, seen: Seen, began: float, planned: int, kill: bool) -> list[str]:
    """Upload and look on until the backfill is done; kill what is to be killed."""
    stopping, ids = threading.Event(), list[str]()
    uploader = threading.Thread(target=lambda: ids.extend(uploads(service.port, 10**6, stopping)))
    uploader.start()
    faults = {0.3: "worker", 0.5: "sweeper", 0.7: "broker"} if kill else {}
    try:
        while time.monotonic() < began + LIMIT_SECONDS:
            done = service.one("SELECT count(*) FROM picasso_job WHERE processor = 'noop' AND lane = 'backfill' "
                               "AND state = 'succeeded'")  # fmt: skip
            look(service, seen, done / max(planned, 1), began)
            for share in [each for each in faults if done >= each * planned]:
                fault(service, faults.pop(share))
            if service.one("SELECT state FROM picasso_backfill WHERE processor = 'noop'") == "done":
                break
            time.sleep(LOOK_SECONDS)
    finally:
        stopping.set()
        uploader.join()
    _until(lambda: not open_files(service), 60)
    return ids


def look(service: Service, seen: Seen, share: float, began: float) -> None:
    seen.messages = max(seen.messages, service.waiting())
    if 0.02 < share < 0.98 and time.monotonic() > seen.memory_at + MEMORY_SECONDS:
        seen.memory_at = time.monotonic()
        for name, (process, *_) in service.processes.items():
            seen.memory.setdefault(f"{name} {process.pid}", []).append(resident(process.pid))
    if not seen.eta and share >= 0.1:
        pk = service.one("SELECT id FROM picasso_backfill WHERE processor = 'noop'")
        with suppress(OSError):
            seen.eta = fetch(service.port, f"/backfills/{pk}/")["progress"]["eta_seconds"]
        seen.eta_at = time.monotonic() - began


def fault(service: Service, what: str) -> None:
    print(f"killing the {what}", flush=True)
    if what == "broker":
        service.broker.end(signal.SIGKILL)
        time.sleep(2)
        service.broker.start()
    else:
        service.kill(what)


def report(
    service: Service, files: int, planned: int, there: int, waits: dict[str, list[float]], seen: Seen, took: float
) -> list[str]:
    """Print the figures and return what must hold and does not."""
    wrong = []

    def line(what: str, value: object, missed: bool) -> None:
        print(f"{what:<58} {value} {'MISSED' if missed else ''}")
        if missed:
            wrong.append(f"{what}: {value}")

    reached = service.one("SELECT count(DISTINCT file_id) FROM picasso_job WHERE processor = 'noop' "
                          "AND state = 'succeeded'")  # fmt: skip
    total = service.one("SELECT count(*) FROM picasso_file")
    twice = service.one("SELECT count(*) FROM picasso_job WHERE processor = 'noop'") - reached
    made = service.one("SELECT taken_up FROM picasso_backfill WHERE processor = 'noop'")
    line("planned", f"{planned:,} of {there:,}", planned != there)
    line("files that have it / files", f"{reached:,} / {total:,}", reached != total)
    line("taken up, Jobs too many", f"{made:,}, {twice}", made < planned or twice != 0)
    print(f"{'took':<58} {took:.0f} s, {made / took:.0f} files/s")
    line("messages waiting, at the most", seen.messages, seen.messages > MESSAGES)
    growth = {name: max(each) - min(each) for name, each in seen.memory.items() if len(each) > 5}
    moved = {name: round(most, 1) for name, most in growth.items()}
    line("memory, most it moved, MiB", moved, max(growth.values(), default=0) > MEMORY)
    p95 = {when: statistics.quantiles(each, n=20)[-1] for when, each in waits.items()}
    told = (f"{when} {statistics.median(each):.1f} {p95[when]:.1f}" for when, each in waits.items())
    line(f"p50 and p95 of new files, ms ({len(waits['during'])} during)", "; ".join(told),
         p95["during"] > P95_RATIO * p95["idle"])  # fmt: skip
    left = took - seen.eta_at
    line("ETA after a tenth, s, and what it was", f"{seen.eta:.0f} {left:.0f}", abs(seen.eta / left - 1) > ETA)
    return wrong


def _until(look: Any, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not look():
        if time.monotonic() > deadline:
            raise SystemExit(f"not after {seconds} seconds: {look}")
        time.sleep(0.1)


if __name__ == "__main__":
    sys.exit(main())
