"""What most would write: a plain Django REST view with a FileField that sends a Celery task once the row is there.

Settings as ``startproject`` makes them, Celery's defaults, gunicorn's synchronous workers.
"""

import os
from pathlib import Path

import django
import environ
from celery import Celery
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.db import connection, models, transaction
from django.urls import path

settings.configure(
    SECRET_KEY="reference",
    ALLOWED_HOSTS=["127.0.0.1"],
    DATABASES={"default": environ.Env().db_url("PICASSO_DATABASE_URL")},
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    INSTALLED_APPS=[
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.sessions",
        "django.contrib.messages",
        "rest_framework",
        "reference",
    ],
    MIDDLEWARE=[
        "django.middleware.security.SecurityMiddleware",
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.common.CommonMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django.contrib.messages.middleware.MessageMiddleware",
        "django.middleware.clickjacking.XFrameOptionsMiddleware",
    ],
    ROOT_URLCONF="reference",
    MEDIA_ROOT=Path(os.environ["PICASSO_DATA"], "media"),
    USE_TZ=True,
)
django.setup()

from rest_framework import generics, serializers  # noqa: E402 - Django first

celery_app = Celery("reference", broker=os.environ["PICASSO_BROKER_URL"])
celery_app.conf.task_default_queue = os.environ["PICASSO_QUEUE"]


@celery_app.task
def process_document(pk: int) -> None:
    """Nobody consumes it: what is measured is the upload."""


class Document(models.Model):
    file = models.FileField(upload_to="uploads/")
    status = models.CharField(max_length=20, default="pending")
    uploaded_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        app_label = "reference"

    def __str__(self) -> str:
        return self.file.name


class DocumentSerializer(serializers.ModelSerializer):
    class Meta:
        model = Document
        fields = ("id", "file", "status", "uploaded_at")
        read_only_fields = ("status",)


class UploadView(generics.CreateAPIView):
    queryset = Document.objects.all()
    serializer_class = DocumentSerializer

    @transaction.atomic
    def perform_create(self, serializer: DocumentSerializer) -> None:
        document = serializer.save()
        transaction.on_commit(lambda: process_document.delay(document.pk))


urlpatterns = [path("upload/", UploadView.as_view())]
application = get_wsgi_application()


def create_table() -> None:
    with connection.schema_editor() as editor:
        editor.create_model(Document)
