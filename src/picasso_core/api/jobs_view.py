"""The endpoints of what a person wants of Jobs: run again what failed, run once more what did not, stop."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import Any

from django.http import Http404
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from .. import reprocessing
from ..models import File, Job
from ..publisher import publish_soon
from .bodies import Body, Text
from .errors import NothingToRetry, Over
from .job_serializers import JobAlone
from .operations import ID
from .serializers import FileWhole
from .views import NO_FILE, WHOLE

REPROCESS = (
    "The version in force of each processor that takes the file works on it once more, or of the one that is named. "
    "What the file shows stays until the new Job succeeds, and is in `history` then; where the new one fails, `newer` "
    "says so. A processor that has a Job of this file that is not over is left out. Without a body it is all of them."
)
CANCEL = (
    "A Job that is queued, waits or runs ends as `cancelled`; within ten seconds its sandbox is stopped, and what it "
    "finds is thrown away. What the file showed before it goes on showing. It takes no body."
)
BODY = {
    "type": "object",
    "properties": {
        "processor": {
            "type": "string",
            "minLength": 1,
            "maxLength": 64,
            "pattern": r"^[^\u0000]*$",
            "description": "This one alone.",
        }
    },
    "additionalProperties": False,
}


class Order(Body):
    """What somebody asks for."""

    processor = Text(max_length=64, required=False)


class Retry(APIView):
    """Run what has failed once more."""

    errors = {"POST": (404, 409)}

    @extend_schema(
        operation_id="retry_file",
        summary="Run failed jobs again",
        description="Each job of the file that has failed, and is no history, is queued again as if it were new: what "
        "the file shows, and what is newer than that. It takes no body.",
        parameters=[ID],
        request=None,
        responses={202: OpenApiResponse(FileWhole, "The File, with those jobs queued.")},
        tags=["files"],
    )
    def post(self, request: Request, pk: uuid.UUID) -> Response:
        """Queue the failed Jobs and answer with the File."""
        queues = Job.objects.retry(pk)
        if not queues and File.objects.filter(pk=pk).exists():
            raise NothingToRetry
        return _ring(pk, queues, request)


class Reprocess(APIView):
    """Run once more what has succeeded, or whatever else became of it."""

    errors = {"POST": (404, 409, 415)}
    body_is_optional = True

    @extend_schema(
        operation_id="reprocess_file",
        summary="Process a file once more",
        description=REPROCESS,
        parameters=[ID],
        request={"application/json": BODY},
        responses={202: OpenApiResponse(FileWhole, "The File, with its new Jobs.")},
        tags=["files"],
    )
    def post(self, request: Request, pk: uuid.UUID) -> Response:
        """Make the Jobs and answer with the File."""
        order = Order(data=request.data)
        order.is_valid(raise_exception=True)
        try:
            queues = reprocessing.reprocess(pk, **order.validated_data)
        except File.DoesNotExist:
            raise Http404(NO_FILE) from None
        return _ring(pk, queues, request)


class Cancel(APIView):
    """Stop a Job."""

    errors = {"POST": (404, 409)}

    @extend_schema(
        operation_id="cancel_job",
        summary="Cancel a Job",
        description=CANCEL,
        parameters=[OpenApiParameter("id", uuid.UUID, "path", description="The id of the Job.")],
        request=None,
        responses={200: OpenApiResponse(JobAlone, "The Job as it is now.")},
        tags=["jobs"],
    )
    def post(self, request: Request, pk: uuid.UUID) -> Response:
        """End it and answer with it."""
        job: Any = Job.objects.filter(pk=pk).only("file_id").first()
        cancelled = job is not None and job.cancel()
        job = Job.objects.filter(pk=pk).defer("detail").first()
        if job is None:
            raise Http404("There is no Job with this id.")
        if not cancelled:
            raise Over(f"It is over: it has {job.state}." if job.state != "cancelled" else "It is cancelled already.")
        return Response(JobAlone(job, context={"request": request}).data)


def _ring(pk: uuid.UUID, queues: Iterable[str], request: Request) -> Response:
    """Announce a File on the queues that have a Job for it, and answer with it."""
    for queue in queues:
        publish_soon(pk, queue)
    file = WHOLE.filter(pk=pk).first()
    if file is None:
        raise Http404(NO_FILE)
    return Response(FileWhole(file, context={"request": request}).data, status=202)
