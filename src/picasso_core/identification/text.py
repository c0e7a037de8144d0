"""Whether bytes are text at all, and the characters to look at if they are."""

from __future__ import annotations

import codecs

from picasso_core.identification.window import Window

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
# What text may hold below the space: bell, backspace, tab, line ends, form feed, the DOS end of file, escape.
_CONTROLS = bytes(set(range(32)) - {7, 8, 9, 10, 11, 12, 13, 26, 27}) + b"\x7f"
_ASCII = bytes(range(128))


def text_of(window: Window) -> str | None:
    """The characters of the head when the whole file looks like text, else nothing."""
    for mark, encoding in _MARKS:
        if window.head.startswith(mark):
            return _decoded(window.head[len(mark) :], encoding)
    wide = _wide_encoding(window.head)
    if wide:
        return _decoded(window.head, wide)
    pieces = [window.head, *window.samples(16, 4096)]
    data = b"".join(pieces)
    strange = len(data) - len(data.translate(None, _CONTROLS))
    if b"\0" in window.head[:512] or strange * 400 > len(data):
        return None
    text = _utf8(window.head)
    if text is not None:
        return text
    return window.head.decode("latin-1") if _is_legacy(window.head, strange) else None


def _decoded(data: bytes, encoding: str) -> str | None:
    text = data.decode(encoding, "replace")
    wrong = sum(text.count(character) for character in ("\0", "\ufffd", "\ufffe", "\uffff"))
    return text if wrong * 50 <= len(text) else None


def _utf8(data: bytes) -> str | None:
    """``data`` as UTF-8, forgiving a character that the window cut."""
    try:
        return codecs.getincrementaldecoder("utf-8")().decode(data)
    except UnicodeDecodeError:
        return None


def _wide_encoding(head: bytes) -> str:
    """UTF-16 without a mark: many bytes on one side are zero, hardly any on the other, and the result can be read."""
    sample = head[: min(len(head), 2048) & ~1]
    for encoding, high, low in (("utf-16-le", sample[1::2], sample[::2]), ("utf-16-be", sample[::2], sample[1::2])):
        if len(high) >= 8 and high.count(0) * 10 >= len(high) * 6 and not low.count(0):
            text = sample.decode(encoding, "replace")
            readable = sum(character.isprintable() or character in "\r\n\t\f" for character in text)
            if readable * 100 >= len(text) * 99:
                return encoding
    return ""


def _is_legacy(data: bytes, strange: int) -> bool:
    """Text in an old encoding has long runs of letters; packed bytes have every value equally often."""
    if strange:
        return strange * 2000 < len(data) and _share_of_ascii(data) > 0.7
    if len(data) < 32:
        return _share_of_ascii(data) > 0.5
    return True


def _share_of_ascii(data: bytes) -> float:
    return 1 - len(data.translate(None, _ASCII)) / max(len(data), 1)
