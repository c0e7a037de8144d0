"""JSON as bodies have it. Django REST imports this before anything else of the API."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from rest_framework.exceptions import ParseError
from rest_framework.parsers import JSONParser


class SmallJSON(JSONParser):
    """JSON of no more than a person would write; whatever is larger is not read."""

    def parse(self, stream: Any, media_type: Any = None, parser_context: Any = None) -> Any:
        """Read it. Raises ``RequestDataTooBig`` or ``ParseError``."""
        most = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        if int(parser_context["request"].META["CONTENT_LENGTH"]) > most:
            raise RequestDataTooBig(f"The body is too large: at most {most} bytes of JSON are accepted.")
        try:
            return super().parse(stream, media_type, parser_context)
        except RecursionError:
            raise ParseError("The JSON is nested too deeply.") from None
