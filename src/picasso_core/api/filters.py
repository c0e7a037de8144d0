"""What ``GET /files/`` can be asked for; whatever is not understood is refused, since half a question has no answer."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from django import forms
from django.core.validators import RegexValidator
from django.db.models import Exists, OuterRef, QuerySet
from django_filters import rest_framework as filters
from django_filters.constants import EMPTY_VALUES
from django_filters.utils import translate_validation
from drf_spectacular.drainage import set_override
from rest_framework.exceptions import ErrorDetail, ValidationError

from ..models import File, Job
from ..models.files import KIND
from .pagination import PARAMETERS, instant
from .parameters import check

TOKEN = r"[A-Za-z0-9!#$&^_.+\-]+"


class CommaSeparated(forms.SelectMultiple):
    """``?a=1&a=2`` and ``?a=1,2`` are the same."""

    def value_from_datadict(self, data: Any, files: Any, name: str) -> list[str]:
        """Return each value."""
        return [value for values in data.getlist(name) for value in values.split(",")]


class TimeField(forms.CharField):
    """A time with its zone."""

    def to_python(self, value: Any) -> Any:
        """Read ISO 8601 (RFC 3339)."""
        text = super().to_python(value)
        if not text:
            return None
        try:
            moment = datetime.fromisoformat(text.upper())
        except ValueError:
            # %%, since django-filter formats the sentence.
            raise forms.ValidationError(
                "Write a time such as 2026-11-23T12:00:00Z, and a + in its zone as %%2B.", "invalid"
            ) from None
        if moment.tzinfo is None:
            raise forms.ValidationError("The time has no zone: add Z for UTC, or one such as %%2B01:00.", "no_zone")
        try:
            return moment.astimezone(UTC)
        except OverflowError:
            return (datetime.min if moment.year == 1 else datetime.max).replace(tzinfo=UTC)


class TimeFilter(filters.CharFilter):
    """Compares a column with a time."""

    field_class = TimeField


def _choice(names: list[str], parameter: str) -> dict[str, Any]:
    sentence = f"%(value)r is no {parameter}: choose among {', '.join(names)}."
    return {"choices": [(name, name) for name in names], "error_messages": {"invalid_choice": sentence}}


def pattern(regex: str, sentence: str) -> dict[str, Any]:
    """Make options for a text filter that takes what ``regex`` matches wholly."""
    return {
        "validators": [RegexValidator(re.compile(rf"(?:{regex})\Z"), sentence)],
        "max_length": 255,
    }


def described(filter_: filters.Filter, description: str, **schema: Any) -> filters.Filter:
    """Say in the contract what a filter does."""
    set_override(filter_, "field", {"type": "string", "description": description, **schema})
    return filter_


class FileFilters(filters.FilterSet):
    """Each parameter narrows the list; a File must match all of them."""

    status = described(
        filters.MultipleChoiceFilter(
            widget=CommaSeparated, method="of_status", **_choice(File.Status.values, "status")
        ),
        "Files of this status; several, repeated or separated by commas, are alternatives.",
        enum=File.Status.values,
    )
    processed = described(
        filters.ChoiceFilter(method="is_processed", empty_label=None, **_choice(["true", "false"], "answer")),
        "Whether it has been processed successfully at least once.",
        type="boolean",
    )
    media_type = described(
        filters.CharFilter(
            method="of_media_type",
            **pattern(rf"{TOKEN}/(\*|{TOKEN})", "Write a media type such as image/png, or all of one kind: image/*."),
        ),
        "Files identified as this media type, such as `image/png`, or as one of this kind, such as `image/*`.",
        pattern=rf"^{TOKEN}/(\*|{TOKEN})$",
        maxLength=255,
    )
    processor = described(
        filters.CharFilter(method="by_job", max_length=64, strip=False),
        "Files that have a Job of this processor.",
        minLength=1,
        maxLength=64,
        pattern=r"^[^\u0000]*$",
    )
    job_state = described(
        filters.ChoiceFilter(method="by_job", empty_label=None, **_choice(Job.State.values, "state of a Job")),
        "Files that have a Job in this state; with `processor`, the same Job.",
        enum=Job.State.values,
    )
    name = described(
        filters.CharFilter(lookup_expr="icontains", max_length=255, strip=False),
        "Files whose name contains this, in upper or lower case.",
        minLength=1,
        maxLength=255,
        pattern=r"^[^\u0000]*$",
    )
    sha256 = described(
        filters.CharFilter(
            method="of_sha256", **pattern("[0-9A-Fa-f]{64}", "Write a SHA-256 as 64 hexadecimal digits.")
        ),
        "Files with exactly these bytes.",
        pattern="^[0-9A-Fa-f]{64}$",
    )
    uploaded_after = described(
        TimeFilter(method="not_before"), "Files uploaded at this time or later.", format="date-time"
    )
    uploaded_before = described(
        TimeFilter(method="before"), "Files uploaded earlier than at this time.", format="date-time"
    )

    def of_status(self, files: QuerySet[File], name: str, values: list[str]) -> QuerySet[File]:
        """Keep Files of any of these statuses."""
        return files.filter(status=values[0]) if len(set(values)) == 1 else files.filter(status__in=values)

    def is_processed(self, files: QuerySet[File], name: str, value: str) -> QuerySet[File]:
        """Keep Files that have, or have not, been processed."""
        return files.filter(processed=value == "true")

    def of_media_type(self, files: QuerySet[File], name: str, value: str) -> QuerySet[File]:
        """Keep Files of a media type, or of a kind of them."""
        kind, _, subtype = value.lower().partition("/")
        if subtype != "*":
            return files.filter(media_type=value.lower())
        return files.alias(kind=KIND).filter(kind=kind, media_type__isnull=False)

    def by_job(self, files: QuerySet[File], name: str, value: str) -> QuerySet[File]:
        """Keep Files that have a Job such as the parameters ask for together."""
        asked = {"processor": self.form.cleaned_data["processor"], "state": self.form.cleaned_data["job_state"]}
        if name == "job_state" and asked["processor"]:
            return files
        jobs = Job.objects.order_by().filter(**{column: wanted for column, wanted in asked.items() if wanted})
        return files.filter(Exists(jobs.filter(file=OuterRef("pk"))))

    def of_sha256(self, files: QuerySet[File], name: str, value: str) -> QuerySet[File]:
        """Keep Files with these bytes."""
        return files.filter(sha256=value.lower())

    def not_before(self, files: QuerySet[File], name: str, value: datetime) -> QuerySet[File]:
        """Keep Files from a time on."""
        return files.filter(uploaded_at__gte=instant(value))

    def before(self, files: QuerySet[File], name: str, value: datetime) -> QuerySet[File]:
        """Keep Files up to a time."""
        return files.filter(uploaded_at__lt=instant(value))


class Filters(filters.DjangoFilterBackend):
    """Refuses parameters that are unknown, empty or given twice, which would silently select something else."""

    def filter_queryset(self, request: Any, queryset: QuerySet[Any], view: Any) -> QuerySet[Any]:
        """Narrow the list. Raises ``ValidationError``."""
        check(request, [*FileFilters.base_filters, *PARAMETERS, "q"], several=("status",))
        filterset: Any = self.get_filterset(request, queryset, view)
        if not filterset.is_valid():
            raise translate_validation(filterset.errors)  # type: ignore[misc]
        refuse_blank(filterset, request.query_params)
        narrowed: QuerySet[Any] = filterset.qs
        return narrowed


def refuse_blank(filterset: filters.FilterSet, names: Iterable[str]) -> None:
    """Refuse what comes to nothing once it is trimmed: it would leave nothing out. Raises ``ValidationError``."""
    cleaned = filterset.form.cleaned_data
    blank = [name for name in names if name in cleaned and cleaned[name] in EMPTY_VALUES]
    if blank:
        raise ValidationError({name: ErrorDetail("It is blank.", "blank") for name in blank})
