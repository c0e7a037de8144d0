"""How each processor stands: whether files reach it, and what keeps them from it if not."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Count

from .models import Job, Offer, Switch, WorkerBeat

STATES = ("ready", "broken", "off", "absent", "arriving", "superseded")


@dataclass(frozen=True)
class Standing:
    """How one offer stands, with the switch of its processor."""

    offer: Offer
    state: str
    active: bool
    """It is the version in force: files that it takes get a Job for it."""
    reason: str
    """Why the state is what it is; empty for one that is simply ready."""
    workers: int
    """How many live workers of its queue have it."""
    slots: int
    """How many files those work on at a time."""
    switch: Switch


def read() -> list[Standing]:
    """Say how every offer stands, sorted by processor, the newest first."""
    switches = Switch.objects.by_processor()
    in_force = {offer.processor: offer for offer in Offer.objects.active()}
    beats = list(WorkerBeat.objects.live())
    standings = []
    for offer in Offer.objects.order_by("processor", "-first_seen", "-pk"):
        offer.switch = switches.get(offer.processor, offer.switch)
        standings.append(
            _of(offer, in_force.get(offer.processor), [beat for beat in beats if beat.queue == offer.queue])
        )
    return standings


def waiting_jobs() -> dict[str, int]:
    """Count the Jobs that wait for each processor, of whatever version."""
    waiting = Job.objects.order_by().filter(state=Job.State.WAITING)
    return dict(waiting.values_list("processor").annotate(Count("pk")))


def _of(offer: Offer, in_force: Offer | None, here: list[WorkerBeat]) -> Standing:
    having = [beat for beat in here if [offer.processor, offer.version] in beat.offers]
    state, reason = _state(offer, in_force, len(having), len(here))
    return Standing(
        offer=offer,
        state=state,
        active=in_force is not None and in_force.pk == offer.pk,
        reason=reason,
        workers=len(having),
        slots=sum(beat.slots for beat in having),
        switch=offer.switch,
    )


def _state(offer: Offer, in_force: Offer | None, having: int, here: int) -> tuple[str, str]:
    if offer.withdrawn:
        return "absent", f"No worker of the queue {offer.queue} has it any more."
    if offer.error:
        return "broken", offer.error
    if not offer.switch.enabled:
        return "off", "An operator has switched it off."
    if offer.activated_at is None:
        return "arriving", (
            f"{having} of {here} workers of the queue {offer.queue} have it: files reach it once all of them do."
        )
    if in_force is None or in_force.pk != offer.pk:
        return "superseded", _why_not(offer, in_force)
    pinned = offer.switch.pinned
    if pinned and not offer.is_pinned:
        return "ready", f"An operator has pinned version {pinned}, which no worker has."
    return "ready", "" if having else f"No worker of the queue {offer.queue} is alive."


def _why_not(offer: Offer, in_force: Offer | None) -> str:
    if in_force is None:
        return "Another version of it has just come or gone."
    if in_force.is_pinned:
        return f"An operator has pinned version {in_force.version}."
    if in_force.queue == offer.queue:
        return f"Version {in_force.version} stays in force until no worker of the queue {offer.queue} has it."
    if in_force.version == offer.version:
        return f"The queue {in_force.queue} had this version before."
    return f"Version {in_force.version} on the queue {in_force.queue} came later."
