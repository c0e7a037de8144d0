"""From a file's bytes to its media type, with the evidence: runs in the sandbox, on files nobody has vouched for."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from picasso_core.identification.aliases import normalise
from picasso_core.identification.detector import detect
from picasso_core.identification.frames import media_type_of_frames
from picasso_core.identification.images import media_type_of_image
from picasso_core.identification.keys import media_type_of_key
from picasso_core.identification.mail import media_type_of_mail
from picasso_core.identification.marks import media_type_of_mark
from picasso_core.identification.markup import media_type_of_markup
from picasso_core.identification.media import media_type_of_media
from picasso_core.identification.names import names_a_text, names_prose_or_code, refine
from picasso_core.identification.ole import media_type_of_ole
from picasso_core.identification.structure import media_type_of_structure, media_type_of_table
from picasso_core.identification.text import text_of
from picasso_core.identification.window import Window
from picasso_core.identification.zips import media_type_of_zip

__all__ = ["Evidence", "Identification", "identify"]

UNKNOWN = "application/octet-stream"
EMPTY = "application/x-empty"
_BY_HEADER = (
    ("mark", media_type_of_mark),
    ("media", media_type_of_media),
    ("frames", media_type_of_frames),
    ("image", media_type_of_image),
    ("key", media_type_of_key),
)
_ZIP_STARTS = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08PK\x03\x04", b"PK00PK\x03\x04")
_ZIP_END = b"PK\x05\x06"
_OLE_START = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_PDF_END = re.compile(rb"startxref|%%EOF")
# What the detector may call text besides the subtypes of text.
_SEEN_IN_TEXT = ("application/vnd.flatpak.ref", "image/vnd.dxf", "model/vrml")


@dataclass(frozen=True, slots=True)
class Evidence:
    """One voice: who spoke, the media type it named, and why."""

    by: str
    says: str
    why: str = ""


@dataclass(frozen=True, slots=True)
class Identification:
    """The media type decided on, and the voices heard, the deciding one last."""

    media_type: str
    evidence: tuple[Evidence, ...]


def identify(
    path: Path, *, name: str = "", declared: str = "", signatures: Sequence[tuple[int, bytes, str]] = ()
) -> Identification:
    """Say what kind of file lies at ``path``.

    ``signatures`` are what plugins taught and win over everything else. ``name`` and ``declared`` are the uploader's
    words: they narrow what the bytes say and never contradict it. No content makes this raise.
    """
    with path.open("rb") as file:
        window = Window(file, path.stat().st_size, name)
        return _identify(window, declared, signatures)


def _identify(window: Window, declared: str, signatures: Sequence[tuple[int, bytes, str]]) -> Identification:
    if not window.size:
        return Identification(EMPTY, (Evidence("content", EMPTY, "no bytes"),))
    taught = _taught(window, signatures)
    if taught:
        return Identification(taught.says, (taught,))
    found = _from_bytes(window)
    evidence = [found]
    claimed = normalise(declared)
    refined, by = refine(found.says, window.name, window.extension, declared)
    if refined and refined != found.says:
        evidence.append(Evidence(by, refined, f"narrows {found.says}"))
    decided = evidence[-1].says
    if claimed not in ("", UNKNOWN, *(voice.says for voice in evidence)):
        evidence.insert(0, Evidence("declared", claimed, "the bytes say otherwise"))
    return Identification(decided, tuple(evidence))


def _taught(window: Window, signatures: Sequence[tuple[int, bytes, str]]) -> Evidence | None:
    for offset, mark, media_type in signatures:
        if mark and window.read(offset, len(mark)) == mark:
            return Evidence("signature", normalise(media_type) or UNKNOWN, f"{len(mark)} bytes at {offset}")
    return None


def _from_bytes(window: Window) -> Evidence:
    """What the bytes alone say: what cannot be mistaken first, then text, then the detector underneath."""
    head = window.head
    if head.startswith(_ZIP_STARTS):
        return Evidence("zip", media_type_of_zip(window), "the names of its members")
    if head.startswith(_OLE_START):
        return Evidence("ole", media_type_of_ole(window), "its directory")
    if head.startswith(b"%PDF-"):
        return Evidence("pdf", "application/pdf", "its header")
    for by, sniff in _BY_HEADER:
        found = sniff(window)
        if found:
            return Evidence(by, found, "its header")
    if b"%PDF-" in head[:1029] and _PDF_END.search(window.tail(2048)):
        return Evidence("pdf", "application/pdf", "its header, behind something else")
    text = text_of(window)
    if text is not None:
        return _from_text(window, text)
    found = media_type_of_mail(head, window.extension)
    if found:
        return Evidence("mail", found, "its header fields")
    found = detect(head, window.extension)
    if found in ("", "application/zip") and _ZIP_END in window.tail(1024):
        return Evidence("zip", media_type_of_zip(window), "the names of its members, behind something else")
    if found:
        return Evidence("pure-magic", found, "its start")
    return Evidence("content", UNKNOWN, "nobody knows it")


def _from_text(window: Window, text: str) -> Evidence:
    found = media_type_of_mail(window.head, window.extension)
    if found:
        return Evidence("mail", found, "its header fields")
    found = media_type_of_structure(text, window)
    if found:
        return Evidence("text", found, "its structure")
    found = media_type_of_markup(text, window.extension, cautious=names_prose_or_code(window.extension))
    if found:
        return Evidence("markup", found, "its first elements")
    # Source code and prose look alike: the detector is asked where the name does not already tell.
    if not names_a_text(window.name, window.extension):
        found = detect(window.head, window.extension)
        if found and (found in _SEEN_IN_TEXT or found.startswith("text/")):
            return Evidence("pure-magic", found, "its words")
        found = media_type_of_table(text)
        if found:
            return Evidence("text", found, "equal rows")
    return Evidence("text", "text/plain", "readable characters")
