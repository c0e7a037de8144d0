"""What became of a Job, to the end: waiting for what, failed for now or for good, and whose fault that is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from .models import Job
from .sandbox.outcome import OF_LIMITS, PROCESSORS_FAULT

LIMITS = {code for code, _ in OF_LIMITS.values()}
ENDS = (
    "queued", "failed_for_now", "running", "succeeded", "found_nothing", "failed", "declined", "cancelled", "excluded",
    "waiting",
)  # fmt: skip
TURNS = {
    Job.Lane.INTERACTIVE: "for a worker",
    Job.Lane.BACKFILL: "for its turn in a backfill",
    Job.Lane.BULK: "for its turn among many that were retried",
}
LATER = "its backfill is paused, or it is queued in a moment."
FAULTS = ("file", "processor", "limit", "installation")


@dataclass(frozen=True)
class Finding:
    """One thing that is so: a code for programs, a sentence for people, and when it is looked at again, if ever."""

    code: str
    sentence: str
    next_try_at: datetime | None = None


def find(job: Any, lack: str) -> Finding:
    """Say what became of a Job that knows whether it is ``paused`` and has found ``nothing``.

    ``lack`` is what a waiting one waits for.
    """
    match job.state:
        case Job.State.QUEUED if job.paused:
            why = job.error or "The last run crashed or met a limit."
            return Finding("failed_for_now", f"It failed for now and is tried again: {why}", job.not_before)
        case Job.State.QUEUED:
            return Finding("queued", f"It waits {TURNS[job.lane]} on the queue {job.queue}.")
        case Job.State.RUNNING:
            return Finding("running", "A worker is at work on it.")
        case Job.State.SUCCEEDED if job.nothing:
            return Finding("found_nothing", "It succeeded and found nothing.")
        case Job.State.SUCCEEDED:
            return Finding("succeeded", "It succeeded.")
        case Job.State.DECLINED:
            return Finding("declined", f"It declined the file: {job.error}")
        case Job.State.CANCELLED:
            return Finding(
                "excluded" if job.error_code == "excluded" else "cancelled", job.error or "It was cancelled."
            )
        case Job.State.WAITING:
            return Finding("waiting", f"It waits until its processor can run: {lack or job.error or LATER}")
    return Finding("failed", f"It failed for good: {job.error}")


def fault(job: Job) -> str | None:
    """Say whose fault it is that a Job failed for good; None if it did not."""
    if job.state != Job.State.FAILED:
        return None
    if job.error_code in (*PROCESSORS_FAULT, "crashed"):
        return "processor"
    if job.error_code in LIMITS:
        return "limit"
    return "installation" if job.error_code in ("worker_lost", "content_missing") else "file"
