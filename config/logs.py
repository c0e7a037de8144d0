"""What of other people's log lines is worth reading here."""

import logging
import time

SAID_ALREADY = (503, 507)
"""Answers of which picasso_core.api.errors has logged the reason."""


class AnswersWorthALine(logging.Filter):
    """Of Django's lines about answers: a client's mistake at DEBUG alone, and no second line about an outage."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the line is written."""
        status = getattr(record, "status_code", 500)
        if status in SAID_ALREADY:
            return False
        if status < 500:
            record.levelno, record.levelname = logging.DEBUG, "DEBUG"
            return logging.getLogger("picasso_core").isEnabledFor(logging.DEBUG)
        return True


class NotAgain(logging.Filter):
    """Let a message through once in five seconds: psycopg's pool repeats itself for each connection that it tries."""

    SECONDS = 5.0

    def __init__(self, name: str = "") -> None:
        super().__init__(name)
        self._said: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the line is written."""
        message, now = record.getMessage(), time.monotonic()
        if now < self._said.get(message, -self.SECONDS) + self.SECONDS:
            return False
        self._said = {message: now}
        return True
