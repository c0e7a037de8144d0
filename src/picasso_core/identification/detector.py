"""The detector underneath: pure-magic-rs, which reads libmagic's rules in memory-safe code."""

from __future__ import annotations

from pure_magic_rs import MagicDb

from picasso_core.identification.aliases import normalise

_database = MagicDb()
# The first question makes it count the machine's processors, which it may not look at once confined.
_database.best_magic_buffer(b"warm up")

# Rules that one file of noise in a few thousand meets: believed only under a name that agrees.
_NEEDS_NAME = {
    "application/marc": "mrc marc",
    "application/vnd.microsoft.portable-executable": "exe dll com sys scr ocx efi",
    "application/x-adobe-aco": "aco",
    "application/x-arc": "arc ark",
    "application/x-coff-executable": "o obj exe",
    "application/x-ibm-dsk": "dsk",
    "application/x-ibm-rom": "",
    "application/x-tex-tfm": "tfm",
    "application/zlib": "zlib zz z",
    "audio/aac": "aac",
    "audio/mpeg": "mp3 mp2 mp1 mpga",
    "audio/x-mp4a-latm": "latm loas",
    "audio/x-syx": "syx",
    "font/x-amiga-font": "font",
    "image/g3fax": "g3 fax",
    "image/x-3ds": "3ds",
    "image/x-award-bioslogo": "",
    "image/x-tga": "",
    "text/csv": "",
    "text/html": "",
}


def detect(data: bytes, extension: str) -> str:
    """What the detector calls a file that starts with ``data``; nothing if that is no more than "bytes" or "text"."""
    try:
        found = normalise(_database.best_magic_buffer(data).mime_type)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException:  # a panic in Rust arrives as a BaseException
        return ""
    if found in ("application/octet-stream", "text/plain"):
        return ""
    if found in _NEEDS_NAME and not data.startswith(b"MZ") and extension not in _NEEDS_NAME[found].split():
        return ""
    return found
