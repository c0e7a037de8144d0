"""Who may come in: whoever has one of the operator's tokens, or everybody where there are none."""

from __future__ import annotations

import hmac
from typing import Any

from django.conf import settings
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed, NotAuthenticated
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

SHOW_A_TOKEN = "Send the header Authorization: Bearer TOKEN, with a token that the operator gave you."


class Bearer:
    """Whoever showed a token. Every token is good for everything and stands for no user."""

    is_authenticated = True


class BearerToken(BaseAuthentication):
    """``Authorization: Bearer TOKEN`` (RFC 6750), compared in constant time."""

    def authenticate(self, request: Request) -> tuple[Bearer, None] | None:
        """Return the bearer; None without a token. Raises ``AuthenticationFailed`` for a wrong one."""
        scheme, _, token = get_authorization_header(request).partition(b" ")
        if scheme.lower() != b"bearer" or not settings.PICASSO_TOKENS:
            return None
        # Every token is compared, so that the time does not tell which one came close.
        matches = [hmac.compare_digest(token.strip(), known.encode()) for known in settings.PICASSO_TOKENS]
        if not any(matches):
            raise AuthenticationFailed(f"This token is not valid here. {SHOW_A_TOKEN}")
        return Bearer(), None

    def authenticate_header(self, request: Request) -> str:
        """Name the scheme in a 401."""
        return "Bearer"


class HasTokenWhereNeeded(BasePermission):
    """Everybody where the operator has set no token; else whoever has one."""

    def has_permission(self, request: Request, view: Any) -> bool:
        """Ask whether a token was shown. Raises ``NotAuthenticated``."""
        if settings.PICASSO_TOKENS and not isinstance(request.user, Bearer):
            raise NotAuthenticated(SHOW_A_TOKEN)
        return True
