"""Every error as JSON of one shape: ``{"type": ..., "errors": [{"code", "detail", "attr"}]}``."""

from __future__ import annotations

import errno
import logging
from typing import Any

from django.db import Error as DatabaseError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import Resolver404, resolve
from drf_standardized_errors.handler import ExceptionHandler
from rest_framework.exceptions import APIException

logger = logging.getLogger(__name__)


class LengthRequired(APIException):
    status_code = 411
    default_code = "length_required"
    default_detail = "Send a Content-Length; a chunked body without one is not accepted."


class PayloadTooLarge(APIException):
    status_code = 413
    default_code = "too_large"


class Unavailable(APIException):
    status_code = 503
    default_code = "unavailable"
    default_detail = "Picasso's database or storage is away for the moment. Try again in a few seconds."
    wait = 5


class DiskFull(APIException):
    status_code = 507
    default_code = "disk_full"
    default_detail = "There is no room left for this file. Nothing of it was kept."


class Handler(ExceptionHandler):
    """Adds the world's faults, a database or a disk that is away, to what drf-standardized-errors knows."""

    def convert_known_exceptions(self, exc: Exception) -> Exception:
        if isinstance(exc, DatabaseError) or type(exc).__name__ == "PoolTimeout":
            logger.error("The database is away: %s", exc)
            return Unavailable()
        if isinstance(exc, OSError) and exc.errno in (errno.ENOSPC, errno.EDQUOT):
            return DiskFull()
        converted: Exception = super().convert_known_exceptions(exc)
        return converted


def _error(status: int, kind: str, code: str, detail: str) -> JsonResponse:
    return JsonResponse({"type": kind, "errors": [{"code": code, "detail": detail, "attr": None}]}, status=status)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer 400 where Django found the request itself suspicious."""
    return _error(400, "client_error", "bad_request", "The request cannot be read: " + _sentence(exception))


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer 404 where no view is, with a hint where only the last slash is missing."""
    detail = f"There is nothing at {request.path}."
    try:
        resolve(request.path + "/")
        detail += f" Did you mean {request.path}/ ?"
    except Resolver404:
        pass
    return _error(404, "client_error", "not_found", detail)


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer 500; the log has the traceback."""
    return _error(500, "server_error", "error", "Picasso failed on this request; its operator finds why in the log.")


def _sentence(exception: Any) -> str:
    text = str(exception).strip() or type(exception).__name__
    return text if text.endswith(".") else text + "."
