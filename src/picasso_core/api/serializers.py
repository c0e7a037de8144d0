"""Files, jobs and offers as JSON."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers
from rest_framework.reverse import reverse

from ..models import Artifact, File, Job, Offer

PENDING = (Job.State.QUEUED, Job.State.RUNNING, Job.State.WAITING)


class JobBrief(serializers.ModelSerializer[Job]):
    """A Job in a list of files."""

    class Meta:
        model = Job
        fields = ("processor", "version", "state")


class ArtifactSerializer(serializers.ModelSerializer[Artifact]):
    """A file that a Job made, with the URL of its bytes."""

    url = serializers.SerializerMethodField()

    class Meta:
        model = Artifact
        fields = ("name", "media_type", "size", "url")

    def get_url(self, artifact: Artifact) -> str:
        """Return where its bytes are."""
        arguments = {"pk": artifact.job.file_id, "processor": artifact.job.processor, "name": artifact.name}
        return reverse("artifact", kwargs=arguments, request=self.context.get("request"))


class JobWhole(serializers.ModelSerializer[Job]):
    """A Job with its result."""

    artifacts = ArtifactSerializer(many=True)
    error = serializers.SerializerMethodField()

    class Meta:
        model = Job
        fields = (
            "id", "processor", "version", "distribution", "state", "attempts", "queued_at", "started_at",
            "finished_at", "data", "artifacts", "warnings", "error",
        )  # fmt: skip

    def get_error(self, job: Job) -> dict[str, str] | None:
        """Return the code and the sentence of what went wrong, if anything did."""
        return {"code": job.error_code, "message": job.error} if job.error_code else None


class FileSerializer(serializers.ModelSerializer[File]):
    """A File with the states of its jobs."""

    file = serializers.SerializerMethodField()
    pending = serializers.SerializerMethodField()
    reason = serializers.SerializerMethodField()
    jobs: Any = JobBrief(many=True)

    class Meta:
        model = File
        fields = (
            "id", "file", "name", "size", "sha256", "media_type", "uploaded_at", "status", "processed", "pending",
            "reason", "jobs",
        )  # fmt: skip

    def get_file(self, file: File) -> str:
        """Return where its bytes are."""
        return reverse("content", kwargs={"pk": file.pk}, request=self.context.get("request"))

    def get_pending(self, file: File) -> int:
        """Count the jobs still open."""
        return sum(job.state in PENDING for job in file.jobs.all())

    def get_reason(self, file: File) -> str:
        """Say why the status is what it is, where it is not a plain success."""
        return reason(file)


class FileWhole(FileSerializer):
    """A File with its jobs and their results."""

    jobs = JobWhole(many=True)

    class Meta(FileSerializer.Meta):
        fields = (*FileSerializer.Meta.fields[:-1], "identified_by", "jobs")  # type: ignore[assignment]


class OfferSerializer(serializers.ModelSerializer[Offer]):
    """What a live worker can run, or why it cannot."""

    state = serializers.SerializerMethodField()

    class Meta:
        model = Offer
        fields = (
            "processor", "version", "distribution", "media_types", "limits", "queue", "state", "error", "first_seen",
            "last_seen",
        )  # fmt: skip

    def get_state(self, offer: Offer) -> str:
        """Say in one word whether files reach this processor."""
        if offer.withdrawn:
            return "absent"
        if offer.error:
            return "broken"
        return "ready" if offer.enabled else "off"


def reason(file: File) -> str:
    """Say in a sentence why a File's status is what it is; empty for ``processed``."""
    jobs = list(file.jobs.all())
    match file.status:
        case File.Status.QUEUED:
            return "It waits for a worker."
        case File.Status.PROCESSING:
            open_jobs = [job.processor for job in jobs if job.state in (Job.State.QUEUED, Job.State.RUNNING)]
            return f"At work: {', '.join(open_jobs)}." if open_jobs else "Its media type is being identified."
        case File.Status.FAILED | File.Status.PARTIAL:
            return " ".join(f"{job.processor}: {job.error}" for job in jobs if job.state == Job.State.FAILED)
        case File.Status.UNSUPPORTED:
            return " ".join(_why_unsupported(file, jobs))
    return ""


def _why_unsupported(file: File, jobs: list[Job]) -> list[str]:
    whys = [each["why"] for each in file.identified_by if each["why"].startswith("identification_failed")]
    whys += [f"{job.processor} declined: {job.error}" for job in jobs if job.state == Job.State.DECLINED]
    whys += [f"{job.processor} cannot run now: {job.error}" for job in jobs if job.state == Job.State.WAITING]
    return whys or [f"No installed processor accepts {file.media_type}."]
