"""Count lines, words and characters of a text that comes in pieces."""

from __future__ import annotations

from typing import Any

PREVIEW = 500
# What no text contains: controls other than tab, line feed, vertical tab, form feed, carriage return and escape.
CONTROLS = bytes([*range(9), *range(14, 27), *range(28, 32), 127])
SPACES_OR_NOT = bytes(ord(" " if code in b" \t\n\v\f\r" else "x") for code in range(256))
IDEOGRAPHIC_SPACE = "\u3000".encode()


class TextCounter:
    """Take the pieces one after the other, then ``finish``; no loop over lines, so that a log runs through quickly."""

    def __init__(self) -> None:
        self.characters = self.words = self.longest_line = self.controls = 0
        self.newlines = {"lf": 0, "crlf": 0, "cr": 0}
        self.preview = ""
        self._line = 0
        self._in_word = False
        self._pending = ""

    def add(self, text: str, encoded: bytes) -> None:
        """Count the next piece; ``encoded`` is the same piece in UTF-8."""
        self.characters += len(text)
        self.controls += len(encoded) - len(encoded.translate(None, CONTROLS))
        if len(self.preview) < PREVIEW:
            self.preview = (self.preview + text[: PREVIEW * 2])[: PREVIEW * 2]
        self._count_words(encoded)
        text = self._pending + text
        self._pending = ""
        if text.endswith("\r"):  # half of a CR LF, perhaps
            text, self._pending = text[:-1], "\r"
        self._count_lines(text)

    def finish(self) -> None:
        """Count what waited for the next piece."""
        self._count_lines(self._pending)
        self._pending = ""
        self.longest_line = max(self.longest_line, self._line)

    def _count_words(self, encoded: bytes) -> None:
        # Three times as fast as split(): a word begins where a space is followed by none. As for wc, white space is
        # that of ASCII and the ideographic space; a no-break space keeps a word together.
        marks = encoded.replace(IDEOGRAPHIC_SPACE, b" ").translate(SPACES_OR_NOT)
        self.words += (marks if self._in_word else b" " + marks).count(b" x")
        self._in_word = marks.endswith(b"x") if marks else self._in_word

    def _count_lines(self, text: str) -> None:
        crlf = text.count("\r\n")
        self.newlines["crlf"] += crlf
        self.newlines["cr"] += text.count("\r") - crlf
        self.newlines["lf"] += text.count("\n") - crlf
        if "\r" in text:
            text = text.replace("\r\n", "\n").replace("\r", "\n")
        lengths = [len(line) for line in text.split("\n")]
        lengths[0] += self._line
        self.longest_line = max(self.longest_line, *lengths[:-1], 0)
        self._line = lengths[-1]

    def facts(self) -> dict[str, Any]:
        """Return what goes into the result's data."""
        used = [name for name, count in self.newlines.items() if count]
        return {
            "newlines": used[0] if len(used) == 1 else "mixed" if used else None,
            "newline_counts": dict(self.newlines),
            "lines": sum(self.newlines.values()) + (1 if self._line else 0),
            "words": self.words,
            "characters": self.characters,
            "longest_line": self.longest_line,
            "preview": self._shown(),
        }

    def _shown(self) -> str:
        # Out and in again: no lone surrogate can be stored.
        text = self.preview.encode("utf-8", "replace").decode().replace("\r\n", "\n").replace("\r", "\n")
        return "".join(c for c in text if c in "\t\n" or (c >= " " and not "\x7f" <= c <= "\x9f"))[:PREVIEW]
