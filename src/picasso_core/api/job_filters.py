"""Which failed Jobs somebody means."""

from __future__ import annotations

from datetime import datetime

from django.db.models import QuerySet
from django_filters import rest_framework as filters

from ..models import File, Job
from .filters import FileFilters, TimeFilter, described
from .pagination import instant

WORD = {"minLength": 1, "maxLength": 64, "pattern": r"^[^\u0000]*$"}
FAILED_BEFORE = "Jobs that failed earlier than at this time."


class FailedJobFilters(filters.FilterSet):
    """Each narrows which of the Jobs that have failed; a Job must match all of them."""

    processor = described(filters.CharFilter(max_length=64, strip=False), "Jobs of this processor.", **WORD)
    version = described(filters.CharFilter(max_length=64, strip=False), "Jobs of this version of it.", **WORD)
    error_code = described(
        filters.CharFilter(max_length=64, strip=False), "Jobs that failed with this code, such as `timeout`.", **WORD
    )
    failed_after = described(
        TimeFilter(method="not_before"), "Jobs that failed at this time or later.", format="date-time"
    )
    failed_before = described(TimeFilter(method="before"), FAILED_BEFORE, format="date-time")

    def not_before(self, jobs: QuerySet[Job], name: str, value: datetime) -> QuerySet[Job]:
        """Keep Jobs that failed from a time on."""
        return jobs.filter(finished_at__gte=instant(value))

    def before(self, jobs: QuerySet[Job], name: str, value: datetime) -> QuerySet[Job]:
        """Keep Jobs that failed up to a time."""
        return jobs.filter(finished_at__lt=instant(value))


class FilesOfFailedJobs(FileFilters):
    """The filters of files, and until when their Jobs have failed."""

    failed_before = described(TimeFilter(method="of_jobs"), FAILED_BEFORE, format="date-time")

    def of_jobs(self, files: QuerySet[File], name: str, value: datetime) -> QuerySet[File]:
        """Keep all: it is about their Jobs."""
        return files
