"""Stored bytes over HTTP: ranges and conditions (RFC 9110), and nothing in them that a browser would run."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any, BinaryIO

from django.core.files.storage import default_storage
from django.db import connection
from django.http import FileResponse, Http404, HttpResponse, HttpResponseBase
from django.utils.cache import get_conditional_response
from django.utils.http import http_date
from rest_framework.request import Request

from ..uploads import CHUNK
from .errors import PreconditionFailed, RangeNotSatisfiable

RANGE = re.compile(r"bytes=[ \t]*(?:([0-9]{1,1000})-([0-9]{0,1000})|-([0-9]{1,1000}))[ \t]*", re.IGNORECASE)


class Part:
    """A part of a stream, from its position on, as a stream to be read once."""

    def __init__(self, stream: BinaryIO, length: int) -> None:
        self._stream = stream
        self._left = length

    def read(self, size: int) -> bytes:
        """Return the next bytes."""
        chunk = self._stream.read(min(size, self._left)) if self._left else b""
        self._left -= len(chunk)
        return chunk

    def close(self) -> None:
        """Close the stream."""
        self._stream.close()


def download(
    request: Request, key: str, *, name: str, media_type: str, tag: str, made_at: datetime
) -> HttpResponseBase:
    """Serve stored bytes as an attachment: all of them, the part that is asked for, or that they have not changed.

    Raises ``Http404``, ``PreconditionFailed`` or ``RangeNotSatisfiable``.
    """
    etag, seconds = f'"{tag}"', int(made_at.timestamp())
    headers = {
        "Accept-Ranges": "bytes",
        "Cache-Control": "private, no-cache",
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "Cross-Origin-Resource-Policy": "same-site",
        "ETag": etag,
        "Last-Modified": http_date(seconds),
        "X-Content-Type-Options": "nosniff",
    }
    unchanged = get_conditional_response(request._request, etag, seconds, HttpResponse(headers=headers))
    if unchanged is not None and unchanged.status_code == 412:
        raise PreconditionFailed
    if unchanged is not None and unchanged.status_code == 304:
        return unchanged
    try:
        stream: Any = default_storage.open(key)
    except FileNotFoundError:
        raise Http404("The stored bytes are missing.") from None
    # A slow reader keeps its thread, but no connection to the database that others wait for.
    if not connection.in_atomic_block:
        connection.close_if_unusable_or_obsolete()
    size = stream.size
    try:
        part = asked_range(request, (etag, headers["Last-Modified"]), size)
    except RangeNotSatisfiable:
        stream.close()
        raise
    start, end = part or (0, size)
    if request.method == "GET":
        stream.seek(start)
        body = Part(stream, end - start)
    else:
        stream.close()
        body = Part(stream, 0)
    status = 206 if part else 200
    response = FileResponse(
        body, as_attachment=True, filename=name, content_type=media_type, headers=headers, status=status
    )
    response.block_size = CHUNK
    response["Content-Length"] = str(end - start)
    if part:
        response["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
    return response


def asked_range(request: Request, validators: tuple[str, str], size: int) -> tuple[int, int] | None:
    """Return where the one range that is asked for begins and ends; None for everything.

    Everything is the answer to several ranges and to what is no range too, as RFC 9110 allows.
    """
    asked = RANGE.fullmatch(request.headers.get("Range", ""))
    if asked is None or request.method != "GET" or request.headers.get("If-Range", validators[0]) not in validators:
        return None
    first, last, suffix = asked.groups()
    if suffix is not None:
        start, end = max(size - int(suffix), 0), size
    else:
        start, end = int(first), min(int(last) + 1, size) if last else size
        if last and int(last) < int(first):
            return None
    if start >= size:
        raise RangeNotSatisfiable(size)
    return start, end
