"""Ring the doorbell outside the request: a bounded queue in the web process and one thread that empties it.

Whatever is dropped here, because the queue is full or the broker is away, the sweeper publishes within seconds.
"""

from __future__ import annotations

import queue
import threading
import time
import uuid

import structlog

from .doorbell import BrokerAway, doorbell

logger = structlog.get_logger(__name__)

CAPACITY = 1000
MOST = 100
"""So many more are announced at a time."""
PAUSE_SECONDS = 5.0

_waiting: queue.Queue[tuple[uuid.UUID, str]] = queue.Queue(CAPACITY)
_starting = threading.Lock()
_threads: list[threading.Thread] = []


def publish_soon(file_id: uuid.UUID, target: str) -> None:
    """Have the doorbell rung without waiting for it."""
    try:
        _waiting.put_nowait((file_id, target))
    except queue.Full:
        return
    if not _threads or not _threads[0].is_alive():
        _start()


def _start() -> None:
    # Not at import: a server may fork after it has imported the application.
    with _starting:
        if not _threads or not _threads[0].is_alive():
            thread = threading.Thread(target=_publish, name="picasso-publisher", daemon=True)
            _threads[:] = [thread]
            thread.start()


def _publish() -> None:
    away_until = 0.0
    while True:
        rings = [_waiting.get()]
        # Whatever has come in meanwhile goes along: the broker confirms many as fast as one.
        rings += [_waiting.get() for _ in range(min(_waiting.qsize(), MOST))]
        if time.monotonic() < away_until:
            continue
        try:
            doorbell.ring_all(rings)
        except BrokerAway as error:
            away_until = time.monotonic() + PAUSE_SECONDS
            logger.warning("broker away, the sweeper takes over", error=str(error))
