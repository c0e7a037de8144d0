"""Text out of files: decoded, without control characters, bounded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

MAX_CHARACTERS = 1000
MAX_TEXTS = 50
XMP_KEY = "XML:com.adobe.xmp"
NOT_TEXT = (XMP_KEY, "compression", "Raw profile type")


def clean(value: object) -> str | None:
    """Return ``value`` as text that a database and a page can hold, or None where nothing legible is left.

    Text ends at the first NUL, as it does for the programs that write it.
    """
    if isinstance(value, str):
        value = _undo_latin1(value)
    elif isinstance(value, bytes):
        value = _decode(value)
    else:
        return None
    value = value.partition("\0")[0][: 4 * MAX_CHARACTERS]
    legible = "".join(filter(_is_legible, value)).strip()
    return legible[:MAX_CHARACTERS] or None


def _is_legible(character: str) -> bool:
    # Control characters, lone surrogates and marks that turn the reading direction are not printable.
    return character.isprintable() or character in "\n\t\u00a0\u3000"


def _decode(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


def _undo_latin1(value: str) -> str:
    """Decode UTF-8 that Pillow took for Latin-1; any other text stays as it is."""
    try:
        return value.encode("latin-1").decode()
    except UnicodeError:
        return value


def texts(info: Mapping[Any, Any]) -> dict[str, str]:
    """Return the comments and text chunks among what Pillow noted about an image."""
    found: dict[str, str] = {}
    for key, value in info.items():
        if not isinstance(key, str) or key.startswith(NOT_TEXT) or len(found) == MAX_TEXTS:
            continue
        is_text = isinstance(value, str) or (key == "comment" and isinstance(value, bytes))
        name, text = clean(key), clean(value) if is_text else None
        if name and text:
            found[name[:100]] = text
    return found
