"""Move the database's time on, one row at a time."""

from datetime import timedelta

from django.db.models.functions import Now
from picasso_core.models import Work


def expire(work: Work) -> None:
    """Let the lease run out, as if its worker had been lost half a minute ago."""
    type(work).objects.filter(pk=work.pk).update(lease_until=Now() - timedelta(seconds=1))


def now_startable(work: Work) -> None:
    """End the pause after a failure."""
    type(work).objects.filter(pk=work.pk).update(not_before=None)
