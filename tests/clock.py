"""Move the database's time on, for one row or for all."""

from datetime import timedelta

from django.db import models
from django.db.models import F
from django.db.models.functions import Now

from picasso_core.models import File, Job, Offer, Work


def expire(work: Work) -> None:
    """Let the lease run out, as if its worker had been lost half a minute ago."""
    type(work).objects.filter(pk=work.pk).update(lease_until=Now() - timedelta(seconds=1))


def now_startable(work: Work) -> None:
    """End the pause after a failure."""
    type(work).objects.filter(pk=work.pk).update(not_before=None)


def advance(seconds: float) -> None:
    """Let time pass, by moving every time that is written in a row back."""
    for model in (File, Job, Offer):
        times = [field.name for field in model._meta.fields if isinstance(field, models.DateTimeField)]
        model.objects.update(**{name: F(name) - timedelta(seconds=seconds) for name in times})
