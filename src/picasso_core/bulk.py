"""What a person asks of many Files or Jobs at once: batch by batch, for as long as one request may take."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import QuerySet
from django.db.models.functions import Now

from .models import File, Job

SECONDS = 1.0
BATCH = 100
MOST = 5000
"""How many are looked up for one request: without an order, which would have all of them looked up each time."""


@dataclass(frozen=True)
class Done:
    """How many were done, and whether some may be left."""

    count: int
    left: bool


def moment(rows: QuerySet[Any]) -> datetime | None:
    """Return a time that comes after all that has happened so far, by the database's clock; None if there are no rows.

    Who goes on later with what had matched by then does nothing twice, and nothing that has come since.
    """
    for now in rows.order_by().annotate(now=Now()).values_list("now", flat=True)[:1]:
        then: datetime = now + timedelta(milliseconds=1)
        return then
    return None


def retry(jobs: QuerySet[Job]) -> Done:
    """Queue these again, all of which have failed."""
    failed: Any = jobs
    return _go_on(failed, failed.retry_some)


def remove(files: QuerySet[File]) -> Done:
    """Delete these with everything of them."""
    return _go_on(files, lambda pks: File.remove_some(files.filter(pk__in=pks)))


def _go_on(rows: QuerySet[Any], act: Callable[[list[uuid.UUID]], int]) -> Done:
    until, count = time.monotonic() + SECONDS, 0
    chosen = list(rows.order_by().values_list("pk", flat=True)[:MOST])
    for start in range(0, len(chosen), BATCH):
        if start and time.monotonic() >= until:
            return Done(count, left=True)
        count += act(chosen[start : start + BATCH])
    return Done(count, left=len(chosen) == MOST)
