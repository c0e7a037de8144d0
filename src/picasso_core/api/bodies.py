"""JSON bodies: taken as the contract says and no other way, since a typing error must not do something else."""

from __future__ import annotations

import json
from difflib import get_close_matches
from typing import Any

from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail, ValidationError


class Body(serializers.Serializer[Any]):
    """An object without members that are not described."""

    def to_internal_value(self, data: Any) -> Any:
        """Read it. Raises ``ValidationError``."""
        known = list(self.fields)
        unknown = {
            # What is no text cannot be sent back.
            name.encode(errors="replace").decode(): ErrorDetail(
                f"There is no such member: {_hint(name, known)}", "unknown_member"
            )
            for name in (data if isinstance(data, dict) else ())
            if name not in known
        }
        if unknown:
            raise ValidationError(unknown)
        return super().to_internal_value(data)


class Text(serializers.CharField):
    """A string, and not a number that could be written as one."""

    default_error_messages = {"invalid": "Write a string."}

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"trim_whitespace": False, **options})

    def to_internal_value(self, data: Any) -> str:
        """Read it. Raises ``ValidationError``."""
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class Flag(serializers.BooleanField):
    """``true`` or ``false``."""

    def to_internal_value(self, data: Any) -> bool:
        """Read it. Raises ``ValidationError``."""
        if not isinstance(data, bool):
            raise ValidationError("Write true or false.", "invalid")
        return data


class List(serializers.ListField):
    """A list, also where it has one member."""

    default_error_messages = {"empty": "It is empty: name some, or leave it out."}

    def to_internal_value(self, data: Any) -> list[Any]:
        """Read it. Raises ``ValidationError``."""
        if not isinstance(data, list):
            example = f", also of one: {json.dumps([data])}" if isinstance(data, str) and len(data) <= 64 else ""
            raise ValidationError(f"Write a list of strings{example}.", "not_a_list")
        members: list[Any] = super().to_internal_value(data)
        return members


class Word(serializers.ChoiceField):
    """One of a few strings."""

    def to_internal_value(self, data: Any) -> Any:
        """Read it. Raises ``ValidationError``."""
        if not isinstance(data, str) or data not in self.choices:
            raise ValidationError(f"Choose among {', '.join(map(str, self.choices))}.", "invalid_choice")
        return super().to_internal_value(data)


def _hint(name: str, known: list[str]) -> str:
    close = get_close_matches(name, known, 1)
    return f"did you mean {close[0]!r}?" if close else f"there are {', '.join(known)}."
