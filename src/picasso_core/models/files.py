"""A File: an upload, whose bytes never change, and what is known of it."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any, ClassVar

from django.conf import settings
from django.core.files.storage import default_storage
from django.db import DEFAULT_DB_ALIAS, models, transaction
from django.db.models import Case, F, Q, Subquery, Value, When
from django.db.models.functions import Left, Now, StrIndex

from .offers import Offer
from .settling import settled, unsettled
from .statements import Parameter, Statement
from .work import ENDED, Work, soon, uuid7

UNKNOWN = "application/octet-stream"
KIND = Left(F("media_type"), StrIndex(F("media_type"), Value("/")) - 1)
"""What stands before the slash of a media type."""


def key_for(file: File, filename: str = "") -> str:
    """Return where a File's bytes lie in the storage; the key holds no text of the user's."""
    return f"files/{file.pk.hex[-2:]}/{file.pk}"


class File(Work):
    """An upload. As Work it is the identification of its media type."""

    class Status(models.TextChoices):
        QUEUED = "queued"
        PROCESSING = "processing"
        PROCESSED = "processed"
        PARTIAL = "partial"
        FAILED = "failed"
        UNSUPPORTED = "unsupported"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    file = models.FileField(upload_to=key_for)
    name = models.CharField(max_length=255, help_text="What the uploader called it.")
    declared_type = models.CharField(max_length=255, blank=True, help_text="What the uploader said it is; only a hint.")
    size = models.PositiveBigIntegerField()
    sha256 = models.CharField(max_length=64)
    media_type = models.CharField(max_length=255, null=True)
    identified_by = models.JSONField(default=list, help_text="Who said what about the media type, and why.")
    identify_again = models.BooleanField(default=False, help_text="In the background, for a format just taught.")
    duplicate_of = models.ForeignKey(
        "self",
        models.SET_NULL,
        null=True,
        db_index=False,
        related_name="+",
        help_text="The owner's first File with the same bytes.",
    )
    idempotency_key = models.CharField(max_length=255, null=True, help_text="By which its client may send it again.")
    uploaded_at = models.DateTimeField(db_default=Now())
    status = models.CharField(max_length=16, choices=Status, default=Status.QUEUED)
    processed = models.BooleanField(default=False, help_text="It has settled with a success once; never turns back.")

    due: Sequence[Any] | None = None
    """The Jobs that ``identified`` has made and that can run; None where it has not looked at all of them."""

    OPEN: ClassVar = Q(media_type=None) | Q(identify_again=True)
    # To be identified once more does not disturb what is known.
    CLAIMED: ClassVar = {"status": Case(When(media_type=None, then=Value("processing")), default=F("status"))}
    GIVEN_BACK: ClassVar[dict[str, Any]] = {}

    class Meta:
        ordering = ("-uploaded_at", "-id")
        constraints = (
            models.UniqueConstraint(
                fields=("owner", "idempotency_key"),
                name="one_file_a_key",
                condition=Q(owner__isnull=False, idempotency_key__isnull=False),
            ),
            # A null owner is like no other to the constraint above.
            models.UniqueConstraint(
                fields=("idempotency_key",),
                name="one_file_a_key_unowned",
                condition=Q(owner=None, idempotency_key__isnull=False),
            ),
        )
        indexes = (
            models.Index(fields=("-uploaded_at", "-id"), name="file_newest"),
            models.Index(fields=("status", "-uploaded_at"), name="file_status"),
            models.Index(
                fields=("media_type", "-uploaded_at"), name="file_media_type", condition=Q(media_type__isnull=False)
            ),
            models.Index(
                KIND, F("uploaded_at").desc(), F("id").desc(), name="file_kind", condition=Q(media_type__isnull=False)
            ),
            # With the id, so that the first of many with the same bytes is found at once.
            models.Index(fields=("sha256", "id"), name="file_sha256"),
            models.Index(fields=("duplicate_of",), name="file_duplicate", condition=Q(duplicate_of__isnull=False)),
            models.Index(fields=("due_at",), name="file_due", condition=Q(due_at__isnull=False)),
            models.Index(fields=("due_at",), name="file_again", condition=Q(identify_again=True)),
        )

    def __str__(self) -> str:
        return f"{self.name} ({self.pk})"

    @classmethod
    @contextmanager
    def locked(cls, pk: uuid.UUID) -> Iterator[File | None]:
        """Open the transaction that may add, end or remove Jobs of one File, and settle it; None if the File is gone.

        Every such transaction takes this lock first, so that two Jobs that end together both see the other's end.
        """
        with transaction.atomic():
            file = next(iter(_lock().objects(cls, id=pk)), None)
            yield file
            if file is not None:
                _settled().rows(id=pk)

    @classmethod
    @contextmanager
    def all_locked(cls, pks: Iterable[uuid.UUID]) -> Iterator[None]:
        """Open such a transaction for several Files, locked in one order; those that are gone are left out."""
        with transaction.atomic():
            there = list(cls.objects.filter(pk__in=pks).order_by("pk").select_for_update().values_list("pk", flat=True))
            yield
            unsettled(cls.objects.filter(pk__in=there)).update(**settled())

    @classmethod
    def find(cls, pk: uuid.UUID) -> File | None:
        """Return one File; None if there is no such."""
        return next(iter(_found().objects(cls, id=pk)), None)

    @classmethod
    def any_queued(cls) -> bool:
        """Whether an upload waits that nobody has begun with."""
        return bool(_first_queued().rows())

    def insert(self) -> None:
        """Add the row. Raises ``IntegrityError`` where there is one with its key."""
        values = {field.name: getattr(self, field.attname) for field in File._meta.concrete_fields}
        ((self.uploaded_at, self.duplicate_of_id),) = _insertion(self.owner_id is not None).rows(**values)
        self._state.adding, self._state.db = False, DEFAULT_DB_ALIAS

    def identified(
        self,
        media_type: str,
        evidence: Iterable[dict[str, str]],
        offers: Iterable[Offer],
        mine: Callable[[Offer], bool] = lambda offer: False,
    ) -> bool:
        """Save the media type and a Job for each of ``offers``; False if the claim was lost.

        Where it had no media type before, ``due`` are the Jobs that can run now, the first that is ``mine`` claimed.
        """
        fields = {**ENDED, "media_type": media_type, "identified_by": list(evidence), "identify_again": False}
        if self.media_type is not None:
            with File.locked(self.pk) as file:
                if not self._update(**fields) or file is None:
                    return False
                file.media_type = media_type
                self.jobs.model.objects.add(file, offers, lane="backfill")
        else:
            with transaction.atomic():
                # This locks its row, and there is no Job yet that another could end.
                if not self._update(**fields):
                    return False
                due = self.jobs.model.objects.add(self, offers, first=True, mine=mine)
                if not due:  # else it is `processing` as it was
                    _settled().rows(id=self.pk)
            self.due = due
        self.media_type = media_type
        return True

    def unidentifiable(self, why: str) -> bool:
        """Save that the identification failed for good, and the Jobs of whoever takes any file; as ``identified``.

        What had been identified before keeps its media type.
        """
        if self.media_type is not None:
            return self._update(**ENDED, identify_again=False)
        evidence = [{"by": "picasso", "says": UNKNOWN, "why": f"identification_failed: {why}"}]
        return self.identified(UNKNOWN, evidence, Offer.objects.accepting(UNKNOWN, self.size))

    @classmethod
    def remove(cls, pk: uuid.UUID) -> bool:
        """Delete a File with its Jobs, whatever they are doing, then the bytes; False if there is no such File."""
        return bool(cls.remove_some(cls.objects.filter(pk=pk)))

    @classmethod
    def remove_some(cls, files: models.QuerySet[File]) -> int:
        """Delete these few as ``remove`` does one; return how many."""
        with transaction.atomic():
            # What another has changed in the meantime is looked at again once it is locked.
            locked = list(files.order_by("pk").select_for_update(of=("self",)).only("file"))
            gone = cls.objects.filter(pk__in=[file.pk for file in locked])
            artifacts = (
                gone.filter(jobs__artifacts__isnull=False).order_by().values_list("jobs__artifacts__key", flat=True)
            )
            keys = [*(str(file.file.name) for file in locked), *artifacts]
            gone.delete()
        for key in keys:
            # What cannot be deleted now is bytes without a row, which the sweeper collects.
            with contextlib.suppress(OSError):
                default_storage.delete(key)
        return len(locked)


def first_of(files: models.QuerySet[File], sha256: Any) -> models.QuerySet[File]:
    """Return the first of ``files`` with these bytes."""
    # A range and that order, which one index alone can serve: by the id of all files, the first may come late.
    return files.filter(sha256__gte=sha256, sha256__lte=sha256).order_by("sha256", "id")[:1]


@cache
def _insertion(owned: bool) -> Statement:
    given: dict[str, Any] = {field.name: Parameter(File, field.name) for field in File._meta.concrete_fields}
    del given["uploaded_at"]
    # Of one's own alone: nobody learns that another has the same bytes.
    owners = File.objects.filter(owner=Parameter(File, "owner")) if owned else File.objects.filter(owner=None)
    same = first_of(owners, Parameter(File, "sha256")).values("id")
    given |= {"due_at": soon(), "duplicate_of": Subquery(same)}
    return Statement.insert(File, given, returning=["uploaded_at", "duplicate_of"])


@cache
def _found() -> Statement:
    return Statement.select(File.objects.order_by().filter(id=Parameter(File, "id")))


@cache
def _first_queued() -> Statement:
    # Without a parameter: a plan for any status would read the table, since almost all rows have the same.
    waiting = File.objects.order_by().filter(due_at__isnull=False, media_type=None, lease_token=None)
    return Statement.select(waiting.values_list("pk")[:1])


@cache
def _lock() -> Statement:
    locked = File.objects.select_for_update().order_by().only("media_type", "size")
    return Statement.select(locked.filter(id=Parameter(File, "id")))


@cache
def _settled() -> Statement:
    # Also where it is so already: for one File, to ask first takes longer than to write the row again.
    identified = File.objects.filter(id=Parameter(File, "id"), media_type__isnull=False)
    return Statement.update(identified, settled())
