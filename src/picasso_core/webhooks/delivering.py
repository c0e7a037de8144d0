"""What the sweeper does for webhooks, in a thread of its own: follow the log, send what is due, record what came of it.

Each message is sent in a thread that knows nothing of the database, so an endpoint that is slow holds up its own alone.
"""

from __future__ import annotations

import queue
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import structlog
from django.conf import settings
from django.db import Error as DatabaseError
from django.db import InterfaceError, OperationalError, connections

from ..models import Delivery, Webhook
from ..outages import Pauses, database_trouble
from . import sending
from .signing import headers

logger = structlog.get_logger(__name__)

THREADS = 32
BATCH = 200
PERIOD = 1.0
STOP_SECONDS = 2.0
AGENT = "Picasso (webhooks)"


class Deliverer:
    """Those deliveries that are on their way from this process."""

    def __init__(self) -> None:
        self._flying: dict[object, Delivery] = {}
        self._answers: queue.SimpleQueue[tuple[Delivery, sending.Answer]] = queue.SimpleQueue()

    def step(self, seconds: float = 0.0) -> bool:
        """Follow, send, and record what has come back, waiting so long for the first; True if there was anything."""
        followed = follow()
        sent = self.send()
        return self.record(0.0 if followed else seconds) or followed or sent > 0

    def send(self) -> int:
        """Take what is due as far as threads are free, and send it; return how many."""
        sent = 0
        webhooks = Delivery.objects.due_for() if len(self._flying) < THREADS else []
        # So that none is always the last.
        random.shuffle(webhooks)
        for pk in webhooks:
            for delivery in Delivery.objects.claim(pk, THREADS - len(self._flying)):
                self._flying[delivery.pk, delivery.lease_token] = delivery
                threading.Thread(target=self._post, args=[delivery], name="picasso-webhook", daemon=True).start()
                sent += 1
        return sent

    def record(self, seconds: float) -> bool:
        """Write down what came of deliveries, waiting so long for the first of them; True if there was one."""
        recorded = False
        while True:
            try:
                delivery, answer = self._answers.get(timeout=0.0 if recorded else seconds)
            except queue.Empty:
                return recorded
            try:
                _end(delivery, answer)
            except (OperationalError, InterfaceError):
                self._answers.put((delivery, answer))
                raise
            except Exception:
                # Its lease expires, and it is sent again.
                logger.exception("what came of a webhook was not recorded", delivery=str(delivery.pk))
            del self._flying[delivery.pk, delivery.lease_token]
            recorded = True

    def stop(self) -> None:
        """Wait a moment for those on their way; the others are sent again, under the same id, by whoever is next."""
        deadline = time.monotonic() + STOP_SECONDS
        while self._flying and time.monotonic() < deadline:
            self.record(max(deadline - time.monotonic(), 0.0))
        for delivery in self._flying.values():
            delivery.release()

    def _post(self, delivery: Delivery) -> None:
        try:
            answer = post(delivery)
        except Exception as error:
            logger.exception("webhook not sent", delivery=str(delivery.pk))
            answer = sending.Answer(None, f"Picasso failed: {type(error).__name__}.")
        self._answers.put((delivery, answer))


def follow() -> bool:
    """Make deliveries of what is new in the log; True if there may be more."""
    more = [pk for pk in Webhook.behind() if Webhook.follow(pk, BATCH)]
    return bool(more)


def post(delivery: Delivery) -> sending.Answer:
    """Send one delivery."""
    webhook, body = delivery.webhook, delivery.body.encode()
    signed = headers(webhook.secret, str(delivery.pk), int(time.time()), body)
    extra = {"Content-Type": "application/json", "User-Agent": AGENT}
    return sending.send(webhook.url, body, {**extra, **signed}, private=settings.PICASSO_WEBHOOK_PRIVATE)


def _end(delivery: Delivery, answer: sending.Answer) -> None:
    if answer.taken and answer.status is not None:
        delivery.succeed(answer.status)
        return
    error = answer.error or f"It answered {answer.status}."
    delivery.fail(error, answer.status)
    logger.info("webhook failed", webhook=str(delivery.webhook_id), delivery=str(delivery.pk), error=error)


@contextmanager
def running() -> Iterator[None]:
    """Deliver in a thread meanwhile."""
    stopping = threading.Event()
    thread = threading.Thread(target=run, args=[stopping], name="picasso-webhooks", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join(PERIOD + 2 * STOP_SECONDS)


def run(stopping: threading.Event) -> None:
    """Deliver until ``stopping`` is set; while the database is away, what has come back is kept."""
    deliverer, pauses = Deliverer(), Pauses()
    while not stopping.is_set():
        try:
            if not deliverer.step(PERIOD):
                stopping.wait(0.05)
        except DatabaseError as error:
            pause = pauses.after_failure()
            logger.warning("database away for webhooks", error=database_trouble(error), next_try_in=pause)
            connections.close_all()
            stopping.wait(pause)
        except Exception:
            # Nobody else would notice that this thread has ended.
            logger.exception("webhooks failed")
            stopping.wait(pauses.after_failure())
    try:
        deliverer.stop()
    except DatabaseError as error:
        logger.warning("deliveries are sent again", error=database_trouble(error))
    connections.close_all()
