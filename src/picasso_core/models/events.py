"""The log of what happens to each File: written by triggers of the database, read in order, removed when it is old."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, ClassVar

from django.db import connection, models
from django.db.models import BooleanField, F, Func, Value
from django.db.models.functions import Now
from django.db.models.lookups import GreaterThan


class CurrentTransaction(Func):
    """The number of the transaction that writes; 0 on SQLite, where one writes at a time and ``id`` is order enough."""

    template = "pg_current_xact_id()::text::bigint"
    output_field = models.BigIntegerField()

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> tuple[str, Any]:
        """Stand for nothing."""
        return super().as_sql(compiler, connection, template="0")


_OLDEST_OPEN = """
(SELECT least(
    min(other::text::bigint),
    pg_current_xact_id_if_assigned()::text::bigint,
    pg_snapshot_xmax(pg_current_snapshot())::text::bigint)
FROM pg_snapshot_xip(pg_current_snapshot()) AS other WHERE NOT EXISTS (
    SELECT FROM pg_locks AS own JOIN pg_locks AS held USING (virtualtransaction)
    WHERE own.locktype = 'transactionid' AND own.transactionid = other::xid
    AND own.granted AND own.mode = 'ExclusiveLock'
    AND held.locktype = 'relation' AND held.granted AND held.database <> 0
    AND held.database <> (SELECT oid FROM pg_database WHERE datname = current_database())))
