"""A Job: one processor, in one version, at work on one File; and the artifacts it leaves."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from functools import cache
from typing import Any, ClassVar, NamedTuple

from django.db import models
from django.db.models import Case, Exists, OuterRef, Q, Subquery, Value, When
from django.db.models.functions import Now
from django.db.models.lookups import Exact

from .artifacts import Artifact
from .backfills import Backfill
from .files import UNKNOWN, File
from .offers import Offer
from .statements import Parameter, Statement
from .switches import Switch
from .work import AS_NEW, ENDED, LEASED, NOW, Work, free, losses, soon, startable, uuid7, uuid7_after

SHORTEST_PAUSE = timedelta(seconds=10)
LONGEST_PAUSE = timedelta(days=1)
AGAIN = timedelta(seconds=1)
TEMPORARY = "temporary_failure"
EXCLUDED = "The operator keeps files of this type or size from this processor."
CANCELLED = "Somebody has cancelled it."
UNFINISHED = ("queued", "running", "waiting")
"""The states of a Job that is not over."""


class Due(NamedTuple):
    """A Job that is to be run, and what an operator has decided about its processor."""

    job: uuid.UUID
    queue: str
    processor: str
    version: str
    lane: str
    switch: Switch
    claimed: Job | None = None
    """The Job itself where whoever is to run it has claimed it already."""


class Jobs(models.QuerySet["Job"]):
    """The jobs of all files."""

    def add(
        self,
        file: File,
        offers: Iterable[Offer],
        *,
        lane: str = "interactive",
        first: bool = False,
        mine: Callable[[Offer], bool] = lambda offer: False,
    ) -> list[Due]:
        """Give ``file`` a Job for each offer that it has none for; only under the File's lock.

        ``first`` says that there are no Jobs yet, so that nobody need look. Returns those that can run, of which the
        first that is ``mine`` is claimed as it is made.
        """
        jobs = (
            () if first else self.filter(file=file).order_by("pk").values_list("pk", "processor", "version", "current")
        )
        there = {(processor, version) for _, processor, version, _ in jobs}
        shown = {processor for _, processor, _, current in jobs if current}
        last = {processor: pk for pk, processor, _, _ in jobs}
        due: list[Due] = []
        for offer in sorted(offers, key=lambda offer: offer.processor):
            if (offer.processor, offer.version) in there:
                continue
            pk = uuid7_after(last.get(offer.processor))
            job = Job.of(offer, pk=pk, file_id=file.pk, lane=lane, current=offer.processor not in shown)
            if job.state == Job.State.QUEUED and mine(offer) and not any(each.claimed for each in due):
                job.state, job.lease_token = Job.State.RUNNING, uuid.uuid4()
            _insert(job)
            if job.state != Job.State.WAITING:
                claimed = job if job.lease_token else None
                due.append(Due(job.pk, job.queue, job.processor, job.version, lane, offer.switch, claimed))
        return due

    def repeat(self, file: File, offers: Iterable[Offer]) -> None:
        """Give ``file`` one more Job for each offer, whatever there is of its processor; only under the File's lock.

        What the File shows stays until the new Job has a result.
        """
        for offer in offers:
            there = self.filter(file=file, processor=offer.processor).order_by("-pk")
            had = list(there.values_list("pk", "repeat", "current"))
            repeat = max((repeat for _, repeat, _ in had), default=-1) + 1
            shown = any(current for _, _, current in had)
            pk = uuid7_after(had[0][0] if had else None)
            _insert(Job.of(offer, pk=pk, file_id=file.pk, repeat=repeat, current=not shown))

    def failed(self) -> Jobs:
        """Return those that have failed and are no history: what Files show, and what is newer than anything else."""
        same = Job.objects.order_by().filter(file=OuterRef("file"), processor=OuterRef("processor"))
        newest = ~Exists(same.filter(pk__gt=OuterRef("pk")))
        return self.order_by().filter(Q(current=True) | newest, state=Job.State.FAILED)

    def retry(self, file_id: uuid.UUID) -> set[str]:
        """Queue the failed Jobs of one File again, as new; return the queues to ring."""
        with File.locked(file_id):
            failed = self.failed().filter(file_id=file_id)
            queues = set(failed.values_list("queue", flat=True))
            failed._queue(lane=Job.Lane.INTERACTIVE)
        return queues

    def retry_some(self, pks: Iterable[uuid.UUID]) -> int:
        """Queue these again as new, which have failed, for as many Files as ``pks`` have; return how many.

        Of each of these Files all are taken: once it is `processing`, who asks for failed ones does not find it again.
        Their turn comes in a window, as a backfill's does.
        """
        files = set(Job.objects.filter(pk__in=pks).values_list("file_id", flat=True))
        with File.all_locked(files):
            return self.filter(file__in=files)._queue(lane=Job.Lane.BULK, due_at=Now())

    def run_again(self, job: Job) -> bool:
        """Queue a Job again that has succeeded, whose result is damaged; False if it is not one any more."""
        with File.locked(job.file_id):
            queued = bool(self.filter(pk=job.pk, state=Job.State.SUCCEEDED)._queue())
            if queued:
                job.artifacts.all().delete()
        return queued

    def pass_on(self, pks: Iterable[uuid.UUID]) -> None:
        """Have open Jobs that nobody holds published again in a moment: another worker of their queue can run them."""
        self.filter(Job.OPEN, pk__in=pks, lease_token=None).update(due_at=Now() + AGAIN)

    def _queue(self, **fields: Any) -> int:
        again = {"state": Job.State.QUEUED, "queued_at": Now(), "started_at": None, "finished_at": None}
        said = {"error_code": "", "error": "", "detail": ""}
        return self.update(**{**AS_NEW, **again, **said, "due_at": soon(), **fields})


def _insert(job: Job) -> None:
    _insertion().rows(**{field.name: getattr(job, field.attname) for field in Job._meta.concrete_fields})


@cache
def _due() -> Statement:
    due = Job.objects.order_by("processor").filter(Job.OPEN, free(), startable(), file=Parameter(Job, "file"))
    switch = Switch.objects.order_by().filter(processor=OuterRef("processor"))
    on = due.exclude(Exists(switch.filter(enabled=False)))
    decided = {name: Subquery(switch.values(name)) for name in ("excluded", "limits")}
    return Statement.select(on.values_list("pk", "queue", "processor", "version", "lane", *decided.values()))


@cache
def _insertion() -> Statement:
    given: dict[str, Any] = {field.name: Parameter(Job, field.name) for field in Job._meta.concrete_fields}
    del given["queued_at"]
    claimed = Exact(Parameter(Job, "state"), Value(Job.State.RUNNING))
    # Interactive work is on its way already; what a backfill takes up is published when its turn comes.
    due = Case(
        When(claimed, then=LEASED["due_at"]),
        When(Exact(Parameter(Job, "state"), Value(Job.State.WAITING)), then=None),
        When(Exact(Parameter(Job, "lane"), Value(Job.Lane.BACKFILL)), then=Now()),
        default=soon(),
    )
    given |= {
        "due_at": due,
        "lease_until": Case(When(claimed, then=LEASED["lease_until"])),
        "started_at": Case(When(claimed, then=Now())),
    }
    return Statement.insert(Job, given, returning=["id"], or_ignore=True)


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
        BULK = "bulk", "asked for with many others"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    # The constraints' indexes begin with it.
    file = models.ForeignKey(File, models.CASCADE, related_name="jobs", db_index=False)
    processor = models.CharField(max_length=64)
    version = models.CharField(max_length=64)
    distribution = models.CharField(max_length=255)
    queue = models.CharField(max_length=100)
    lane = models.CharField(max_length=16, choices=Lane, default=Lane.INTERACTIVE)
    repeat = models.PositiveSmallIntegerField(default=0, help_text="How often it had been asked for before.")
    current = models.BooleanField(default=True, help_text="It is what its File shows for the processor.")
    backfill = models.ForeignKey(Backfill, models.SET_NULL, null=True, db_index=False, related_name="jobs")
    state = models.CharField(max_length=16, choices=State, default=State.QUEUED)
    data = models.JSONField(default=dict)
    warnings = models.JSONField(default=list)
    digest = models.CharField(max_length=64, blank=True, help_text="Equal for results that are identical.")
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
        constraints = (
            models.UniqueConstraint(fields=("file", "processor", "version", "repeat"), name="one_job_each"),
            models.UniqueConstraint(
                fields=("file", "processor"), name="one_job_shown", condition=models.Q(current=True)
            ),
        )
        indexes = (
            models.Index(fields=("queue", "due_at"), name="job_due", condition=Q(due_at__isnull=False)),
            models.Index(
                fields=("queue", "due_at"), name="job_lane", condition=~Q(lane="interactive") & Q(due_at__isnull=False)
            ),
            models.Index(
                fields=("state", "processor", "version", "queue"),
                name="job_pending",
                condition=Q(state__in=("queued", "waiting")),
            ),
            models.Index(fields=("backfill", "state"), name="job_backfill", condition=Q(backfill__isnull=False)),
            models.Index(fields=("finished_at",), name="job_failed", condition=Q(state="failed")),
        )

    def __str__(self) -> str:
        return f"{self.processor} {self.version} on {self.file_id}"

    @classmethod
    def of(cls, offer: Offer, **fields: Any) -> Job:
        """Make the Job for what ``offer`` can run; it waits where that is broken."""
        state = cls.State.WAITING if offer.error else cls.State.QUEUED
        which = {"processor": offer.processor, "version": offer.version, "distribution": offer.distribution}
        return cls(**which, queue=offer.queue, state=state, **fields)

    @classmethod
    def due(cls, file_id: uuid.UUID) -> list[Due]:
        """Return each Job of a File that could be claimed now."""
        due = []
        for pk, queue, processor, version, lane, excluded, limits in _due().rows(file=file_id):
            switch = Switch(processor=processor, excluded=excluded or [], limits=limits or {})
            due.append(Due(pk, queue, processor, version, lane, switch))
        return due

    def succeed(
        self, data: dict[str, Any], warnings: Sequence[str], artifacts: Sequence[Artifact], digest: str = ""
    ) -> bool:
        """End with a result; False if the claim was lost, and then nothing of the result is kept."""
        fields = {"data": data, "warnings": list(warnings), "digest": digest, "error_code": "", "error": ""}
        return self._end(Job.State.SUCCEEDED, artifacts, **fields)

    def fail(self, code: str, message: str, detail: str = "", *, attempts: int | None = None) -> bool:
        """End for good, with a sentence for the uploader; False if the claim was lost."""
        counted = self.attempts if attempts is None else attempts
        return self._end(Job.State.FAILED, error_code=code, error=message, detail=detail, attempts=counted)

    def decline(self, message: str) -> bool:
        """End because the file is not the processor's business; False if the claim was lost."""
        return self._end(Job.State.DECLINED, error_code="declined", error=message)

    def exclude(self) -> bool:
        """End because an operator keeps such files from the processor; False if the claim was lost."""
        return self._end(Job.State.CANCELLED, error_code="excluded", error=EXCLUDED)

    def cancel(self) -> bool:
        """End it whatever it is doing, so that its worker, if any, loses the claim; False if it is over.

        It takes the place of nothing that the File shows: it says nothing about the file.
        """
        with File.locked(self.file_id):
            unfinished = Job.objects.filter(pk=self.pk, state__in=UNFINISHED)
            said = {"error_code": "cancelled", "error": CANCELLED, "detail": ""}
            return bool(unfinished.update(**ENDED, **said, state=Job.State.CANCELLED, finished_at=Now()))

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
            others = Job.objects.filter(file_id=self.file_id, processor=offer.processor, version=offer.version)
            taken = offer.version != self.version and others.exists()
            if taken or not offer.accepts(file.media_type or UNKNOWN, file.size):
                waiting.update(state=Job.State.CANCELLED, finished_at=Now())
            else:
                fields = {"version": offer.version, "distribution": offer.distribution, "queue": offer.queue}
                counts = {} if offer.version == self.version else AS_NEW
                queued = {"state": Job.State.QUEUED, "queued_at": Now(), "due_at": Now(), "error_code": "", "error": ""}
                waiting.update(**queued, **fields, **counts)

    def _end(self, state: str, artifacts: Sequence[Artifact] = (), **fields: Any) -> bool:
        with File.locked(self.file_id) as file:
            fields = {"finished_at": NOW, "detail": "", **ENDED, **fields}
            if file is None or not self._update(state=state, **fields):
                return False
            for artifact in artifacts:
                artifact.insert()
            if not self.current and state not in (Job.State.WAITING, Job.State.CANCELLED):
                self._take_the_place(state)
        return True

    def _take_the_place(self, state: str) -> None:
        """Become what the File shows for the processor, unless that is better: a success, later or pinned."""
        others = Job.objects.filter(file_id=self.file_id, processor=self.processor, current=True).exclude(pk=self.pk)
        shown = others.first()
        if shown is not None:
            another = shown.version != self.version
            pinned = another and Switch.objects.filter(processor=self.processor, pinned=shown.version).exists()
            better = shown.state == Job.State.SUCCEEDED and (state != Job.State.SUCCEEDED or pinned)
            if better or shown.pk > self.pk:
                return
        others.update(current=False)
        Job.objects.filter(pk=self.pk).update(current=True)
