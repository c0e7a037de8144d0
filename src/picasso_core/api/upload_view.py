"""The endpoint that takes files in."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from rest_framework.exceptions import ParseError, UnsupportedMediaType
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse
from rest_framework.views import APIView

from .. import uploads
from ..models import Job
from . import operations
from .errors import LengthRequired
from .serializers import FileSerializer
from .upload_headers import BodyDigests, check_checksum, idempotency_key

FORM_ALLOWANCE = 1024 * 1024
"""How much longer than its file a form may be."""
HOW_TO_UPLOAD = "Send multipart/form-data with one part named 'file' that has a file name."


class WholeForm(MultiPartParser):
    """A form that is as long as its Content-Length and has the digest that it announces.

    A shorter one is all that came from a client that has gone away.
    """

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        request = parser_context["request"]
        body: Any = _Body(stream, BodyDigests(request.headers.get("Content-Digest")))
        form = super().parse(body, media_type, parser_context)
        if body.size != int(request.META["CONTENT_LENGTH"]):
            raise ParseError("The body is shorter than its Content-Length.", "incomplete")
        body.digests.check()
        return form


class _Body:
    """A stream of which every byte read is counted and goes into the digests."""

    def __init__(self, stream: Any, digests: BodyDigests) -> None:
        self._stream = stream
        self.digests = digests
        self.size = 0

    def read(self, size: int) -> bytes:
        chunk: bytes = self._stream.read(size)
        self.size += len(chunk)
        self.digests.update(chunk)
        return chunk


class UploadView(APIView):
    """Take one file."""

    parser_classes = (WholeForm,)
    errors = {"POST": (409, 411, 413, 415, 507)}

    @operations.upload_file
    def post(self, request: Request) -> Response:
        """Store the part ``file`` and answer 201 with the File, which is processed afterwards."""
        _check_length(request.META.get("CONTENT_LENGTH", ""))
        key = idempotency_key(request)
        try:
            upload = _only_file(request)
            check_checksum(request, upload.sha256)
            file = uploads.accept(upload, key=key)
        except UnsupportedMediaType:
            detail = f"{request.content_type!r} is no form. {HOW_TO_UPLOAD}"
            raise UnsupportedMediaType(request.content_type, detail) from None
        finally:
            for handler in request.upload_handlers:
                handler.upload_interrupted()
        # It has no jobs yet: neither need the database be asked for them nor Django make a query to find that out.
        jobs: Any = Job.objects.none()
        jobs._result_cache = []
        file._prefetched_objects_cache = {"jobs": jobs}  # type: ignore[attr-defined]
        body = FileSerializer(file, context={"request": request}).data
        location = reverse("file", kwargs={"pk": file.pk}, request=request)
        return Response(body, status=201, headers={"Location": location})


def _check_length(length: str) -> None:
    """Refuse a body before it is read. Raises ``LengthRequired`` or ``TooLarge``."""
    if not length.isdecimal():
        raise LengthRequired
    if int(length) > settings.PICASSO_MAX_UPLOAD_BYTES + FORM_ALLOWANCE:
        raise uploads.TooLarge


def _only_file(request: Request) -> uploads.Upload:
    """Read the form and return its one file. Raises ``ParseError`` with a code."""
    files = request.FILES
    if not files and any(handler.file_name for handler in request.upload_handlers):
        raise ParseError("The body ends in the middle of the file: its closing boundary is missing.", "incomplete")
    if not files:
        raise ParseError(f"There is no file. {HOW_TO_UPLOAD}", "no_file")
    if "file" not in files:
        raise ParseError(f"The file's part is named {next(iter(files))!r}: name it 'file'.", "no_file")
    upload: uploads.Upload = files["file"]
    if upload.size == 0:
        raise ParseError("The file is empty.", "empty_file")
    return upload
