"""What the sweeper does for backfills: plan those that nobody asked for, walk on, and end those that are through."""

from __future__ import annotations

import time
from typing import Any

import structlog
from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models.functions import Now

from ..models import Backfill, File, Job, Offer, Switch
from ..models.jobs import UNFINISHED
from ..search import index as search
from . import archive, feeder, progress

logger = structlog.get_logger(__name__)

AHEAD = 1000
"""How many of a queue's Jobs are made before their turn comes."""
BATCH = 500
STEP_SECONDS = 0.5


def propose() -> None:
    """Plan a backfill for each processor, version or signature never seen before, and start it where that is wanted."""
    known = set(Backfill.objects.order_by().values_list("kind", "processor", "version"))
    for offer in Offer.objects.runnable().values():
        if offer.signatures and ("identify", offer.processor, offer.version) not in known and _teaches(offer):
            plan(Backfill.Kind.IDENTIFY, offer, cause=Backfill.Cause.TAUGHT, start=True)
        if ("process", offer.processor, offer.version) in known:
            continue
        previous = before(offer)
        policy = _policy(offer, previous)
        if policy != Switch.Upgrades.OFF:
            cause = Backfill.Cause.UPGRADED if previous else Backfill.Cause.INSTALLED
            plan(Backfill.Kind.PROCESS, offer, previous=previous, cause=cause, start=policy == Switch.Upgrades.AUTO)


def unplanned(processor: str) -> Offer | None:
    """Return the newest version of a processor if ``propose`` is still to plan it, once every worker has it."""
    working = Offer.objects.filter(processor=processor, withdrawn=False, error="")
    newest: Offer | None = working.order_by("-first_seen", "-pk").first()
    backfills = Backfill.objects.filter(kind=Backfill.Kind.PROCESS, processor=processor)
    if newest is None or backfills.filter(version=newest.version).exists():
        return None
    newest.switch = Switch.objects.by_processor().get(processor, newest.switch)
    kept = newest.switch.enabled and newest.switch.pinned in ("", newest.version)
    return newest if kept and _policy(newest, before(newest)) != Switch.Upgrades.OFF else None


def plan(kind: str, offer: Offer, *, previous: Offer | None = None, start: bool, **fields: Any) -> Backfill | None:
    """Write down what a backfill would do, and start it if that is wanted or nothing is to be done.

    None if there is an unfinished one already.
    """
    planned = archive.plan(kind, offer.processor, offer.version, offer)
    if start or not planned.files:
        fields |= {"state": Backfill.State.RUNNING, "started_at": Now(), "resumed_at": Now()}
    backfill = Backfill(
        kind=kind,
        processor=offer.processor,
        version=offer.version,
        previous=previous.version if previous else "",
        files=planned.files,
        bytes=planned.bytes,
        seconds=planned.seconds,
        **fields,
    )
    try:
        with transaction.atomic():
            backfill.save(force_insert=True)
    except IntegrityError:
        return None
    told = {"processor": offer.processor, "version": offer.version, "files": planned.files}
    logger.info("backfill planned", backfill=str(backfill.pk), kind=kind, **told)
    return backfill


def walk() -> None:
    """Take up what the running backfills are for, no more than is soon to be done, and end those that are through."""
    runnable = Offer.objects.runnable()
    deadline = time.monotonic() + STEP_SECONDS
    for backfill in Backfill.objects.running():
        offer = runnable.get(backfill.processor)
        if progress.waits_for(backfill):
            backfill.stop_the_clock()
        else:
            backfill.start_the_clock()
        if backfill.kind == Backfill.Kind.PROCESS:
            if offer is None:
                continue
            if offer.version != backfill.version:
                backfill.cancel()
                logger.info("backfill superseded", backfill=str(backfill.pk), version_in_force=offer.version)
                continue
        queue = offer.queue if backfill.kind == Backfill.Kind.PROCESS and offer else settings.PICASSO_QUEUE
        if backfill.walked:
            _end(backfill)
        while time.monotonic() < deadline and (room := AHEAD - feeder.open_in(queue)) > 0:
            taken = archive.take_up(backfill, offer, min(room, BATCH))
            if not taken:
                break
            if backfill.kind == Backfill.Kind.REPOINT:
                # Nothing has happened to these Jobs, so no event tells the search that others are shown.
                search.refresh(taken)


def _end(backfill: Backfill) -> None:
    match backfill.kind:
        case Backfill.Kind.PROCESS:
            open_ = Job.objects.filter(backfill=backfill, state__in=UNFINISHED).exists()
        case Backfill.Kind.IDENTIFY:
            open_ = File.objects.filter(identify_again=True).exists()
        case _:
            open_ = False
    if not open_ and backfill.finish(progress.counts(backfill)):
        logger.info("backfill done", backfill=str(backfill.pk), files=backfill.taken_up, **backfill.counts)


def before(offer: Offer) -> Offer | None:
    """Return the offer of the version that was in force before this one; None if there has been none."""
    others = Offer.objects.filter(processor=offer.processor).exclude(version__in=("", offer.version))
    earlier: Offer | None = others.filter(first_seen__lte=offer.first_seen).order_by("-first_seen", "-pk").first()
    return earlier


def _teaches(offer: Offer) -> bool:
    """Whether this version knows a format that no other one has taught yet."""
    others = Offer.objects.filter(processor=offer.processor).exclude(pk=offer.pk).values_list("signatures", flat=True)
    taught = [signature for signatures in others for signature in signatures]
    return any(signature not in taught for signature in offer.signatures)


def _policy(offer: Offer, previous: Offer | None) -> str:
    default = settings.PICASSO_BACKFILL_UPGRADES if previous else settings.PICASSO_BACKFILL_NEW
    return offer.switch.upgrades or default
