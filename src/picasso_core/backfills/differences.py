"""What differs between two results: their data member by member, and their artifacts byte by byte."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from difflib import SequenceMatcher
from typing import Any

from django.core.files.storage import default_storage

from ..models import Artifact

CHUNK = 256 * 1024
LINED_UP = 500
"""Longer lists are compared place by place: to find what was put in between would take too long."""


def of_data(old: Any, new: Any, path: str = "") -> Iterator[dict[str, Any]]:
    """Yield ``path``, ``old`` and ``new`` of each difference; without ``old`` it was added, without ``new`` removed.

    The path is a JSON Pointer (RFC 6901); in a list it counts as ``new`` does, or as ``old`` where that is removed.
    """
    left = [(path, {"old": old, "new": new})]
    while left:
        path, pair = left.pop()
        old, new = pair.get("old"), pair.get("new")
        if len(pair) == 2 and isinstance(old, dict) and isinstance(new, dict):
            left += reversed(list(_members(path, old, new)))
        elif len(pair) == 2 and isinstance(old, list) and isinstance(new, list):
            left += reversed(list(_items(path, old, new)))
        elif len(pair) == 1 or _canonical(old) != _canonical(new):
            yield {"path": path, **pair}


def of_artifacts(old: Iterable[Artifact], new: Iterable[Artifact]) -> dict[str, list[str]]:
    """Return the names of the artifacts that were added, removed and changed."""
    before, after = ({artifact.name: artifact for artifact in artifacts} for artifacts in (old, new))
    return {
        "added": sorted(after.keys() - before.keys()),
        "removed": sorted(before.keys() - after.keys()),
        "changed": sorted(name for name in before.keys() & after.keys() if not _equal(before[name], after[name])),
    }


def _members(path: str, old: dict[str, Any], new: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for key in sorted(old.keys() | new.keys()):
        pair = {name: side[key] for name, side in (("old", old), ("new", new)) if key in side}
        yield f"{path}/{key.replace('~', '~0').replace('/', '~1')}", pair


def _items(path: str, old: list[Any], new: list[Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Line the two up, so that what is put in or taken out does not make all that follows differ."""
    if max(len(old), len(new)) > LINED_UP:
        blocks: Sequence[tuple[str, int, int, int, int]] = [("replace", 0, len(old), 0, len(new))]
    else:
        texts = [_canonical(item) for item in old], [_canonical(item) for item in new]
        blocks = SequenceMatcher(None, *texts, autojunk=False).get_opcodes()
    for what, i, i_end, j, j_end in blocks:
        if what == "equal":
            continue
        both = min(i_end - i, j_end - j)
        yield from ((f"{path}/{j + n}", {"old": old[i + n], "new": new[j + n]}) for n in range(both))
        yield from ((f"{path}/{n}", {"old": old[n]}) for n in range(i + both, i_end))
        yield from ((f"{path}/{n}", {"new": new[n]}) for n in range(j + both, j_end))


def _canonical(value: Any) -> str:
    # To Python 1, 1.0 and True are equal.
    return json.dumps(value, sort_keys=True)


def _equal(old: Artifact, new: Artifact) -> bool:
    if (old.media_type, old.size) != (new.media_type, new.size):
        return False
    try:
        with default_storage.open(old.key) as before, default_storage.open(new.key) as after:
            while chunk := before.read(CHUNK):
                if chunk != after.read(CHUNK):
                    return False
    except FileNotFoundError:
        return False
    return True
