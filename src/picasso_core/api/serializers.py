"""Files and jobs as JSON."""

from __future__ import annotations

import copy
from functools import cache
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, extend_schema_field, extend_schema_serializer
from rest_framework import serializers
from rest_framework.reverse import reverse

from ..models import Artifact, File, Job

CANCELLED = "It was cancelled."
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


@extend_schema_field({"type": "object", "additionalProperties": True})
class Data(serializers.JSONField):
    """What a processor has found."""


@extend_schema_field({"type": "array", "items": {"type": "string"}})
class Texts(serializers.JSONField):
    """A list of strings."""


class Evidence(serializers.Serializer[Any]):
    """Who says what about a media type, and why."""

    by = serializers.CharField()
    says = serializers.CharField()
    why = serializers.CharField()


@extend_schema_field(Evidence(many=True))
class EvidenceList(serializers.JSONField):
    """All that was said."""


class JobError(serializers.Serializer[Any]):
    """What went wrong in a Job."""

    code = serializers.CharField()
    message = serializers.CharField()


class Shown(serializers.ListSerializer[Any]):
    """One Job for each processor: what its File shows."""

    current = True

    def to_representation(self, data: Any) -> Any:
        """Leave the others out."""
        return super().to_representation([job for job in data.all() if job.current == self.current])


class History(Shown):
    """The Jobs that a File does not show: of earlier versions, and of a newer one that has no result."""

    current = False


class JobBrief(serializers.ModelSerializer[Job]):
    """A Job in a list of files."""

    class Meta:
        model = Job
        list_serializer_class = Shown
        fields = read_only_fields = ("processor", "version", "state")


class ArtifactSerializer(serializers.ModelSerializer[Artifact]):
    """A file that a Job made, with the URL of its bytes."""

    url = serializers.SerializerMethodField(help_text="Where its bytes are.")

    class Meta:
        model = Artifact
        fields = read_only_fields = ("name", "media_type", "size", "url")

    @extend_schema_field(OpenApiTypes.URI)
    def get_url(self, artifact: Artifact) -> str:
        """Return where its bytes are."""
        job = artifact.job
        arguments = {"pk": job.file_id, "processor": job.processor, "name": artifact.name}
        url = reverse("artifact", kwargs=arguments, request=self.context.get("request"))
        return url if job.current else f"{url}?job={job.pk}"


class JobPast(serializers.ModelSerializer[Job]):
    """A Job with its result, which its File does not show, or not any more."""

    data: Any = Data(read_only=True, help_text="What the processor found; each has its own.")
    artifacts = ArtifactSerializer(many=True, read_only=True)
    warnings = Texts(read_only=True)
    error = serializers.SerializerMethodField(help_text="What went wrong, if anything did.")

    class Meta:
        model = Job
        list_serializer_class: type[Shown] = History
        fields: tuple[str, ...] = (
            "id", "processor", "version", "distribution", "state", "attempts", "queued_at", "started_at",
            "finished_at", "data", "artifacts", "warnings", "error",
        )  # fmt: skip
        read_only_fields = fields

    @extend_schema_field(JobError(allow_null=True))
    def get_error(self, job: Job) -> dict[str, str] | None:
        """Return the code and the sentence of what went wrong, if anything did."""
        return {"code": job.error_code, "message": job.error} if job.error_code else None


class JobAlone(JobPast):
    """A Job with its result, by itself."""

    file = serializers.UUIDField(source="file_id", read_only=True, help_text="The id of its File.")

    class Meta(JobPast.Meta):
        fields = read_only_fields = ("id", "file", *JobPast.Meta.fields[1:])


class Newer(serializers.Serializer[Any]):
    """A newer Job whose result, if it has one, its File does not show."""

    version = serializers.CharField()
    state = serializers.ChoiceField(Job.State.choices)
    error = serializers.CharField(help_text="What went wrong; empty if nothing did.")


@extend_schema_serializer(component_name="Job")
class JobWhole(JobPast):
    """A Job with its result, which its File shows."""

    newer = serializers.SerializerMethodField(
        help_text="A newer Job of this processor, such as one that failed where this one succeeded; null for none."
    )

    class Meta(JobPast.Meta):
        list_serializer_class = Shown
        fields = read_only_fields = (*JobPast.Meta.fields, "newer")

    @extend_schema_field(Newer(allow_null=True))
    def get_newer(self, job: Job) -> dict[str, str] | None:
        """Mark what is shown though it is not the newest."""
        file: Any = job.file
        later = [each for each in file.jobs.all() if each.processor == job.processor and each.pk > job.pk]
        newest = max(later, key=lambda each: each.pk, default=None)
        return newest and {"version": newest.version, "state": newest.state, "error": newest.error}


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
        "uploaded_at": file.uploaded_at.isoformat().replace("+00:00", "Z"),
        "status": file.status,
        "processed": False,
        "pending": 0,
        "reason": reason(file),
        "jobs": [],
    }


@cache
def _fields(serializer: type[FileSerializer]) -> dict[str, Any]:
    return serializer().make_fields()


def reason(file: File) -> str:
    """Say in a sentence why a File's status is what it is; empty for ``processed``."""
    if file.status == File.Status.QUEUED:
        return "It waits for a worker."
    every = file.jobs.all()
    jobs = [job for job in every if job.current]
    match file.status:
        case File.Status.PROCESSING:
            return " ".join(_why_processing(list(every))) or "Its media type is being identified."
        case File.Status.FAILED | File.Status.PARTIAL:
            return " ".join(f"{job.processor}: {job.error}" for job in jobs if job.state == Job.State.FAILED)
        case File.Status.UNSUPPORTED:
            return " ".join(_why_unsupported(file, jobs))
    return ""


def _why_processing(jobs: list[Job]) -> list[str]:
    queued = [job for job in jobs if job.state == Job.State.QUEUED]
    groups = {
        "At work": [job.processor for job in jobs if job.state == Job.State.RUNNING],
        "Waiting for a worker": [job.processor for job in queued if not job.error],
    }
    whys = [f"{what}: {', '.join(processors)}." for what, processors in groups.items() if processors]
    return whys + [f"{job.processor} is tried again later: {job.error}" for job in queued if job.error]


def _why_unsupported(file: File, jobs: list[Job]) -> list[str]:
    whys = [each["why"] for each in file.identified_by if each["why"].startswith("identification_failed")]
    whys += [f"{job.processor} declined: {job.error}" for job in jobs if job.state == Job.State.DECLINED]
    whys += [f"{job.processor} cannot run now: {job.error}" for job in jobs if job.state == Job.State.WAITING]
    whys += [f"{job.processor}: {job.error or CANCELLED}" for job in jobs if job.state == Job.State.CANCELLED]
    return whys or [f"No processor here takes {file.media_type} files."]
