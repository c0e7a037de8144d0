"""The endpoint for whoever watches over the service."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiExample, OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from .. import gauges

EXAMPLE = {
    "oldest_upload_seconds": 2.5,
    "open_files": 1,
    "open_jobs": 2,
    "waiting_jobs": 0,
    "expired_leases": 0,
    "queues": [{"name": "picasso.v1", "messages": 0, "worker_seconds": 4.1}],
    "workers": [{"queue": "picasso.v1", "slots": 2, "started_at": "2026-11-23T08:00:00.123456Z", "seen_seconds": 4.1}],
    "sweeper_seconds": 3.2,
    "orphans_removed": 0,
    "orphans_walked_at": "2026-11-23T12:00:00.123456Z",
}


class QueueSerializer(serializers.Serializer[Any]):
    """One queue."""

    name = serializers.CharField()
    messages = serializers.IntegerField(
        allow_null=True, help_text="How many wait in it, as the sweeper last saw; null if it could not ask the broker."
    )
    worker_seconds = serializers.FloatField(
        allow_null=True,
        help_text="When a worker of it was last seen: every 10 seconds while one lives; null for never.",
    )


class WorkerSerializer(serializers.Serializer[Any]):
    """One worker process."""

    queue = serializers.CharField()
    slots = serializers.IntegerField(help_text="How many files it works on at a time.")
    started_at = serializers.DateTimeField()
    seen_seconds = serializers.FloatField(
        help_text="When it was last seen: every 10 seconds while it lives. Over 25 it no longer counts."
    )


class StatusSerializer(serializers.Serializer[Any]):
    """How the service stands; seconds are ages."""

    oldest_upload_seconds = serializers.FloatField(
        allow_null=True,
        help_text="How long the oldest upload that is `queued` or `processing` has been; null for none.",
    )
    open_files = serializers.IntegerField(help_text="Files that are `queued` or `processing`.")
    open_jobs = serializers.IntegerField(help_text="Jobs that are queued or running.")
    waiting_jobs = serializers.IntegerField(help_text="Jobs that wait for a processor that is absent, broken or off.")
    expired_leases = serializers.IntegerField(help_text="Claims of workers that were lost, not taken over yet.")
    queues = QueueSerializer(many=True)
    workers = WorkerSerializer(many=True, help_text="One that was killed is listed for ten minutes.")
    sweeper_seconds = serializers.FloatField(
        allow_null=True, help_text="When a sweeper was last seen: every few seconds while one lives; null for never."
    )
    orphans_removed = serializers.IntegerField(
        help_text="How many orphaned files of the storage it has removed so far."
    )
    orphans_walked_at = serializers.DateTimeField(
        allow_null=True, help_text="When it was last through with the whole storage."
    )


class Status(APIView):
    """How the service stands."""

    @extend_schema(
        operation_id="status",
        summary="How the service stands",
        description="What is open and how old, what waits, who is alive. It asks the database alone.",
        responses={200: OpenApiResponse(StatusSerializer, "The gauges.", [OpenApiExample("status", EXAMPLE)])},
        tags=["service"],
    )
    def get(self, request: Request) -> Response:
        """Answer with the gauges."""
        return Response(StatusSerializer(gauges.read()).data)
