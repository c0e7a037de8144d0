"""The endpoints of the upgrade report: the figures, the list behind each, and what differs for one file."""

from __future__ import annotations

import uuid
from typing import Any

from django.http import Http404
from drf_spectacular.utils import (
    OpenApiExample,
    OpenApiParameter,
    OpenApiResponse,
    extend_schema,
    extend_schema_field,
    extend_schema_serializer,
)
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param
from rest_framework.views import APIView

from ..backfills import report
from ..backfills.report import OUTCOMES
from ..models import Backfill, Job
from . import parameters
from .backfills_view import ID, find
from .errors import Refused

FIGURES = dict.fromkeys(OUTCOMES, 0) | {"identical": 950, "changed": 40, "newly_working": 8, "newly_failing": 2}
RUN = {"job": "019e1b6c-2f72-7a50-8be0-6a4f1ed5a2f1", "version": "1", "state": "succeeded", "error": ""}
LATER = RUN | {"job": "019e1b6d-0a11-7b52-9c3e-5a1f3bdc0b6e", "version": "2"}
ENTRY = {"file": "019e1b6c-2f6a-7cc3-98c4-dc0c0c07398f", "name": "notes.txt", "earlier": RUN, "later": LATER}


@extend_schema_serializer(
    component_name="UpgradeReport",
    examples=[
        OpenApiExample("An upgrade", {"processor": "shout", "version": "2", "previous": "1", "outcomes": FIGURES})
    ],
)
class ReportSerializer(serializers.Serializer[Any]):
    """What a new version made of the files."""

    processor = serializers.CharField()
    version = serializers.CharField()
    previous = serializers.CharField(help_text="The version that was in force before; empty if there was none.")
    outcomes = serializers.SerializerMethodField(help_text="How many files came to each outcome.")

    @extend_schema_field(
        {
            "type": "object",
            "required": list(OUTCOMES),
            "properties": {name: {"type": "integer", "description": text} for name, text in OUTCOMES.items()},
        }
    )
    def get_outcomes(self, backfill: Backfill) -> dict[str, int]:
        """Count."""
        return report.counts(backfill)


class RunSerializer(serializers.Serializer[Any]):
    """What came of one version on a file."""

    job = serializers.UUIDField(help_text="The id of the Job.")
    version = serializers.CharField()
    state = serializers.ChoiceField(Job.State.choices)
    error = serializers.CharField(help_text="What went wrong; empty if nothing did.")


class EntrySerializer(serializers.Serializer[Any]):
    """One file of a list."""

    file = serializers.UUIDField(help_text="The id of the file.")
    name = serializers.CharField()
    earlier = RunSerializer(allow_null=True, help_text="The newest earlier Job; null if there is none.")
    later = RunSerializer(allow_null=True, help_text="The Job of the new version; null if it is still to be made.")


@extend_schema_serializer(
    component_name="UpgradeReportPage", examples=[OpenApiExample("Changed", {"next": None, "results": [ENTRY]})]
)
class EntryPage(serializers.Serializer[Any]):
    """Some of the files that came to one outcome."""

    next = serializers.URLField(allow_null=True, help_text="The URL of the next page; null where there is none.")
    results = EntrySerializer(many=True)


class AnyValue(serializers.JSONField):
    """Any value of JSON."""


class DifferenceSerializer(serializers.Serializer[Any]):
    """A place at which the two differ."""

    path = serializers.CharField(help_text="Where, as a JSON Pointer (RFC 6901).")
    old = AnyValue(required=False, help_text="What was there; missing where something was added.")
    new = AnyValue(required=False, help_text="What is there now; missing where something was removed.")


class NamesSerializer(serializers.Serializer[Any]):
    """Names of artifacts."""

    added = serializers.ListField(child=serializers.CharField())
    removed = serializers.ListField(child=serializers.CharField())
    changed = serializers.ListField(child=serializers.CharField(), help_text="Those that have other bytes now.")


class WarningsSerializer(serializers.Serializer[Any]):
    """Warnings."""

    added = serializers.ListField(child=serializers.CharField())
    removed = serializers.ListField(child=serializers.CharField())


