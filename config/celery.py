"""The Celery application; its settings are the ``CELERY_`` ones of Django's."""

from celery import Celery

# Without Celery's Django fixup, which closes every database connection around each task: 10 ms each on PostgreSQL.
app = Celery("picasso", fixups=[])
# Else other threads than this one, such as the publisher, would get an application without these settings.
app.set_default()
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["picasso_core"])
