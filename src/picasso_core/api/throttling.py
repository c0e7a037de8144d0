"""How much one client may ask for, where the operator has set a rate."""

from __future__ import annotations

import hashlib
import math
import time
from typing import Any

from django.conf import settings
from django.core.cache import cache
from rest_framework.authentication import get_authorization_header
from rest_framework.exceptions import APIException
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from .authentication import Bearer


class TooManyRequests(APIException):
    status_code = 429
    default_code = "too_many_requests"

    def __init__(self, most: int, what: str, seconds: int, wait: int) -> None:
        super().__init__(f"At most {most} {what} in {seconds} seconds are taken from you. Try again in {wait} seconds.")
        self.wait = wait


class Rates(BaseThrottle):
    """``PICASSO_UPLOAD_RATE`` for uploads and ``PICASSO_REQUEST_RATE`` for everything else, each counted by itself.

    One client is one token or, where none is needed, one address. Counts are kept in Django's cache, which each web
    process has for itself.
    """

    def allow_request(self, request: Request, view: Any) -> bool:
        """Count the request. Raises ``TooManyRequests`` beyond the rate."""
        match = request.resolver_match
        uploading = match is not None and match.url_name == "upload"
        rate = settings.PICASSO_UPLOAD_RATE if uploading else settings.PICASSO_REQUEST_RATE
        if rate is None:
            return True
        most, seconds = rate
        what = "uploads" if uploading else "requests"
        window, gone = divmod(time.time(), seconds)
        if _count(f"{what}:{window:.0f}:{self._client(request)}", seconds) > most:
            raise TooManyRequests(most, what, seconds, math.ceil(seconds - gone))
        return True

    def _client(self, request: Request) -> str:
        if isinstance(request.user, Bearer):
            return hashlib.sha256(get_authorization_header(request).split()[-1]).hexdigest()
        return str(self.get_ident(request))


def _count(key: str, seconds: int) -> int:
    cache.add(key, 0, timeout=seconds)
    try:
        return cache.incr(key)
    except ValueError:
        # A full cache has dropped it in between.
        return 1
