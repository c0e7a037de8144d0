"""What form an answer has."""

from __future__ import annotations

from typing import Any

from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.request import Request


class AnythingAccepted(DefaultContentNegotiation):
    """Does not ask what the client accepts: a download is what it is, everything else is JSON."""

    def select_renderer(self, request: Request, renderers: Any, format_suffix: Any = None) -> Any:
        """Choose the first."""
        return renderers[0], renderers[0].media_type
