"""Whatever the bytes are: a result or a ProcessorError, soon."""

from __future__ import annotations

import io
import json
import random
import time
import zlib
from pathlib import Path

import pytest
from pdf_kit import ALMANAC, LETTER, by_hand, read
from PIL import Image

from picasso_core.exceptions import ProcessorError

CATALOG = b"<</Type/Catalog/Pages 2 0 R>>"
PAGES = b"<</Type/Pages/Kids[3 0 R]/Count 1>>"


def one_page(box: bytes = b"0 0 200 100", content: bytes = b"", encoding: bytes = b"") -> bytes:
    stream = b"<</Length %d %s>>\nstream\n%s\nendstream" % (len(content), encoding, content)
    page = b"<</Type/Page/Parent 2 0 R/MediaBox[%s]/Contents 4 0 R>>" % box
    return by_hand(CATALOG, PAGES, page, stream)


def survives(body: bytes) -> bool:
    try:
        data, _, _ = read(body)
    except ProcessorError as error:
        return bool(str(error))
    stored = json.dumps(data, ensure_ascii=False, allow_nan=False)
    return "\\u0000" not in stored and bool(stored.encode())


@pytest.mark.parametrize("sample", [ALMANAC, LETTER], ids=lambda path: path.name)
def test_survives_flipped_bytes(sample: Path) -> None:
    body, chance = sample.read_bytes(), random.Random(sample.name)
    for _ in range(40):
        mutant = bytearray(body)
        for _ in range(chance.randint(1, 30)):
            mutant[chance.randrange(len(mutant))] = chance.randrange(256)
        assert survives(bytes(mutant))


@pytest.mark.parametrize("sample", [ALMANAC, LETTER], ids=lambda path: path.name)
def test_survives_being_cut_off(sample: Path) -> None:
    body = sample.read_bytes()
    assert all(survives(body[: len(body) * part // 25]) for part in range(25))


def test_survives_every_single_byte() -> None:
    assert all(survives(bytes([code])) for code in range(256))


LOOP = b"<</Title(again)/Parent 4 0 R/Next 5 0 R/First 5 0 R/Last 5 0 R>>"
PAGE = b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 200 100]>>"
BOMBS = {
    "nested arrays": by_hand(CATALOG, PAGES, PAGE, trailer=b"/Info " + b"[" * 200_000),
    "nested catalog": by_hand(b"<</Type/Catalog/Pages 2 0 R/Names " + b"[" * 200_000, PAGES, PAGE),
    "pages within themselves": by_hand(CATALOG, b"<</Type/Pages/Kids[2 0 R 2 0 R]/Count 2>>"),
    "outline within itself": by_hand(
        b"<</Type/Catalog/Pages 2 0 R/Outlines 4 0 R>>", PAGES, PAGE, b"<</First 5 0 R/Last 5 0 R>>", LOOP
    ),
    "a hundred thousand pages": by_hand(
        CATALOG, b"<</Type/Pages/Count 100000/Kids[" + b"3 0 R " * 100_000 + b"]>>", PAGE
    ),
    "a million operators": one_page(content=zlib.compress(b"q Q " * 500_000), encoding=b"/Filter/FlateDecode"),
    "100 million zeros": one_page(content=zlib.compress(bytes(100_000_000), 1), encoding=b"/Filter/FlateDecode"),
    "a million unfinished objects": b"%PDF-1.4\n" + b"1 0 obj\n" * 1_000_000,
    "a million lines behind the end": by_hand(CATALOG, PAGES, PAGE) + b"x\n" * 1_000_000,
    "five million lines without an end": b"%PDF-1.4\n" + b"1 0 R\n" * 5_000_000,
    "white space": b"%PDF-1.4\n" + b" " * 6_000_000,
}


@pytest.mark.parametrize("body", BOMBS.values(), ids=BOMBS.keys())
def test_survives_bombs(body: bytes) -> None:
    start = time.perf_counter()
    assert survives(body)
    assert time.perf_counter() - start < 10


@pytest.mark.parametrize("behind", [b"", b"\0" * 5000, b"<!-- served in 3 ms -->\n" * 100, b"\r\n" * 9000])
def test_what_little_follows_the_end_is_passed_over(behind: bytes) -> None:
    body = by_hand(CATALOG, PAGES, PAGE, trailer=b"/Info<</Title(Logbook)>>") + behind
    assert read(body)[0]["information"] == {"title": "Logbook"}


@pytest.mark.parametrize(
    "box",
    [
        b"0 0 1e9 1e9",
        b"0 0 14400 1",
        b"0 0 0 0",
        b"0 0 1e-9 1e-9",
        b"0 0 -5 -5",
        b"0 0 99999999999999999999999999999999999999999 1",
        b"nan nan nan nan",
        b"0 0 3",
    ],
)
def test_the_picture_is_bounded_whatever_the_size_of_the_page(box: bytes) -> None:
    data, artifacts, _ = read(one_page(box))
    json.dumps(data, allow_nan=False)
    if "page-1.webp" in artifacts:
        with Image.open(io.BytesIO(artifacts["page-1.webp"])) as image:
            assert max(image.size) <= 512


def test_a_long_text_that_many_pages_share_is_read_until_it_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("picasso_pdf.page_text.MAX_TEXT", 1 << 20)
    content = b"BT /F 1 Tf " + b"(far too many words) Tj " * 5000 + b"ET"
    font = b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>"
    page = b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 200 100]/Resources<</Font<</F 3 0 R>>>>/Contents 4 0 R>>"
    pages = b"<</Type/Pages/Count 400/Kids[%s]>>" % b" ".join(b"%d 0 R" % (5 + number) for number in range(400))
    stream = b"<</Length %d>>\nstream\n%s\nendstream" % (len(content), content)
    data, artifacts, warnings = read(by_hand(CATALOG, pages, font, stream, *[page] * 400))
    assert len(artifacts["text.txt"]) <= 1 << 20
    assert data["page_sizes"] == [{"width": 200, "height": 100, "label": None, "pages": 400}]
    (warning,) = warnings
    assert "counted up to page 1" in warning