"""


class OldestOpen(Func):
    """The number of this database's oldest transaction that still runs, or of the next one; only PostgreSQL has it.

    PostgreSQL counts the transactions of all its databases together. One is left out if it holds the lock of a table of
    another database; locks are what every account may see. Once it has none any more it counts again: what was said
    before stays true, but a later answer may be lower.
    """

    template = _OLDEST_OPEN
    output_field = models.BigIntegerField()


class Row(Func):
    """Several expressions as one value, which a database compares from left to right, along an index if it has one."""

    template = "(%(expressions)s)"
    output_field = BooleanField()


POSITION = "[0-9]{1,18}-[0-9]{1,18}"


@dataclass(frozen=True, order=True)
class Position:
    """A place in the log: after the event of this transaction and id. As text it is ``xid-id``."""

    xid: int
    id: int

    @classmethod
    def read(cls, text: str) -> Position:
        """Read what ``str`` has written. Raises ``ValueError``."""
        if not re.fullmatch(POSITION, text, re.ASCII):
            raise ValueError("it is no position")
        xid, number = (int(each) for each in text.split("-"))
        return cls(xid, number)

    def __str__(self) -> str:
        return f"{self.xid}-{self.id}"


START = Position(0, 0)
"""Before the oldest event."""


class Events(models.QuerySet["Event"]):
    """The whole log."""

    def after(self, position: Position, limit: int) -> list[Event]:
        """Return the next events in order, and none that an event which is not committed yet would come before."""
        settled = self if connection.vendor == "sqlite" else self.filter(xid__lt=OldestOpen())
        return settled._after(position, limit)

    def page(self, position: Position, limit: int) -> tuple[list[Event], Position]:
        """Return the next events as ``after`` does, and where to go on: past all that a filter has left out, too."""
        horizon = Event.objects.horizon()
        # A transaction that had ended then is seen now.
        settled = self if connection.vendor == "sqlite" else self.filter(xid__lt=horizon.xid)
        events = settled._after(position, limit)
        if len(events) == limit:
            return events, events[-1].position
        return events, max(position, horizon, *(event.position for event in events))

    def horizon(self) -> Position:
        """Return the end of the log as it is now: every event that is not there yet will come after it."""
        with connection.cursor() as cursor:
            if connection.vendor == "sqlite":
                # Not the greatest id that there is: the newest event may have been removed.
                cursor.execute("SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'picasso_event'")
                return Position(0, cursor.fetchone()[0])
            cursor.execute(f"SELECT {OldestOpen.template}")
            return Position(cursor.fetchone()[0], 0)

    def is_ahead(self, position: Position) -> bool:
        """Whether the log cannot have come as far as ``position`` by now: nobody has been told of it."""
        if connection.vendor == "sqlite":
            return position > self.horizon()
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint")
            return position > Position(cursor.fetchone()[0], 0)

    def prune(self, age: timedelta, limit: int) -> int:
        """Remove events that are older, the oldest first and this many at the most; return how many."""
        oldest, old = self.order_by("xid", "pk").values("pk"), self.filter(at__lt=Now() - age)
        if not old.filter(pk__in=oldest[:1]).exists():
            return 0
        removed, _ = old.filter(pk__in=oldest[:limit]).delete()
        return removed

    def _after(self, position: Position, limit: int) -> list[Event]:
        there = Row(Value(position.xid, _NUMBER), Value(position.id, _NUMBER))
        return list(self.filter(GreaterThan(Row(F("xid"), F("pk")), there)).order_by("xid", "pk")[:limit])


_NUMBER = models.BigIntegerField()


class Event(models.Model):
    """Something that happened to a File. Rows come from the triggers in migration 0006 alone and never change.

    A sequence alone would not do as the order: a transaction that took an earlier number may commit later, and whoever
    had read on by then would never see its rows. Those of a transaction are therefore shown once every older one is
    over, in the order of ``xid`` and ``id``.
    """

    class Kind(models.TextChoices):
        UPLOADED = "file.uploaded"
        IDENTIFIED = "file.identified"
        DELETED = "file.deleted"
        BACKFILLED = "job.backfilled"
        REPROCESSED = "job.reprocessed"
        STARTED = "job.started"
        SUCCEEDED = "job.succeeded"
        FAILED = "job.failed"
        DECLINED = "job.declined"
        CANCELLED = "job.cancelled"
        RETRIED = "job.retried"

    id = models.BigAutoField(primary_key=True)
    xid = models.BigIntegerField(db_default=CurrentTransaction(), help_text="The transaction that wrote it.")
    at = models.DateTimeField(db_default=Now())
    kind = models.CharField(max_length=32, choices=Kind)
    file = models.UUIDField(help_text="Which may be gone.")
    job = models.UUIDField(null=True)
    processor = models.CharField(max_length=64, db_default="")
    version = models.CharField(max_length=64, db_default="")
    data = models.JSONField(help_text="What one wants to know without asking again.")

    objects: ClassVar[Any] = Events.as_manager()

    class Meta:
        ordering = ("xid", "id")
        indexes = (
            models.Index(fields=("xid", "id"), name="event_order"),
            models.Index(fields=("file", "xid", "id"), name="event_file"),
            models.Index(fields=("kind", "xid", "id"), name="event_kind"),
        )

    def __str__(self) -> str:
        return f"{self.position} {self.kind} {self.file}"

    @property
    def position(self) -> Position:
        """Where it is in the log."""
        return Position(self.xid, self.pk)


class Follows(models.Model):
    """The columns of whoever reads the log and remembers how far it has come."""

    xid = models.BigIntegerField(default=0)
    event = models.BigIntegerField(default=0)

    class Meta:
        abstract = True

    @property
    def position(self) -> Position:
        """The last event that is done with."""
        return Position(self.xid, self.event)


class Follower(Follows):
    """A part of Picasso that follows the log, such as the search."""

    name = models.CharField(max_length=64, primary_key=True)

    def __str__(self) -> str:
        return f"{self.name} at {self.position}"

    @classmethod
    def named(cls, name: str) -> Follower:
        """Return the one of this name; a new one starts with the oldest event."""
        return Follower._default_manager.get_or_create(name=name)[0]

    def move(self, position: Position) -> bool:
        """Go on from ``position``; False if another process moved it meanwhile."""
        here = Follower._default_manager.filter(pk=self.pk, xid=self.xid, event=self.event)
        self.xid, self.event = position.xid, position.id
        return bool(here.update(xid=position.xid, event=position.id))
