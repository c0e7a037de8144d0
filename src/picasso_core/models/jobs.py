"""A Job: one processor, in one version, at work on one File; and the artifacts it leaves."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from datetime import timedelta
from functools import cache
from typing import Any, ClassVar

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from .files import UNKNOWN, File
from .offers import Offer
from .statements import Parameter, Statement
from .work import AS_NEW, ENDED, NOW, Work, free, losses, soon, startable, uuid7

SHORTEST_PAUSE = timedelta(seconds=10)
LONGEST_PAUSE = timedelta(days=1)
TEMPORARY = "temporary_failure"


class Jobs(models.QuerySet["Job"]):
    """The jobs of all files."""

    def add(self, file: File, offers: Iterable[Offer], *, lane: str = "interactive") -> None:
        """Give ``file`` a Job for each offer that it has none for; only under the File's lock."""
        self.bulk_create(
            (
                Job(
                    file=file,
                    processor=offer.processor,
                    version=offer.version,
                    distribution=offer.distribution,
                    queue=offer.queue,
                    lane=lane,
                    **({"state": Job.State.WAITING, "due_at": None} if offer.error else {}),
                )
                for offer in offers
            ),
            ignore_conflicts=True,
        )

    def retry(self, file_id: uuid.UUID) -> set[str]:
        """Queue the failed Jobs of one File again, as new; return the queues to ring."""
        with File.locked(file_id):
            failed = self.filter(file_id=file_id, state=Job.State.FAILED)
            queues = set(failed.values_list("queue", flat=True))
            failed._queue()
        return queues

    def run_again(self, job: Job) -> bool:
        """Queue a Job again that has succeeded, whose result is damaged; False if it is not one any more."""
        with File.locked(job.file_id):
            return bool(self.filter(pk=job.pk, state=Job.State.SUCCEEDED)._queue())

    def _queue(self) -> int:
        return self.update(
            **AS_NEW, state=Job.State.QUEUED, queued_at=Now(), started_at=None, finished_at=None, due_at=soon(),
            error_code="", error="", detail="",
        )  # fmt: skip


@cache
def _due() -> Statement:
    due = Job.objects.order_by("processor").filter(Job.OPEN, free(), startable(), file=Parameter(Job, "file"))
    return Statement.select(due.values_list("pk", "queue", "processor", "version"))


