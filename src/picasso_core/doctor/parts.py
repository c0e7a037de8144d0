"""The parts: whether each is there and does what it should."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings
from django.db import Error as DatabaseError
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.db.models import Count

from .. import gauges, uploads
from ..doorbell import BrokerAway, doorbell
from ..models import Job, Offer
from ..models.beats import SILENCE
from ..outages import database_trouble
from .findings import Finding

SWEEPER_SILENCE = 60.0
"""A sweeper beats every few seconds, and more rarely while the broker is away."""


def storage() -> Iterator[Finding]:
    """Write where uploads come in."""
    try:
        uploads.probe()
    except OSError as error:
        yield Finding(f"The storage cannot be written to: {_reason(error)}. Uploads are refused until it can.")


def scratch() -> Iterator[Finding]:
    """Write where workers hand files to the sandbox, as this machine sees it."""
    folder = Path(settings.PICASSO_SCRATCH)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as stream:
            stream.write(b"?")
            stream.flush()
    except OSError as error:
        yield Finding(f"PICASSO_SCRATCH, {folder}, cannot be written to: {_reason(error)}. Workers there do nothing.")


def broker() -> Iterator[Finding]:
    """Ask for the queue on which uploads are announced."""
    try:
        doorbell.waiting(settings.PICASSO_QUEUE)
    except BrokerAway as error:
        yield Finding(f"{error} Uploads are taken, and processed once it is back.")
    finally:
        doorbell.close()


def database() -> Iterator[Finding]:
    """Connect, and look for migrations that are not applied."""
    try:
        executor = MigrationExecutor(connection)
        plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    except DatabaseError as error:
        yield Finding(f"{database_trouble(error)} Nothing else can be checked without it.")
        return
    if plan:
        first = plan[0][0]
        yield Finding(
            "The database is not up to date: run manage.py migrate. "
            f"{len(plan)} migrations are not applied, beginning with {first.app_label}.{first.name}."
        )


def processes() -> Iterator[Finding]:
    """Look for the signs of life of workers and sweepers."""
    read = gauges.read()
    for queue in read.queues:
        if queue.worker_seconds is not None and queue.worker_seconds <= SILENCE.total_seconds():
            continue
        if queue.name == settings.PICASSO_QUEUE or Job.objects.filter(queue=queue.name, due_at__isnull=False).exists():
            start = f"start one: manage.py worker --queue {queue.name}"
            yield Finding(f"No worker of the queue {queue.name} {_seen(queue.worker_seconds)}: {start}.")
    if read.sweeper_seconds is None or read.sweeper_seconds > SWEEPER_SILENCE:
        yield Finding(f"No sweeper {_seen(read.sweeper_seconds)}: start one: manage.py sweeper.")


def processors() -> Iterator[Finding]:
    """Look for processors that are broken, and for those that Jobs wait for and no worker has."""
    for offer in Offer.objects.filter(withdrawn=False).exclude(error=""):
        yield Finding(
            f"The processor {offer.processor} ({offer.distribution}) is broken on the queue {offer.queue}: "
            f"{offer.error.rstrip('.')}. Mend that where its workers run and restart them."
        )
    here = Offer.objects.filter(withdrawn=False).values("processor")
    waiting = Job.objects.filter(state=Job.State.WAITING).exclude(processor__in=here).order_by("processor")
    for processor, count in waiting.values_list("processor").annotate(Count("pk")):
        yield Finding(
            f"{count} Jobs wait for the processor {processor}, which no worker has: install its plugin, or leave them."
        )


def _seen(seconds: float | None) -> str:
    return "has ever been seen" if seconds is None else f"has been seen for {seconds:.0f} seconds"


def _reason(error: OSError) -> str:
    return error.strerror or str(error)
