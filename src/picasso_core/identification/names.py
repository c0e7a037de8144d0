"""What a file's name, or the type that the client declared, may add to what the bytes said; never against them."""

from __future__ import annotations

from picasso_core.identification.aliases import normalise
from picasso_core.identification.extensions import FILES, PROSE, TEXTS
from picasso_core.identification.refinements import REFINEMENTS

_MARKUP = ("text/html", "text/sgml", "text/x-php", "application/xml", "application/xml-external-parsed-entity")


def refine(media_type: str, name: str, extension: str, declared: str) -> tuple[str, str]:
    """The type that the name or the client's word narrows ``media_type`` to, and which of the two; or nothing twice.

    Only what the table lists under ``media_type`` counts, so a picture stays one whatever it is called.
    """
    allowed = REFINEMENTS.get(media_type)
    if not allowed:
        return "", ""
    if media_type == "text/plain" and name in FILES:
        return FILES[name], "name"
    if extension in allowed:
        return allowed[extension], "name"
    if extension in PROSE or extension == "zip":
        return "", ""
    claimed = normalise(declared)
    return (claimed, "declared") if claimed in allowed.values() else ("", "")


def names_a_text(name: str, extension: str) -> bool:
    """Whether the name says what kind of text a text is."""
    return extension in PROSE or extension in TEXTS or name in FILES


def names_prose_or_code(extension: str) -> bool:
    """Whether the extension belongs to text that may well begin with a tag and is no markup for all that."""
    return extension in PROSE or (extension in TEXTS and TEXTS[extension] not in _MARKUP)
