"""Every error as JSON of one shape: ``{"type": ..., "errors": [{"code", "detail", "attr"}]}``."""

from __future__ import annotations

import errno
import logging
from typing import Any

from django.conf import settings
from django.core.exceptions import DisallowedHost, RequestDataTooBig, SuspiciousOperation
from django.db import InterfaceError, OperationalError, ProgrammingError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse, UnreadablePostError
from django.urls import Resolver404, resolve
from drf_standardized_errors.handler import ExceptionHandler
from rest_framework.exceptions import APIException, NotFound, ParseError, ValidationError

from ..backfills import asking
from ..outages import database_trouble, is_outdated
from ..uploads import KeyReused, TooLarge

logger = logging.getLogger(__name__)

UNKNOWN_HOST = "The header Host names another host than those that Picasso is reached by."
FAILED = "Picasso failed on this request; its operator finds why in the log."


class LengthRequired(APIException):
    status_code = 411
    default_code = "length_required"
    default_detail = "Send a Content-Length; a chunked body without one is not accepted."


class NothingToRetry(APIException):
    status_code = 409
    default_code = "nothing_to_retry"
    default_detail = "No job of this file has failed, so there is nothing to do again."


class Refused(APIException):
    status_code = 409
    default_code = "wrong_state"


class Over(APIException):
    status_code = 409
    default_code = "over"


class Ahead(APIException):
    status_code = 409
    default_code = "ahead"
    default_detail = "The log has not come so far: was it another database that this position is of?"


class TooManyWebhooks(APIException):
    status_code = 409
    default_code = "too_many_webhooks"


class IdempotencyKeyReused(APIException):
    status_code = 409
    default_code = "idempotency_key_reused"
    default_detail = "This Idempotency-Key came with another file before: a new file needs a new key."


class DoesNotFit(ValidationError):
    """What is asked is well formed and does not go with what is there."""

    status_code = 409


class PreconditionFailed(APIException):
    status_code = 412
    default_code = "precondition_failed"
    default_detail = "These are not the bytes that If-Match or If-Unmodified-Since asks for."


class RangeNotSatisfiable(APIException):
    status_code = 416
    default_code = "range_not_satisfiable"

    def __init__(self, size: int) -> None:
        super().__init__(f"There are {size} bytes; the range begins after them.")
        self.headers = {"Content-Range": f"bytes */{size}"}


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
    """Adds to what drf-standardized-errors knows: requests that Django refuses, a database or a disk that fails."""

    def convert_known_exceptions(self, exc: Exception) -> Exception:
        match exc:
            case TooLarge():
                return PayloadTooLarge(str(exc))
            case KeyReused():
                return IdempotencyKeyReused()
            case asking.Unheard():
                return NotFound(str(exc), exc.code)
            case asking.Refused():
                return Refused(str(exc), exc.code)
            case RequestDataTooBig():
                most = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
                return PayloadTooLarge(f"The body is too large: at most {most} bytes of JSON are accepted.")
            case RecursionError():
                return ParseError("The JSON is nested too deeply.")
            case SuspiciousOperation():
                return ParseError(_unreadable(exc))
            case UnreadablePostError():
                return ParseError("The body ends too early.", "incomplete")
            case Http404():
                return NotFound(str(exc) or None)
            case OperationalError() | InterfaceError():
                logger.error("%s", database_trouble(exc))
                return Unavailable()
            case ProgrammingError() if is_outdated(exc):
                logger.error("%s", database_trouble(exc))
                return Unavailable()
            case OSError(errno=errno.ENOSPC | errno.EDQUOT | errno.EFBIG):
                logger.error("The disk is full: %s", exc)
                return DiskFull()
            case OSError():
                logger.error("The storage is away: %s", exc)
                return Unavailable()
        converted: Exception = super().convert_known_exceptions(exc)
        return converted

    def convert_unhandled_exceptions(self, exc: Exception) -> APIException:
        return exc if isinstance(exc, APIException) else APIException(FAILED)

    def get_headers(self, exc: APIException) -> dict[str, str]:
        return {**super().get_headers(exc), **getattr(exc, "headers", {})}


def _error(status: int, kind: str, code: str, detail: str) -> JsonResponse:
    return JsonResponse({"type": kind, "errors": [{"code": code, "detail": detail, "attr": None}]}, status=status)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer 400 where Django found the request itself suspicious."""
    if isinstance(exception, DisallowedHost):
        host = request.META.get("HTTP_HOST", "")
        logger.info("Refused the host name %r: PICASSO_ALLOWED_HOSTS has those that are served.", host)
        return _error(400, "client_error", "unknown_host", UNKNOWN_HOST)
    return _error(400, "client_error", "bad_request", _unreadable(exception))


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
    return _error(500, "server_error", "error", FAILED)


def _unreadable(exception: Any) -> str:
    text = str(exception).strip() or type(exception).__name__
    return f"The request cannot be read: {text.removesuffix('.')}."
