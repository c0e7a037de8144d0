"""The faults. Each is over when its function returns; Impossible says why it could not be."""

from __future__ import annotations

import os
import random
import signal
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from uuid import uuid4

from . import samples
from .disk import Disk
from .fleet import WORKERS, Fleet
from .load import Client, form
from .processes import is_frozen, signal_to
from .servers import Broker, Database

PAST_THE_LEASE = 36.0
TABLES = ("picasso_file", "picasso_job")


class Impossible(Exception):
    """This fault cannot be made here or now."""


@dataclass
class Scene:
    """Everything that can be hurt."""

    fleet: Fleet
    broker: Broker
    database: Database
    disk: Disk
    client: Client
    random: random.Random

    def recent(self, count: int) -> list[str]:
        """Return the ids of the last uploads."""
        return list(self.client.ledger.accepted)[-count:]


def one_of(scene: Scene, pids: list[int]) -> int:
    if not pids:
        raise Impossible("there was none to kill at that moment")
    return scene.random.choice(pids)


def web_process_killed(scene: Scene) -> None:
    os.kill(one_of(scene, scene.fleet.web_processes()), signal.SIGKILL)


def web_killed(scene: Scene) -> None:
    scene.fleet.kill("web")


def web_stopped(scene: Scene) -> None:
    stop(scene, "web")


def worker_killed(scene: Scene) -> None:
    scene.fleet.kill(scene.random.choice(WORKERS))


def all_workers_killed(scene: Scene) -> None:
    for name in WORKERS:
        scene.fleet.kill(name)


def worker_stopped(scene: Scene) -> None:
    awake = [name for name in WORKERS if not is_frozen(scene.fleet.pid(name))]
    if not awake:
        raise Impossible("no worker was awake at that moment")
    stop(scene, scene.random.choice(awake))


def zygote_killed(scene: Scene) -> None:
    signal_to(one_of(scene, scene.fleet.sandboxes()[0]), signal.SIGKILL)


def sandbox_killed(scene: Scene) -> None:
    signal_to(one_of(scene, scene.fleet.sandboxes()[1]), signal.SIGKILL)


def sweeper_killed(scene: Scene) -> None:
    scene.fleet.kill("sweeper")


def broker_killed(scene: Scene) -> None:
    scene.broker.end(signal.SIGKILL)
    time.sleep(scene.random.uniform(0, 4))
    scene.broker.start()


def broker_frozen(scene: Scene) -> None:
    scene.broker.signal(signal.SIGSTOP)
    try:
        time.sleep(scene.random.uniform(5, 15))
    finally:
        scene.broker.signal(signal.SIGCONT)


def broker_alarm(scene: Scene) -> None:
    scene.broker.block()
    try:
        time.sleep(scene.random.uniform(3, 6))
    finally:
        scene.broker.unblock()


def queue_deleted(scene: Scene) -> None:
    scene.broker.delete_queue()


def queue_purged(scene: Scene) -> None:
    scene.broker.purge_queue()


def messages_repeated(scene: Scene) -> None:
    ids = [*scene.recent(100) * 3, *(str(uuid4()) for _ in range(10))]
    scene.random.shuffle(ids)
    scene.broker.ring(ids)


def database_stopped(scene: Scene) -> None:
    scene.database.stop_at_once()
    try:
        time.sleep(scene.random.uniform(1, 4))
    finally:
        scene.database.start()


def database_frozen(scene: Scene) -> None:
    scene.database.freeze()
    try:
        time.sleep(scene.random.uniform(3, 6))
    finally:
        scene.database.thaw()


def connections_cut(scene: Scene) -> None:
    if not scene.database.cut_connections():
        raise Impossible("there was no connection at that moment")


def tables_locked(scene: Scene) -> None:
    with scene.database.connect() as connection, connection.transaction():
        for table in TABLES:
            connection.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
        time.sleep(scene.random.uniform(2, 4))


def disk_filled(scene: Scene) -> None:
    if not scene.disk.can_be_filled:
        raise Impossible("no small file system can be mounted here: it needs root, or user namespaces and unshare(1)")
    try:
        end = time.monotonic() + scene.random.uniform(3, 6)
        while time.monotonic() < end:
            # Over and over, and each time with a little room: writes end in the middle.
            scene.disk.free()
            scene.disk.fill(leave=scene.random.randrange(40 * 1024))
            time.sleep(1.0)
    finally:
        scene.disk.free()


def uploads_cut_off(scene: Scene) -> None:
    for number in range(20):
        body, headers = form(samples.make("large", scene.random.randrange(10**6)), keys=False)
        head = ["POST /upload/ HTTP/1.1", "Host: 127.0.0.1", f"Content-Length: {len(body)}"]
        head += [f"{name}: {value}" for name, value in headers.items()]
        try:
            with socket.create_connection(("127.0.0.1", scene.fleet.port), timeout=5) as connection:
                connection.sendall("\r\n".join([*head, "", ""]).encode() + body[: scene.random.randrange(len(body))])
                if number % 2:
                    connection.shutdown(socket.SHUT_WR)
        except OSError:
            continue


def freeze_worker(scene: Scene) -> int:
    """Freeze a worker while it is at work."""
    name = scene.random.choice(WORKERS)
    pid = scene.fleet.pid(name)
    if pid is None:
        raise Impossible("the worker was down at that moment")
    for _ in range(4):
        scene.client.post(samples.make("slow", scene.random.randrange(10**8, 10**9)))
    time.sleep(0.7)
    signal_to(pid, signal.SIGSTOP)
    return pid


def stop(scene: Scene, name: str) -> None:
    """Ask it to stop, and wait until another runs in its place."""
    pid = scene.fleet.pid(name)
    if pid is None:
        raise Impossible(f"{name} was down at that moment")
    signal_to(pid, signal.SIGTERM)
    give_up = time.monotonic() + 32
    while scene.fleet.pid(name) in (pid, None) and time.monotonic() < give_up:
        time.sleep(0.1)


FAULTS: dict[str, Callable[[Scene], None]] = {
    "a web process killed": web_process_killed,
    "web killed": web_killed,
    "web stopped (SIGTERM)": web_stopped,
    "a worker killed": worker_killed,
    "all workers killed": all_workers_killed,
    "a worker stopped (SIGTERM)": worker_stopped,
    "a zygote killed": zygote_killed,
    "a sandbox killed": sandbox_killed,
    "the sweeper killed": sweeper_killed,
    "RabbitMQ killed": broker_killed,
    "RabbitMQ frozen": broker_frozen,
    "RabbitMQ's memory alarm": broker_alarm,
    "the queue deleted": queue_deleted,
    "the queue purged": queue_purged,
    "messages repeated and shuffled": messages_repeated,
    "PostgreSQL stopped at once": database_stopped,
    "PostgreSQL frozen": database_frozen,
    "PostgreSQL's connections cut": connections_cut,
    "PostgreSQL's tables locked": tables_locked,
    "the disk filled": disk_filled,
    "uploads cut off": uploads_cut_off,
}
