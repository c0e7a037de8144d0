"""What live workers can run."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import timedelta
from functools import cache
from typing import Any, ClassVar

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from ..processors import accepts
from .statements import Statement

SILENCE = timedelta(seconds=25)
"""An offer that nobody has repeated for this long, while other offers of its queue are, has been withdrawn."""


class Offers(models.QuerySet["Offer"]):
    """The offers of all queues."""

    def announce(self, queue: str, descriptions: Iterable[dict[str, Any]]) -> None:
        """Record what a worker of ``queue`` can run; repeated, it shows that the worker is alive."""
        for each in descriptions:
            fixed = {"distribution": each["distribution"], "media_types": each["media_types"], "limits": each["limits"]}
            self.update_or_create(
                queue=queue,
                processor=each["name"],
                version=each["version"],
                defaults={**fixed, "error": each["error"], "withdrawn": False, "last_seen": Now()},
            )

    def heartbeat(self, queue: str, keys: Collection[tuple[str, str]]) -> None:
        """Repeat the offers ``keys`` (processor, version) and withdraw those of ``queue`` that nobody repeats."""
        here = self.filter(queue=queue)
        repeated = Q()
        for processor, version in keys:
            repeated |= Q(processor=processor, version=version)
        if keys:
            here.filter(repeated).update(last_seen=Now(), withdrawn=False)
        here.filter(withdrawn=False, last_seen__lt=Now() - SILENCE).update(withdrawn=True)

    def break_down(self, processor: str, version: str, queue: str, error: str) -> None:
        """Note that a processor lacks something: its Jobs wait until a worker announces it anew."""
        self.filter(processor=processor, version=version, queue=queue).update(error=error)

    def active(self) -> list[Offer]:
        """Return the version in force of each processor that is on and installed, broken ones included.

        Of several versions on one queue the oldest stays in force until the workers agree; among queues the latest
        first seen is.
        """
        chosen: dict[str, dict[str, Offer]] = {}
        for offer in _installed().objects(Offer):
            chosen.setdefault(offer.processor, {})[offer.queue] = offer
        return [
            max(queues.values(), key=lambda offer: (offer.pinned, offer.first_seen, offer.pk))
            for queues in chosen.values()
        ]

    def runnable(self) -> dict[str, Offer]:
        """Return the active offers that are not broken, by processor."""
        return {offer.processor: offer for offer in self.active() if not offer.error}

    def accepting(self, media_type: str, size: int) -> list[Offer]:
        """Return the active offers for a file of this type and size."""
        return [offer for offer in self.active() if offer.accepts(media_type, size)]


@cache
def _installed() -> Statement:
    return Statement.select(Offer.objects.filter(withdrawn=False, enabled=True).order_by("-first_seen", "-id"))


class Offer(models.Model):
    """One processor, in one version, that the workers of one queue can run or have broken."""

    processor = models.CharField(max_length=64)
    version = models.CharField(max_length=64, blank=True)
    distribution = models.CharField(max_length=255)
    media_types = models.JSONField(default=list)
    limits = models.JSONField(default=dict)
    queue = models.CharField(max_length=100)
    enabled = models.BooleanField(default=True, help_text="An operator may switch a processor off.")
    pinned = models.BooleanField(default=False, help_text="This version stays in force whatever is newer.")
    withdrawn = models.BooleanField(default=False, help_text="The workers of the queue no longer have it.")
    error = models.TextField(blank=True, help_text="Why it cannot run.")
    first_seen = models.DateTimeField(db_default=Now())
    last_seen = models.DateTimeField(db_default=Now())

    objects: ClassVar[Any] = Offers.as_manager()

    class Meta:
        ordering = ("processor", "-first_seen")
        constraints = (models.UniqueConstraint(fields=("queue", "processor", "version"), name="one_offer_each"),)

    def __str__(self) -> str:
        return f"{self.processor} {self.version} on {self.queue}"

    def accepts(self, media_type: str, size: int) -> bool:
        """Whether this processor wants a file of this type and size in bytes."""
        return accepts(self.media_types, media_type) and size <= (self.limits.get("max_bytes") or size)
