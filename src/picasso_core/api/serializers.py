"""Files as JSON."""

from __future__ import annotations

import copy
from functools import cache
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, extend_schema_field, extend_schema_serializer
from rest_framework import serializers
from rest_framework.reverse import reverse

from ..models import File, Job
from ..moments import written
from .job_serializers import JobBrief, JobPast, JobWhole
from .reasons import reason

PENDING = (Job.State.QUEUED, Job.State.RUNNING, Job.State.WAITING)

ID = "019e1b6c-2f6a-7cc3-98c4-dc0c0c07398f"
FILE = {
    "id": ID,
    "file": f"http://127.0.0.1:8000/files/{ID}/content/",
    "name": "notes.txt",
    "size": 5,
    "sha256": "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824",
    "duplicate_of": None,
    "media_type": "text/plain",
    "uploaded_at": "2026-11-23T12:00:00.123456Z",
    "status": "processed",
    "processed": True,
    "pending": 0,
    "reason": "",
}
JOB = {"processor": "shout", "version": "1", "state": "succeeded"}
"""Examples."""


class Evidence(serializers.Serializer[Any]):
    """Who says what about a media type, and why."""

    by = serializers.CharField()
    says = serializers.CharField()
    why = serializers.CharField()


@extend_schema_field(Evidence(many=True))
class EvidenceList(serializers.JSONField):
    """All that was said."""


@extend_schema_serializer(examples=[OpenApiExample("A text file", FILE | {"jobs": [JOB]})])
class FileSerializer(serializers.ModelSerializer[File]):
    """A File with the states of its jobs."""

    file = serializers.SerializerMethodField(help_text="Where its bytes are.")
    pending = serializers.SerializerMethodField(help_text="How many of its jobs are open.")
    reason = serializers.SerializerMethodField(help_text="Why the status is what it is; empty for `processed`.")
    duplicate_of = serializers.UUIDField(
        source="duplicate_of_id",
        allow_null=True,
        read_only=True,
        help_text="The first of your files with the same bytes; null where there is none, or no longer.",
    )
    jobs: Any = JobBrief(many=True, read_only=True)

    class Meta:
        model = File
        fields = read_only_fields = (
            "id", "file", "name", "size", "sha256", "duplicate_of", "media_type", "uploaded_at", "status", "processed",
            "pending", "reason", "jobs",
        )  # fmt: skip

    def get_fields(self) -> dict[str, Any]:
        """Return copies of the fields: Django REST takes far longer to make them."""
        # Serializers know their parent, so those within are copied whole.
        return {
            name: copy.deepcopy(field) if isinstance(field, serializers.BaseSerializer) else copy.copy(field)
            for name, field in _fields(type(self)).items()
        }

    def make_fields(self) -> dict[str, Any]:
        """Make the fields from the model."""
        return dict(super().get_fields())

    @extend_schema_field(OpenApiTypes.URI)
    def get_file(self, file: File) -> str:
        """Return where its bytes are."""
        return reverse("content", kwargs={"pk": file.pk}, request=self.context.get("request"))

    def get_pending(self, file: File) -> int:
        """Count the jobs still open."""
        return sum(job.state in PENDING for job in file.jobs.all())

    def get_reason(self, file: File) -> str:
        """Say why the status is what it is, where it is not a plain success."""
        return reason(file)


@extend_schema_serializer(
    examples=[
        OpenApiExample(
            "A text file",
            FILE
            | {
                "identified_by": [{"by": "text", "says": "text/plain", "why": "every byte is text"}],
                "jobs": [
                    {
                        "id": "019e1b6c-2f72-7a50-8be0-6a4f1ed5a2f1",
                        **JOB,
                        "distribution": "picasso-shout 0.1.0",
                        "attempts": 0,
                        "queued_at": "2026-11-23T12:00:00.200000Z",
                        "started_at": "2026-11-23T12:00:00.210000Z",
                        "finished_at": "2026-11-23T12:00:00.230000Z",
                        "data": {"shout": "HELLO"},
                        "artifacts": [],
                        "warnings": [],
                        "error": None,
                        "newer": None,
                    }
                ],
                "history": [],
            },
        )
    ]
)
class FileWhole(FileSerializer):
    """A File with its jobs and their results."""

    identified_by = EvidenceList(read_only=True)
    jobs = JobWhole(many=True, read_only=True, help_text="What the file shows for each processor.")
    history = JobPast(
        many=True, read_only=True, source="jobs", help_text="The other Jobs: of earlier versions, and of newer ones."
    )

    class Meta(FileSerializer.Meta):
        fields = (*FileSerializer.Meta.fields[:-1], "identified_by", "jobs", "history")  # type: ignore[assignment]
        read_only_fields = fields  # type: ignore[assignment]


def newcomer(file: File, url: str) -> dict[str, Any]:
    """Return what ``FileSerializer`` says of a File that has just come in, in a tenth of its time."""
    return {
        "id": str(file.pk),
        "file": f"{url}content/",
        "name": file.name,
        "size": file.size,
        "sha256": file.sha256,
        "duplicate_of": file.duplicate_of_id and str(file.duplicate_of_id),
        "media_type": None,
        "uploaded_at": written(file.uploaded_at),
        "status": file.status,
        "processed": False,
        "pending": 0,
        "reason": reason(file),
        "jobs": [],
    }


@cache
def _fields(serializer: type[FileSerializer]) -> dict[str, Any]:
    return serializer().make_fields()
