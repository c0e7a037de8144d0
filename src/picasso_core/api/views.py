"""The endpoints: upload, list, look, download."""

from __future__ import annotations

import uuid
from typing import Any

from django.conf import settings
from django.core.files.storage import default_storage
from django.db.models import Prefetch
from django.http import FileResponse, Http404
from rest_framework.exceptions import ParseError
from rest_framework.generics import ListAPIView, RetrieveAPIView
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse
from rest_framework.views import APIView

from .. import uploads
from ..models import Artifact, File, Job, Offer
from .errors import LengthRequired, PayloadTooLarge
from .serializers import FileSerializer, FileWhole, OfferSerializer


class Root(APIView):
    """Where everything is."""

    def get(self, request: Request) -> Response:
        """List the endpoints."""
        return Response({name: reverse(name, request=request) for name in ("upload", "files", "processors")})


class UploadView(APIView):
    """Take one file."""

    parser_classes = (MultiPartParser,)

    def post(self, request: Request) -> Response:
        """Store the part ``file`` and answer 201 with the File, which is processed afterwards."""
        if not request.META.get("CONTENT_LENGTH"):
            raise LengthRequired
        if int(request.META["CONTENT_LENGTH"]) > settings.PICASSO_MAX_UPLOAD_BYTES + 1024 * 1024:
            raise _too_large()
        try:
            parts = [part for name in request.FILES for part in request.FILES.getlist(name)]
        except uploads.TooLarge:
            raise _too_large() from None
        try:
            file = uploads.accept(_only_file(request, parts))
        finally:
            for part in parts:
                part.discard()
        body = FileSerializer(file, context={"request": request}).data
        return Response(body, status=201, headers={"Location": reverse("file", kwargs={"pk": file.pk}, request=request)})


def _too_large() -> PayloadTooLarge:
    return PayloadTooLarge(f"The file is too large: at most {settings.PICASSO_MAX_UPLOAD_BYTES} bytes are accepted.")


def _only_file(request: Request, parts: list[uploads.Upload]) -> uploads.Upload:
    """Return the one file part. Raises ``ParseError`` with a code."""
    if not parts:
        raise ParseError("There is no file: send multipart/form-data with one part named 'file' that has a file name.", "no_file")
    if len(parts) > 1:
        raise ParseError(f"There are {len(parts)} files: send one a request.", "too_many_files")
    if "file" not in request.FILES:
        raise ParseError(f"The file's part is named {next(iter(request.FILES))!r}: name it 'file'.", "no_file")
    if parts[0].size == 0:
        raise ParseError("The file is empty.", "empty_file")
    return parts[0]


class FileList(ListAPIView[File]):
    """Every File with its processing status, newest first."""

    serializer_class = FileSerializer
    queryset = File.objects.defer("identified_by").prefetch_related(
        Prefetch("jobs", Job.objects.only("file_id", "processor", "version", "state", "error"))
    )


class FileDetail(RetrieveAPIView[File]):
    """One File with its jobs and their results."""

    serializer_class = FileWhole
    queryset = File.objects.prefetch_related(
        Prefetch("jobs", Job.objects.defer("detail")),
        Prefetch("jobs__artifacts", Artifact.objects.select_related("job").only("name", "media_type", "size", "job__file_id", "job__processor")),
    )


class Content(APIView):
    """The bytes of a File."""

    def get(self, request: Request, pk: uuid.UUID) -> FileResponse:
        """Send them as an attachment."""
        file = File.objects.filter(pk=pk).only("file", "name", "media_type").first()
        if file is None:
            raise Http404
        return attachment(file.file.name, file.name, file.media_type or "application/octet-stream")


class ArtifactContent(APIView):
    """The bytes of a file that a processor made."""

    def get(self, request: Request, pk: uuid.UUID, processor: str, name: str) -> FileResponse:
        """Send those of the newest result as an attachment."""
        found = Artifact.objects.filter(job__file=pk, job__processor=processor, job__state=Job.State.SUCCEEDED, name=name)
        artifact = found.order_by("-job__finished_at").first()
        if artifact is None:
            raise Http404
        return attachment(artifact.key, artifact.name, artifact.media_type)


def attachment(key: str, name: str, media_type: str) -> FileResponse:
    """Serve stored bytes so that no browser runs what is in them."""
    try:
        stream = default_storage.open(key)
    except FileNotFoundError:
        raise Http404("The stored bytes are missing.") from None
    response = FileResponse(stream, as_attachment=True, filename=name, content_type=media_type)
    response["X-Content-Type-Options"] = "nosniff"
    response["Content-Security-Policy"] = "default-src 'none'; sandbox"
    response["Cross-Origin-Resource-Policy"] = "same-site"
    response["Cache-Control"] = "private, no-cache"
    return response


class ProcessorList(ListAPIView[Offer]):
    """What the workers can run, and what is broken and why."""

    serializer_class = OfferSerializer
    queryset = Offer.objects.all()
    pagination_class = None


class Live(APIView):
    """Whether this process answers."""

    def get(self, request: Request) -> Response:
        """Touch nothing else, so that an outage elsewhere does not restart it."""
        return Response({"status": "ok"})


class Ready(APIView):
    """Whether uploads would be taken now."""

    def get(self, request: Request) -> Response:
        """Ask the database and the storage; neither broker nor worker is needed to take an upload."""
        report: dict[str, Any] = {}
        for part, probe in (("database", Offer.objects.exists), ("storage", uploads.probe)):
            try:
                probe()
                report[part] = "ok"
            except Exception as error:
                report[part] = f"away ({type(error).__name__})"
        ready = set(report.values()) == {"ok"}
        return Response(report, status=200 if ready else 503, headers={} if ready else {"Retry-After": "5"})
