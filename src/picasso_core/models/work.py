"""Work that one worker at a time may do: claimed with a lease, renewed while it goes on, ended only by its holder."""

from __future__ import annotations

import os
import time
import uuid
from datetime import timedelta
from functools import cache, lru_cache
from typing import Any, ClassVar, Self

from django.db import models
from django.db.models import Case, F, Q, When
from django.db.models.functions import Now

from .statements import Parameter, Statement

LEASE = timedelta(seconds=30)
FIRST_LOOK = timedelta(seconds=15)
MAX_ATTEMPTS = 3
MAX_LOSSES = 5
NOW = Now()
GIVEN = object()
"""In place of a value that differs from one time to the next."""
LEASED = {"lease_until": Now() + LEASE, "due_at": Now() + LEASE}


def uuid7() -> uuid.UUID:
    """Make a UUID version 7 (RFC 9562): the time in milliseconds, then 74 random bits."""
    value = (time.time_ns() // 1_000_000 << 80) | int.from_bytes(os.urandom(10), "big")
    value = value & ~(0xF << 76) | 0x7 << 76
    return uuid.UUID(int=value & ~(0x3 << 62) | 0x2 << 62)


def uuid7_after(earlier: uuid.UUID | None) -> uuid.UUID:
    """Make one that is greater than ``earlier``, which another machine may have made whose clock is ahead."""
    new = uuid7()
    return new if earlier is None or new > earlier else uuid.UUID(int=earlier.int + 1)


def soon() -> Any:
    """When the sweeper should look at work that has just been published."""
    return Now() + FIRST_LOOK


def free() -> Q:
    """Nobody holds it, or whoever did has let the lease expire."""
    return Q(lease_until=None) | Q(lease_until__lt=Now(), losses__lt=MAX_LOSSES)


def losses() -> Case:
    """The losses once somebody takes it: one more if the lease has expired."""
    return Case(When(lease_until__isnull=True, then=F("losses")), default=F("losses") + 1)


def startable() -> Q:
    """Its pause after a failure, if any, is over."""
    return Q(not_before=None) | Q(not_before__lte=Now())


@cache
def _claim_of(work: type[Work]) -> Statement:
    free_one = work._default_manager.filter(work.OPEN, free(), startable(), pk=Parameter(work, "id"))
    taken = {"losses": losses(), "lease_token": Parameter(work, "lease_token"), **LEASED, **work.CLAIMED}
    return Statement.update(free_one, taken, returning=[field.name for field in work._meta.concrete_fields])


@lru_cache(maxsize=1000)
def _update_of(work: type[Work], fields: tuple[tuple[str, Any], ...]) -> Statement:
    # Not null: who never claimed holds no token, like a row that nobody has.
    held = work._default_manager.filter(lease_token__isnull=False)
    mine = held.filter(pk=Parameter(work, "id"), lease_token=Parameter(work, "lease_token"))
    return Statement.update(mine, {name: Parameter(work, name) if each is GIVEN else each for name, each in fields})


class Work(models.Model):
    """The columns and verbs that File (its identification) and Job (its run) share; all times are the database's."""

    attempts = models.PositiveSmallIntegerField(default=0, help_text="Runs that ended in a crash, a limit or a bug.")
    losses = models.PositiveSmallIntegerField(default=0, help_text="Leases that expired: the worker was lost.")
    lease_token = models.UUIDField(null=True, editable=False)
    lease_until = models.DateTimeField(null=True, editable=False)
    not_before = models.DateTimeField(null=True, help_text="Nobody may claim it before this time.")
    # Not a default of the database: Django 6 makes one of an interval that SQLite takes for NULL.
    due_at = models.DateTimeField(null=True, default=soon, help_text="The sweeper looks at it then.")

    OPEN: ClassVar[Q]
    """Which rows still have this work to do."""
    CLAIMED: ClassVar[dict[str, Any]]
    """What a claim writes besides the lease."""
    GIVEN_BACK: ClassVar[dict[str, Any]]
    """What giving the claim back writes besides the lease."""

    class Meta:
        abstract = True

    @classmethod
    def claim(cls, pk: uuid.UUID) -> Self | None:
        """Take the work for 30 seconds; None if somebody has it, it is done, or it must wait."""
        return next(iter(_claim_of(cls).objects(cls, id=pk, lease_token=uuid.uuid4())), None)

    def renew(self) -> bool:
        """Hold the claim for another 30 seconds; False if it was lost."""
        return self._update(**LEASED)

    def seize(self) -> bool:
        """Take the claim of a worker that was lost once too often, to end the work; False if it was not lost."""
        token = uuid.uuid4()
        claim = type(self)._default_manager.filter(pk=self.pk, lease_token=self.lease_token, losses__gte=MAX_LOSSES)
        if not claim.filter(lease_until__lt=Now()).update(lease_token=token):
            return False
        self.lease_token = token
        return True

    def give_back(self, *, pause: timedelta = timedelta(0), **fields: Any) -> bool:
        """Let go of the claim, to be taken again after ``pause``; False if it was lost before."""
        again = Now() + pause
        freed = {**FREED, "due_at": again, "not_before": again if pause else None}
        return self._update(**{**freed, **self.GIVEN_BACK, **fields})

    def try_again(self) -> bool:
        """Count an attempt and give the claim back for a short pause; False, and nothing changes, after the third."""
        if self.attempts + 1 >= MAX_ATTEMPTS:
            return False
        self.give_back(pause=timedelta(seconds=2 ** (self.attempts + 1)), attempts=self.attempts + 1)
        return True

    def _update(self, **fields: Any) -> bool:
        """Write ``fields`` if the claim is still held; False if it was lost."""
        # Expressions and NULL stand in the statement, which is made once for them; the rest is given each time.
        fixed = {name: each for name, each in fields.items() if each is None or hasattr(each, "resolve_expression")}
        shape = tuple((name, fixed.get(name, GIVEN)) for name in fields)
        return bool(_update_of(type(self), shape).rows(**fields | {"id": self.pk, "lease_token": self.lease_token}))


FREED: dict[str, Any] = {"lease_token": None, "lease_until": None}
AS_NEW: dict[str, Any] = {"attempts": 0, "losses": 0}
ENDED: dict[str, Any] = {**FREED, "due_at": None, "not_before": None}
