"""The rows: work that nobody would ever look at again, and statuses that do not follow from the Jobs."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

from django.db import models, transaction
from django.db.models import Q
from django.db.models.functions import Now

from ..models import File, Job, Work
from ..models.settling import unsettled
from ..models.work import ENDED
from ..sweeper import give_up_lost
from .findings import Finding, batches

UNSETTLED = (File.Status.QUEUED, File.Status.PROCESSING)
LOST = timedelta(minutes=10)
FAR = timedelta(days=2)
"""Twice the longest pause."""


def stuck(repair: bool) -> Iterator[Finding]:
    """Find work whose schedule is wrong, and put it right."""
    if repair:
        give_up_lost()
    for work in (File, Job):
        for rows, what, advice, fields in _ailments(work):
            found = rows.order_by().count()
            if not found:
                continue
            first = rows.order_by("pk").values_list("pk", flat=True).first()
            if repair:
                _update(rows, fields)
            name = f"{found} {work.__name__}{'s' if found > 1 else ''}"
            yield Finding(f"{name} {what}, such as {first}{'' if repair else f': {advice}'}.", mended=repair)


def _ailments(work: type[Work]) -> Iterator[tuple[models.QuerySet[Any], str, str, dict[str, Any]]]:
    rows = work._default_manager.all()
    advice = "doctor --repair makes it due now"
    again: dict[str, Any] = {"due_at": Now(), "not_before": None}
    yield rows.filter(work.OPEN, due_at=None), "to do that no sweeper ever looks at", advice, again
    yield (
        rows.filter(work.OPEN, lease_until__lt=Now() - LOST),
        "whose worker was lost more than ten minutes ago and that nobody has taken over",
        f"are a sweeper and a worker running? {advice}",
        again,
    )
    ahead = Q(due_at__gt=Now() + FAR) | Q(not_before__gt=Now() + FAR) | Q(lease_until__gt=Now() + FAR)
    yield (
        rows.filter(work.OPEN, ahead),
        "scheduled for days ahead, as after a wrong clock",
        advice,
        {**again, "lease_until": None, "lease_token": None},
    )
    yield (
        rows.exclude(work.OPEN).filter(Q(due_at__isnull=False) | Q(lease_token__isnull=False)),
        "done and still scheduled",
        "doctor --repair clears that",
        ENDED,
    )
    if work is File:
        yield (
            File.objects.filter(media_type=None).exclude(status__in=UNSETTLED),
            "not identified whose status says that it is through",
            "doctor --repair queues it",
            {"status": File.Status.QUEUED, **again},
        )


def _update(rows: models.QuerySet[Any], fields: dict[str, Any]) -> None:
    # A batch at a time: an archive in one statement would run into the time limit of statements.
    for batch in batches(rows.only("pk")):
        rows.order_by().filter(pk__in=[row.pk for row in batch]).update(**fields)


def statuses(repair: bool, progress: Callable[[str, int, int], None]) -> Iterator[Finding]:
    """Hold each File's status and its `processed` against its Jobs."""
    identified = File.objects.exclude(media_type=None).only("pk")
    total, done = identified.order_by().count(), 0
    for batch in batches(identified):
        wrong = unsettled(File.objects.filter(pk__in=[file.pk for file in batch]))
        for pk in wrong.order_by("pk").values_list("pk", flat=True):
            # A worker may be about to put it right, so a second look under the lock decides.
            if said := _settle(pk, repair):
                yield Finding(f"The status of the File {pk} {said}.", mended=repair)
        done += len(batch)
        progress("statuses", done, total)


def _settle(pk: uuid.UUID, repair: bool) -> str:
    """Say what is wrong with a File's status, and settle it with ``repair``; nothing if it is right."""
    with transaction.atomic():
        with File.locked(pk):
            before = File.objects.filter(pk=pk).values_list("status", "processed").first()
        after = File.objects.filter(pk=pk).values_list("status", "processed").first()
        if not repair:
            transaction.set_rollback(True)
    if before == after or before is None or after is None:
        return ""
    was, is_now = (f"{status!r}{'' if processed else ' and not processed'}" for status, processed in (before, after))
    return f"was {was}, and follows from its Jobs as {is_now}" + ("" if repair else ": doctor --repair settles it")
