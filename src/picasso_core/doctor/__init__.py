"""Examine everything: the parts, the rows, and every row against its bytes; and mend what can be mended."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from . import contents, parts, rows
from .findings import Finding

__all__ = ["Finding", "examine"]


def examine(*, repair: bool, quick: bool, progress: Callable[[str, int, int], None]) -> Iterator[Finding]:
    """Yield what is wrong as it is found; ``progress`` is told of what, how many of how many are done.

    With ``quick`` no byte is read. Raises ``DatabaseError`` if the database goes away on the way.
    """
    yield from parts.storage()
    yield from parts.scratch()
    yield from parts.broker()
    database = list(parts.database())
    yield from database
    if database:
        return
    yield from parts.processes()
    yield from parts.processors()
    yield from rows.stuck(repair)
    yield from rows.statuses(repair, progress)
    yield from contents.files(repair, quick, progress)
    yield from contents.artifacts(repair, progress)
    yield from contents.orphaned(repair, progress)
