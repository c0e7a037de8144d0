"""What a person asks of a File that has been processed: to be processed once more."""

from __future__ import annotations

import uuid

from . import standing, switching
from .backfills.asking import Refused, Unheard
from .explain import foremost, obstacle
from .models import File, Job, Offer
from .models.jobs import UNFINISHED


def reprocess(pk: uuid.UUID, processor: str = "") -> set[str]:
    """Have the version in force of one processor, or of each that takes the File, work on it once more.

    Returns the queues to ring. Raises ``File.DoesNotExist``, and ``Refused`` or ``Unheard`` where nothing would run.
    """
    with File.locked(pk) as file:
        if file is None:
            raise File.DoesNotExist
        offers = [_one(file, processor)] if processor else _all(file)
        names = [offer.processor for offer in offers]
        unfinished = Job.objects.filter(file=file, state__in=UNFINISHED, processor__in=names)
        busy = {job.processor: job for job in unfinished}
        idle = [offer for offer in offers if offer.processor not in busy]
        if not idle:
            still = (f"Version {job.version} of {name} is {job.state} for it already." for name, job in busy.items())
            raise Refused("unfinished_job", " ".join(still))
        Job.objects.repeat(file, idle)
    return {offer.queue for offer in idle}


def _one(file: File, processor: str) -> Offer:
    """Return what is in force of a processor. Raises ``Refused`` or ``Unheard``."""
    try:
        switching.known(processor)
    except switching.UnknownProcessor as unknown:
        raise Unheard("unknown_processor", str(unknown)) from None
    chosen = foremost([each for each in standing.read() if each.offer.processor == processor])
    if chosen is None:
        raise Unheard("unknown_processor", str(switching.UnknownProcessor(processor)))
    if why := obstacle(file, chosen):
        raise Refused(why.code, f"{processor} cannot process it now. {why.sentence}")
    return chosen.offer


def _all(file: File) -> list[Offer]:
    """Return what is in force and takes the File. Raises ``Refused`` where nothing does."""
    if file.media_type is None:
        raise Refused("not_identified", "Its media type is not known yet: it is processed as soon as that is found.")
    offers = [each.offer for each in standing.read() if each.active and not obstacle(file, each)]
    if not offers:
        sentence = f"No processor that can run now takes {file.media_type}: explain says what each lacks."
        raise Refused("no_processor", sentence)
    return offers
