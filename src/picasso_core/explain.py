"""Why a File is as it is: how its media type was found, and what each processor does with it and why."""

from __future__ import annotations

import uuid
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from django.db.models import Exists, OuterRef, Q
from django.db.models.functions import Now

from . import ends, standing
from .ends import Finding
from .models import Artifact, Backfill, File, Job
from .processors import accepts
from .standing import Standing

CLOSEST = ("off", "broken", "arriving", "superseded", "absent")
"""Which version to speak of where none is in force."""
SHOWN = 6
"""How many media types a sentence names."""
DECISIONS = (
    "accepted", "no_job", "older_version", "not_identified", "not_accepted", "too_large", "excluded", *CLOSEST,
    "forgotten",
)  # fmt: skip
IDENTIFICATIONS = ("queued", "failed_for_now", "running", "identified", "again", "failed")


@dataclass(frozen=True)
class Told:
    """A Job with what became of it, and whose fault that is if it failed."""

    job: Job
    finding: Finding
    fault: str | None


@dataclass(frozen=True)
class Considered:
    """A processor that was considered for the File."""

    processor: str
    finding: Finding
    """Whether it is given such a file now, and why not."""
    where: Standing | None
    """Of the version that would run now, if any would."""
    jobs: list[Told]
    """What it has had to do with this File, the newest first."""


@dataclass(frozen=True)
class Explanation:
    """All of it."""

    file: File
    finding: Finding
    """About its media type."""
    processors: list[Considered]


def explain(pk: uuid.UUID) -> Explanation | None:
    """Explain a File from what the database knows now; None if there is none."""
    paused = Q(not_before__gt=Now())
    file = File.objects.annotate(paused=paused).filter(pk=pk).first()
    if file is None:
        return None
    nothing = Q(data={}) & ~Exists(Artifact.objects.filter(job=OuterRef("pk")))
    jobs = defaultdict(list)
    for job in Job.objects.filter(file=pk).annotate(paused=paused, nothing=nothing).defer("data").order_by("-pk"):
        jobs[job.processor].append(job)
    standings = defaultdict(list)
    for each in standing.read():
        standings[each.offer.processor].append(each)
    unfinished = Backfill.objects.unfinished().filter(kind=Backfill.Kind.PROCESS)
    backfills = {(backfill.processor, backfill.version): backfill for backfill in unfinished}
    return Explanation(
        file=file,
        finding=_identification(file),
        processors=[
            _consider(name, file, jobs[name], standings[name], backfills) for name in sorted({*jobs, *standings})
        ],
    )


def _identification(file: Any) -> Finding:
    again = file.not_before if file.paused else None
    if file.media_type is None:
        if again:
            return Finding("failed_for_now", "Finding its media type crashed or met a limit; it is tried again.", again)
        if file.lease_token:
            return Finding("running", "Its media type is being found.")
        return Finding("queued", "It waits for a worker that finds its media type.")
    if any(each["why"].startswith("identification_failed") for each in file.identified_by):
        return Finding("failed", f"Its media type could not be found, so it is {file.media_type}.")
    # The deciding voice is the last.
    why = f", by {_voice(file.identified_by[-1])}" if file.identified_by else ""
    if file.identify_again:
        return Finding(
            "again", f"It is {file.media_type}{why}, and is looked at again for a format just taught.", again
        )
    return Finding("identified", f"It is {file.media_type}{why}.")


def _voice(evidence: dict[str, str]) -> str:
    return evidence["by"] + (f": {evidence['why']}" if evidence["why"] else "")


def _consider(
    name: str, file: File, jobs: list[Any], standings: list[Standing], backfills: dict[tuple[str, str], Backfill]
) -> Considered:
    chosen = foremost(standings)
    if chosen is None:
        finding = Finding("forgotten", "No worker has it, and an operator has had it forgotten.")
    else:
        backfill = backfills.get((name, chosen.offer.version))
        finding = obstacle(file, chosen) or _missing(chosen, jobs, backfill) or _taken(chosen)
    where = chosen if chosen is not None and chosen.state == "ready" else None
    lack = chosen.reason if chosen else "no worker has it."
    return Considered(name, finding, where, [Told(job, ends.find(job, lack), ends.fault(job)) for job in jobs])


def foremost(standings: list[Standing]) -> Standing | None:
    """Return which version of a processor to speak of: the one in force, or else the one that is closest to it."""
    return min(standings, key=_distance, default=None)


def _distance(each: Standing) -> int:
    return -1 if each.active else CLOSEST.index(each.state) if each.state in CLOSEST else len(CLOSEST)


def obstacle(file: File, chosen: Standing) -> Finding | None:
    """Say why no such file is given to the processor now; None if it is."""
    offer, switch = chosen.offer, chosen.switch
    if file.media_type is None:
        return Finding("not_identified", "Nobody knows yet whether it takes the file, whose media type is not known.")
    if offer.media_types and not accepts(offer.media_types, file.media_type):
        return Finding("not_accepted", f"It takes {_some(offer.media_types)}, and the file is {file.media_type}.")
    most = offer.limits.get("max_bytes")
    if most and file.size > most:
        return Finding("too_large", f"It takes files of at most {most} bytes, and this one has {file.size}.")
    if not chosen.active:
        return Finding(chosen.state, chosen.reason)
    if switch.excludes(file.media_type):
        return Finding("excluded", f"An operator keeps {_some(switch.excluded)} from it.")
    if not switch.takes(file.media_type, file.size):
        most = switch.limits["max_bytes"]
        return Finding("too_large", f"An operator gives it files of at most {most} bytes; this one has {file.size}.")
    return Finding("broken", f"It takes such files and is broken: {chosen.reason}") if offer.error else None


def _missing(chosen: Standing, jobs: list[Job], backfill: Backfill | None) -> Finding | None:
    """Say why there is no Job of the version in force; None if there is one."""
    version = chosen.offer.version
    if any(job.version == version for job in jobs):
        return None
    match backfill.state if backfill else None:
        case Backfill.State.RUNNING:
            then = "A backfill is on its way to it."
        case Backfill.State.PAUSED:
            then = "The backfill that would reach it is paused."
        case Backfill.State.PLANNED:
            then = "A backfill is planned and waits to be started."
        case _:
            then = "No backfill is under way."
    if jobs:
        return Finding("older_version", f"Version {version} is in force and has not had this file. {then}")
    return Finding("no_job", f"It takes such files, and came or was changed after this one was identified. {then}")


def _taken(chosen: Standing) -> Finding:
    offer, sentence = chosen.offer, chosen.reason
    if chosen.workers:
        live = "1 live worker works" if chosen.workers == 1 else f"{chosen.workers} live workers work"
        workers = f"{live} on {chosen.slots} {'file' if chosen.slots == 1 else 'files'} at a time"
        sentence = f"On the queue {offer.queue} {workers}. {sentence}".strip()
    return Finding("accepted", f"It takes such files. {sentence}")


def _some(media_types: list[str]) -> str:
    more = len(media_types) - SHOWN
    return ", ".join(media_types[:SHOWN]) + (f" and {more} more" if more > 0 else "")
