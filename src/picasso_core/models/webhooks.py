"""Who is told of events over HTTP, and each message to them: when it is due, how often it was tried, how it ended."""

from __future__ import annotations

import base64
import json
import secrets
import uuid
from collections.abc import Iterable
from datetime import timedelta
from typing import Any, ClassVar

from django.db import models, transaction
from django.db.models import Exists, F, OuterRef, Q
from django.db.models.functions import Coalesce, Now
from django.utils import timezone

from ..moments import written
from .events import Event, Follows, Position
from .work import uuid7

PAUSES = (
    *(timedelta(seconds=5), timedelta(seconds=30), timedelta(minutes=2), timedelta(minutes=10)),
    *(timedelta(hours=1), timedelta(hours=6), timedelta(hours=12), timedelta(hours=24)),
)
"""After each failure; after the one that follows the last pause a delivery is given up."""
PATIENCE = timedelta(days=3)
"""A webhook that has failed for so long, without one success, is switched off."""
LEASE = timedelta(seconds=30)
"""Longer than one try takes, unless the name of the host is long in being found."""
AT_ONCE = 4
"""Deliveries of one webhook that are on their way at a time; one while it fails."""
AHEAD = 1000
"""Deliveries of one webhook that are made before earlier ones are over: the rest is in the log as it is."""
TEST = "webhook.test"


def new_secret() -> str:
    """Make the secret that messages are signed with, as Standard Webhooks writes one."""
    return f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}"


