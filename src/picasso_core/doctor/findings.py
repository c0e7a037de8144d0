"""What the doctor says, and how it goes through long tables."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.db import models

BATCH = 500


@dataclass(frozen=True)
class Finding:
    """Something that is wrong, in a sentence that also says what to do, unless it has been mended."""

    sentence: str
    mended: bool = False


def batches(rows: models.QuerySet[Any]) -> Iterator[list[Any]]:
    """Go through a table in the order of its key, 500 rows at a time: no transaction, no cursor that stays open."""
    ordered = rows.order_by("pk")
    last = None
    while batch := list((ordered.filter(pk__gt=last) if last is not None else ordered)[:BATCH]):
        yield batch
        last = batch[-1].pk
