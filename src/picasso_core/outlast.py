"""Outlast an outage of the database with work in hand: what a run has found is not thrown away."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

import structlog
from django.db import InterfaceError, OperationalError, connection

from .models import Work
from .outages import database_trouble

logger = structlog.get_logger(__name__)

T = TypeVar("T")
PAUSE_SECONDS = 1.0


def beat_of(work: Work) -> Callable[[], bool]:
    """Return what renews the claim while a run goes on; it goes on without the database too, for its end is fenced."""

    def beat() -> bool:
        try:
            return work.renew()
        except (OperationalError, InterfaceError) as error:
            logger.warning("database away, the run goes on", error=database_trouble(error))
            connection.close()
            return True

    return beat


def outlast(record: Callable[[], T], stopping: Callable[[], bool]) -> T:
    """Record the end of a run, which is safe to repeat, as soon as the database answers.

    Raises ``DatabaseError`` if it has not when the worker is to end; then the claim expires.
    """
    said = False
    while True:
        try:
            return record()
        except (OperationalError, InterfaceError) as error:
            connection.close()
            if stopping():
                raise
            if not said:
                logger.warning("database away, the result is kept until it is back", error=database_trouble(error))
            said = True
            time.sleep(PAUSE_SECONDS)
