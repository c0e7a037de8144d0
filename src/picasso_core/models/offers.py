"""What live workers can run."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from functools import cache, lru_cache
from typing import Any, ClassVar

from django.db import DEFAULT_DB_ALIAS, models
from django.db.models import OuterRef, Q, Subquery
from django.db.models.functions import Coalesce, Now

from ..processors import accepts
from .beats import SILENCE, WorkerBeat
from .statements import Statement
from .switches import Switch


class Offers(models.QuerySet["Offer"]):
    """The offers of all queues."""

    def announce(self, queue: str, descriptions: Collection[dict[str, Any]]) -> None:
        """Record what a worker of ``queue`` can run; what is new there comes into force as in ``heartbeat``."""
        for each in descriptions:
            fixed = {"distribution": each["distribution"], "media_types": each["media_types"], "limits": each["limits"]}
            taught = {"signatures": each.get("signatures", [])}
            seen = {"error": each["error"], "withdrawn": False, "last_seen": Now()}
            elsewhere = self.filter(processor=each["name"], version=each["version"]).order_by("first_seen")
            new = {
                "activated_at": None,
                "first_seen": Coalesce(Subquery(elsewhere.values("first_seen")[:1]), Now()),
            }
            self.update_or_create(
                queue=queue,
                processor=each["name"],
                version=each["version"],
                defaults={**fixed, **taught, **seen},
                create_defaults={**fixed, **taught, **seen, **new},
            )
        self._activate(queue, {(each["name"], each["version"]) for each in descriptions})

    def heartbeat(self, queue: str, keys: Collection[tuple[str, str]]) -> None:
        """Repeat the offers ``keys`` (processor, version) of a worker, and see what all workers of ``queue`` have.

        What each of them has comes into force, for good; what none of them has is withdrawn.
        """
        self.filter(_any_of(keys), queue=queue).update(last_seen=Now(), withdrawn=False)
        offered = self._activate(queue, set(keys))
        gone = Q(last_seen__lt=Now() - SILENCE)
        if offered:
            gone |= ~_any_of(set.union(*offered))
        self.filter(gone, queue=queue, withdrawn=False).update(withdrawn=True)

    def _activate(self, queue: str, keys: set[tuple[str, str]]) -> list[set[tuple[str, str]]]:
        """Bring into force what each live worker has, or ``keys`` where none shows that it lives."""
        offered = WorkerBeat.objects.offered(queue)
        everywhere = set.intersection(*offered) if offered else keys
        self.filter(_any_of(everywhere), queue=queue, activated_at=None).update(activated_at=Now())
        return offered

    def break_down(self, processor: str, version: str, queue: str, error: str) -> None:
        """Note that a processor lacks something: its Jobs wait until a worker announces it anew."""
        self.filter(processor=processor, version=version, queue=queue).update(error=error)

    def active(self) -> list[Offer]:
        """Return the version in force of each processor that is on and installed, broken ones included.

        Of several versions on one queue the pinned one, or else the oldest, stays in force until the workers agree;
        among queues the pinned one, or else the latest first seen that works, is, on the queue that had it first.
        """
        return list(_active_of(_installed_with_switches().fetch()))

    def runnable(self) -> dict[str, Offer]:
        """Return the active offers that are not broken, by processor."""
        return {offer.processor: offer for offer in self.active() if not offer.error}

    def accepting(self, media_type: str, size: int) -> Iterator[Offer]:
        """Yield the active offers for a file of this type and size, as they are when the first one is asked for.

        So ``File.identified`` looks at them in its transaction, after which a backfill is sure to find the File.
        """
        yield from (offer for offer in self.active() if offer.accepts(media_type, size))


def _any_of(keys: Iterable[tuple[str, str]]) -> Q:
    found = Q(pk=None)
    for processor, version in keys:
        found |= Q(processor=processor, version=version)
    return found


def _first_with_the_best(offers: list[Offer]) -> Offer:
    best = max(offers, key=lambda offer: (offer.is_pinned, not offer.error, offer.first_seen, offer.pk))
    alike = (offer for offer in offers if (offer.version, offer.error) == (best.version, best.error))
    return min(alike, key=lambda offer: offer.pk)


@lru_cache(maxsize=4)
def _active_of(fetched: tuple[tuple[Any, ...], ...]) -> list[Offer]:
    """Return what ``active`` does; what was fetched is mostly the same from one file to the next."""
    chosen: dict[str, dict[str, Offer]] = {}
    for offer in _installed(fetched):
        queues = chosen.setdefault(offer.processor, {})
        if offer.switch.enabled and not (offer.queue in queues and queues[offer.queue].is_pinned):
            queues[offer.queue] = offer
    return [_first_with_the_best(list(queues.values())) for queues in chosen.values() if queues]


def _installed(fetched: tuple[tuple[Any, ...], ...]) -> Iterator[Offer]:
    """Yield each offer that is in force somewhere, the latest first, with the switch of its processor."""
    names = [field.attname for field in Offer._meta.concrete_fields]
    for row in _installed_with_switches().convert(fetched):
        offer = Offer.from_db(DEFAULT_DB_ALIAS, names, row[: len(names)])
        enabled, *decided = row[len(names) :]
        if enabled is not None:
            offer.switch = Switch(offer.processor, enabled, *decided)
        yield offer


@cache
def _installed_with_switches() -> Statement:
    installed = Offer.objects.filter(withdrawn=False, activated_at__isnull=False).order_by("-first_seen", "-id")
    switch = Switch.objects.order_by().filter(processor=OuterRef("processor"))
    decided = [field.name for field in Switch._meta.concrete_fields if not field.primary_key]
    return Statement.select(installed.annotate(**{f"its_{name}": Subquery(switch.values(name)) for name in decided}))


class Offer(models.Model):
    """One processor, in one version, that the workers of one queue can run or have broken."""

    processor = models.CharField(max_length=64)
    version = models.CharField(max_length=64, blank=True)
    distribution = models.CharField(max_length=255)
    media_types = models.JSONField(default=list)
    limits = models.JSONField(default=dict)
    queue = models.CharField(max_length=100)
    signatures = models.JSONField(default=list, help_text="Formats that it teaches the identification.")
    withdrawn = models.BooleanField(default=False, help_text="The workers of the queue no longer have it.")
    error = models.TextField(blank=True, help_text="Why it cannot run.")
    first_seen = models.DateTimeField(db_default=Now())  # this version, on whatever queue
    last_seen = models.DateTimeField(db_default=Now())
    activated_at = models.DateTimeField(
        null=True,
        db_default=Now(),
        help_text="Since when files reach it: since every worker of the queue has had it once.",
    )

    switch = Switch()
    """What an operator has decided about the processor, where ``active`` has looked."""

    objects: ClassVar[Any] = Offers.as_manager()

    class Meta:
        ordering = ("processor", "-first_seen")
        constraints = (models.UniqueConstraint(fields=("queue", "processor", "version"), name="one_offer_each"),)

    def __str__(self) -> str:
        return f"{self.processor} {self.version} on {self.queue}"

    @property
    def is_pinned(self) -> bool:
        """Whether an operator wants this version in force."""
        return bool(self.version) and self.switch.pinned == self.version

    def accepts(self, media_type: str, size: int) -> bool:
        """Whether this processor wants a file of this type and size in bytes."""
        wanted = accepts(self.media_types, media_type) and size <= (self.limits.get("max_bytes") or size)
        return wanted and self.switch.takes(media_type, size)
