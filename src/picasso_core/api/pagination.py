"""Pages by key: stable while files come in, and as fast at the end as at the start."""

from __future__ import annotations

import uuid
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, NoReturn
from urllib.parse import parse_qs, urlencode

from django.db import connection
from django.db.models import CharField, F, QuerySet, Subquery, Value
from django.db.models.functions import Coalesce
from django.db.models.lookups import GreaterThan, LessThan
from rest_framework.exceptions import ErrorDetail, NotFound, ValidationError
from rest_framework.pagination import BasePagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param

from ..models import File
from ..models.events import Row

ORDERINGS = ("-uploaded_at", "uploaded_at", "name", "-name", "size", "-size")
PARAMETERS = ("ordering", "cursor", "page_size")
DEFAULT_SIZE = 100
MAX_SIZE = 1000


def instant(moment: datetime) -> Any:
    """Return a time to compare a column with.

    SQLite compares text, and a moment has several: without a fraction, with three digits, as the database writes them,
    or with six, as Django does. The shortest comes before the others and after those of every earlier moment.
    """
    if connection.vendor != "sqlite":
        return Value(moment)
    text = moment.astimezone(UTC).replace(tzinfo=None).isoformat(" ")
    return Value(text.rstrip("0") if "." in text else text, CharField())


@dataclass(frozen=True)
class Cursor:
    """A place in the list: after, or with ``back`` before, the File of this id."""

    ordering: str
    value: Any
    pk: uuid.UUID
    back: bool = False

    @classmethod
    def at(cls, file: File, ordering: str) -> Cursor:
        """Return the place after a File."""
        return cls(ordering, getattr(file, ordering.lstrip("-")), file.pk)

    @classmethod
    def read(cls, token: str, ordering: str) -> Cursor:
        """Read what ``str`` has written. Raises ``LookupError`` or ``ValueError``."""
        fields = {name: values[0] for name, values in parse_qs(urlsafe_b64decode(token).decode("ascii")).items()}
        if fields.get("s", ORDERINGS[0]) != ordering:
            raise ValueError("it belongs to another ordering")
        return cls(ordering, _READ[ordering.lstrip("-")](fields["p"]), uuid.UUID(fields["i"]), "r" in fields)

    def __str__(self) -> str:
        fields = {"p": self.value, "i": self.pk}
        fields |= {"s": self.ordering} if self.ordering != ORDERINGS[0] else {}
        fields |= {"r": 1} if self.back else {}
        return urlsafe_b64encode(urlencode(fields).encode()).decode()

    def onwards(self, files: QuerySet[File]) -> QuerySet[File]:
        """Keep what comes after this place."""
        column = self.ordering.lstrip("-")
        value: Any = Value(self.value)
        if column == "uploaded_at" and connection.vendor == "sqlite":
            # As it is written there, to be equal; if it is gone, nothing needs to be.
            value = Coalesce(
                Subquery(File.objects.filter(pk=self.pk).order_by().values(column)),
                instant(self.value),
                output_field=CharField(),
            )
        there = Row(value, Value(self.pk, File._meta.pk))
        beyond = LessThan if self.ordering.startswith("-") != self.back else GreaterThan
        return files.filter(beyond(Row(F(column), F("pk")), there))


def _time(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    try:
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except OverflowError as error:
        raise ValueError from error


def _name(text: str) -> str:
    if "\0" in text or len(text) > 255:
        raise ValueError("it is no name")
    return text


def _size(text: str) -> int:
    if not 0 <= (size := int(text)) < 2**63:
        raise ValueError("it is no size")
    return size


_READ: dict[str, Any] = {"uploaded_at": _time, "name": _name, "size": _size}


class Pages(BasePagination):
    """``next`` and ``previous`` are URLs, which keep the filters."""

    next: object = None
    previous: object = None

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> list[Any]:
        """Return one page. Raises ``ValidationError`` or, for a cursor of one's own making, ``NotFound``."""
        self.url = request.build_absolute_uri()
        ordering, size = _ordering(request), page_size_of(request)
        cursor = _cursor(request, ordering)
        back = cursor is not None and cursor.back
        sign = "-" if ordering.startswith("-") != back else ""
        files = queryset.order_by(f"{sign}{ordering.lstrip('-')}", f"{sign}pk")
        if cursor is not None:
            files = cursor.onwards(files)
        # One more, to know whether there is another page.
        page = list(files[: size + 1])
        more = len(page) > size
        page = page[:size][::-1] if back else page[:size]
        first, last = (Cursor.at(page[0], ordering), Cursor.at(page[-1], ordering)) if page else (cursor, cursor)
        self.next = last and replace(last, back=False) if back or more else None
        self.previous = first and replace(first, back=True) if (more if back else cursor is not None) else None
        return page

    def get_paginated_response(self, data: Any) -> Response:
        """Return a page with the URLs of those beside it."""
        return Response({"next": self._link(self.next), "previous": self._link(self.previous), "results": data})

    def _link(self, cursor: object) -> str | None:
        return replace_query_param(self.url, "cursor", str(cursor)) if cursor else None

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        """Describe a page."""
        link = {
            "type": ["string", "null"],
            "format": "uri",
            "description": "null where there is no such page.",
            "example": "http://127.0.0.1:8000/files/?cursor=cD0yMDI2",
        }
        return {
            "type": "object",
            "required": ["next", "previous", "results"],
            "properties": {"next": link, "previous": link, "results": schema},
        }

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        """Describe the parameters."""
        ordering = "What comes first; `-` puts the greatest first. Files that are equal in it are ordered by their ids."
        size = f"How many Files a page has; more than {MAX_SIZE:,} counts as {MAX_SIZE:,}."
        return [
            {
                "name": "ordering",
                "in": "query",
                "description": ordering,
                "schema": {"type": "string", "enum": list(ORDERINGS), "default": ORDERINGS[0]},
            },
            {
                "name": "page_size",
                "in": "query",
                "description": size,
                "schema": {"type": "integer", "minimum": 1, "default": DEFAULT_SIZE},
            },
            {
                "name": "cursor",
                "in": "query",
                "description": "A place in the list; take it from `next` and `previous`.",
                "schema": {"type": "string", "minLength": 1},
            },
        ]


def _ordering(request: Request) -> str:
    ordering = request.query_params.get("ordering", ORDERINGS[0])
    if ordering not in ORDERINGS:
        refuse("ordering", f"{ordering!r} is no ordering: choose among {', '.join(ORDERINGS)}.")
    return ordering


def page_size_of(request: Request) -> int:
    """Return how many Files a page is to have. Raises ``ValidationError``."""
    asked = request.query_params.get("page_size", str(DEFAULT_SIZE))
    if not (asked.isascii() and asked.isdecimal() and asked.strip("0")):
        refuse("page_size", f"Write a number of Files from 1 to {MAX_SIZE}.")
    return MAX_SIZE if len(asked.lstrip("0")) > 4 else min(int(asked), MAX_SIZE)


def _cursor(request: Request, ordering: str) -> Cursor | None:
    token = request.query_params.get("cursor")
    try:
        return None if token is None else Cursor.read(token, ordering)
    except (LookupError, ValueError):
        raise NotFound(
            "There is no such page: follow the URLs in next and previous, and keep their ordering."
        ) from None


def refuse(parameter: str, sentence: str) -> NoReturn:
    """Say what is wrong with a parameter. Raises ``ValidationError``."""
    raise ValidationError({parameter: ErrorDetail(sentence, "invalid")})
