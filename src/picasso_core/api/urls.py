"""The paths of the REST interface."""

from django.urls import path

from . import backfills_view as backfills
from . import bulk_view as bulk
from . import deliveries_view as deliveries
from . import jobs_view as jobs
from . import report_view as report
from . import views
from . import webhooks_view as webhooks
from .events_view import EventList
from .explain_view import Explain
from .processors_view import ProcessorDetail, ProcessorList
from .status_view import Status
from .upload_view import UploadView

urlpatterns = [
    path("", views.Root.as_view(), name="root"),
    path("upload/", UploadView.as_view(), name="upload"),
    path("files/", views.FileList.as_view(), name="files"),
    path("files/delete/", bulk.DeleteFiles.as_view(), name="delete-files"),
    path("files/retry/", bulk.RetryFiles.as_view(), name="retry-files"),
    path("files/<uuid:pk>/", views.FileDetail.as_view(), name="file"),
    path("files/<uuid:pk>/explain/", Explain.as_view(), name="explain"),
    path("files/<uuid:pk>/retry/", jobs.Retry.as_view(), name="retry"),
    path("files/<uuid:pk>/reprocess/", jobs.Reprocess.as_view(), name="reprocess"),
    path("files/<uuid:pk>/content/", views.Content.as_view(), name="content"),
    path("files/<uuid:pk>/artifacts/<str:processor>/<str:name>/", views.ArtifactContent.as_view(), name="artifact"),
    path("jobs/retry/", bulk.RetryJobs.as_view(), name="retry-jobs"),
    path("jobs/<uuid:pk>/cancel/", jobs.Cancel.as_view(), name="cancel-job"),
    path("processors/", ProcessorList.as_view(), name="processors"),
    path("processors/<str:name>/", ProcessorDetail.as_view(), name="processor"),
    path("backfills/", backfills.BackfillList.as_view(), name="backfills"),
    path("backfills/<uuid:pk>/", backfills.BackfillDetail.as_view(), name="backfill"),
    path("backfills/<uuid:pk>/start/", backfills.Start.as_view(), name="start-backfill"),
    path("backfills/<uuid:pk>/pause/", backfills.Pause.as_view(), name="pause-backfill"),
    path("backfills/<uuid:pk>/resume/", backfills.Resume.as_view(), name="resume-backfill"),
    path("backfills/<uuid:pk>/cancel/", backfills.Cancel.as_view(), name="cancel-backfill"),
    path("backfills/<uuid:pk>/rollback/", backfills.Rollback.as_view(), name="rollback-backfill"),
    path("backfills/<uuid:pk>/report/", report.Report.as_view(), name="report"),
    path("backfills/<uuid:pk>/report/<str:outcome>/", report.ReportList.as_view(), name="report-list"),
    path("backfills/<uuid:pk>/report/files/<uuid:file_id>/", report.ReportFile.as_view(), name="report-file"),
    path("events/", EventList.as_view(), name="events"),
    path("webhooks/", webhooks.WebhookList.as_view(), name="webhooks"),
    path("webhooks/<uuid:pk>/", webhooks.WebhookDetail.as_view(), name="webhook"),
    path("webhooks/<uuid:pk>/deliveries/", deliveries.DeliveryList.as_view(), name="deliveries"),
    path(
        "webhooks/<uuid:pk>/deliveries/<uuid:delivery>/replay/",
        deliveries.DeliveryReplay.as_view(),
        name="replay-delivery",
    ),
    path("webhooks/<uuid:pk>/replay/", deliveries.WebhookReplay.as_view(), name="replay-webhook"),
    path("webhooks/<uuid:pk>/test/", deliveries.WebhookTest.as_view(), name="test-webhook"),
    path("status/", Status.as_view(), name="status"),
    path("livez", views.Live.as_view(), name="livez"),
    path("readyz", views.Ready.as_view(), name="readyz"),
]
