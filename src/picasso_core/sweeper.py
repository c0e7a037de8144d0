"""The loop that publishes what is due and repairs what fell behind; safe to run in several copies."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Iterable
from datetime import datetime, timedelta

import structlog
from django.conf import settings
from django.db import Error as DatabaseError
from django.db import connections, models, transaction
from django.db.models import Q
from django.db.models.functions import Now

from .backfills import archive, feeder, walking
from .doorbell import BrokerAway, doorbell
from .models import Backfill, Beat, Delivery, Event, File, Job, Offer, restored
from .models.work import MAX_LOSSES, free, soon
from .orphans import Walk
from .outages import Pauses, database_trouble
from .processes import show_alive
from .search.index import catch_up
from .webhooks import delivering

logger = structlog.get_logger(__name__)

PERIOD = 1.0
REPAIR_PERIOD = 5.0
SEARCH_SECONDS = 0.2
"""For so long each time the search is brought up to date, while more is to be published."""
TARGET = 1000
"""How many messages of a queue are kept waiting at the most; each further sweeper may add a batch to that."""
BATCH = 200
PRUNED = 5000
"""How many old events are removed at a time, and as many deliveries."""


def run(stopping: threading.Event) -> None:
    """Sweep every second until ``stopping`` is set, and tell webhooks of events meanwhile."""
    with delivering.running():
        _sweep(stopping)
    doorbell.close()


def _sweep(stopping: threading.Event) -> None:
    """Go round; what is away is tried again after longer and longer pauses."""
    repair_at = 0.0
    pauses, walk = Pauses(), Walk()
    while not stopping.is_set():
        show_alive(settings.PICASSO_ALIVE_FILE)
        pause = PERIOD
        try:
            if time.monotonic() >= repair_at:
                repair()
                beat(walk)
                repair_at = time.monotonic() + REPAIR_PERIOD
            busy = publish()
            index()
            if busy:
                continue
        except DatabaseError as error:
            pause = pauses.after_failure()
            logger.warning("database away", error=database_trouble(error), next_try_in=pause)
            connections.close_all()
        except BrokerAway as error:
            pause = pauses.after_failure()
            logger.warning("broker away", error=str(error), next_try_in=pause)
        stopping.wait(pause)


def index() -> None:
    """Bring the search up to date for a moment; whatever keeps it from that keeps nothing else."""
    try:
        catch_up(SEARCH_SECONDS)
    except DatabaseError:
        raise
    except Exception:
        logger.exception("the search is not up to date")


def repair() -> None:
    """Put right what no message will: work whose worker is lost for good, Jobs whose processor came or went."""
    give_up_lost()
    while move_waiting() >= BATCH:
        continue
    walking.propose()
    prune()


def prune() -> None:
    """Remove some of the events, and of the deliveries of webhooks, that are too old to be kept."""
    if renumbered := restored.renumber():
        logger.warning("the database came from a dump, its events were numbered anew", events=renumbered)
    age = timedelta(days=settings.PICASSO_EVENT_DAYS)
    Event.objects.prune(age, PRUNED)
    Delivery.objects.prune(age, PRUNED)


def beat(walk: Walk) -> None:
    """Take a step through the storage, and leave a sign of life with what is known here alone."""
    try:
        removed, ended = walk.step()
    except OSError as error:
        removed, ended = 0, False
        logger.warning("storage away", error=str(error))
    Beat.objects.beat(orphans=removed, messages=messages_waiting(), **({"walked_at": Now()} if ended else {}))


def messages_waiting() -> dict[str, int]:
    """Ask the broker how many messages wait in each queue that has a worker; nothing if it is away."""
    queues = {settings.PICASSO_QUEUE, *Offer.objects.filter(withdrawn=False).values_list("queue", flat=True)}
    try:
        return {queue: doorbell.waiting(queue) for queue in queues}
    except BrokerAway:
        return {}


def publish() -> bool:
    """Publish what is due on every queue; True if there may be more to publish at once."""
    queues = {settings.PICASSO_QUEUE, *_queues_with_due_jobs()}
    busy = [publish_due(queue) for queue in sorted(queues)]
    walking.walk()
    for queue in queues:
        feed(queue)
    return any(busy)


def feed(queue: str) -> None:
    """Fill the window of the backfill lane, half of the slots, unless other messages wait."""
    window = max(1, archive.slots_of(queue) // 2)
    room = feeder.room(queue, window)
    if room and doorbell.waiting(queue) <= window:
        doorbell.ring_all([(file_id, queue) for file_id in feeder.take(queue, room)])


def publish_due(queue: str) -> bool:
    """Top ``queue`` up with what is due, oldest first; True if a whole batch was published."""
    room = min(TARGET - doorbell.waiting(queue), BATCH)
    if room <= 0:
        return False
    due = take_due(queue, room)
    doorbell.ring_all([(file_id, queue) for file_id in due])
    return len(due) == room


def take_due(queue: str, room: int) -> list[uuid.UUID]:
    """Choose the Files due on ``queue`` and put their next look off; the lock is gone before anything is published."""
    jobs = Job.objects.filter(Job.OPEN, queue=queue, lane=Job.Lane.INTERACTIVE)
    files = File.objects.filter(media_type=None) if queue == settings.PICASSO_QUEUE else File.objects.none()
    with transaction.atomic():
        # In one order: Jobs whose pause is over do not wait for a backlog of uploads to end.
        due = sorted([*_oldest_due(files, "pk", room), *_oldest_due(jobs, "file_id", room)])[:room]
        chosen = [pk for _, pk, _ in due]
        for work in (File, Job):
            work._default_manager.filter(pk__in=chosen).update(due_at=soon())
    return list(dict.fromkeys(file_id for _, _, file_id in due))


def _oldest_due(
    work: models.QuerySet[File] | models.QuerySet[Job], file_id: str, room: int
) -> Iterable[tuple[datetime, uuid.UUID, uuid.UUID]]:
    rows = work.filter(due_at__lte=Now()).order_by("due_at").select_for_update(skip_locked=True)
    return rows.values_list("due_at", "pk", file_id)[:room]


def _queues_with_due_jobs() -> Iterable[str]:
    return Job.objects.filter(Job.OPEN, due_at__lte=Now()).order_by().values_list("queue", flat=True).distinct()


def give_up_lost() -> None:
    """End what has lost its worker once too often."""
    # What is open is due some time: said here, so that the indexes of what is due serve, however large the archive is.
    lost = Q(lease_until__lt=Now(), losses__gte=MAX_LOSSES, due_at__isnull=False)
    message = f"The worker was lost {MAX_LOSSES + 1} times while it processed this file."
    # Seized first: a worker that was only slow, and renews its claim in this moment, keeps it.
    for job in Job.objects.filter(Job.OPEN, lost).order_by("due_at")[:BATCH]:
        if job.seize():
            job.fail("worker_lost", message)
    for file in File.objects.filter(File.OPEN, lost).order_by("due_at")[:BATCH]:
        if file.seize():
            file.unidentifiable(message)


def move_waiting() -> int:
    """Have Jobs wait whose processor is gone, broken or off, and queue those again whose processor is back.

    Moves up to a batch each way and returns how many.
    """
    runnable = Offer.objects.runnable()
    here = Q(pk=None)
    for offer in runnable.values():
        here |= Q(processor=offer.processor, version=offer.version, queue=offer.queue)
    idle = Job.objects.filter(Job.OPEN, free(), due_at__isnull=False).exclude(here)
    gone = idle.filter(queued_at__lt=Now() - timedelta(seconds=5))[:BATCH]
    for job in gone:
        job.park()
    waiting = Job.objects.filter(state=Job.State.WAITING, processor__in=runnable)
    back = waiting.exclude(backfill__state=Backfill.State.PAUSED, lane=Job.Lane.BACKFILL)[:BATCH]
    for job in back:
        job.resume(runnable[job.processor])
    return len(gone) + len(back)
