"""Jobs as JSON."""

from __future__ import annotations

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field, extend_schema_serializer
from rest_framework import serializers
from rest_framework.reverse import reverse

from ..models import Artifact, Job


@extend_schema_field({"type": "object", "additionalProperties": True})
class Data(serializers.JSONField):
    """What a processor has found."""


@extend_schema_field({"type": "array", "items": {"type": "string"}})
class Texts(serializers.JSONField):
    """A list of strings."""


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
