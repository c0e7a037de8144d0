"""The PDF processor on good files."""

from __future__ import annotations

import importlib
import io
import json
from pathlib import Path

import pytest
from pdf_kit import ALMANAC, LETTER, blank, by_hand, read, written
from PIL import Image
from pypdf import PdfWriter
from pypdf.actions import JavaScript
from pypdf.generic import NumberObject

from picasso_core.exceptions import InvalidFile
from picasso_core.testing import check_processor, source_file
from picasso_pdf import PdfProcessor


@pytest.mark.parametrize("sample", sorted(PdfProcessor.samples.iterdir()), ids=lambda path: path.name)
def test_keeps_the_contract(sample: Path) -> None:
    check_processor(PdfProcessor(), {"application/pdf": sample})


def test_tells_all_about_a_small_book() -> None:
    data, artifacts, warnings = read(ALMANAC)
    preview = data.pop("preview")
    assert data == {
        "pages": 3,
        "page_sizes": [{"width": 595.3, "height": 841.9, "label": "A4", "pages": 3}],
        "version": "1.7",
        "information": {
            "title": "The Lighthouse Keeper's Almanac",
            "author": "Marit Solberg",
            "subject": "A year of lamps, tides and weather",
            "keywords": "lighthouse, tides, weather",
            "creator": "Picasso samples",
            "producer": "ReportLab and pypdf",
            "created": "2026-03-21T06:30:00+01:00",
            "modified": "2026-03-22T18:15:00+01:00",
        },
        "outline": [
            {"title": "Tending the lamp", "level": 1, "page": 1},
            {"title": "Reading the tide", "level": 1, "page": 2},
            {"title": "A week in March", "level": 2, "page": 2},
            {"title": "Signals at night", "level": 1, "page": 3},
        ],
        "encryption": {"encrypted": False},
        "tagged": False,
        "characters": 972,
        "words": 180,
        "attachments": [{"name": "tides.csv", "size": 52}],
        "form_fields": 0,
        "has_javascript": False,
        "linearized": False,
    }
    assert len(preview) == 500
    assert preview.startswith("The Lighthouse Keeper's Almanac\n1\nTending the lamp\n")
    assert sorted(artifacts) == ["page-1.webp", "text.txt"]
    assert warnings == []


def test_a_form_feed_parts_the_pages_of_the_text() -> None:
    _, artifacts, _ = read(ALMANAC)
    pages = artifacts["text.txt"].decode().split("\f")
    assert [page.split("\n")[2] for page in pages] == ["Tending the lamp", "Reading the tide", "Signals at night"]
    assert sum(map(len, pages)) == 972


def test_the_picture_is_a_webp_of_at_most_512_pixels() -> None:
    _, artifacts, _ = read(ALMANAC)
    with Image.open(io.BytesIO(artifacts["page-1.webp"])) as image:
        assert (image.format, image.size) == ("WEBP", (363, 512))
        assert len(image.convert("RGB").getcolors(1 << 20) or []) > 100


def test_an_empty_user_password_is_no_obstacle() -> None:
    data, artifacts, warnings = read(LETTER)
    assert data["encryption"] == {
        "encrypted": True,
        "opens_without_password": True,
        "permissions": ["extract_text_and_graphics", "print", "print_to_representation"],
    }
    assert artifacts["text.txt"].decode().startswith("To the harbour master\n")
    assert warnings == []


@pytest.mark.parametrize("algorithm", ["RC4-40", "RC4-128", "AES-128", "AES-256"])
def test_a_password_ends_it(algorithm: str) -> None:
    writer = PdfWriter(clone_from=ALMANAC)
    writer.encrypt("secret", "secret too", algorithm=algorithm)
    with pytest.raises(InvalidFile, match=r"^The PDF is protected with a password\.$") as refusal:
        read(written(writer))
    assert refusal.value.code == "encrypted"


def test_2000_pages_are_read() -> None:
    data, _, warnings = read(written(blank(2000)))
    assert (data["pages"], data["page_sizes"], warnings) == (
        2000,
        [{"width": 595.0, "height": 842.0, "label": "A4", "pages": 2000}],
        [],
    )


def test_2001_pages_are_too_many() -> None:
    with pytest.raises(InvalidFile, match=r"^The PDF has 2,001 pages; the limit is 2,000 \(PICASSO_MAX") as refusal:
        read(written(blank(2001)))
    assert refusal.value.code == "limit_exceeded"


def test_a_pdf_without_text_has_a_picture_only() -> None:
    data, artifacts, _ = read(written(blank(1)))
    assert (data["characters"], data["words"], data["preview"], list(artifacts)) == (0, 0, "", ["page-1.webp"])


def test_long_lists_are_cut_with_a_warning() -> None:
    writer = blank(1)
    for number in range(201):
        writer.add_outline_item(title=f"Chapter {number}", page_number=0)
        if number < 101:
            writer.add_attachment(f"{number:03}.txt", b"x").size = NumberObject(1)
    data, _, warnings = read(written(writer))
    assert data["outline"][199] == {"title": "Chapter 199", "level": 1, "page": 1}
    assert data["attachments"][99] == {"name": "099.txt", "size": 1}
    assert (len(data["outline"]), len(data["attachments"])) == (200, 100)
    assert warnings == ["Only the first 200 outline entries are listed.", "Only the first 100 attachments are listed."]


def test_javascript_is_noticed() -> None:
    writer = PdfWriter(clone_from=ALMANAC)
    writer.add_open_action(JavaScript("app.alert('hello');"))
    assert read(written(writer))[0]["has_javascript"] is True


def test_form_fields_are_counted() -> None:
    page = b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 200 100]/Annots[4 0 R]>>"
    field = b"<</Type/Annot/Subtype/Widget/FT/Btn/T(agree)/V/Yes/AS/Yes/Rect[20 20 80 80]/MK<</BG[1 0 0]>>/P 3 0 R>>"
    form = b"<</Type/Catalog/Pages 2 0 R/AcroForm<</Fields[4 0 R]>>>>"
    data, artifacts, _ = read(by_hand(form, b"<</Type/Pages/Kids[3 0 R]/Count 1>>", page, field))
    assert data["form_fields"] == 1
    assert "page-1.webp" in artifacts


def test_what_is_typed_into_the_information_is_made_harmless() -> None:
    writer = blank(1)
    writer.add_metadata({"/Title": "a\0b <b>\n\n\td" + "e" * 5000, "/Author": "  "})
    information = read(written(writer))[0]["information"]
    assert information["title"].startswith("a b <b> de")
    assert information["title"].isprintable()
    assert len(information["title"]) == 1000
    assert "author" not in information


def test_shows_progress_page_by_page() -> None:
    steps: list[tuple[int, int]] = []
    with source_file(ALMANAC, media_type="application/pdf") as file:
        object.__setattr__(file, "report", lambda done, total: steps.append((done, total)))
        PdfProcessor().process(file)
    assert steps == [(1, 3), (2, 3), (3, 3)]


def test_the_example_in_the_readme_is_true() -> None:
    readme = Path(__file__).parents[1].joinpath("README.md").read_text(encoding="utf-8")
    example = json.loads(readme.split("```json\n")[1].split("```")[0])
    data = read(PdfProcessor.samples / "almanac.pdf")[0]
    assert data.pop("preview").startswith(example.pop("preview").removesuffix(" ..."))
    assert data == example


@pytest.mark.parametrize("module", PdfProcessor.preload)
def test_what_is_imported_beforehand_is_there(module: str) -> None:
    assert importlib.import_module(module)
