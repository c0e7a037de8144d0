"""The embedded broker: kombu's filesystem transport, made safe against half-written and unreadable messages."""

from __future__ import annotations

import contextlib
import logging
import os
import time
import uuid
from pathlib import Path
from queue import Empty
from typing import Any

from kombu.transport import filesystem
from kombu.utils.json import dumps, loads

logger = logging.getLogger(__name__)


class Channel(filesystem.Channel):
    """Keeps each message in a file of its own, in a folder per queue, oldest first by name.

    A message that a killed worker had taken is gone; the sweeper publishes it again, since the database is the truth.
    """

    def _queue_bind(self, *binding: Any) -> None:
        """Do nothing: only the default exchange is used, and kombu's file of bindings can be read half-written."""

    def get_table(self, exchange: str) -> list[Any]:
        return []

    def _put(self, queue: str, payload: Any, **kwargs: Any) -> None:  # type: ignore[override]  # kombu's own two differ
        name = f"{time.time_ns():020d}-{uuid.uuid4().hex}"
        # Written aside and renamed: a consumer never sees half a message.
        aside = self._folder(queue) / f"{name}.part"
        aside.write_text(dumps(payload))
        aside.rename(aside.with_suffix(".msg"))

    def _get(self, queue: str, timeout: float | None = None) -> dict[str, Any]:
        for message in self._messages(queue):
            taken = message.with_suffix(".taken")
            try:
                message.rename(taken)
            except FileNotFoundError:
                continue
            try:
                payload: dict[str, Any] = loads(taken.read_text())
                return payload
            except ValueError:
                logger.warning("Dropped an unreadable message: %s", message.name)
            finally:
                taken.unlink(missing_ok=True)
        raise Empty

    def _size(self, queue: str) -> int:
        return len(self._messages(queue))

    def _purge(self, queue: str) -> int:
        purged = 0
        for message in self._messages(queue):
            with contextlib.suppress(FileNotFoundError):
                message.unlink()
                purged += 1
        return purged

    def _messages(self, queue: str) -> list[Path]:
        folder = self._folder(queue)
        return [folder / name for name in sorted(os.listdir(folder)) if name.endswith(".msg")]

    def _folder(self, queue: str) -> Path:
        folder = Path(self.data_folder_in, queue)
        folder.mkdir(parents=True, exist_ok=True)
        return folder


class Transport(filesystem.Transport):
    """Named in the settings as ``config.broker:Transport``."""

    Channel = Channel
    polling_interval = 0.02
