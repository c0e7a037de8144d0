"""Which Files or Jobs a body means: the filters of a list as members, or ``all``; never all by accident."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db.models import QuerySet
from django.http import QueryDict
from django_filters import rest_framework as filters
from django_filters.utils import translate_validation
from drf_spectacular.drainage import get_override
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail, ValidationError
from rest_framework.request import Request

from ..moments import written
from .bodies import Body, Flag, List, Text
from .filters import TimeField, refuse_blank


class Question(Body):
    """The members that ``filters`` has, each of its JSON type, and ``all``."""

    def __init__(self, filters: type[filters.FilterSet], **options: Any) -> None:
        """Take the filters from there."""
        super().__init__(**options)
        self.filters = filters

    def get_fields(self) -> dict[str, Any]:
        """Make a field for each filter, which looks closer at its text."""
        return {**{name: _field(each) for name, each in self.filters.base_filters.items()}, "all": Flag(required=False)}

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Leave nobody in doubt about what is meant. Raises ``ValidationError``."""
        wanted = attrs.pop("all", False)
        if wanted and attrs:
            sentence = "Everything, or what the other members say: leave one of them out."
            raise ValidationError({"all": ErrorDetail(sentence, "contradiction")})
        if not wanted and not attrs:
            sentence = f'Say which: {", ".join(self.filters.base_filters)}; or {{"all": true}} for everything there is.'
            raise ValidationError({"all": ErrorDetail(sentence, "required")})
        return attrs


def read(request: Request, filters: type[filters.FilterSet]) -> dict[str, Any]:
    """Return what is asked for, by the names of filters; nothing is everything. Raises ``ValidationError``."""
    question = Question(filters, data=request.data)
    question.is_valid(raise_exception=True)
    return dict(question.validated_data)


def narrow(asked: dict[str, Any], filters: type[filters.FilterSet], rows: QuerySet[Any]) -> QuerySet[Any]:
    """Return those of ``rows`` that are asked for. Raises ``ValidationError``."""
    data = QueryDict(mutable=True)
    for name, value in asked.items():
        data.setlist(name, value if isinstance(value, list) else [_text(value)])
    filterset = filters(data, queryset=rows)
    if not filterset.is_valid():
        raise translate_validation(filterset.errors)  # type: ignore[misc]
    refuse_blank(filterset, asked)
    narrowed: QuerySet[Any] = filterset.qs
    return narrowed


def onwards(asked: dict[str, Any], name: str, moment: datetime) -> dict[str, Any]:
    """Return the body that asks for the rest of the same: what had come by ``moment``, or by the earlier ``name``."""
    until = min(TimeField().to_python(asked[name]), moment) if name in asked else moment
    return {**asked, name: written(until)}


def schema(filters: type[filters.FilterSet]) -> dict[str, Any]:
    """Describe such a body."""
    members = {name: _schema(each) for name, each in sorted(filters.base_filters.items())}
    return {
        "oneOf": [
            {
                "title": "Those that match all of these",
                "type": "object",
                "minProperties": 1,
                "properties": members,
                "additionalProperties": False,
            },
            {
                "title": "All there are",
                "type": "object",
                "required": ["all"],
                "properties": {"all": {"type": "boolean", "enum": [True]}},
                "additionalProperties": False,
            },
        ]
    }


def _schema(each: filters.Filter) -> dict[str, Any]:
    described = dict(get_override(each, "field"))
    if not isinstance(each, filters.MultipleChoiceFilter):
        return described
    sentence = described.pop("description")
    return {"type": "array", "minItems": 1, "items": described, "description": sentence}


def _field(each: filters.Filter) -> serializers.Field[Any, Any, Any, Any]:
    if isinstance(each, filters.MultipleChoiceFilter):
        return List(child=Text(), allow_empty=False, required=False)
    return (Flag if get_override(each, "field")["type"] == "boolean" else Text)(required=False)


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else value
