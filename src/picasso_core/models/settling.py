"""The rule by which a File's status follows from its Jobs, as one expression that the database works out."""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.db.models import Case, Exists, F, OuterRef, Q, QuerySet, Value, When

COUNTS = Q(current=True) | ~Q(lane="backfill") & Q(state__in=("queued", "running"))
"""The Jobs that a File's status follows from: what it shows for each processor, and what somebody waits for."""


def settled() -> dict[str, Any]:
    """Return what ``status`` and ``processed`` of an identified File are to be."""
    waited_for = _some(~Q(lane="backfill"), state__in=("queued", "running"))
    succeeded, failed = _some(state="succeeded"), _some(state="failed")
    status = Case(
        When(waited_for, then=Value("processing")),
        When(succeeded & failed, then=Value("partial")),
        When(succeeded, then=Value("processed")),
        When(failed, then=Value("failed")),
        default=Value("unsupported"),
    )
    processed = Case(
        When(processed=True, then=Value(True)),  # it never turns back
        When(waited_for, then=Value(False)),
        When(succeeded, then=Value(True)),
        default=Value(False),
    )
    return {"status": status, "processed": processed}


def unsettled(files: QuerySet[Any]) -> QuerySet[Any]:
    """Return those of ``files`` that are identified and have something else in these columns."""
    derived = {f"derived_{name}": each for name, each in settled().items()}
    right = {name: F(f"derived_{name}") for name in ("status", "processed")}
    wrong: QuerySet[Any] = files.filter(media_type__isnull=False).alias(**derived).exclude(**right)
    return wrong


def _some(*conditions: Q, **fields: Any) -> Exists:
    jobs = apps.get_model("picasso", "Job").objects.order_by()
    return Exists(jobs.filter(COUNTS, *conditions, file=OuterRef("pk"), **fields))
