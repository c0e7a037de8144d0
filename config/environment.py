"""Read settings from the environment and collect every mistake, so that one start shows all of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import environ
from django.core.exceptions import ImproperlyConfigured

T = TypeVar("T")
PERIODS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400}


class Environment:
    """The environment's variables; each reader returns the default where the value cannot be used."""

    def __init__(self) -> None:
        self._env = environ.Env()
        self._mistakes: list[str] = []

    def text(self, name: str, default: str = "") -> str:
        """Read a string."""
        return str(self._env.str(name, default=default))

    def names(self, name: str, default: list[str] | None = None) -> list[str]:
        """Read a comma-separated list; white space around its members does not count."""
        members = (member.strip() for member in self.text(name, ",".join(default or [])).split(","))
        return [member for member in members if member]

    def yes(self, name: str, default: bool) -> bool:
        """Read ``true`` or ``false``."""
        value = self.text(name, str(default)).lower()
        if value not in ("true", "false"):
            self.mistake(f"{name} is {value!r}: write true or false.")
            return default
        return value == "true"

    def integer(self, name: str, default: int, at_least: int = 0) -> int:
        """Read a whole number."""
        value = self._read(name, lambda: int(self.text(name, str(default))), default, "write a whole number")
        if value < at_least:
            self.mistake(f"{name} is {value}: it must be at least {at_least}.")
        return value

    def rate(self, name: str) -> tuple[int, int] | None:
        """Read a number in a time, such as ``60/minute``, as number and seconds; None where there is none."""
        value = self.text(name)
        number, _, period = value.partition("/")
        if value and not (number.isdecimal() and int(number) > 0 and period in PERIODS):
            self.mistake(f"{name} is {value!r}: write a rate such as 60/minute, in {', '.join(PERIODS)}.")
            return None
        return (int(number), PERIODS[period]) if value else None

    def choice(self, name: str, default: str, among: tuple[str, ...]) -> str:
        """Read one of a few words."""
        value = self.text(name, default)
        if value not in among:
            self.mistake(f"{name} is {value!r}: choose one of {', '.join(among)}.")
            return default
        return value

    def database(self, name: str, default: str) -> dict[str, Any]:
        """Read the URL of a database as Django's settings for it."""
        url = self.text(name, default)
        nothing: dict[str, Any] = {}
        parsed = self._read(name, lambda: dict(self._env.db_url_config(url)), nothing, "write postgres://…")
        if parsed.get("ENGINE", "").rpartition(".")[2] not in ("sqlite3", "postgresql"):
            self.mistake(f"{name} is no URL of a SQLite or PostgreSQL database: write sqlite:///… or postgres://…")
            return dict(self._env.db_url_config(default))
        return parsed

    def mistake(self, sentence: str) -> None:
        """Note what is wrong and what to do about it."""
        if sentence not in self._mistakes:
            self._mistakes.append(sentence)

    def check(self) -> None:
        """Raise ``ImproperlyConfigured`` with a line for each mistake, if there are any."""
        if self._mistakes:
            raise ImproperlyConfigured("\n".join(self._mistakes))

    def _read(self, name: str, read: Callable[[], T], default: T, advice: str) -> T:
        try:
            return read()
        except ValueError:
            self.mistake(f"{name} is {self.text(name)!r}: {advice}.")
            return default
