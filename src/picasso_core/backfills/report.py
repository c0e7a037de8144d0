"""What a new version made of the files that an earlier one had been at: figures, the list behind each, and one file.

Compared is each File's newest Job of the backfill's version with the newest one of another version that had ended
and was there before the backfill was planned. A retry changes the report, as it changes what the File shows.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from itertools import islice
from typing import Any

from django.db.models import Case, CharField, Count, Exists, F, FilteredRelation, OuterRef, Q, QuerySet, Value, When

from ..models import Backfill, File, Job, Offer, Switch
from . import archive, differences

OUTCOMES = {
    "identical": "Both versions found the same, or both declined.",
    "changed": "The result is another one, or the earlier version failed and this one declined.",
    "newly_working": "This version has a result, the earlier one had none.",
    "newly_failing": "The earlier version had a result or declined; this one failed, or declined instead of a result. "
    "The File shows the earlier result on.",
    "still_failing": "Both versions failed.",
    "new": "The earlier version has not been at this file.",
    "pending": "This version has not come to an end with this file, or was cancelled on it.",
}
MOST_DIFFERENCES = 1000
SUCCEEDED, FAILED, DECLINED = Job.State.SUCCEEDED, Job.State.FAILED, Job.State.DECLINED
ENDED = (SUCCEEDED, FAILED, DECLINED)


@dataclass(frozen=True)
class Run:
    """What came of one version on a File."""

    job: uuid.UUID
    version: str
    state: str
    error: str

    @classmethod
    def of(cls, job: Job | None) -> Run | None:
        """Take it from a Job, if there is one."""
        return cls(job.pk, job.version, job.state, job.error) if job else None


@dataclass(frozen=True)
class Entry:
    """One File of a list: what came of it earlier and later."""

    file: uuid.UUID
    name: str
    earlier: Run | None
    later: Run | None


@dataclass(frozen=True)
class Comparison:
    """One File's two results; of a very long list of differences the beginning, and then it is ``cut``."""

    file: uuid.UUID
    name: str
    outcome: str
    earlier: Run | None
    later: Run | None
    data: list[dict[str, Any]]
    cut: bool
    artifacts: dict[str, list[str]]
    warnings: dict[str, list[str]]


def counts(backfill: Backfill) -> dict[str, int]:
    """Count the Files of each outcome."""
    found = dict(_compared(backfill).values_list("outcome").annotate(Count("pk")))
    found["pending"] = found.get("pending", 0) + _not_taken_up(backfill).count()
    return {outcome: found.get(outcome, 0) for outcome in OUTCOMES}


def listed(backfill: Backfill, outcome: str, *, after: uuid.UUID | None, limit: int) -> list[Entry]:
    """Return the next Files of one outcome, in the order of their ids."""
    jobs = _compared(backfill).filter(outcome=outcome).order_by("file_id")
    files = _not_taken_up(backfill).order_by("pk") if outcome == "pending" else File.objects.none()
    if after:
        jobs, files = jobs.filter(file__gt=after), files.filter(pk__gt=after)
    page = list(jobs.select_related("file").only("version", "state", "error", "file__name")[:limit])
    earlier = Job.objects.only("version", "state", "error").in_bulk([job.before for job in page if job.before])
    entries = [Entry(job.file_id, job.file.name, Run.of(earlier.get(job.before)), Run.of(job)) for job in page]
    entries += [Entry(file.pk, file.name, None, None) for file in files.only("name")[:limit]]
    return sorted(entries, key=lambda entry: entry.file)[:limit]


def compare(backfill: Backfill, file_id: uuid.UUID) -> Comparison | None:
    """Set one File's two results against each other; None if this version has no Job of it."""
    later = _compared(backfill).filter(file=file_id).select_related("file").first()
    if later is None:
        return None
    earlier = Job.objects.filter(pk=later.before).first()
    data: list[dict[str, Any]] = []
    artifacts: dict[str, list[str]] = {"added": [], "removed": [], "changed": []}
    warnings: dict[str, list[str]] = {"added": [], "removed": []}
    if earlier and later.outcome == "changed" and later.state == SUCCEEDED:
        data = list(islice(differences.of_data(earlier.data, later.data), MOST_DIFFERENCES + 1))
        artifacts = differences.of_artifacts(earlier.artifacts.all(), later.artifacts.all())
        warnings = {
            "added": [warning for warning in later.warnings if warning not in earlier.warnings],
            "removed": [warning for warning in earlier.warnings if warning not in later.warnings],
        }
    return Comparison(
        file=file_id,
        name=later.file.name,
        outcome=later.outcome,
        earlier=Run.of(earlier),
        later=Run.of(later),
        data=data[:MOST_DIFFERENCES],
        cut=len(data) > MOST_DIFFERENCES,
        artifacts=artifacts,
        warnings=warnings,
    )


def _compared(backfill: Backfill) -> QuerySet[Any]:
    """Return the Jobs of the backfill's version, each with ``before``, the earlier one's key, and the ``outcome``."""
    ours = Job.objects.order_by().filter(processor=backfill.processor, file=OuterRef("file"))
    repeated = ours.filter(version=backfill.version, repeat__gt=OuterRef("repeat"))
    between = ours.filter(_was_there(backfill), pk__gt=OuterRef("before"))
    earlier = FilteredRelation("file__jobs", condition=_was_there(backfill, "file__jobs__"))
    jobs = Job.objects.order_by().filter(processor=backfill.processor, version=backfill.version)
    jobs = jobs.exclude(Exists(repeated)).alias(earlier=earlier).annotate(before=F("earlier__pk"), outcome=_outcome())
    # What was uploaded since has neither.
    return jobs.exclude(Exists(between)).filter(Q(before__isnull=False) | Q(backfill__isnull=False))


def _was_there(backfill: Backfill, jobs: str = "") -> Q:
    """Pick the Jobs of other versions that were there before the backfill, whose id has the time as theirs have."""
    fields = {"processor": backfill.processor, "state__in": ENDED, "pk__lt": backfill.pk}
    return Q(**{f"{jobs}{name}": value for name, value in fields.items()}) & ~Q(**{f"{jobs}version": backfill.version})


def _outcome() -> Case:
    """Say in SQL what ``OUTCOMES`` says in words."""
    cases: dict[str, Q] = {
        "pending": ~Q(state__in=ENDED),
        "new": Q(earlier__pk=None),
        "identical": Q(state=SUCCEEDED, earlier__state=SUCCEEDED, earlier__digest=F("digest"))
        | Q(state=DECLINED, earlier__state=DECLINED),
        "newly_working": Q(state=SUCCEEDED) & ~Q(earlier__state=SUCCEEDED),
        "newly_failing": Q(state__in=(FAILED, DECLINED), earlier__state=SUCCEEDED)
        | Q(state=FAILED, earlier__state=DECLINED),
        "still_failing": Q(state=FAILED, earlier__state=FAILED),
    }
    whens = (When(condition, then=Value(outcome)) for outcome, condition in cases.items())
    return Case(*whens, default=Value("changed"), output_field=CharField())


def _not_taken_up(backfill: Backfill) -> QuerySet[File]:
    """Return the Files that an unfinished backfill has not come to yet."""
    offers = Offer.objects.filter(processor=backfill.processor, version=backfill.version)
    offer = offers.order_by("withdrawn", "-last_seen").first()
    if offer is None or backfill.state not in Backfill.UNFINISHED:
        return File.objects.none()
    offer.switch = Switch.objects.by_processor().get(offer.processor, offer.switch)
    return archive.candidates(backfill.kind, backfill.processor, backfill.version, offer)
