"""Move the database's time on, for one row or for all."""

from datetime import timedelta
from functools import cache
from typing import Any

from django.db import connection, models
from django.db.models import F
from django.db.models.functions import Now
from django.db.models.sql import UpdateQuery

from picasso_core.models import Backfill, Beat, File, Job, Offer, Work, WorkerBeat


def expire(work: Work) -> None:
    """Let the lease run out, as if its worker had been lost half a minute ago."""
    type(work).objects.filter(pk=work.pk).update(lease_until=Now() - timedelta(seconds=1))


def now_startable(work: Work) -> None:
    """End the pause after a failure."""
    type(work).objects.filter(pk=work.pk).update(not_before=None)


def advance(seconds: float) -> None:
    """Let time pass, by moving every time that is written in a row back."""
    with connection.cursor() as cursor:
        for sql in _statements(timedelta(seconds=seconds)):
            cursor.execute(*sql)


@cache
def _statements(by: timedelta) -> list[tuple[str, tuple[Any, ...]]]:
    """Make the SQL once: the state machine lets time pass ten thousand times."""
    made = []
    for model in (File, Job, Offer, Backfill, Beat, WorkerBeat):
        query: Any = model.objects.all().query.chain(UpdateQuery)
        times = [field.name for field in model._meta.fields if isinstance(field, models.DateTimeField)]
        query.add_update_values({name: F(name) - by for name in times})
        made.append(query.get_compiler(connection=connection).as_sql())
    return made
