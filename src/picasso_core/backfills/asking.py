"""What a person asks of backfills: to plan, start, pause, resume or cancel one, to go back to an earlier version."""

from __future__ import annotations

from django.conf import settings
from django.db import transaction

from ..models import Backfill, Job, Offer, Switch
from . import archive, progress, walking

Kind, State = Backfill.Kind, Backfill.State
FROM = {
    "start": (State.PLANNED,),
    "pause": (State.RUNNING,),
    "resume": (State.PAUSED,),
    "cancel": Backfill.UNFINISHED,
}
"""What may be asked of a backfill, and in which states."""


class Refused(Exception):
    """It cannot be done now; ``code`` is for programs, the text for people."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code


class Unheard(Refused):
    """There is no such processor or version."""


def plan(kind: str, processor: str = "", version: str = "", *, start: bool = False) -> Backfill:
    """Plan a backfill that somebody asks for, and start it if that is wanted or nothing is to be done.

    Only to show the results of a version again (``repoint``) needs a version; to identify again needs no processor.
    Raises ``Refused`` or ``Unheard``.
    """
    match kind:
        case Kind.PROCESS:
            offer = _in_force(processor)
            previous = walking.before(offer)
        case Kind.REPOINT:
            offer, previous = _with_results(processor, version), None
        case _:
            offer, previous = _stand_in("", ""), None
    backfill = walking.plan(kind, offer, previous=previous, start=start)
    if backfill is None:
        other = Backfill.objects.unfinished().filter(kind=kind, processor=offer.processor, version=offer.version)
        which = " ".join(f"{each.pk} is {each.state}" for each in other) or "it has just ended"
        raise Refused("unfinished_backfill", f"There is such a backfill already, which is not over: {which}.")
    return backfill


def act(backfill: Backfill, verb: str) -> None:
    """Do one of ``FROM``. Raises ``Refused`` where the backfill is not in a state for it."""
    if verb in ("start", "resume") and backfill.kind == Kind.PROCESS:
        offer = Offer.objects.runnable().get(backfill.processor)
        if offer is not None and offer.version != backfill.version:
            sentence = f"Version {offer.version} of {offer.processor!r} is in force now: plan a backfill of that one."
            raise Refused("superseded", not_yet(backfill.processor) or sentence)
    if not getattr(backfill, verb)():
        backfill.refresh_from_db()
        possible = " or ".join(FROM[verb])
        sentence = f"It is {backfill.state}; one can {verb} what is {possible}."
        soon = not_yet(backfill.processor) if verb == "start" else ""
        raise Refused("wrong_state", f"{sentence} {soon}".rstrip())


def not_yet(processor: str) -> str:
    """Say that a new version will be planned in a moment; nothing where none will."""
    offer = walking.unplanned(processor)
    return f"Version {offer.version} of {processor!r} is not planned yet: ask again in a few seconds." if offer else ""


def roll_back(backfill: Backfill) -> Backfill:
    """Have every File show what the version before this backfill's found, where it found something, and keep it so.

    Returns the backfill that does it, also to whoever asks again meanwhile. Raises ``Refused`` where there is nothing
    to go back to.
    """
    processor, earlier = backfill.processor, backfill.previous
    if backfill.kind != Kind.PROCESS or not earlier:
        raise Refused("nothing_to_go_back_to", "It is not the backfill of a new version, so there is no earlier one.")
    succeeded = Job.objects.order_by().filter(processor=processor, version=earlier, state=Job.State.SUCCEEDED)
    if not succeeded.exists():
        raise Refused("nothing_to_go_back_to", f"Version {earlier} of {processor!r} has left no result.")
    _pin(processor, earlier)
    # In a transaction of its own: whoever has not seen the pin is then known to be older.
    planned = walking.plan(
        Kind.REPOINT, _stand_in(processor, earlier), previous=_stand_in(processor, backfill.version), start=True
    )
    if planned:
        return planned
    under_way: Backfill = Backfill.objects.unfinished().get(kind=Kind.REPOINT, processor=processor, version=earlier)
    under_way.start() or under_way.resume()
    return under_way


def _pin(processor: str, version: str) -> None:
    """Keep a version in force and give up what goes another way. Raises ``Refused`` where that has been done."""
    others = Backfill.objects.unfinished().filter(processor=processor)
    with transaction.atomic():
        Switch.objects.get_or_create(processor=processor)
        switch = Switch.objects.select_for_update().get(processor=processor)
        if switch.pinned == version:
            shown = not archive.candidates(Kind.REPOINT, processor, version, None).exists()
            if shown and not others.filter(kind=Kind.REPOINT, version=version).exists():
                sentence = f"Version {version} is pinned, and every file that it has a result for shows that one."
                raise Refused("nothing_to_go_back_to", sentence)
            return
        switch.pinned = version
        switch.save(update_fields=["pinned"])
        for other in others.filter(kind__in=(Kind.PROCESS, Kind.REPOINT)):
            if (other.kind, other.version) != (Kind.PROCESS, version):
                other.cancel()


def _in_force(processor: str) -> Offer:
    """Return what a backfill runs. Raises ``Refused``, or ``Unheard`` if no worker has ever had such a processor."""
    offer: Offer | None = Offer.objects.runnable().get(processor)
    if offer is None:
        obstacle = progress.why_not(processor)
        refused = Refused if Offer.objects.filter(processor=processor).exists() else Unheard
        raise refused(obstacle.code, obstacle.sentence)
    return offer


def _with_results(processor: str, version: str) -> Offer:
    """Return what stands for a version that has results, installed or not. Raises ``Refused`` or ``Unheard``."""
    pinned = Switch.objects.by_processor().get(processor, Switch()).pinned
    if pinned not in ("", version):
        raise Refused("pinned", f"Version {pinned} of {processor!r} is pinned: take that back first.")
    if not Job.objects.order_by().filter(processor=processor, version=version, state=Job.State.SUCCEEDED).exists():
        raise Unheard("no_result", f"Version {version!r} of {processor!r} has left no result.")
    return _stand_in(processor, version)


def _stand_in(processor: str, version: str) -> Offer:
    """Name a version for what no worker need have."""
    return Offer(processor=processor, version=version, queue=settings.PICASSO_QUEUE)
