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

FORM_ALLOWANCE = 1024 * 1024
"""How much longer than its file a form may be."""
HOW_TO_UPLOAD = "Send multipart/form-data with one part named 'file' that has a file name."


class WholeForm(MultiPartParser):
    """A form that is as long as its Content-Length; a shorter one is all that came from a client that has gone away."""

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        counted: Any = _Counted(stream)
        form = super().parse(counted, media_type, parser_context)
        if counted.size != int(parser_context["request"].META["CONTENT_LENGTH"]):
            raise ParseError("The body is shorter than its Content-Length.", "incomplete")
        return form


class _Counted:
    """A stream that counts the bytes read from it."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self.size = 0

    def read(self, size: int) -> bytes:
        chunk: bytes = self._stream.read(size)
        self.size += len(chunk)
        return chunk


class UploadView(APIView):
    """Take one file."""

    parser_classes = (WholeForm,)
    errors = {"POST": (411, 413, 415, 507)}

    @operations.upload_file
    def post(self, request: Request) -> Response:
        """Store the part ``file`` and answer 201 with the File, which is processed afterwards."""
        _check_length(request.META.get("CONTENT_LENGTH", ""))
        try:
            file = uploads.accept(_only_file(request))
        except UnsupportedMediaType:
            detail = f"{request.content_type!r} is no form. {HOW_TO_UPLOAD}"
            raise UnsupportedMediaType(request.content_type, detail) from None
        finally:
            for handler in request.upload_handlers:
                handler.upload_interrupted()
        # It has no jobs yet, so that the database need not be asked for them.
        file._prefetched_objects_cache = {"jobs": Job.objects.none()}  # type: ignore[attr-defined]
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
