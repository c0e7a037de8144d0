"""What stands in a URL's query: whatever is not understood is refused, since half a question has no answer."""

from __future__ import annotations

import re
import uuid
from collections.abc import Collection
from difflib import get_close_matches
from typing import Any, NoReturn

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter
from rest_framework.exceptions import ErrorDetail, ValidationError
from rest_framework.request import Request
from rest_framework.utils.urls import replace_query_param

DEFAULT_LIMIT = 100
MAX_LIMIT = 1000
UUID = re.compile("[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE)
LIMIT = OpenApiParameter(
    "limit",
    {"type": "integer", "minimum": 1, "default": DEFAULT_LIMIT},
    description="How many at the most; more than 1,000 counts as 1,000.",
)
"""How the contract describes what ``limit`` reads."""


def check(request: Request, known: Collection[str], several: Collection[str] = ()) -> None:
    """Refuse parameters that are unknown, empty or, unless among ``several``, given twice: ``ValidationError``."""
    errors = {}
    for name, values in request.query_params.lists():
        if name not in known:
            close = get_close_matches(name, known, 1)
            there = f"there are {', '.join(known)}." if known else "there are none."
            hint = f"did you mean {close[0]!r}?" if close else there
            errors[name] = ErrorDetail(f"There is no such parameter: {hint}", "unknown_parameter")
        elif "" in values:
            errors[name] = ErrorDetail("It is empty: give it a value or leave it out.", "empty")
        elif len(values) > 1 and name not in several:
            errors[name] = ErrorDetail("It is given more than once.", "repeated")
    if errors:
        raise ValidationError(errors)


def identifier(request: Request, name: str) -> uuid.UUID | None:
    """Read an id. Raises ``ValidationError``."""
    text = request.query_params.get(name)
    if text is not None and not UUID.fullmatch(text):
        refuse(name, "Write an id such as 019e1b6c-2f6a-7cc3-98c4-dc0c0c07398f.")
    return uuid.UUID(text) if text else None


def limit(request: Request) -> int:
    """Read how many one wants; more than ``MAX_LIMIT`` is as many. Raises ``ValidationError``."""
    text = request.query_params.get("limit", str(DEFAULT_LIMIT))
    if not (text.isascii() and text.isdecimal() and text.strip("0")):
        refuse("limit", f"Write a number from 1 to {MAX_LIMIT}.")
    return MAX_LIMIT if len(text.lstrip("0")) > 4 else min(int(text), MAX_LIMIT)


def newest(request: Request, rows: QuerySet[Any]) -> tuple[list[Any], str | None]:
    """Return a page of rows, the newest first, with the URL of those before. Raises ``ValidationError``."""
    most, before = limit(request), identifier(request, "before")
    page = list((rows.filter(pk__lt=before) if before else rows).order_by("-pk")[: most + 1])
    if len(page) <= most:
        return page, None
    return page[:most], replace_query_param(request.build_absolute_uri(), "before", str(page[most - 1].pk))


def one_of(request: Request, name: str, choices: Collection[str]) -> str | None:
    """Read one of a few words. Raises ``ValidationError``."""
    text: str | None = request.query_params.get(name)
    if text is not None and text not in choices:
        refuse(name, f"{text!r} is no {name}: choose among {', '.join(choices)}.")
    return text


def text(request: Request, name: str, longest: int) -> str | None:
    """Read any text. Raises ``ValidationError``."""
    given: str | None = request.query_params.get(name)
    if given is not None and (len(given) > longest or "\0" in given):
        refuse(name, f"Write at most {longest} characters, and no NUL.")
    return given


def refuse(name: str, sentence: str) -> NoReturn:
    """Say what is wrong with a parameter."""
    raise ValidationError({name: ErrorDetail(sentence, "invalid")})
