"""Bring one File up to date: identify it, then run every Job that this worker can run. No Celery here."""

from __future__ import annotations

import hashlib
import json
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import structlog

from . import storage
from .lacking import manages_a_sample
from .models import Artifact, File, Job, Offer, Work
from .models.files import UNKNOWN
from .models.jobs import Due
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
    samples: Mapping[str, str] = field(default_factory=dict)
    """Where processors have files of their own to be tried with."""

    def runs(self, offer: Offer) -> bool:
        """Whether this worker runs what is offered."""
        return offer.queue == self.queue and (offer.processor, offer.version) in self.offered


@dataclass(frozen=True)
class Next:
    """What a message leaves to others: queues to announce the same File on, and room in the backfill lane."""

    elsewhere: frozenset[str] = frozenset()
    room: bool = False
    """Whether it was of that lane: another one of its files may be sent on its way."""


def process(file_id: uuid.UUID, slot: Slot) -> Next:
    """Identify the File if that is to be done, run its due Jobs of this queue, and say what comes next.

    Safe to call at any time, any number of times, in any number of workers.
    """
    if slot.stopping():
        return Next()
    # The claim comes first: most messages are of a new File.
    if file := File.claim(file_id):
        again = file.identify_again
        with _content(file, slot) as path:
            if not identify(file, path, slot):
                return Next(room=again)
            then = _run_all(Job.due(file_id) if file.due is None else file.due, file, path, slot)
        return replace(then, room=then.room or again)
    due = Job.due(file_id)
    if not due or not (file := File.find(file_id)):
        return Next()
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
    done = outlast(lambda: _record_identification(file, outcome, slot), slot.stopping)
    _log("identified" if done else outcome.state, started, file=file.pk, media_type=file.media_type, code=outcome.code)
    return done


def _record_identification(file: File, outcome: Outcome, slot: Slot) -> bool:
    if outcome.state == "aborted":
        _give_back(file, outcome)
        return False
    if outcome.state == "succeeded":
        media_type = outcome.data["media_type"]
        offers = Offer.objects.accepting(media_type, file.size)
        return file.identified(media_type, outcome.data["evidence"], offers, slot.runs)
    return not file.try_again() and file.unidentifiable(outcome.message)


def _run_all(due: Iterable[Due], file: File, path: Path | None, slot: Slot) -> Next:
    """Run those of these Jobs that this worker can."""
    elsewhere, others, room = set(), [], False
    for each in due:
        if each.queue != slot.queue:
            elsewhere.add(each.queue)
        elif (each.processor, each.version) not in slot.offered:
            others.append(each.job)
        elif not slot.stopping():
            room |= run(each, file, path, slot) and each.lane != Job.Lane.INTERACTIVE
        elif each.claimed:
            each.claimed.give_back()
    if others:
        Job.objects.pass_on(others)
    return Next(frozenset(elsewhere), room)


def run(due: Due, file: File, path: Path | None, slot: Slot) -> bool:
    """Claim one Job, run it in the sandbox and record its end; False if somebody else has it."""
    job, switch = due.claimed or Job.claim(due.job), due.switch
    if job is None:
        return False
    if not switch.takes(file.media_type or UNKNOWN, file.size):
        outlast(job.exclude, slot.stopping)
        return True
    started, limits = time.monotonic(), slot.offered[job.processor, job.version]
    outcome = failure("content_missing")
    if path:
        outcome = slot.runner.process(
            path,
            processor=job.processor,
            file={"name": file.name, "media_type": file.media_type, "size": file.size, "sha256": file.sha256},
            limits=limits,
            switched=switch.limits,
            owner=file.owner_id,
            beat=beat_of(job),
        )
    believed = outcome.state != "missing" or not manages_a_sample(
        slot.runner, job.processor, slot.samples.get(job.processor, ""), limits, beat_of(job)
    )
    outlast(lambda: record(job, outcome, believed=believed), slot.stopping)
    _log(outcome.state, started, file=file.pk, job=job.pk, processor=job.processor, code=outcome.code)
    return True


def record(job: Job, outcome: Outcome, *, believed: bool = True) -> None:
    """Write the end of a run, fenced by the claim; a result whose claim was lost is thrown away.

    Where a run that lacked something is not ``believed``, that counts as an attempt, and other Jobs go on.
    """
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
        case "missing" if believed:
            Offer.objects.break_down(job.processor, job.version, job.queue, outcome.message)
            job.wait(outcome.message)
        case "missing":
            if not job.try_again():
                job.fail("missing_dependency", outcome.message, attempts=job.attempts + 1)
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
        artifacts, digests = _keep_artifacts(job, outcome)
    except storage.NotRegular as error:
        record(job, failure("invalid_answer", detail=str(error)))
    except OSError as error:
        job.postpone(f"The storage did not take the artifacts: {error.strerror}.")
    else:
        digest = _digest(outcome, digests)
        job.succeed(dict(outcome.data), outcome.warnings, artifacts, digest)


def _digest(outcome: Outcome, artifacts: list[list[str]]) -> str:
    """Return what is equal for two results that are identical."""
    result = [outcome.data, list(outcome.warnings), artifacts]
    return hashlib.sha256(json.dumps(result, sort_keys=True).encode()).hexdigest()


def _keep_artifacts(job: Job, outcome: Outcome) -> tuple[list[Artifact], list[list[str]]]:
    """Store artifacts under keys that hold the claim's token, so that a late worker never overwrites its successor."""
    kept, digests = [], []
    # In one folder, not one of their own: each new folder would have to be synced as well.
    for number, written in enumerate(outcome.artifacts):
        key = f"artifacts/{job.pk.hex[-2:]}/{job.pk}-{job.lease_token}-{number}"
        size, digest = storage.save_copy(written.path, key)
        kept.append(Artifact(job=job, name=written.name, media_type=written.media_type, size=size, key=key))
        digests.append([written.name, written.media_type, digest])
    return kept, sorted(digests)


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
