"""``make chaos``: break everything at random while files are uploaded, then look whether the promises were kept."""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import urllib.request
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from picasso_core.supervisor import free_port
from tests.services import installed, postgresql_in, rabbitmq_in

from . import figures, invariants, samples
from .disk import Disk, MiB, enter_own_mounts
from .faults import Scene
from .fleet import ROOT, Fleet
from .load import Client, Ledger, Load
from .processes import adopt_orphans, descendants, signal_to
from .report import DRAIN_SECONDS, Report
from .servers import Broker, Database
from .storm import Storm

QUEUE = "picasso.v1"
SETTLE_SECONDS = 2.0
ORPHAN_SECONDS = 60
"""The least that Picasso allows."""
ROUND_SECONDS = 120.0
"""In which a sweeper goes once round the storage."""


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("--minutes", type=float, default=5, help="how long faults are made")
    parser.add_argument("--seed", type=int, default=1, help="the same seed, the same faults in the same order")
    parser.add_argument("--rate", type=float, default=7, help="uploads a second")
    parser.add_argument("--no-figures", action="store_true", help="leave the outages out that are timed beforehand")
    parser.add_argument("--page", type=Path, default=ROOT / "docs" / "reliability.md", help="where the table goes")
    return parser.parse_args()


def main() -> int:
    options = arguments()
    rabbitmq = installed("rabbitmq-server", "usr/lib/rabbitmq/bin")
    postgresql = installed("postgres", "usr/lib/postgresql/*/bin")
    if rabbitmq is None or postgresql is None:
        print("make chaos needs the programs of RabbitMQ and PostgreSQL: on Debian, rabbitmq-server and postgresql")
        return int(os.environ.get("CI") == "true")
    enter_own_mounts(sys.argv[1:])
    adopt_orphans()
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, end_once)
    logs = Path(tempfile.mkdtemp(prefix="picasso-chaos-logs-"))
    try:
        with ExitStack() as stack:
            report = run(options, rabbitmq, postgresql, logs, stack)
    except SystemExit:
        shutil.rmtree(logs)
        raise
    except Exception:
        print(f"make chaos itself failed; the logs are in {logs}")
        raise
    report.survivors += left_over()
    report.write(options.page)
    broken = report.broken()
    print("", report.text(), "", *(broken or ["Every promise was kept."]), sep="\n")
    if broken:
        print(f"\nThe logs are in {logs}")
    else:
        shutil.rmtree(logs)
    return int(bool(broken))


def end_once(number: int, frame: object) -> None:
    """Leave by way of every clean-up, which nobody interrupts."""
    for each in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(each, signal.SIG_IGN)
    sys.exit(128 + number)


def run(options: argparse.Namespace, rabbitmq: Path, postgresql: Path, logs: Path, stack: ExitStack) -> Report:
    scene = prepare(options, rabbitmq, postgresql, logs, stack)
    client, ledger, storage = scene.client, scene.client.ledger, scene.disk.path / "storage"
    usual = warm_up(scene)
    print(f"Seed {options.seed}: {options.rate:g} uploads a second under faults for {options.minutes:g} minutes")
    measured = [] if options.no_figures else figures.measure(scene)
    wait_until_drained(scene, "The files of the timed outages")
    begun = time.time()
    load, storm = Load(client, options.rate, options.seed), Storm(scene, options.seed)
    load.start()
    try:
        storm.rage(options.minutes * 60)
    finally:
        load.stop()
    last = storm.last_ended
    print("Draining, then waiting until bytes without a row are old enough to be collected", flush=True)
    drained = invariants.drain(scene.database, max(1.0, last + DRAIN_SECONDS - time.time()))
    if drained is not None:
        drained = time.time() - last
    orphans = invariants.collected(scene.database, storage, ORPHAN_SECONDS + ROUND_SECONDS)
    diagnosis = scene.fleet.examine()
    scene.fleet.stop()
    promised = invariants.Promised(ledger.accepted, usual, client.keys, begun)
    findings = invariants.check(scene.database, storage, promised)
    return Report(
        minutes=options.minutes,
        seed=options.seed,
        ledger=ledger,
        storm=storm,
        findings=findings,
        figures=measured,
        drained=drained,
        survivors=scene.fleet.survivors,
        slowest_stop=scene.fleet.slowest_stop,
        orphans=orphans,
        diagnosis=diagnosis,
    )


def prepare(options: argparse.Namespace, rabbitmq: Path, postgresql: Path, logs: Path, stack: ExitStack) -> Scene:
    """Start everything, on ports and in folders of its own."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="picasso-chaos-", ignore_cleanup_errors=True)))
    (folder / "postgresql").mkdir()
    (folder / "rabbitmq").mkdir()
    folder.chmod(0o755)
    disk = Disk(folder / "data", int((96 + 32 * options.minutes) * MiB))
    stack.callback(disk.close)
    database = Database(postgresql_in(str(folder / "postgresql"), postgresql), logs / "postgresql.log")
    node = stack.enter_context(rabbitmq_in(str(folder / "rabbitmq"), rabbitmq))
    broker = Broker(node, logs / "rabbitmq.log", QUEUE)
    for server in (database, broker):
        stack.callback(server.close)
        server.start()
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PICASSO_")}
    settings = {
        "PICASSO_DATA": str(disk.path),
        "PICASSO_DATABASE_URL": database.url,
        "PICASSO_BROKER_URL": broker.url,
        "PICASSO_QUEUE": QUEUE,
        "PICASSO_LOG_LEVEL": "INFO",
        "PICASSO_ORPHAN_SECONDS": str(ORPHAN_SECONDS),
    }
    fleet = Fleet(kept | settings, logs, free_port())
    stack.callback(fleet.stop)
    fleet.start()
    client = Client(fleet.port, Ledger())
    client.keys = knows_keys(fleet.port)
    return Scene(fleet, broker, database, disk, client, random.Random(options.seed))


def warm_up(scene: Scene) -> dict[str, Any]:
    """Upload one file of each kind while nothing is wrong, and learn how each ends."""
    for kind in samples.KINDS:
        scene.client.upload(samples.make(kind, 0))
    wait_until_drained(scene, "The first files")
    return invariants.learn(scene.database)


def wait_until_drained(scene: Scene, files: str) -> None:
    if invariants.drain(scene.database, DRAIN_SECONDS) is None:
        raise RuntimeError(f"{files} did not end within {DRAIN_SECONDS:.0f} seconds")


def knows_keys(port: int) -> bool:
    """Whether uploads may have an Idempotency-Key, by the schema."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/schema/", timeout=30) as answer:
        return b"idempotency-key" in answer.read().lower()


def left_over() -> list[str]:
    """End every process that is still there, and say which."""
    time.sleep(SETTLE_SECONDS)
    found = descendants(os.getpid())
    for each in found:
        signal_to(each.pid, signal.SIGKILL)
    return [f"{each.command} was there after the end" for each in found]


if __name__ == "__main__":
    sys.exit(main())
