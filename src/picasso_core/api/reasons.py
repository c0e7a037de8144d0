"""Why a File's status is what it is, in a sentence."""

from __future__ import annotations

from ..models import File, Job

CANCELLED = "It was cancelled."


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
