"""``GET /files/?q=``: pages in the order of rank, each File with the places of what was asked for."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.request import Request

from ..models import Entry
from ..search.index import RANKED, having, ranked
from ..search.words import Term, excerpt, read
from .pagination import Pages, page_size_of, refuse
from .serializers import FileSerializer

LONGEST = 255
MOST_A_PAGE = 100
DESCRIPTION = (
    "Files with these words in their names or in the text that processors found, the best first: all `words`, "
    '`"a phrase"`, `begin*` of a word, `-without`. Capitals and accents make no difference. What was found a second '
    f"ago may not be there yet. Of many files the newest {RANKED:,} are ranked; a page has at most {MOST_A_PAGE}, and "
    "files that come in meanwhile may move one to another page. With `ordering` they all come in that order instead. "
    "Where there is no word to look for, nothing is found."
)


class MatchSerializer(serializers.Serializer[Any]):
    """Where a File has what was asked for."""

    within = serializers.CharField(help_text="`name`, or the processor that found the text.")
    excerpt = serializers.CharField(help_text="A piece of it, with each hit between « and ».")

    def get_fields(self) -> dict[str, Any]:
        """Name the first field ``in``, which Python keeps for itself."""
        fields = dict(super().get_fields())
        return {"in": fields.pop("within"), **fields}


class FoundFile(FileSerializer):
    """A File in a list, with the places of what was asked for."""

    match = serializers.SerializerMethodField(help_text="Where it has the words of `q`; empty without `q`.")

    class Meta(FileSerializer.Meta):
        fields = (*FileSerializer.Meta.fields, "match")  # type: ignore[assignment]
        read_only_fields = fields  # type: ignore[assignment]

    @extend_schema_field(MatchSerializer(many=True))
    def get_match(self, file: Any) -> list[dict[str, str]]:
        """Return what the page has found."""
        return list(getattr(file, "match", ()))


class SearchPages(Pages):
    """Pages by rank where something is asked for and no other order, else by key."""

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> Any:
        """Return one page. Raises ``ValidationError`` or, for a cursor of one's own making, ``NotFound``."""
        if "q" not in request.query_params:
            return super().paginate_queryset(queryset, request, view)
        terms = _terms(request)
        if "ordering" in request.query_params:
            page = super().paginate_queryset(having(queryset, terms), request, view)
        else:
            page = self._by_rank(queryset, request, terms)
        texts = dict(Entry.objects.filter(file__in=[file.pk for file in page]).values_list("file", "texts"))
        for file in page:
            file.match = _matches(texts.get(file.pk, {}), terms)
        return page

    def _by_rank(self, queryset: Any, request: Request, terms: list[Term]) -> list[Any]:
        self.url = request.build_absolute_uri()
        size, start = min(page_size_of(request), MOST_A_PAGE), _start(request)
        found = ranked(queryset.order_by().prefetch_related(None), terms)
        page = found[start : start + size]
        self.next = Place(start + size) if len(found) > start + size else None
        self.previous = Place(max(0, start - size)) if start else None
        files = {file.pk: file for file in queryset.filter(pk__in=page)}
        return [files[pk] for pk in page if pk in files]

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        """Describe the parameters."""
        schema = {"type": "string", "minLength": 1, "maxLength": LONGEST, "pattern": r"^[^\u0000]*$"}
        asked = {"name": "q", "in": "query", "description": DESCRIPTION, "schema": schema, "example": "harbour"}
        return [*super().get_schema_operation_parameters(view), asked]


@dataclass(frozen=True)
class Place:
    """A place in the list of hits: after so many of them."""

    start: int

    def __str__(self) -> str:
        return urlsafe_b64encode(f"q={self.start}".encode()).decode()


def _terms(request: Request) -> list[Term]:
    asked = request.query_params["q"]
    if "\0" in asked or len(asked) > LONGEST:
        refuse("q", f"Write at most {LONGEST} characters, and no NUL.")
    return read(asked)


def _start(request: Request) -> int:
    token = request.query_params.get("cursor")
    if token is None:
        return 0
    try:
        name, _, start = urlsafe_b64decode(token).decode("ascii").partition("=")
        if name == "q" and start.isdecimal() and int(start[:9]) <= RANKED:
            return int(start[:9])
    except ValueError:
        pass
    raise NotFound("There is no such page: follow the URLs in next and previous.")


def _matches(texts: dict[str, str], terms: list[Term]) -> list[dict[str, str]]:
    found = ((who or "name", excerpt(text, terms)) for who, text in texts.items())
    return [{"in": who, "excerpt": piece} for who, piece in found if piece]
