"""What a backfill walks through: which Files it is for, how many they are, and taking the next of them up."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import timedelta
from functools import reduce
from operator import or_
from typing import Any

from django.db import connection, models, transaction
from django.db.models import Avg, Count, Exists, ExpressionWrapper, F, OuterRef, Q, Sum
from django.db.models.functions import Now

from ..models import Backfill, File, Job, Offer, WorkerBeat
from ..models.events import OldestOpen
from ..models.files import UNKNOWN
from ..models.work import AS_NEW, uuid7_after

UNFORMATTED = (UNKNOWN, "text/plain")
"""What a File is called for which no format was found."""
SAMPLE = 1000
"""How many of a processor's last Jobs say how long one takes."""


@dataclass(frozen=True)
class Plan:
    """What a backfill will do: how many Files of how many bytes, and in how many seconds; None if nobody knows."""

    files: int
    bytes: int
    seconds: float | None


def candidates(kind: str, processor: str, version: str, offer: Offer | None) -> models.QuerySet[File]:
    """Return the Files that a backfill is for and that it has not taken up yet."""
    files = File.objects.order_by()
    jobs = Job.objects.order_by().filter(file=OuterRef("pk"), processor=processor, version=version)
    match kind:
        case Backfill.Kind.PROCESS if offer:
            return files.filter(_accepted(offer), media_type__isnull=False).exclude(Exists(jobs))
        case Backfill.Kind.IDENTIFY:
            return files.filter(media_type__in=UNFORMATTED, identify_again=False)
        case Backfill.Kind.REPOINT:
            succeeded = jobs.filter(state=Job.State.SUCCEEDED)
            return files.filter(Exists(succeeded)).exclude(Exists(succeeded.filter(current=True)))
    return files.none()


def plan(kind: str, processor: str, version: str, offer: Offer | None) -> Plan:
    """Count what there is to do, to the File."""
    found = candidates(kind, processor, version, offer).aggregate(files=Count("pk"), bytes=Sum("size"))
    seconds = _seconds_each(processor) if kind == Backfill.Kind.PROCESS else None
    slots = slots_of(offer.queue) if offer else 1
    return Plan(found["files"], found["bytes"] or 0, seconds and round(seconds * found["files"] / slots, 1))


def take_up(backfill: Backfill, offer: Offer | None, room: int) -> list[uuid.UUID]:
    """Take the next Files up, ``room`` of them at the most, and move on; return which, none also if it no longer runs.

    One transaction, so that whoever is killed in the middle has done nothing.
    """
    with transaction.atomic():
        held = Backfill.objects.select_for_update(skip_locked=True).filter(pk=backfill.pk)
        walk = held.filter(state=Backfill.State.RUNNING).first()
        if walk is None or walk.walked:
            return []
        # A Job that ended without knowing which version is pinned must not take a place behind the walk.
        if walk.kind == Backfill.Kind.REPOINT and not _all_know(walk):
            return []
        files = candidates(walk.kind, walk.processor, walk.version, offer)
        if walk.cursor:
            files = files.filter(pk__gt=walk.cursor)
        # Whoever adds a Job holds the File; all of them in one order.
        batch = list(files.order_by("pk").select_for_update(of=("self",)).only("pk")[:room])
        if batch:
            _begin(walk, offer, [file.pk for file in batch])
            _advance(walk, cursor=batch[-1].pk, taken_up=F("taken_up") + len(batch))
        if len(batch) < room and (walk.looks or walk.kind != Backfill.Kind.PROCESS or _all_know(walk)):
            _advance(walk, cursor=None, looks=F("looks") + 1)
    return [file.pk for file in batch]


def slots_of(queue: str) -> int:
    """Say how many files the live workers of ``queue`` work on at a time; one at least."""
    live = WorkerBeat.objects.live().filter(queue=queue)
    return live.aggregate(slots=Sum("slots"))["slots"] or 1


def _begin(walk: Backfill, offer: Offer | None, files: list[uuid.UUID]) -> None:
    match walk.kind:
        case Backfill.Kind.PROCESS:
            assert offer is not None
            there = Job.objects.filter(file__in=files, processor=walk.processor).order_by("pk")
            last: dict[uuid.UUID, uuid.UUID] = {}
            taken = set()
            for file_id, pk, current in there.values_list("file_id", "pk", "current"):
                last[file_id] = pk
                taken |= {file_id} if current else set()
            fields: dict[str, Any] = {"lane": Job.Lane.BACKFILL, "backfill": walk, "due_at": Now()}
            jobs = (
                Job.of(offer, pk=uuid7_after(last.get(pk)), file_id=pk, current=pk not in taken, **fields)
                for pk in files
            )
            Job.objects.bulk_create(jobs, ignore_conflicts=True)
        case Backfill.Kind.IDENTIFY:
            File.objects.filter(pk__in=files).update(identify_again=True, due_at=Now(), not_before=None, **AS_NEW)
        case Backfill.Kind.REPOINT:
            _point_back(walk, files)


def _point_back(walk: Backfill, files: list[uuid.UUID]) -> None:
    """Show the results of one version; each File's status follows."""
    with File.all_locked(files):
        jobs = Job.objects.order_by().filter(file__in=files, processor=walk.processor)
        jobs.filter(current=True).update(current=False)
        wanted = jobs.filter(version=walk.version, state=Job.State.SUCCEEDED).order_by("file_id", "pk")
        last = dict(wanted.values_list("file_id", "pk"))
        Job.objects.filter(pk__in=last.values()).update(current=True)


def _advance(walk: Backfill, **fields: Any) -> None:
    Backfill.objects.filter(pk=walk.pk).update(**fields)


def _all_know(walk: Backfill) -> bool:
    """Whether every transaction has ended that may have looked at offers and switches before the backfill was planned.

    What those left is seen from now on, and later ones know.
    """
    if connection.vendor == "sqlite":
        return True
    older = Backfill.objects.filter(pk=walk.pk, xid__lt=OldestOpen())
    return older.exists()


def _accepted(offer: Offer) -> Q:
    wanted = _of_types(offer.media_types)
    if offer.switch.excluded:
        wanted &= ~_of_types(offer.switch.excluded)
    for limits in (offer.limits, offer.switch.limits):
        if most := limits.get("max_bytes"):
            wanted &= Q(size__lte=most)
    return wanted


def _of_types(patterns: list[str]) -> Q:
    """Say as a query what ``processors.accepts`` says in Python."""
    exact = [pattern.lower() for pattern in patterns if not pattern.endswith("/*")]
    kinds = [pattern.lower()[:-1] for pattern in patterns if pattern.endswith("/*")]
    if "*/" in kinds:
        return Q()
    return reduce(or_, (Q(media_type__startswith=kind) for kind in kinds), Q(media_type__in=exact))


def _seconds_each(processor: str) -> float | None:
    took = ExpressionWrapper(F("finished_at") - F("started_at"), output_field=models.DurationField())
    last = Job.objects.filter(processor=processor, state=Job.State.SUCCEEDED, started_at__isnull=False)
    mean: timedelta | None = last.order_by("-pk").annotate(took=took)[:SAMPLE].aggregate(mean=Avg("took"))["mean"]
    return mean.total_seconds() if mean else None
