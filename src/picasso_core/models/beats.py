"""The sign of life of the sweepers, with what only they look at."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db import models
from django.db.models import F
from django.db.models.functions import Now

SWEEPER = "sweeper"


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
