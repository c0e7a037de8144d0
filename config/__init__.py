"""The composition root: the only place that reads the environment and knows which components are used."""

from .celery import app as celery_app

__all__ = ["celery_app"]
