"""What an operator may decide about a processor: taken if it makes sense, else refused with what to write instead."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings

from .models import Backfill, Job, Offer, Switch
from .plugins import MEDIA_TYPE, NAME
from .processors import KiB, MiB
from .sandbox.outcome import UNSTORABLE

LEAST = {
    "seconds": 1,
    "cpu_seconds": 1,
    "memory": MiB,
    "output": 1,
    "result": KiB,
    "artifacts": 0,
    "silence": 1,
    "max_bytes": 1,
}
"""The limits that can be lowered, and how far."""
MOST_PATTERNS = 100
LARGEST = 2**63 - 1


@dataclass(frozen=True)
class Mistake:
    """What is wrong with one decision: a code for programs, a sentence for people."""

    code: str
    sentence: str


class Refused(ValueError):
    """Decisions that cannot be taken, by their names; ``unfit`` says that it is because of what the processor is."""

    def __init__(self, mistakes: Mapping[str, Mistake], *, unfit: bool) -> None:
        super().__init__(" ".join(mistake.sentence for mistake in mistakes.values()))
        self.mistakes = mistakes
        self.unfit = unfit


class UnknownProcessor(LookupError):
    """No worker has ever had it."""

    def __init__(self, name: str) -> None:
        super().__init__(f"No worker has ever had a processor {name!r}.")


class _Wrong(Exception):
    """One of them: a code and a sentence."""


def known(name: str) -> list[Offer]:
    """Return every offer of a processor that there has been. Raises ``UnknownProcessor``."""
    # PostgreSQL refuses to look for a NUL.
    offers = list(Offer.objects.filter(processor=name)) if NAME.fullmatch(name) else []
    if not offers:
        raise UnknownProcessor(name)
    return offers


def decide(name: str, asked: Mapping[str, object]) -> Switch:
    """Take decisions about a processor, which hold from the next claim on.

    Those that are not ``asked`` for stay. Raises ``UnknownProcessor`` and ``Refused``.
    """
    offers = known(name)
    fields = _each(asked, lambda field, value: _read(field, value), unfit=False)
    _each(fields, lambda field, value: _fit(field, value, name, offers), unfit=True)
    switch: Switch = Switch.objects.update_or_create(processor=name, defaults=fields)[0]
    return switch


def _each(values: Mapping[str, Any], check: Callable[[str, Any], Any], *, unfit: bool) -> dict[str, Any]:
    checked, mistakes = {}, {}
    for field, value in values.items():
        try:
            checked[field] = check(field, value)
        except _Wrong as wrong:
            mistakes[field] = Mistake(*wrong.args)
    if mistakes:
        raise Refused(mistakes, unfit=unfit)
    return checked


def _read(field: str, value: Any) -> Any:
    match field:
        case "enabled":
            return _yes(value)
        case "excluded":
            return _patterns(value)
        case "limits":
            return _limits(value)
        case "pinned":
            return _version(value)
        case "upgrades":
            return _upgrades(value)
    fields = "enabled, excluded, limits, pinned and upgrades"
    raise _Wrong("unknown_field", f"There is no such field: there are {fields}.")


def _yes(value: Any) -> bool:
    if not isinstance(value, bool):
        raise _Wrong("invalid", "Write true or false.")
    return value


def _patterns(value: Any) -> list[str]:
    if not isinstance(value, list) or len(value) > MOST_PATTERNS:
        raise _Wrong("invalid", f"Write a list of at most {MOST_PATTERNS} media types.")
    for pattern in value:
        if not isinstance(pattern, str) or len(pattern) > 255 or not MEDIA_TYPE.fullmatch(pattern):
            raise _Wrong("invalid", f"{str(pattern)[:100]!r} is no media type: write image/png, or image/* for all.")
        if pattern == "*/*":
            raise _Wrong("invalid", "*/* is everything: switch the processor off instead.")
    return sorted({pattern.lower() for pattern in value})


def _limits(value: Any) -> dict[str, int]:
    if not isinstance(value, dict):
        raise _Wrong("invalid", 'Write an object such as {"seconds": 10}; {} for no limits but its own.')
    for name, limit in value.items():
        if name not in LEAST:
            raise _Wrong("invalid", f"There is no limit {name[:100]!r}: there are {', '.join(LEAST)}.")
        whole = isinstance(limit, (int, float)) and not isinstance(limit, bool) and limit == limit // 1
        if not whole or not LEAST[name] <= limit <= LARGEST:
            raise _Wrong("invalid", f"{name} must be a whole number, at least {LEAST[name]}.")
    return {name: int(limit) for name, limit in value.items()}


def _version(value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, str) or not 0 < len(value) <= 64 or UNSTORABLE.search(value):
        raise _Wrong("invalid", "Write a version, or null for whichever is newest.")
    return value


def _upgrades(value: Any) -> str:
    if value is None:
        return ""
    if value not in Switch.Upgrades.values:
        raise _Wrong("invalid", f"Write {', '.join(Switch.Upgrades.values)}, or null for what the settings say.")
    return str(value)


def _fit(field: str, value: Any, name: str, offers: Iterable[Offer]) -> None:
    if field == "limits":
        for limit, lowered in value.items():
            most = _holds(limit, offers)
            if most is not None and lowered >= most:
                raise _Wrong("not_lower", f"{limit} is {most:.15g} anyway: a limit can only be lowered, write less.")
    if field == "pinned" and value and not _was_there(name, value, offers):
        versions = sorted({offer.version for offer in offers if offer.version})
        raise _Wrong("unknown_version", f"There has never been a version {value!r}: there are {', '.join(versions)}.")


def _holds(limit: str, offers: Iterable[Offer]) -> float | None:
    """Return what holds without an operator's limit for the processor: the ceiling, or less if it asks for less."""
    ceiling = getattr(settings.PICASSO_CEILINGS, limit, None)
    working = [offer for offer in offers if not offer.error]
    here = [offer for offer in working if not offer.withdrawn] or working
    asked = [offer.limits.get(limit) for offer in here]
    own = None if None in asked else max(asked, default=None)
    return min((most for most in (ceiling, own) if most is not None), default=None)


def _was_there(name: str, version: str, offers: Iterable[Offer]) -> bool:
    which = {"processor": name, "version": version}
    return (
        any(offer.version == version for offer in offers)
        or Backfill.objects.filter(**which).exists()
        # Its offers may have been forgotten. There is no index for this, and it is asked rarely.
        or Job.objects.filter(**which).order_by().exists()
    )
