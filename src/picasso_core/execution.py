"""Bring one File up to date: identify it, then run every Job that this worker can run. No Celery here."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import structlog

from . import storage
from .models import Artifact, File, Job, Offer, Work
from .outlast import beat_of, outlast
from .sandbox.outcome import PROCESSORS_FAULT, Outcome, failure
from .sandbox.runner import Runner

logger = structlog.get_logger(__name__)

ALONE = timedelta(seconds=5)
"""The pause after the sandbox could not be started."""


@dataclass(frozen=True)
class Slot:
    """One thread of a worker: its sandbox, the queue it listens to and what it can run."""

    runner: Runner
    queue: str
    offered: Mapping[tuple[str, str], dict[str, Any]]
    """(processor, version) to limits."""
    stopping: Callable[[], bool]


def process(file_id: uuid.UUID, slot: Slot) -> set[str]:
    """Identify the File if that is to be done, run its due Jobs of this queue, and return the other queues to ring.

    Safe to call at any time, any number of times, in any number of workers.
    """
    if slot.stopping():
        return set()
    # The claim comes first: most messages are of a new File.
    if file := File.claim(file_id):
        with _content(file, slot) as path:
            return _run_all(Job.due(file_id), file, path, slot) if identify(file, path, slot) else set()
    due = Job.due(file_id)
    if not due or not (file := File.objects.filter(pk=file_id).first()):
        return set()
    with _content(file, slot) as path:
        return _run_all(due, file, path, slot)


def identify(file: File, path: Path | None, slot: Slot) -> bool:
    """Find the media type in the sandbox and make the Jobs; False if that is still to be done."""
    started = time.monotonic()
    outcome = failure("content_missing")
    if path:
        outcome = slot.runner.identify(
            path, name=file.name, declared=file.declared_type, owner=file.owner_id, beat=beat_of(file)
        )
    done = outlast(lambda: _record_identification(file, outcome), slot.stopping)
    _log("identified" if done else outcome.state, started, file=file.pk, media_type=file.media_type, code=outcome.code)
    return done


def _record_identification(file: File, outcome: Outcome) -> bool:
    if outcome.state == "aborted":
        _give_back(file, outcome)
        return False
    if outcome.state == "succeeded":
        media_type = outcome.data["media_type"]
        offers = Offer.objects.accepting(media_type, file.size)
        return file.identified(media_type, outcome.data["evidence"], offers)
    return not file.try_again() and file.unidentifiable(outcome.message)


def _run_all(due: Iterable[Sequence[Any]], file: File, path: Path | None, slot: Slot) -> set[str]:
    """Run those of these Jobs that this worker can, and return the other queues to ring."""
    elsewhere = set()
    for job_id, queue, *key in due:
        if queue != slot.queue:
            elsewhere.add(queue)
        elif tuple(key) in slot.offered and not slot.stopping():
            run(job_id, file, path, slot)
    return elsewhere


def run(job_id: uuid.UUID, file: File, path: Path | None, slot: Slot) -> None:
    """Claim one Job, run it in the sandbox and record its end, unless somebody else has it."""
    job = Job.claim(job_id)
    if job is None:
        return
    started = time.monotonic()
    outcome = failure("content_missing")
    if path:
        outcome = slot.runner.process(
            path,
            processor=job.processor,
            file={"name": file.name, "media_type": file.media_type, "size": file.size, "sha256": file.sha256},
            limits=slot.offered[job.processor, job.version],
            owner=file.owner_id,
            beat=beat_of(job),
        )
    outlast(lambda: record(job, outcome), slot.stopping)
    _log(outcome.state, started, file=file.pk, job=job.pk, processor=job.processor, code=outcome.code)


def record(job: Job, outcome: Outcome) -> None:
    """Write the end of a run, fenced by the claim; a result whose claim was lost is thrown away."""
    if outcome.state == "failed" and outcome.detail:
        who = {"processor": job.processor, "version": job.version, "distribution": job.distribution}
        logger.error("processor at fault", file=str(job.file_id), job=str(job.pk), detail=outcome.detail, **who)
    match outcome.state:
        case "succeeded":
            _record_success(job, outcome)
        case "declined":
            job.decline(outcome.message)
        case "temporary":
            job.postpone(outcome.message)
        case "missing":
            Offer.objects.break_down(job.processor, job.version, job.queue, outcome.message)
            job.wait(outcome.message)
        case "aborted":
            _give_back(job, outcome)
        case "failed" if outcome.again and job.try_again():
            pass
        case "failed":
            blame = f" ({job.distribution}, processor {job.processor}, version {job.version})"
            message = outcome.message + (blame if outcome.code in PROCESSORS_FAULT else "")
            job.fail(outcome.code, message, outcome.detail, attempts=job.attempts + outcome.again)


def _give_back(work: Work, outcome: Outcome) -> None:
    """Let go of what the sandbox did not run: it was stopped or could not be started, through no fault of the file."""
    if outcome.detail:
        logger.warning("sandbox unavailable", error=outcome.detail)
    work.give_back(pause=ALONE if outcome.detail else timedelta(0))


def _record_success(job: Job, outcome: Outcome) -> None:
    try:
        artifacts = _keep_artifacts(job, outcome)
    except storage.NotRegular as error:
        record(job, failure("invalid_answer", detail=str(error)))
    except OSError as error:
        job.postpone(f"The storage did not take the artifacts: {error.strerror}.")
    else:
        job.succeed(dict(outcome.data), outcome.warnings, artifacts)


def _keep_artifacts(job: Job, outcome: Outcome) -> list[Artifact]:
    """Store artifacts under keys that hold the claim's token, so that a late worker never overwrites its successor."""
    kept = []
    # In one folder, not one of their own: each new folder would have to be synced as well.
    for number, written in enumerate(outcome.artifacts):
        key = f"artifacts/{job.pk.hex[-2:]}/{job.pk}-{job.lease_token}-{number}"
        size = storage.save_copy(written.path, key)
        kept.append(Artifact(job=job, name=written.name, media_type=written.media_type, size=size, key=key))
    return kept


@contextmanager
def _content(file: File, slot: Slot) -> Iterator[Path | None]:
    """Put the bytes within the sandbox's reach; None if they are missing."""
    with ExitStack() as stack:
        try:
            stored = stack.enter_context(storage.on_disk(str(file.file.name)))
            path = stack.enter_context(slot.runner.input(stored))
        except FileNotFoundError:
            path = None
        yield path


def _log(event: str, started: float, **fields: object) -> None:
    told = {key: str(value) for key, value in fields.items() if value}
    logger.info(event, ms=round((time.monotonic() - started) * 1000, 1), **told)
