"""What a worker process keeps: the zygote, a sandbox per thread, its offers, a watchdog. No Celery here."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import structlog
from django.conf import settings
from django.db import Error as DatabaseError
from django.db import connection, transaction

from .execution import Slot
from .models import Offer, WorkerBeat
from .models.work import uuid7
from .outages import Pauses, database_trouble
from .processes import show_alive
from .sandbox import scratch
from .sandbox.client import Zygote
from .sandbox.runner import Runner

logger = structlog.get_logger(__name__)

HEARTBEAT_SECONDS = 10.0
OVERDUE_SECONDS = 30.0
DEAF_SECONDS = 10.0
GRACE_SECONDS = 20.0
LAST_SECONDS = 28.0
LAST_BEAT_SECONDS = 2.0


class Worker:
    """One worker process, listening to one queue."""

    def __init__(self, queue: str, slots: int, scratch: Path, zygote: Zygote, waiting: Callable[[], int]) -> None:
        """``slots`` is how many files it works on at a time.

        ``waiting`` asks the broker how many messages of the queue nobody has yet; it may raise anything.
        """
        self.id = uuid7()
        self.queue = queue
        self.slots = slots
        self.zygote = zygote
        self._waiting = waiting
        self._busy = 0
        self._heard = time.monotonic()
        self._scratch = scratch
        self._runners: list[Runner] = []
        self._slots = threading.local()
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._heart: threading.Thread | None = None

    def start(self) -> None:
        """Import the plugins in the zygote, announce them, and begin to beat; blocks while the database is away."""
        self._scratch, self._held = claim_scratch(self._scratch)
        self.zygote.start()
        if self.zygote.missing:
            logger.warning("sandbox incomplete", missing=" ".join(self.zygote.missing), mode=settings.PICASSO_SANDBOX)
        for plugin in self.zygote.plugins:
            if plugin["error"]:
                logger.error(
                    "processor broken", processor=plugin["name"], error=plugin["error"], traceback=plugin["detail"]
                )
        pauses = Pauses()
        while not self._stopping.is_set():
            try:
                with transaction.atomic():
                    WorkerBeat.objects.beat(self.id, self.queue, self.slots, self._keys())
                    Offer.objects.announce(self.queue, self.zygote.plugins)
                    Offer.objects.heartbeat(self.queue, self._keys())
                break
            except DatabaseError as error:
                pause = pauses.after_failure()
                logger.warning("database away", error=database_trouble(error), next_try_in=pause)
                connection.close()
                self._stopping.wait(pause)
        self._heart = threading.Thread(target=self._beat, name="picasso-heartbeat", daemon=True)
        self._heart.start()

    @contextmanager
    def at_work(self) -> Iterator[Slot]:
        """Give the calling thread its slot for one message."""
        with self._lock:
            self._busy += 1
        try:
            yield self._slot()
        finally:
            with self._lock:
                self._busy -= 1
                self._heard = time.monotonic()

    def _slot(self) -> Slot:
        slot: Slot | None = getattr(self._slots, "slot", None)
        if slot is None:
            runner = Runner(self.zygote, self._scratch, settings.PICASSO_CEILINGS)
            with self._lock:
                self._runners.append(runner)
            samples = {plugin["name"]: plugin["samples"] for plugin in self.zygote.plugins}
            slot = Slot(
                runner=runner,
                queue=self.queue,
                offered=self._offered(),
                stopping=self._stopping.is_set,
                samples=samples,
            )
            self._slots.slot = slot
        return slot

    def stop_soon(self) -> None:
        """Claim nothing more, and end what still runs after 20 seconds; its claims are given back."""
        self._stopping.set()
        for seconds, act in ((GRACE_SECONDS, self._stop_runners), (LAST_SECONDS, lambda: os._exit(70))):
            timer = threading.Timer(seconds, act)
            timer.daemon = True
            timer.start()

    def close(self) -> None:
        """End every sandbox, remove the scratch directory, and wait a little for the last beat."""
        self._stopping.set()
        self._stop_runners()
        self.zygote.stop()
        with contextlib.suppress(OSError):
            scratch.remove(self._scratch)
        if self._heart:
            self._heart.join(LAST_BEAT_SECONDS)

    def _stop_runners(self) -> None:
        with self._lock:
            for runner in self._runners:
                runner.stop()

    def _keys(self) -> list[tuple[str, str]]:
        return [(plugin["name"], plugin["version"]) for plugin in self.zygote.plugins]

    def _offered(self) -> dict[tuple[str, str], dict[str, Any]]:
        runnable = (plugin for plugin in self.zygote.plugins if not plugin["error"])
        return {(plugin["name"], plugin["version"]): plugin["limits"] for plugin in runnable}

    def _beat(self) -> None:
        """Show that it is alive until it is to stop; end the process if a thread is stuck long past its limit."""
        repeat_at = time.monotonic() + HEARTBEAT_SECONDS
        while not self._stopping.wait(1.0):
            show_alive(settings.PICASSO_ALIVE_FILE)
            now = time.monotonic()
            with self._lock:
                deadlines = [runner.deadline for runner in self._runners]
            if any(deadline is not None and now > deadline + OVERDUE_SECONDS for deadline in deadlines):
                logger.critical("thread stuck, the worker ends", seconds_past_its_limit=OVERDUE_SECONDS)
                os._exit(70)
            if now < repeat_at:
                continue
            repeat_at = now + HEARTBEAT_SECONDS
            if self._is_deaf():
                logger.critical("messages wait and none arrives, the worker ends to be started anew", queue=self.queue)
                os.kill(os.getpid(), signal.SIGTERM)
            try:
                WorkerBeat.objects.beat(self.id, self.queue, self.slots, self._keys())
                Offer.objects.heartbeat(self.queue, self._keys())
            except DatabaseError as error:
                logger.warning("database away, heartbeat not recorded", error=database_trouble(error))
                connection.close()
        # From now on it takes nothing more; if this fails, its silence tells the same.
        with contextlib.suppress(DatabaseError):
            WorkerBeat.objects.filter(pk=self.id).delete()

    def _is_deaf(self) -> bool:
        """Whether messages wait while this idle worker gets none.

        RabbitMQ may lose a consumer without a word, as when its queue is deleted and declared anew at once: then both
        sides wait for ever.
        """
        for pause in (0.0, 1.0):
            time.sleep(pause)
            with self._lock:
                if self._busy or time.monotonic() < self._heard + DEAF_SECONDS:
                    return False
            try:
                if not self._waiting():
                    return False
            except Exception as error:
                logger.debug("the broker was not asked", error=str(error))
                return False
        return True


def claim_scratch(parent: Path) -> tuple[Path, int]:
    """Make a scratch directory that is locked while this process lives, and remove those of processes that do not."""
    parent.mkdir(parents=True, exist_ok=True)
    for each in parent.glob("worker-*"):
        lock = os.open(each, os.O_RDONLY)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with contextlib.suppress(OSError):
                scratch.remove(each)
        except BlockingIOError:
            pass
        finally:
            os.close(lock)
    folder = Path(tempfile.mkdtemp(prefix="worker-", dir=parent))
    lock = os.open(folder, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    return folder, lock
