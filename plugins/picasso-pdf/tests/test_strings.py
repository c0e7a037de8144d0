"""Dates, sizes and strings as people write them."""

from __future__ import annotations

from pathlib import Path

import pytest

from picasso_pdf.page_text import PageText
from picasso_pdf.paper import page_sizes, paper_name
from picasso_pdf.strings import clean_line, clean_page, iso_date


@pytest.mark.parametrize(
    ("raw", "iso"),
    [
        ("D:20260131120000+01'00'", "2026-01-31T12:00:00+01:00"),
        ("D:20260131120000Z", "2026-01-31T12:00:00+00:00"),
        ("D:20260131120000Z00'00'", "2026-01-31T12:00:00+00:00"),
        ("D:20260131120000-0330", "2026-01-31T12:00:00-03:30"),
        ("20260131120005", "2026-01-31T12:00:05"),
        ("D:202601311200", "2026-01-31T12:00:00"),
        ("D:20260131", "2026-01-31"),
        ("D:2026", "2026"),
        ("D:20261331", None),
        ("D:20260131250000", None),
        ("yesterday", None),
        ("", None),
    ],
)
def test_dates_become_iso_dates_or_nothing(raw: str, iso: str | None) -> None:
    assert iso_date(raw) == iso


@pytest.mark.parametrize(
    ("width", "height", "name"),
    [
        (595.3, 841.9, "A4"),
        (842, 595, "A4 landscape"),
        (612, 792, "Letter"),
        (610.5, 793.9, "Letter"),
        (600, 800, None),
    ],
)
def test_paper_is_named(width: float, height: float, name: str | None) -> None:
    assert paper_name(width, height) == name


def test_sizes_are_grouped_and_bounded() -> None:
    groups = page_sizes([(612, 792), (595, 842), (595.04, 842), *((1.0 * n, 1.0) for n in range(100))])
    assert groups[0] == {"width": 595, "height": 842, "label": "A4", "pages": 2}
    assert len(groups) == 20


@pytest.mark.parametrize(
    ("raw", "line"),
    [("a\0b\nc", "a b c"), ("\ud800x", "x"), (b"caf\xe9", "café"), (7, "7"), ("abcdefghijk", "abcdefghi…")],
)
def test_a_line_can_be_shown_and_stored(raw: object, line: str) -> None:
    assert clean_line(raw, 10) == line


def test_a_word_broken_at_the_end_of_a_line_is_whole_again() -> None:
    assert clean_page("light\ufffehouse\r\nkee\x02per\rof\f the\tlamp\0") == "lighthouse\nkeeper\nof the\tlamp"


def test_text_is_kept_up_to_the_limit(tmp_path: Path) -> None:
    with PageText(tmp_path, max_bytes=1 << 20) as text:
        for _ in range(3):
            text.add("word " * 100_000)
    assert text.facts()["words"] == 300_000
    assert text.artifacts()[0].path.stat().st_size == 1 << 20
    assert text.warnings() == ["text.txt ends after 1 MiB; the text was read and counted up to page 3."]
