"""The endpoints of files but the upload: list, look, download, delete; and how the service is."""

from __future__ import annotations

import hashlib
import logging
import uuid
from typing import Any

from django.db.models import Prefetch, Q
from django.http import Http404, HttpResponseBase
from rest_framework.generics import ListAPIView, RetrieveAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse
from rest_framework.views import APIView

from .. import uploads
from ..models import Artifact, File, Job, Offer
from ..outages import database_trouble
from . import operations
from .downloads import download
from .filters import FileFilters, Filters
from .parameters import check, identifier
from .search_pages import FoundFile, SearchPages
from .serializers import FileWhole

logger = logging.getLogger(__name__)

NO_FILE = "There is no file with this id."


class Root(APIView):
    """Where everything is."""

    @operations.root
    def get(self, request: Request) -> Response:
        """List the endpoints."""
        return Response({name: reverse(name, request=request) for name in operations.ROOT})


class FileList(ListAPIView[File]):
    """Every File with its processing status."""

    errors = {"GET": (404,)}
    serializer_class = FoundFile
    pagination_class = SearchPages
    filter_backends = (Filters,)
    filterset_class = FileFilters
    queryset = File.objects.prefetch_related(
        Prefetch("jobs", Job.objects.only("file_id", "processor", "version", "state", "error", "current"))
    )

    @operations.list_files
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Answer with a page."""
        return super().get(request, *args, **kwargs)


WHOLE = File.objects.prefetch_related(
    Prefetch("jobs", Job.objects.defer("detail")),
    Prefetch(
        "jobs__artifacts",
        Artifact.objects.select_related("job").only(
            "name", "media_type", "size", "job__file_id", "job__processor", "job__current"
        ),
    ),
)


class FileDetail(RetrieveAPIView[File]):
    """One File with its jobs and their results."""

    errors = {"GET": (404,), "DELETE": (404,)}
    serializer_class = FileWhole
    queryset = WHOLE

    @operations.get_file
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Answer with the File."""
        return super().get(request, *args, **kwargs)

    @operations.delete_file
    def delete(self, request: Request, pk: uuid.UUID) -> Response:
        """Remove the File and everything of it."""
        if not File.remove(pk):
            raise Http404(NO_FILE)
        return Response(status=204)

    def get_object(self) -> File:
        """Return the File. Raises ``Http404``."""
        file = self.get_queryset().filter(pk=self.kwargs["pk"]).first()
        if file is None:
            raise Http404(NO_FILE)
        return file


class Content(APIView):
    """The bytes of a File."""

    errors = {"GET": (404, 412, 416)}

    @operations.download_file
    def get(self, request: Request, pk: uuid.UUID) -> HttpResponseBase:
        """Send them as an attachment."""
        file = File.objects.filter(pk=pk).only("file", "name", "media_type", "sha256", "uploaded_at").first()
        if file is None:
            raise Http404(NO_FILE)
        return download(
            request,
            str(file.file.name),
            name=file.name,
            media_type=file.media_type or "application/octet-stream",
            tag=file.sha256,
            made_at=file.uploaded_at,
        )


class ArtifactContent(APIView):
    """The bytes of a file that a processor made."""

    errors = {"GET": (404, 412, 416)}

    @operations.download_artifact
    def get(self, request: Request, pk: uuid.UUID, processor: str, name: str) -> HttpResponseBase:
        """Send those of the result that the File shows, or of the Job that is asked for, as an attachment."""
        check(request, ("job",))
        job = identifier(request, "job")
        which = Q(job=job) if job else Q(job__current=True)
        found = Artifact.objects.filter(which, job__file=pk, job__processor=processor, name=name).select_related("job")
        # PostgreSQL refuses to look for a NUL.
        artifact = None if "\0" in processor + name else found.filter(job__state=Job.State.SUCCEEDED).first()
        if artifact is None:
            raise Http404(f"The processor {processor!r} has left no {name!r} for this file.")
        return download(
            request,
            artifact.key,
            name=artifact.name,
            media_type=artifact.media_type,
            # A key is never used twice.
            tag=hashlib.sha256(artifact.key.encode()).hexdigest(),
            made_at=artifact.job.finished_at or artifact.job.queued_at,
        )


class Live(APIView):
    """Whether this process answers."""

    authentication_classes = ()
    permission_classes = ()
    throttle_classes = ()

    @operations.live
    def get(self, request: Request) -> Response:
        """Touch nothing else, so that an outage elsewhere does not restart it."""
        return Response({"status": "ok"})


class Ready(APIView):
    """Whether uploads would be taken now."""

    authentication_classes = ()
    permission_classes = ()
    throttle_classes = ()

    @operations.ready
    def get(self, request: Request) -> Response:
        """Ask the database and the storage; neither broker nor worker is needed to take an upload."""
        report: dict[str, Any] = {}
        for part, probe in (("database", Offer.objects.exists), ("storage", uploads.probe)):
            try:
                probe()
                report[part] = "ok"
            except Exception as error:
                logger.error("not ready: %s", database_trouble(error) if part == "database" else error)
                report[part] = f"away ({type(error).__name__})"
        ready = set(report.values()) == {"ok"}
        return Response(report, status=200 if ready else 503, headers={} if ready else {"Retry-After": "5"})
