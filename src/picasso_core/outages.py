"""What an operator reads when the database or the broker cannot be used, and how long to wait before the next try."""

from __future__ import annotations

import socket
import time

LACKING = ("42P01", "42703")
"""What PostgreSQL says of a table or a column that is not there."""


def database_trouble(error: Exception) -> str:
    """Say in a sentence why the database cannot be used and what to do."""
    said = " ".join(str(error).split())
    if is_outdated(error):
        return f"The database is not up to date: run manage.py migrate ({said.partition(' LINE ')[0]})."
    if type(error.__cause__).__name__ == "PoolTimeout":
        return f"PostgreSQL gives no connection: is it there, and is PICASSO_DATABASE_URL right ({said})?"
    return f"The database is away ({said})."


def is_outdated(error: Exception) -> bool:
    """Whether the database lacks a table or a column that Picasso needs."""
    of_sqlite = str(error).startswith(("no such table", "no such column")) or "has no column named" in str(error)
    return of_sqlite or getattr(error.__cause__, "sqlstate", "") in LACKING


def broker_trouble(error: Exception) -> str:
    """Say in a sentence why the broker cannot be used and what to do."""
    said = " ".join(str(error).split()).removesuffix(".")
    # Publishing, kombu makes an error of its own out of what the socket said.
    match getattr(error, "reply_code", None), error.__cause__ or error:
        case 403, _:
            return f"RabbitMQ refuses this user, password or queue: check PICASSO_BROKER_URL ({said})."
        case 530, _:
            return f"RabbitMQ lets this user into no such virtual host: check PICASSO_BROKER_URL ({said})."
        case _, socket.gaierror():
            return f"Nobody knows the host that PICASSO_BROKER_URL names ({said})."
        case _, OSError():
            return f"The broker does not answer: is it there, and is PICASSO_BROKER_URL right ({said})?"
    return f"The broker is away ({said or type(error).__name__})."


class Pauses:
    """A second after the first failure, then twice as long each time up to four; anew after a quiet minute."""

    def __init__(self) -> None:
        self._last = 0.0
        self._failed_at = 0.0

    def after_failure(self) -> float:
        """Return how many seconds to wait now."""
        now = time.monotonic()
        self._last = min(self._last * 2, 4.0) if self._last and now < self._failed_at + 60 else 1.0
        self._failed_at = now
        return self._last
