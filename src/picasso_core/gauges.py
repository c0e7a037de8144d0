"""How it stands: what is open, how old the oldest of it is, who is alive. A handful of questions, each on an index."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import DurationField, ExpressionWrapper, F, Max, Min
from django.db.models.functions import Now

from .models import Beat, File, Job, Offer, WorkerBeat


@dataclass(frozen=True)
class Queue:
    """One queue: how many messages wait in it, and how long ago a worker of it was last seen; None if unknown."""

    name: str
    messages: int | None
    worker_seconds: float | None


@dataclass(frozen=True)
class Worker:
    """One worker process, up to ten minutes after it has fallen silent."""

    queue: str
    slots: int
    started_at: datetime
    seen_seconds: float | None


@dataclass(frozen=True)
class Gauges:
    """All of them; seconds are ages, None where there is nothing to be old."""

    oldest_upload_seconds: float | None
    open_files: int
    open_jobs: int
    waiting_jobs: int
    expired_leases: int
    queues: list[Queue]
    workers: list[Worker]
    sweeper_seconds: float | None
    orphans_removed: int
    orphans_walked_at: datetime | None


def read() -> Gauges:
    """Ask the database; the messages are what the sweeper saw, so that the broker is not asked."""
    unsettled = [File.objects.filter(status=status) for status in (File.Status.QUEUED, File.Status.PROCESSING)]
    # Each status by itself: the index of both together is not in the order of time.
    ages = [files.aggregate(age=_since(Min("uploaded_at")))["age"] for files in unsettled]
    beat = Beat.objects.sweeper()
    return Gauges(
        oldest_upload_seconds=_seconds(max((age for age in ages if age is not None), default=None)),
        open_files=sum(files.count() for files in unsettled),
        open_jobs=Job.objects.filter(due_at__isnull=False).count(),
        waiting_jobs=Job.objects.filter(state=Job.State.WAITING).count(),
        expired_leases=sum(
            # What is held is due: said here, so that the indexes of what is due serve.
            work._default_manager.filter(work.OPEN, due_at__isnull=False, lease_until__lt=Now()).count()
            for work in (File, Job)
        ),
        queues=_queues(beat.messages if beat else {}),
        workers=_workers(),
        sweeper_seconds=_seconds(Beat.objects.aggregate(age=_since(Max("seen_at")))["age"]),
        orphans_removed=beat.orphans if beat else 0,
        orphans_walked_at=beat.walked_at if beat else None,
    )


def _queues(messages: dict[str, int]) -> list[Queue]:
    seen = dict(Offer.objects.order_by().values_list("queue").annotate(age=_since(Max("last_seen"))))
    names = {settings.PICASSO_QUEUE, *seen, *messages}
    return [Queue(name, messages.get(name), _seconds(seen.get(name))) for name in sorted(names)]


def _workers() -> list[Worker]:
    beats = WorkerBeat.objects.order_by("queue", "started_at", "pk").annotate(age=_since(F("seen_at")))
    return [
        Worker(queue, slots, started_at, _seconds(age))
        for queue, slots, started_at, age in beats.values_list("queue", "slots", "started_at", "age")
    ]


def _since(at: Max | Min | F) -> Any:
    # By the database's clock, like every time here.
    return ExpressionWrapper(Now() - at, output_field=DurationField())


def _seconds(age: timedelta | None) -> float | None:
    return max(0.0, round(age.total_seconds(), 1)) if age is not None else None
