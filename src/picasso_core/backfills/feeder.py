"""Feed the lanes of what nobody waits for by itself, backfill and bulk, as if they were one.

Only so many of its files are on their way at a time that a new upload barely waits.
The sweeper fills the window; whoever has ended one of the lane's files sends the next one on its way. If that chain
breaks, the sweeper mends it.
"""

from __future__ import annotations

import uuid
from functools import cache
from typing import Any

from django.conf import settings
from django.db import models, transaction
from django.db.models import Q
from django.db.models.functions import Now

from ..models import File, Job
from ..models.statements import Parameter, Statement
from ..models.work import soon, startable


def room(queue: str, window: int) -> int:
    """Say how many more files of the lane may be on their way to ``queue``."""
    on_the_way = sum(lane.filter(startable(), due_at__gt=Now()).count() for lane in _lanes(queue))
    return max(0, window - on_the_way)


def open_in(queue: str) -> int:
    """Count what has been taken up for ``queue`` and is not over."""
    return sum(lane.count() for lane in _lanes(queue))


def take(queue: str, many: int) -> list[uuid.UUID]:
    """Choose the next Files of the lane and put their next look off, as ``sweeper.take_due`` does for the others."""
    chosen: list[uuid.UUID] = []
    for lane in range(2 if queue == settings.PICASSO_QUEUE else 1):
        while len(chosen) < many and (taken := _next(lane).rows(queue=queue)):
            chosen += taken[0]
    return chosen


@cache
def _next(lane: int) -> Statement:
    """Take one row, which nobody else is taking: each end in the lane does this once."""
    rows: models.QuerySet[Any] = (_jobs(Parameter(Job, "queue")), _again())[lane]
    with transaction.atomic():  # Django makes no FOR UPDATE outside
        first = rows.filter(due_at__lte=Now()).order_by("due_at", "pk").select_for_update(skip_locked=True)
        update = rows.model._default_manager.filter(pk=models.Subquery(first.values("pk")[:1]))
        return Statement.update(update, {"due_at": soon()}, returning=[("file", "id")[lane]])


def _lanes(queue: str) -> list[models.QuerySet[Any]]:
    """Return what of the lane is open: Jobs, and Files to be identified again, which the main queue's workers do."""
    return [_jobs(queue), _again() if queue == settings.PICASSO_QUEUE else File.objects.none()]


def _jobs(queue: Any) -> models.QuerySet[Job]:
    return Job.objects.filter(Job.OPEN, ~Q(lane=Job.Lane.INTERACTIVE), queue=queue, due_at__isnull=False)


def _again() -> models.QuerySet[File]:
    return File.objects.filter(identify_again=True, due_at__isnull=False)
