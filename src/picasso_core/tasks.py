"""What Celery does here: the task that a message asks for, and the worker that listens."""

from __future__ import annotations

import time
import uuid
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import structlog
from celery import current_app, shared_task, signals
from celery.apps.worker import install_worker_term_handler  # type: ignore[attr-defined]
from celery.bootsteps import StartStopStep
from celery.exceptions import SecurityWarning
from celery.worker.consumer import Consumer
from celery.worker.state import maybe_shutdown
from django.conf import settings
from django.db import Error as DatabaseError
from django.db import connections
from kombu import Connection

from . import execution
from .backfills import feeder
from .doorbell import TASK, BrokerAway, doorbell, make_queue
from .models import File
from .outages import Pauses, broker_trouble, database_trouble
from .sandbox.client import SandboxUnavailable, Zygote
from .worker import Worker

logger = structlog.get_logger(__name__)

SLICE_SECONDS = 0.1


class _Process:
    """The worker that this process is, once Celery has started it."""

    queue = ""
    slots = 1
    worker: Worker | None = None


@shared_task(name=TASK, acks_late=True, ignore_result=True)
def process_file(file_id: str) -> None:
    """Bring one File up to date; nothing is raised, since the database says what is still to be done."""
    try:
        assert _Process.worker is not None
        with _Process.worker.at_work() as slot:
            for each, queue in _work(uuid.UUID(file_id), slot):
                doorbell.ring(each, queue)
    except DatabaseError as error:
        logger.warning("database away, the claim will expire", file=file_id, error=database_trouble(error))
        connections.close_all()
    except BrokerAway as error:
        logger.warning("broker away, the sweeper takes over", file=file_id, error=str(error))
    except BaseException:
        # MemoryError included: raised out of a task it would end the worker.
        logger.exception("bringing a file up to date failed", file=file_id)


def _work(file_id: uuid.UUID, slot: execution.Slot) -> Iterator[tuple[uuid.UUID, str]]:
    """Bring one File up to date and yield what is to be announced where.

    One of the backfill lane makes room for the next, which is done at once for a moment, and while no new upload waits:
    a message costs as much as a small file.
    """
    until = time.monotonic() + SLICE_SECONDS
    while True:
        then = execution.process(file_id, slot)
        yield from ((file_id, queue) for queue in then.elsewhere)
        following = feeder.take(slot.queue, 1) if then.room else []
        if not following:
            return
        (file_id,) = following
        if time.monotonic() > until or File.any_queued():
            yield file_id, slot.queue
            return


class Listener(Consumer):
    """Celery's consumer; without a broker it says why in one line for each try, and waits longer each time."""

    conninfo: Connection
    pauses = Pauses()

    def ensure_connected(self, conn: Connection) -> Connection:
        """Connect or raise: Celery tries again only what it takes for an outage, a wrong password in a tight loop."""
        conn.connect()
        self.first_connection_attempt = False
        return conn

    def on_connection_error_before_connected(self, exc: Exception) -> None:
        """Wait, unless the worker is to end."""
        seconds = self.pauses.after_failure()
        logger.error("broker away", error=broker_trouble(exc), broker=self.conninfo.as_uri(), next_try_in=seconds)
        self._wait(seconds)

    def on_connection_error_after_connected(self, exc: Exception) -> None:
        """Let the connection go and wait, unless the worker is to end."""
        super().on_connection_error_after_connected(exc)
        self._wait(self.pauses.after_failure())

    def _wait(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            maybe_shutdown()
            time.sleep(0.1)


class QuietEnd(StartStopStep):
    """Takes SIGTERM without Celery's line about it on standard output."""

    def start(self, parent: Any) -> None:
        """Replace the handler, which Celery has set before it starts any step."""
        install_worker_term_handler(parent, verbose=False)


def run_worker(*, queue: str, concurrency: int, loglevel: str) -> None:
    """Run a Celery worker in this process until a signal ends it."""
    current_app.conf.task_queues = [make_queue(queue)]
    _Process.queue, _Process.slots = queue, concurrency
    arguments = ["--pool=threads", f"--concurrency={concurrency}", f"--loglevel={loglevel}", f"--queues={queue}"]
    # No message has an ETA here: without this step Celery declares 28 queues for such messages beside ours.
    steps: Any = Consumer.Blueprint.default_steps
    steps[:] = [step for step in steps if "delayed_delivery" not in str(step)]
    # Celery warns root because of pickled messages; here they are JSON alone.
    warnings.filterwarnings("ignore", category=SecurityWarning)
    current_app.steps["worker"].add(QuietEnd)
    current_app.worker_main(
        ["--quiet", "worker", *arguments, "--without-gossip", "--without-mingle", "--without-heartbeat"]
    )


@signals.worker_init.connect
def _start(**kwargs: Any) -> None:
    zygote = Zygote(settings.PICASSO_SANDBOX, private=[settings.DATA, Path(settings.PICASSO_SCRATCH)])
    scratch = Path(settings.PICASSO_SCRATCH)
    queue, slots = _Process.queue, _Process.slots
    _Process.worker = Worker(queue, slots, scratch, zygote, lambda: doorbell.waiting(queue))
    try:
        _Process.worker.start()
    except SandboxUnavailable as error:
        # Celery goes on after any other exception here.
        raise SystemExit(str(error)) from None


@signals.worker_shutting_down.connect
def _stop_soon(**kwargs: Any) -> None:
    if _Process.worker is not None:
        _Process.worker.stop_soon()


@signals.worker_shutdown.connect
def _close(**kwargs: Any) -> None:
    if _Process.worker is not None:
        _Process.worker.close()
    doorbell.close()