class Webhook(Follows):
    """A URL that is told of events, by following the log from its position."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    url = models.CharField(max_length=2000)
    kinds = models.JSONField(default=list, help_text="The kinds of events that it is told of; none for all.")
    secret = models.CharField(max_length=100, default=new_secret)
    enabled = models.BooleanField(default=True)
    reason = models.CharField(max_length=1000, blank=True, help_text="Why Picasso has switched it off.")
    failing_since = models.DateTimeField(null=True, help_text="Of failures that no success has come after the first.")
    created_at = models.DateTimeField(db_default=Now())

    objects: ClassVar[models.Manager[Webhook]] = models.Manager()

    def __str__(self) -> str:
        return f"{self.url} at {self.position}"

    def switch(self, enabled: bool) -> None:
        """Switch it off, or on with nothing held against it."""
        Webhook.objects.filter(pk=self.pk).update(enabled=enabled, reason="", failing_since=None)

    def replay(self, position: Position) -> None:
        """Go on after ``position``: what follows there is sent again, each event as the message that it was."""
        Webhook.objects.filter(pk=self.pk).update(xid=position.xid, event=position.id)

    def test(self) -> Delivery:
        """Have a message sent that tells of nothing."""
        body = json.dumps({"type": TEST, "timestamp": written(timezone.now()), "data": {}})
        return Delivery.objects.create(webhook=self, kind=TEST, body=body)

    @classmethod
    def follow(cls, pk: uuid.UUID, limit: int) -> bool:
        """Make Deliveries of the next events; True if there may be more. Position and Deliveries are one transaction.

        A webhook that another process follows at this moment is left to it.
        """
        with transaction.atomic():
            webhook = cls.objects.select_for_update(skip_locked=True).filter(pk=pk, enabled=True).first()
            if webhook is None or Delivery.objects.filter(webhook=pk, due_at__isnull=False).count() >= AHEAD:
                return False
            log = Event.objects.filter(kind__in=webhook.kinds) if webhook.kinds else Event.objects.all()
            events, position = log.page(webhook.position, limit)
            Delivery.objects.of(webhook, events)
            cls.objects.filter(pk=pk).update(xid=position.xid, event=position.id)
        return len(events) == limit

    @classmethod
    def behind(cls) -> list[uuid.UUID]:
        """Return those that the log has something new for."""
        webhooks = cls.objects.filter(enabled=True).only("xid", "event")
        return [webhook.pk for webhook in webhooks if Event.objects.after(webhook.position, 1)]


class Deliveries(models.QuerySet["Delivery"]):
    """All deliveries."""

    def of(self, webhook: Webhook, events: Iterable[Event]) -> None:
        """Have events sent; one that has been sent before is sent again under its id."""
        self.bulk_create(
            [
                Delivery(webhook=webhook, event=event.pk, kind=event.kind, body=_body(event), due_at=Now())
                for event in events
            ],
            update_conflicts=True,
            unique_fields=["webhook", "event"],
            update_fields=list(Delivery.AS_NEW),
        )

    def due_for(self) -> list[uuid.UUID]:
        """Return the webhooks that something is to be sent to now."""
        due = self.filter(webhook=OuterRef("pk"), due_at__lte=Now())
        return list(Webhook.objects.filter(Exists(due), enabled=True).values_list("pk", flat=True))

    def claim(self, webhook_id: uuid.UUID, room: int) -> list[Delivery]:
        """Take the deliveries of one webhook that are due, the oldest first, for as long as one try may take."""
        with transaction.atomic():
            # Its row is the lock under which those on their way are counted.
            webhook = Webhook.objects.select_for_update(skip_locked=True).filter(pk=webhook_id, enabled=True).first()
            if webhook is None:
                return []
            mine = self.filter(webhook=webhook_id)
            at_once = 1 if webhook.failing_since else AT_ONCE
            room = min(room, at_once - mine.filter(due_at__isnull=False, lease_until__gt=Now()).count())
            due = mine.filter(due_at__lte=Now()).order_by("due_at", "event").values_list("pk", flat=True)
            token, until = uuid.uuid4(), Now() + LEASE
            for pk in list(due[: max(room, 0)]):
                self.filter(pk=pk, due_at__lte=Now()).update(lease_token=token, lease_until=until, due_at=until)
            return list(self.filter(webhook=webhook_id, lease_token=token).select_related("webhook"))

    def prune(self, age: timedelta, limit: int) -> int:
        """Remove deliveries that are over and older, this many at the most; return how many."""
        oldest, old = self.filter(due_at=None).order_by("pk").values("pk"), self.filter(created_at__lt=Now() - age)
        if not old.filter(pk__in=oldest[:1]).exists():
            return 0
        removed, _ = old.filter(pk__in=oldest[:limit]).delete()
        return removed


class Delivery(models.Model):
    """One message to a webhook. Its id stays the same however often it is sent, so that its receiver knows it again."""

    class State(models.TextChoices):
        PENDING = "pending", "to be sent, or sent again"
        DELIVERED = "delivered"
        FAILED = "failed", "given up"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    webhook = models.ForeignKey(Webhook, models.CASCADE, related_name="deliveries", db_index=False)
    event = models.BigIntegerField(null=True, help_text="The id of the event, which may be gone.")
    kind = models.CharField(max_length=32)
    body = models.TextField(help_text="What is sent, to the byte.")
    state = models.CharField(max_length=16, choices=State, default=State.PENDING)
    attempts = models.PositiveSmallIntegerField(default=0)
    status = models.PositiveSmallIntegerField(null=True, help_text="What the last answer was, if there was one.")
    error = models.CharField(max_length=500, blank=True, help_text="Why the last try failed.")
    lease_token = models.UUIDField(null=True, editable=False)
    lease_until = models.DateTimeField(null=True, editable=False)
    due_at = models.DateTimeField(null=True, db_default=Now(), help_text="It is sent then; null once it is over.")
    created_at = models.DateTimeField(db_default=Now())
    attempted_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)

    objects: ClassVar[Any] = Deliveries.as_manager()
    AS_NEW: ClassVar[dict[str, Any]] = {
        "state": State.PENDING, "attempts": 0, "due_at": Now(), "lease_token": None, "lease_until": None,
        "ended_at": None,
    }  # fmt: skip
    """What makes one that has been sent as if it were new."""

    class Meta:
        ordering = ("-id",)
        constraints = (models.UniqueConstraint(fields=("webhook", "event"), name="one_delivery_each"),)
        indexes = (
            models.Index(fields=("webhook", "-id"), name="delivery_newest"),
            models.Index(fields=("webhook", "state", "-id"), name="delivery_state"),
            models.Index(fields=("webhook", "due_at"), name="delivery_due", condition=Q(due_at__isnull=False)),
        )

    def __str__(self) -> str:
        return f"{self.kind} to {self.webhook_id}: {self.state}"

    def succeed(self, status: int) -> bool:
        """End it; False if the claim was lost."""
        with transaction.atomic():
            self._lock_webhook()
            ended = self._end(state=self.State.DELIVERED, due_at=None, ended_at=Now(), status=status, error="")
            if ended:
                Webhook.objects.filter(pk=self.webhook_id, failing_since__isnull=False).update(failing_since=None)
        return ended

    def fail(self, error: str, status: int | None = None) -> bool:
        """Have it sent again after a pause, or give it up after the last; False if the claim was lost.

        A webhook that has only failed for three days is switched off, and at once one whose URL answers 410, Gone.
        """
        fields: dict[str, Any] = {"status": status, "error": error[:500]}
        if self.attempts < len(PAUSES):
            fields["due_at"] = Now() + PAUSES[self.attempts]
        else:
            fields |= {"state": self.State.FAILED, "due_at": None, "ended_at": Now()}
        with transaction.atomic():
            self._lock_webhook()
            ended = self._end(**fields)
            if ended:
                self._blame(error[:500], gone=status == 410)
        return ended

    def release(self) -> bool:
        """Give the claim back, to be sent at once by whoever comes next; False if it was lost."""
        return bool(self._held().update(lease_token=None, lease_until=None, due_at=Now()))

    def again(self) -> None:
        """Have it sent again, whatever became of it, as if it were new."""
        Delivery.objects.filter(pk=self.pk).update(**self.AS_NEW)

    def _lock_webhook(self) -> None:
        """Lock it before the delivery, as ``claim`` does."""
        list(Webhook.objects.select_for_update().filter(pk=self.webhook_id).values_list("pk"))

    def _held(self) -> Any:
        return Delivery.objects.filter(pk=self.pk, lease_token=self.lease_token, lease_token__isnull=False)

    def _end(self, **fields: Any) -> bool:
        done = {"lease_token": None, "lease_until": None, "attempted_at": Now(), "attempts": F("attempts") + 1}
        return bool(self._held().update(**done, **fields))

    def _blame(self, error: str, gone: bool) -> None:
        webhook = Webhook.objects.filter(pk=self.webhook_id, enabled=True)
        webhook.update(failing_since=Coalesce("failing_since", Now()))
        if gone:
            webhook.update(enabled=False, reason="It answered 410, Gone: it wants no more.")
        else:
            reason = f"Everything has failed for {PATIENCE.days} days, the last time so: {error}"
            webhook.filter(failing_since__lt=Now() - PATIENCE).update(enabled=False, reason=reason)


def told(event: Event) -> dict[str, Any]:
    """Return an event as the world sees it."""
    return {
        "position": str(event.position),
        "kind": event.kind,
        "at": written(event.at),
        "file": str(event.file),
        "job": str(event.job) if event.job else None,
        "processor": event.processor,
        "version": event.version,
        "data": event.data,
    }


def _body(event: Event) -> str:
    told_event = told(event)
    return json.dumps({"type": event.kind, "timestamp": told_event["at"], "data": told_event})
