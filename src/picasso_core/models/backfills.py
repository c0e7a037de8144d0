"""A backfill: one processor in one version, or a new look at what nobody knew, brought to the files that are there."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, ClassVar

from django.db import models, transaction
from django.db.models import Case, ExpressionWrapper, F, Q, When
from django.db.models.functions import Now

from .events import CurrentTransaction
from .files import File
from .work import uuid7


class Backfills(models.QuerySet["Backfill"]):
    """All backfills."""

    def unfinished(self) -> Backfills:
        """Return those that are not over."""
        return self.filter(state__in=Backfill.UNFINISHED)

    def running(self) -> Backfills:
        """Return those that walk, the oldest first."""
        return self.filter(state=Backfill.State.RUNNING).order_by("planned_at", "id")


class Backfill(models.Model):
    """A walk through the archive with what it is to do, how far it is and what came of it."""

    class Kind(models.TextChoices):
        PROCESS = "process", "run a processor on the files that have no Job of its version"
        IDENTIFY = "identify", "identify again what no format was found for"
        REPOINT = "repoint", "show the results of an earlier version again"

    class State(models.TextChoices):
        PLANNED = "planned", "waiting for a person to start it"
        RUNNING = "running"
        PAUSED = "paused"
        DONE = "done"
        CANCELLED = "cancelled"

    class Cause(models.TextChoices):
        INSTALLED = "installed", "a processor never seen before"
        UPGRADED = "upgraded", "a version never seen before"
        TAUGHT = "taught", "a signature never seen before"
        OPERATOR = "operator", "somebody asked for it"

    UNFINISHED: ClassVar = (State.PLANNED, State.RUNNING, State.PAUSED)

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    kind = models.CharField(max_length=16, choices=Kind, default=Kind.PROCESS)
    processor = models.CharField(max_length=64)
    version = models.CharField(max_length=64, blank=True)
    previous = models.CharField(max_length=64, blank=True, help_text="The version that was in force before.")
    cause = models.CharField(max_length=16, choices=Cause, default=Cause.OPERATOR)
    state = models.CharField(max_length=16, choices=State, default=State.PLANNED)
    files = models.PositiveBigIntegerField(default=0, help_text="How many files the plan counts.")
    bytes = models.PositiveBigIntegerField(default=0, help_text="How large they are together.")
    seconds = models.FloatField(null=True, help_text="How long that was expected to take; null where unknown.")
    cursor = models.UUIDField(null=True, help_text="The last File that the walk has passed.")
    looks = models.PositiveSmallIntegerField(default=0, help_text="How often it has walked through everything.")
    xid = models.BigIntegerField(db_default=CurrentTransaction(), help_text="Later transactions know the offer.")
    taken_up = models.PositiveBigIntegerField(default=0, help_text="How many Files it has taken up so far.")
    counts = models.JSONField(default=dict, help_text="What came of its Jobs, once it is over.")
    planned_at = models.DateTimeField(db_default=Now())
    started_at = models.DateTimeField(null=True)
    resumed_at = models.DateTimeField(null=True, help_text="Since when it runs; null while it does not.")
    ran = models.DurationField(default=timedelta, help_text="How long it ran before that.")
    finished_at = models.DateTimeField(null=True)

    objects: ClassVar[Any] = Backfills.as_manager()

    class Meta:
        ordering = ("-planned_at", "-id")
        constraints = (
            models.UniqueConstraint(
                fields=("kind", "processor", "version"),
                name="one_backfill_each",
                condition=Q(state__in=("planned", "running", "paused")),
            ),
        )

    def __str__(self) -> str:
        return f"{self.kind} {self.processor} {self.version}: {self.state}"

    @property
    def walked(self) -> bool:
        """Whether it has taken up all that there is; a new processor's looks twice."""
        return self.looks >= (2 if self.kind == self.Kind.PROCESS else 1)

    def start(self) -> bool:
        """Begin what was planned; False if that has been done or given up."""
        return self._become(self.State.RUNNING, self.State.PLANNED, started_at=Now(), resumed_at=Now())

    def pause(self) -> bool:
        """Stop taking up files and let those that were taken up wait; False if it does not run."""
        with transaction.atomic():
            paused = self._become(self.State.PAUSED, self.State.RUNNING, **STOPPED)
            if paused:
                self._queued().update(state="waiting", due_at=None)
                self._marked().update(due_at=None)
        return paused

    def resume(self) -> bool:
        """Go on after a pause; False if it is not paused."""
        with transaction.atomic():
            resumed = self._become(self.State.RUNNING, self.State.PAUSED, resumed_at=Now())
            if resumed:
                self._waiting().update(state="queued", due_at=Now())
                self._marked().update(due_at=Now())
        return resumed

    def cancel(self) -> bool:
        """Take nothing more up and forget what has not begun, as if it had never been planned; False if it is over."""
        with transaction.atomic():
            cancelled = self._become(self.State.CANCELLED, *self.UNFINISHED, finished_at=Now(), **STOPPED)
            if cancelled:
                self._forget()
        return cancelled

    def finish(self, counts: dict[str, int]) -> bool:
        """End it with what came of its Jobs; False if it does not run."""
        return self._become(self.State.DONE, self.State.RUNNING, finished_at=Now(), counts=counts, **STOPPED)

    def stop_the_clock(self) -> None:
        """Leave the time out during which what it needs is away."""
        if self.resumed_at is not None:
            self._become(self.State.RUNNING, self.State.RUNNING, **STOPPED)

    def start_the_clock(self) -> None:
        """Count the time again."""
        if self.resumed_at is None:
            self._become(self.State.RUNNING, self.State.RUNNING, resumed_at=Now())

    def _become(self, state: str, *earlier: str, **fields: Any) -> bool:
        changed = Backfill.objects.filter(pk=self.pk, state__in=earlier).update(state=state, **fields)
        if changed:
            self.refresh_from_db()
        return bool(changed)

    def _queued(self) -> models.QuerySet[Any]:
        # No File is locked for these: a Job of this lane that has not begun does not count for its File's status.
        return self.jobs.filter(lane="backfill", state="queued", lease_token=None)

    def _waiting(self) -> models.QuerySet[Any]:
        return self.jobs.filter(lane="backfill", state="waiting")

    def _marked(self) -> models.QuerySet[Any]:
        """Return the Files to be identified again that nobody has begun with, unless they are another's too."""
        marked = File.objects.filter(identify_again=True, lease_token=None)
        others = Backfill.objects.filter(kind=self.Kind.IDENTIFY, state=self.State.RUNNING).exclude(pk=self.pk)
        return marked.none() if self.kind != self.Kind.IDENTIFY or others.exists() else marked

    def _forget(self) -> None:
        for jobs in (self._queued(), self._waiting()):
            # Looked at and deleted in one: between two statements a worker could have begun. Nothing refers to these.
            jobs.filter(started_at=None)._raw_delete(jobs.db)
        self._marked().update(identify_again=False, due_at=None)


STOPPED: dict[str, Any] = {
    "resumed_at": None,
    "ran": Case(
        When(resumed_at__isnull=True, then=F("ran")),
        default=ExpressionWrapper(F("ran") + (Now() - F("resumed_at")), models.DurationField()),
    ),
}
"""What a backfill that no longer runs writes besides its state."""
