"""Counts are those of the whole text, wherever it is cut into pieces."""

from __future__ import annotations

from typing import Any

import pytest

from picasso_text.counting import TextCounter

TEXTS = {
    "plain": "one two\nthree four five\n\nsix",
    "windows": "eins zwei\r\ndrei\r\n",
    "old mac": "one\rtwo three\r\rfour",
    "mixed": "a\nb\r\nc\rd\r\r\n\n\re",
    "wide": "灯台\u3000の 朝 \tö\n",
    "blank": " \t \n",
    "nothing": "",
}


def count(pieces: list[str]) -> dict[str, Any]:
    counter = TextCounter()
    for piece in pieces:
        counter.add(piece, piece.encode())
    counter.finish()
    return counter.facts()


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
def test_counts_do_not_depend_on_where_the_text_is_cut(text: str) -> None:
    whole = count([text])
    assert all(count([text[:cut], text[cut:]]) == whole for cut in range(len(text) + 1))
    assert count(list(text)) == whole


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
def test_counts_are_what_python_says_of_the_text_in_one_piece(text: str) -> None:
    facts = count([text])
    lines = text.replace("\r\n", "\n").replace("\r", "\n").removesuffix("\n").split("\n") if text else []
    assert facts["words"] == len(text.split())
    assert facts["characters"] == len(text)
    assert facts["lines"] == len(lines)
    assert facts["longest_line"] == max(map(len, lines), default=0)


def test_a_no_break_space_keeps_a_word_together() -> None:
    assert count(["5\u00a0km to the light"])["words"] == 4


@pytest.mark.parametrize(
    ("text", "kind", "counts"),
    [
        ("a\nb\n", "lf", {"lf": 2, "crlf": 0, "cr": 0}),
        ("a\r\nb\r\n", "crlf", {"lf": 0, "crlf": 2, "cr": 0}),
        ("a\rb\r", "cr", {"lf": 0, "crlf": 0, "cr": 2}),
        ("a\nb\r\nc\rd", "mixed", {"lf": 1, "crlf": 1, "cr": 1}),
        ("a", None, {"lf": 0, "crlf": 0, "cr": 0}),
    ],
)
def test_names_the_line_ends(text: str, kind: str | None, counts: dict[str, int]) -> None:
    facts = count([text])
    assert (facts["newlines"], facts["newline_counts"]) == (kind, counts)


def test_the_preview_is_500_characters_with_plain_line_ends_and_nothing_that_cannot_be_stored() -> None:
    assert count(["a\r\nb\0\x1b[1mc\td" + "e" * 1000])["preview"] == "a\nb[1mc\td" + "e" * 491
