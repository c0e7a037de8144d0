"""The endpoints for many at once: retry failed Jobs, of whatever Files or of some; delete Files."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from .. import bulk
from ..models import File, Job
from . import questions
from .filters import FileFilters
from .job_filters import FailedJobFilters, FilesOfFailedJobs

ONWARDS = (
    "One request works for about a second and says how many that were. While `next` is not null some are left: send it "
    "as the next body. What has come after the first request is left alone. Without a filter nothing is done, unless "
    'the body is `{"all": true}`.'
)
FILTERS = "The members are the filters of `GET /files/` but `q`, whose hits are not exact"
RETRY = (
    "What is no history is queued again as if it were new: what its File shows, and what is newer than that. As in a "
    "backfill, new uploads barely wait."
)


def _answer(verb: str) -> dict[str, Any]:
    return {
        "type": "object",
        "required": [verb, "next"],
        "properties": {
            verb: {"type": "integer", "minimum": 0, "description": "How many, by this request."},
            "next": {
                "type": ["object", "null"],
                "additionalProperties": True,
                "description": "The body to go on with; null when all is done.",
            },
        },
    }


class RetryJobs(APIView):
    """Run failed Jobs again, of whatever Files."""

    errors = {"POST": (415,)}

    @extend_schema(
        operation_id="retry_jobs",
        summary="Run many failed jobs again",
        description=f"{RETRY} {ONWARDS}",
        request={"application/json": questions.schema(FailedJobFilters)},
        responses={202: OpenApiResponse(_answer("retried"), "How many Jobs are queued again.")},
        tags=["jobs"],
    )
    def post(self, request: Request) -> Response:
        """Queue them and say how many."""
        asked = questions.read(request, FailedJobFilters)
        return _retry(asked, questions.narrow(asked, FailedJobFilters, Job.objects.failed()))


class RetryFiles(APIView):
    """Run the failed Jobs of some Files again."""

    errors = {"POST": (415,)}

    @extend_schema(
        operation_id="retry_files",
        summary="Run the failed jobs of many files again",
        description=f"{FILTERS}. {RETRY} {ONWARDS}",
        request={"application/json": questions.schema(FilesOfFailedJobs)},
        responses={202: OpenApiResponse(_answer("retried"), "How many Jobs are queued again.")},
        tags=["files"],
    )
    def post(self, request: Request) -> Response:
        """Queue them and say how many."""
        asked = questions.read(request, FilesOfFailedJobs)
        files = questions.narrow(asked, FilesOfFailedJobs, File.objects.order_by())
        failed = Job.objects.failed()
        return _retry(asked, failed if set(asked) <= {"failed_before"} else failed.filter(file__in=files.values("pk")))


class DeleteFiles(APIView):
    """Delete some Files."""

    errors = {"POST": (415,)}

    @extend_schema(
        operation_id="delete_files",
        summary="Delete many files",
        description=f"With their bytes, jobs and artifacts. {FILTERS}; look there first. {ONWARDS}",
        request={"application/json": questions.schema(FileFilters)},
        responses={200: OpenApiResponse(_answer("deleted"), "How many files are gone.")},
        tags=["files"],
    )
    def post(self, request: Request) -> Response:
        """Delete them and say how many."""
        asked = questions.read(request, FileFilters)
        files = questions.narrow(asked, FileFilters, File.objects.order_by())
        moment = bulk.moment(File.objects.all())
        if moment is None:
            return Response({"deleted": 0, "next": None})
        onwards = questions.onwards(asked, "uploaded_before", moment)
        done = bulk.remove(questions.narrow(onwards, FileFilters, files))
        return Response({"deleted": done.count, "next": onwards if done.left else None})


def _retry(asked: dict[str, Any], jobs: QuerySet[Job]) -> Response:
    moment = bulk.moment(Job.objects.all())
    if moment is None:
        return Response({"retried": 0, "next": None}, status=202)
    onwards = questions.onwards(asked, "failed_before", moment)
    until = {"failed_before": onwards["failed_before"]}
    done = bulk.retry(questions.narrow(until, FailedJobFilters, jobs))
    return Response({"retried": done.count, "next": onwards if done.left else None}, status=202)
