"""What a word is, in a text and in what somebody asks for, and where in the text it stands. Standard library only."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

# Scripts without spaces between words: each character is a word, and a run of them a phrase.
_ALONE = (
    r"\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
)
_WORD = re.compile(rf"[{_ALONE}]|[^\W_{_ALONE}]+")
_ACCENT = re.compile("[\u0300-\u036f]")
_ASKED = re.compile(r'(?P<minus>-?)(?:"(?P<phrase>[^"]*)"?|(?P<word>[^\s"]+))')
MAX_TERMS = 32
BEFORE, AFTER = 60, 120
"""Characters shown around a hit."""


@dataclass(frozen=True)
class Term:
    """Words that stand one after the other; the last may be the beginning of one."""

    words: tuple[str, ...]
    prefix: bool = False
    without: bool = False
    """What must not be there."""


def fold(text: str) -> str:
    """Make what is alike equal: capitals, accents, wide and narrow forms."""
    plain = unicodedata.normalize("NFKC", text).casefold()
    return unicodedata.normalize("NFC", _ACCENT.sub("", unicodedata.normalize("NFD", plain)))


def words(text: str) -> list[str]:
    """Return the words of a text as they are compared."""
    return _WORD.findall(fold(text))


def read(query: str) -> list[Term]:
    """Read what somebody asks for: words, ``"phrases"``, ``begin*`` and ``-without``; no text is an error.

    Returns nothing if there is no word to find.
    """
    terms = []
    for asked in _ASKED.finditer(query):
        text = asked["phrase"] if asked["phrase"] is not None else asked["word"]
        if found := words(text):
            terms.append(Term(tuple(found), prefix=text.endswith("*"), without=bool(asked["minus"])))
    terms = terms[:MAX_TERMS]
    return terms if any(not term.without for term in terms) else []


def excerpt(text: str, terms: Iterable[Term]) -> str:
    """Return a piece of the text with its first hits between « and »; empty if there is none."""
    pieces = [(match.start(), match.end(), fold(match[0])) for match in _WORD.finditer(text)]
    wanted = [term for term in terms if not term.without]
    hits = sorted({place for term in wanted for place in _places(pieces, term)})
    if not hits:
        return ""
    start = max(0, hits[0][0] - BEFORE)
    end = min(len(text), hits[0][1] + AFTER)
    shown, at = "", start
    for first, last in hits:
        if at <= first and last <= end:
            shown += f"{text[at:first]}«{text[first:last]}»"
            at = last
    shown = " ".join((shown + text[at:end]).split())
    return f"{'…' if start else ''}{shown}{'…' if end < len(text) else ''}"


def _places(pieces: Sequence[tuple[int, int, str]], term: Term) -> Iterator[tuple[int, int]]:
    """Yield where the term stands, from its first word's first character to its last word's end."""
    size = len(term.words)
    for at in range(len(pieces) - size + 1):
        here = pieces[at : at + size]
        exact = all(piece[2] == word for piece, word in zip(here[:-1], term.words[:-1], strict=True))
        last, word = here[-1][2], term.words[-1]
        if exact and (last.startswith(word) if term.prefix else last == word):
            yield here[0][0], here[-1][1]
