"""The endpoint that says why a file is as it is."""

from __future__ import annotations

import uuid
from typing import Any

from django.http import Http404
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema, extend_schema_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from .. import ends, explain
from ..models import File, Job
from .serializers import EvidenceList


class FindingSerializer(serializers.Serializer[Any]):
    """What is so."""

    sentence = serializers.CharField(source="finding.sentence", help_text="For people.")
    next_try_at = serializers.DateTimeField(
        source="finding.next_try_at", allow_null=True, help_text="Not before then; null where no pause is waited for."
    )


@extend_schema_serializer(component_name="ExplainedIdentification")
class IdentificationSerializer(FindingSerializer):
    """How the media type was found."""

    code = serializers.ChoiceField(explain.IDENTIFICATIONS, source="finding.code", help_text="For programs.")
    media_type = serializers.CharField(source="file.media_type", allow_null=True)
    evidence = EvidenceList(source="file.identified_by", help_text="Who said what, the deciding one last.")


@extend_schema_serializer(component_name="ExplainedJob")
class JobSerializer(FindingSerializer):
    """A Job of the processor on this file."""

    id = serializers.UUIDField(source="job.id")
    version = serializers.CharField(source="job.version")
    distribution = serializers.CharField(source="job.distribution")
    current = serializers.BooleanField(source="job.current", help_text="It is what the file shows for the processor.")
    state = serializers.ChoiceField(Job.State.values, source="job.state")
    code = serializers.ChoiceField(ends.ENDS, source="finding.code", help_text="For programs.")
    fault = serializers.ChoiceField(
        ends.FAULTS, allow_null=True, help_text="What is to blame, where it failed for good; else null."
    )
    error_code = serializers.CharField(source="job.error_code")
    attempts = serializers.IntegerField(source="job.attempts")


class WhereSerializer(serializers.Serializer[Any]):
    """Where a Job of the processor would run now."""

    version = serializers.CharField(source="offer.version")
    distribution = serializers.CharField(source="offer.distribution")
    queue = serializers.CharField(source="offer.queue")
    workers = serializers.IntegerField(help_text="How many live workers of the queue have it.")
    slots = serializers.IntegerField(help_text="How many files those work on at a time.")


@extend_schema_serializer(component_name="ExplainedProcessor")
class ConsideredSerializer(serializers.Serializer[Any]):
    """A processor that was considered, whether or not it takes the file."""

    processor = serializers.CharField()
    code = serializers.ChoiceField(
        explain.DECISIONS, source="finding.code", help_text="Whether it is given such a file now, for programs."
    )
    sentence = serializers.CharField(source="finding.sentence", help_text="The same for people.")
    where = WhereSerializer(allow_null=True, help_text="Null where it would not run.")
    jobs = JobSerializer(many=True, help_text="What it has had to do with the file, the newest first.")


@extend_schema_serializer(component_name="Explanation")
class ExplanationSerializer(serializers.Serializer[Any]):
    """Why a file is as it is."""

    id = serializers.UUIDField(source="file.id")
    status = serializers.ChoiceField(File.Status.values, source="file.status")
    identification = IdentificationSerializer(source="*")
    processors = ConsideredSerializer(many=True)


class Explain(APIView):
    """Why a file is as it is."""

    errors = {"GET": (404,)}

    @extend_schema(
        operation_id="explain_file",
        summary="Why a file is as it is",
        description=(
            "How its media type was found, and for each processor whether it takes the file and why not, what came of "
            "its Jobs, where one would run now and when it is tried next."
        ),
        parameters=[OpenApiParameter("id", uuid.UUID, "path", description="The id of the file.")],
        responses={200: OpenApiResponse(ExplanationSerializer, "The explanation.")},
        tags=["files"],
    )
    def get(self, request: Request, pk: uuid.UUID) -> Response:
        """Answer with what the database knows now."""
        explanation: Any = explain.explain(pk)
        if explanation is None:
            raise Http404("There is no file with this id.")
        return Response(ExplanationSerializer(explanation).data)
