"""The endpoint that takes files in."""

from __future__ import annotations

from django.conf import settings
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse
from rest_framework.views import APIView

from .. import uploads
from . import operations
from .errors import LengthRequired
from .serializers import newcomer
from .upload_form import only_file
from .upload_headers import check_checksum, idempotency_key

FORM_ALLOWANCE = 1024 * 1024
"""How much longer than its file a form may be."""


class UploadView(APIView):
    """Take one file."""

    errors = {"POST": (409, 411, 413, 415, 507)}

    @operations.upload_file
    def post(self, request: Request) -> Response:
        """Store the part ``file`` and answer 201 with the File, which is processed afterwards."""
        _check_length(request.META.get("CONTENT_LENGTH", ""))
        key = idempotency_key(request)
        with only_file(request) as upload:
            check_checksum(request, upload.sha256)
            file = uploads.accept(upload, key=key)
        location = reverse("file", kwargs={"pk": file.pk}, request=request)
        return Response(newcomer(file, location), status=201, headers={"Location": location})


def _check_length(length: str) -> None:
    """Refuse a body before it is read. Raises ``LengthRequired`` or ``TooLarge``."""
    if not length.isdecimal():
        raise LengthRequired
    if int(length) > settings.PICASSO_MAX_UPLOAD_BYTES + FORM_ALLOWANCE:
        raise uploads.TooLarge
