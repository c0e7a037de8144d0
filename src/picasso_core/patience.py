"""How long a thread waits for PostgreSQL: a server that is frozen neither answers nor hangs up, whatever it was asked.

The server's own time limits need a server that runs, and those of TCP one that is gone.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg.pq import TransactionStatus

PATIENCE_SECONDS = 35.0
"""For one statement; the server ends it after 30 by itself, if it runs."""


class Patience(threading.local):
    """What one thread has left of it, in seconds, and whether a connection was lost."""

    left: float | None = None
    lost: bool = False


_patience = Patience()


@contextmanager
def at_most(seconds: float) -> Iterator[Patience]:
    """Let this thread wait for PostgreSQL this long at the most in all, then have its statements fail."""
    _patience.left, _patience.lost = seconds, False
    try:
        yield _patience
    finally:
        _patience.left = None


class Connection(psycopg.Connection[Any]):
    """A connection that is given up when its server has not answered in time."""

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        """Wait for an answer. Raises ``psycopg.OperationalError`` when the patience is at its end."""
        left = _patience.left
        patience = PATIENCE_SECONDS if left is None else max(left, 0.001)
        began = time.monotonic()
        try:
            return super().wait(gen, interval, patience if timeout is None else min(timeout, patience))
        except psycopg.OperationalError:
            # Nobody knows what will still come through it.
            if self.pgconn.transaction_status == TransactionStatus.ACTIVE:
                self.pgconn.finish()
            _patience.lost = self.closed
            raise
        finally:
            if left is not None:
                _patience.left = left - (time.monotonic() - began)