@extend_schema_serializer(
    examples=[
        OpenApiExample(
            "Changed",
            ENTRY
            | {
                "outcome": "changed",
                "data": [{"path": "/shout", "old": "HELLO", "new": "HELLO!"}],
                "cut": False,
                "artifacts": {"added": [], "removed": [], "changed": []},
                "warnings": {"added": [], "removed": []},
            },
        )
    ],
)
class ComparisonSerializer(EntrySerializer):
    """What differs between a file's two results, where both versions have one."""

    outcome = serializers.ChoiceField(list(OUTCOMES))
    data: Any = serializers.SerializerMethodField(help_text="Each place at which the data differ.")
    cut = serializers.BooleanField(help_text="There are more differences in the data than these thousand.")
    artifacts = NamesSerializer()
    warnings = WarningsSerializer()

    @extend_schema_field(DifferenceSerializer(many=True))
    def get_data(self, comparison: report.Comparison) -> list[dict[str, Any]]:
        """Return them as they are: a missing member says something."""
        return comparison.data


class Report(APIView):
    """What a new version made of the files."""

    errors = {"GET": (404, 409)}

    @extend_schema(
        operation_id="get_report",
        summary="What a new version made of the files",
        description="Compares, file by file, the newest Job of this backfill's version with the newest one of an "
        "earlier version that had ended before. It is counted anew each time, also while the backfill runs.",
        parameters=[ID],
        responses={200: OpenApiResponse(ReportSerializer, "The figures.")},
        tags=["backfills"],
    )
    def get(self, request: Request, pk: uuid.UUID) -> Response:
        """Answer with the figures."""
        return Response(ReportSerializer(_with_report(pk)).data)


class ReportList(APIView):
    """The files behind one figure."""

    errors = {"GET": (404, 409)}

    @extend_schema(
        operation_id="list_report",
        summary="The files behind one figure of the report",
        description="In pages: follow `next` until it is null.",
        parameters=[
            ID,
            OpenApiParameter(
                "outcome", {"type": "string", "enum": list(OUTCOMES)}, "path", description="A figure of the report."
            ),
            OpenApiParameter("after", uuid.UUID, description="Files after this one; take it from `next`."),
            parameters.LIMIT,
        ],
        responses={200: OpenApiResponse(EntryPage, "A page.")},
        tags=["backfills"],
    )
    def get(self, request: Request, pk: uuid.UUID, outcome: str) -> Response:
        """Answer with a page."""
        parameters.check(request, ("after", "limit"))
        after, limit = parameters.identifier(request, "after"), parameters.limit(request)
        if outcome not in OUTCOMES:
            raise Http404(f"The report has no such figure: there are {', '.join(OUTCOMES)}.")
        entries = report.listed(_with_report(pk), outcome, after=after, limit=limit + 1)
        url = None
        if len(entries) > limit:
            url = replace_query_param(request.build_absolute_uri(), "after", str(entries[limit - 1].file))
        return Response({"next": url, "results": EntrySerializer(entries[:limit], many=True).data})


class ReportFile(APIView):
    """What differs for one file."""

    errors = {"GET": (404, 409)}

    @extend_schema(
        operation_id="compare_file",
        summary="What differs for one file",
        description="The two results of a file side by side: where their data differ, which artifacts have other "
        "bytes, which warnings came and went.",
        parameters=[ID, OpenApiParameter("file_id", uuid.UUID, "path", description="The id of the file.")],
        responses={200: OpenApiResponse(ComparisonSerializer, "The differences.")},
        tags=["backfills"],
    )
    def get(self, request: Request, pk: uuid.UUID, file_id: uuid.UUID) -> Response:
        """Answer with the differences."""
        backfill = _with_report(pk)
        comparison = report.compare(backfill, file_id)
        if comparison is None:
            raise Http404(f"There is no file with this id that version {backfill.version} has a Job of.")
        return Response(ComparisonSerializer(comparison).data)


def _with_report(pk: uuid.UUID) -> Backfill:
    """Return a backfill that has a report. Raises ``Http404`` or ``Refused``."""
    backfill = find(pk)
    if backfill.kind != Backfill.Kind.PROCESS:
        raise Refused("Only a backfill that runs a processor has a report.", "no_report")
    return backfill