class Job(Work):
    """One processor, in one version, at work on one File."""

    class State(models.TextChoices):
        QUEUED = "queued"
        RUNNING = "running"
        SUCCEEDED = "succeeded"
        FAILED = "failed"
        DECLINED = "declined"
        CANCELLED = "cancelled"
        WAITING = "waiting", "waiting for its processor"

    class Lane(models.TextChoices):
        INTERACTIVE = "interactive"
        BACKFILL = "backfill"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    file = models.ForeignKey(File, models.CASCADE, related_name="jobs")
    processor = models.CharField(max_length=64)
    version = models.CharField(max_length=64)
    distribution = models.CharField(max_length=255)
    queue = models.CharField(max_length=100)
    lane = models.CharField(max_length=16, choices=Lane, default=Lane.INTERACTIVE)
    state = models.CharField(max_length=16, choices=State, default=State.QUEUED)
    data = models.JSONField(default=dict)
    warnings = models.JSONField(default=list)
    error_code = models.CharField(max_length=64, blank=True)
    error = models.TextField(blank=True, help_text="For the uploader.")
    detail = models.TextField(blank=True, help_text="For the operator: a traceback, or what the process printed last.")
    queued_at = models.DateTimeField(db_default=Now())
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    OPEN: ClassVar = Q(state__in=(State.QUEUED, State.RUNNING))
    CLAIMED: ClassVar = {"state": State.RUNNING, "started_at": Now()}
    GIVEN_BACK: ClassVar = {"state": State.QUEUED}

    objects: ClassVar[Any] = Jobs.as_manager()

    class Meta:
        ordering = ("processor", "queued_at")
        constraints = (models.UniqueConstraint(fields=("file", "processor", "version"), name="one_job_each"),)
        indexes = (
            models.Index(fields=("queue", "due_at"), name="job_due", condition=Q(due_at__isnull=False)),
            models.Index(
                fields=("state", "processor", "version", "queue"),
                name="job_pending",
                condition=Q(state__in=("queued", "waiting")),
            ),
        )

    def __str__(self) -> str:
        return f"{self.processor} {self.version} on {self.file_id}"

    @classmethod
    def due(cls, file_id: uuid.UUID) -> list[list[Any]]:
        """Return the key, queue, processor and version of each Job of a File that could be claimed now."""
        return _due().rows(file=file_id)

    def succeed(self, data: dict[str, Any], warnings: Sequence[str], artifacts: Iterable[Artifact]) -> bool:
        """End with a result; False if the claim was lost, and then nothing of the result is kept."""
        return self._end(Job.State.SUCCEEDED, artifacts, data=data, warnings=list(warnings), error_code="", error="")

    def fail(self, code: str, message: str, detail: str = "", *, attempts: int | None = None) -> bool:
        """End for good, with a sentence for the uploader; False if the claim was lost."""
        counted = self.attempts if attempts is None else attempts
        return self._end(Job.State.FAILED, error_code=code, error=message, detail=detail, attempts=counted)

    def decline(self, message: str) -> bool:
        """End because the file is not the processor's business; False if the claim was lost."""
        return self._end(Job.State.DECLINED, error_code="declined", error=message)

    def wait(self, message: str) -> bool:
        """Wait until the processor, which lacks something, is announced again; False if the claim was lost."""
        return self._end(Job.State.WAITING, error_code="missing_dependency", error=message, finished_at=None)

    def postpone(self, message: str) -> bool:
        """Give the claim back for ten seconds, then for twice as long as it has just waited, up to a day.

        Returns False if the claim was lost.
        """
        pause = SHORTEST_PAUSE
        if self.error_code == TEMPORARY and self.started_at:
            pause = min(max(2 * (self.started_at - self.queued_at), SHORTEST_PAUSE), LONGEST_PAUSE)
        return self.give_back(pause=pause, queued_at=Now(), error_code=TEMPORARY, error=message)

    def park(self) -> None:
        """Let an open Job that no live worker holds wait, because its processor is absent, broken or off."""
        with File.locked(self.file_id):
            idle = Job.objects.filter(Job.OPEN, free(), pk=self.pk)
            idle.update(**ENDED, state=Job.State.WAITING, losses=losses())

    def resume(self, offer: Offer) -> None:
        """Queue a waiting Job for ``offer``, whose version it takes over.

        It is cancelled if there is a Job of that version already, or if that version does not accept the file.
        """
        with File.locked(self.file_id) as file:
            if file is None:
                return
            waiting = Job.objects.filter(pk=self.pk, state=Job.State.WAITING)
            taken = Job.objects.filter(file_id=self.file_id, processor=offer.processor, version=offer.version)
            if taken.exclude(pk=self.pk).exists() or not offer.accepts(file.media_type or UNKNOWN, file.size):
                waiting.update(state=Job.State.CANCELLED, finished_at=Now())
            else:
                fields = {"version": offer.version, "distribution": offer.distribution, "queue": offer.queue}
                counts = {} if offer.version == self.version else AS_NEW
                queued = {"state": Job.State.QUEUED, "queued_at": Now(), "due_at": Now(), "error_code": "", "error": ""}
                waiting.update(**queued, **fields, **counts)

    def _end(self, state: str, artifacts: Iterable[Artifact] = (), **fields: Any) -> bool:
        with File.locked(self.file_id) as file:
            fields = {"finished_at": NOW, "detail": "", **ENDED, **fields}
            if file is None or not self._update(state=state, **fields):
                return False
            if state == Job.State.SUCCEEDED:
                self.artifacts.all().delete()
            Artifact.objects.bulk_create(artifacts)
        return True


class Artifact(models.Model):
    """A file that a Job made, such as a thumbnail."""

    job = models.ForeignKey(Job, models.CASCADE, related_name="artifacts")
    name = models.CharField(max_length=100)
    media_type = models.CharField(max_length=255)
    size = models.PositiveBigIntegerField()
    key = models.CharField(max_length=255)

    class Meta:
        ordering = ("name",)
        constraints = (models.UniqueConstraint(fields=("job", "name"), name="one_artifact_each"),)

    def __str__(self) -> str:
        return f"{self.name} of {self.job_id}"
