"""How far a backfill is, how fast it goes, when it will be through, and what it waits for."""

from __future__ import annotations

from dataclasses import dataclass

from django.conf import settings
from django.db.models import Count, DurationField, ExpressionWrapper, F
from django.db.models.functions import Now

from ..models import Backfill, File, Job, Offer, Switch, WorkerBeat
from ..models.jobs import UNFINISHED


@dataclass(frozen=True)
class Obstacle:
    """Why a backfill, or a processor, does not go on: a word for programs and a sentence for people."""

    code: str
    sentence: str


@dataclass(frozen=True)
class Progress:
    """How far a backfill is; ``rate`` is in files a second, None like ``eta_seconds`` where nobody can say."""

    taken_up: int
    done: int
    states: dict[str, int]
    failed: int
    remaining: int
    ran_seconds: float
    rate: float | None
    eta_seconds: float | None
    waits_for: Obstacle | None


def read(backfill: Backfill) -> Progress:
    """Say how far a backfill is, by the database as it is now."""
    states = counts(backfill) if backfill.state != Backfill.State.DONE else backfill.counts
    open_, done = _open_and_done(backfill, states)
    over = backfill.state not in Backfill.UNFINISHED
    ahead = 0 if over or backfill.walked else max(0, backfill.files - backfill.taken_up)
    remaining = 0 if over else ahead + open_
    ran = _ran(backfill)
    rate = done / ran if done and ran else None
    obstacle = waits_for(backfill)
    return Progress(
        taken_up=backfill.taken_up,
        done=done,
        states=states,
        failed=states.get(Job.State.FAILED, 0),
        remaining=remaining,
        ran_seconds=round(ran, 1),
        rate=rate and round(rate, 2),
        eta_seconds=None if over or obstacle else _eta(backfill, remaining, rate),
        waits_for=obstacle,
    )


def counts(backfill: Backfill) -> dict[str, int]:
    """Count the Jobs of a backfill by their states."""
    jobs = Job.objects.order_by().filter(backfill=backfill).values_list("state")
    return dict(jobs.annotate(Count("pk")))


def waits_for(backfill: Backfill) -> Obstacle | None:
    """Say what has to happen before an unfinished backfill goes on; None if it goes on, or is over."""
    match backfill.state, backfill.kind:
        case Backfill.State.PLANNED, _:
            return Obstacle("start", "It is planned, and waits for somebody to start it.")
        case Backfill.State.PAUSED, _:
            return Obstacle("resume", "It is paused, and waits for somebody to resume it.")
        case Backfill.State.RUNNING, Backfill.Kind.PROCESS:
            offer = Offer.objects.runnable().get(backfill.processor)
            return _nobody(offer.queue) if offer else why_not(backfill.processor)
        case Backfill.State.RUNNING, Backfill.Kind.IDENTIFY:
            return _nobody(settings.PICASSO_QUEUE)
    return None


def why_not(processor: str) -> Obstacle:
    """Say why a processor that is not runnable is not."""
    offers = Offer.objects.filter(processor=processor)
    there = list(offers.filter(withdrawn=False, activated_at__isnull=False))
    if not Switch.objects.by_processor().get(processor, Switch()).enabled:
        return Obstacle("off", f"The processor {processor!r} is off.")
    if broken := [offer.error for offer in there if offer.error]:
        return Obstacle("broken", f"The processor {processor!r} is broken: {broken[0]}")
    if not there and offers.filter(withdrawn=False).exists():
        return Obstacle("absent", f"Not all workers of its queue have the processor {processor!r} yet.")
    return Obstacle("absent", f"No worker has the processor {processor!r}.")


def _open_and_done(backfill: Backfill, states: dict[str, int]) -> tuple[int, int]:
    if backfill.kind == Backfill.Kind.PROCESS:
        open_ = sum(states.get(state, 0) for state in UNFINISHED)
        return open_, sum(states.values()) - open_
    again = 0
    if backfill.kind == Backfill.Kind.IDENTIFY and backfill.state in Backfill.UNFINISHED:
        again = min(backfill.taken_up, File.objects.filter(identify_again=True).count())
    return again, backfill.taken_up - again


def _ran(backfill: Backfill) -> float:
    """Return for how many seconds it really ran, pauses and waits left out."""
    lately = None
    if backfill.resumed_at:
        # By the database's clock, like every time.
        since = ExpressionWrapper(Now() - F("resumed_at"), output_field=DurationField())
        lately = Backfill.objects.filter(pk=backfill.pk).annotate(since=since).values_list("since", flat=True).first()
    return max(0.0, backfill.ran.total_seconds() + (lately.total_seconds() if lately else 0))


def _eta(backfill: Backfill, remaining: int, rate: float | None) -> float | None:
    """Go by the rate so far; before there is any, by the plan."""
    if rate:
        return round(remaining / rate, 1)
    if backfill.seconds and backfill.files:
        return round(backfill.seconds * remaining / backfill.files, 1)
    return None


def _nobody(queue: str) -> Obstacle | None:
    """Return an obstacle if no worker of ``queue`` has shown for a while that it is alive."""
    if WorkerBeat.objects.live().filter(queue=queue).exists():
        return None
    return Obstacle("worker", f"No worker of the queue {queue!r} is alive.")
