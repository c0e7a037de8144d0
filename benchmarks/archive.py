"""Files put straight into the archive, and a worker that is held until all their messages wait for it."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import statistics
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from uuid import UUID

import django
from servers import ROOT

sys.path.append(str(ROOT))  # of config
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup()

from django.conf import settings  # noqa: E402 - Django first
from django.core.files.storage import default_storage  # noqa: E402
from django.db.models import Max  # noqa: E402

from picasso_core.doorbell import doorbell  # noqa: E402
from picasso_core.models import File, Job, Offer  # noqa: E402
from picasso_core.models.files import key_for  # noqa: E402

SECONDS = 60


def announced() -> Callable[[], bool]:
    """Whether a worker that starts after this call is ready."""
    start = time.time()

    def look() -> bool:
        seen = Offer.objects.aggregate(seen=Max("last_seen"))["seen"]
        return seen is not None and seen.timestamp() > start

    return look


def put(paths: Iterable[Path]) -> list[UUID]:
    """Add these to the archive, as uploads that nobody has been told of."""
    files = []
    for path in paths:
        content = path.read_bytes()
        file = File(name=path.name, size=len(content), sha256=hashlib.sha256(content).hexdigest())
        file.file.name = key_for(file)
        place = Path(default_storage.path(file.file.name))
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, place)
        files.append(file)
    File.objects.bulk_create(files)
    return [file.pk for file in files]


def work_off(worker: int, ids: list[UUID], status: str = "processed") -> float:
    """The seconds that the worker takes for these Files, from its first message to the last Job's end."""
    os.kill(worker, signal.SIGSTOP)
    try:
        for pk in ids:
            doorbell.ring(pk, settings.PICASSO_QUEUE)
    finally:
        start = time.time()
        os.kill(worker, signal.SIGCONT)
    left = File.objects.filter(pk__in=ids, status__in=("queued", "processing"))
    while left.exists():
        if time.time() > start + SECONDS:
            raise SystemExit(f"{left.count()} of {len(ids)} files are not done after {SECONDS} seconds")
        time.sleep(0.05)
    others = File.objects.filter(pk__in=ids).exclude(status=status).first()
    assert others is None, f"{others} ended as {others and others.status}, not as {status}"
    return finished(ids)[-1] - start


def finished(ids: Iterable[UUID]) -> list[float]:
    """When each Job of these Files ended, in order of time."""
    ended = Job.objects.filter(file__in=ids).order_by("finished_at").values_list("finished_at", flat=True)
    return [each.timestamp() for each in ended]


def percentile(values: list[float], share: float) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[round(share * 100) - 1]
