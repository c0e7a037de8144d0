"""The signs of life: of the sweepers, with what only they look at, and of each worker."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from datetime import timedelta
from typing import Any, ClassVar

from django.db import models
from django.db.models import F
from django.db.models.functions import Now

from .work import uuid7

SWEEPER = "sweeper"
SILENCE = timedelta(seconds=25)
"""A worker of which nothing was heard for this long does not count, nor does an offer that nobody has repeated."""
FORGOTTEN = timedelta(minutes=10)
"""For so long a worker that has fallen silent is still shown."""


class Beats(models.QuerySet["Beat"]):
    """The beats of all parts; today the sweepers', who share one."""

    def beat(self, *, orphans: int = 0, **seen: Any) -> None:
        """Show that a sweeper is alive, and what it has seen since the last beat."""
        fields = {"seen_at": Now(), **seen}
        if not self.filter(part=SWEEPER).update(**fields, orphans=F("orphans") + orphans):
            self.bulk_create([Beat(part=SWEEPER, orphans=orphans, **seen)], ignore_conflicts=True)

    def sweeper(self) -> Beat | None:
        """Return the last beat of a sweeper; None if there has never been one."""
        return self.filter(part=SWEEPER).first()


class Beat(models.Model):
    """The last beat of one part of the service."""

    part = models.CharField(max_length=32, primary_key=True)
    seen_at = models.DateTimeField(db_default=Now())
    messages = models.JSONField(default=dict, help_text="How many messages waited in each queue at the last look.")
    orphans = models.PositiveBigIntegerField(default=0, help_text="Orphaned bytes removed so far, counted in files.")
    walked_at = models.DateTimeField(null=True, help_text="When the last walk through the whole storage ended.")

    objects: ClassVar[Any] = Beats.as_manager()

    def __str__(self) -> str:
        return f"{self.part} at {self.seen_at}"


class WorkerBeats(models.QuerySet["WorkerBeat"]):
    """The beats of all worker processes."""

    def beat(self, pk: uuid.UUID, queue: str, slots: int, keys: Iterable[tuple[str, str]]) -> None:
        """Show that a worker is alive and what it has, and forget those that have been silent for long."""
        row = WorkerBeat(pk=pk, queue=queue, slots=slots, offers=sorted(map(list, keys)), seen_at=Now())
        self.bulk_create([row], update_conflicts=True, unique_fields=["id"], update_fields=["offers", "seen_at"])
        self.filter(seen_at__lt=Now() - FORGOTTEN).delete()

    def live(self) -> WorkerBeats:
        """Return the workers that count."""
        return self.filter(seen_at__gt=Now() - SILENCE)

    def offered(self, queue: str) -> list[set[tuple[str, str]]]:
        """Return what each live worker of ``queue`` has: processor and version."""
        here = self.live().filter(queue=queue).values_list("offers", flat=True)
        return [{(processor, version) for processor, version in offers} for offers in here]


class WorkerBeat(models.Model):
    """The last beat of one worker process, with what it can run. Whoever ends in order removes its own."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    queue = models.CharField(max_length=100)
    slots = models.PositiveSmallIntegerField(default=1, help_text="How many files it works on at a time.")
    offers = models.JSONField(default=list, help_text="A [processor, version] for each that it has.")
    started_at = models.DateTimeField(db_default=Now())
    seen_at = models.DateTimeField(db_default=Now())

    objects: ClassVar[Any] = WorkerBeats.as_manager()

    def __str__(self) -> str:
        return f"a worker of {self.queue} at {self.seen_at}"
