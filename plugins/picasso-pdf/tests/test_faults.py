"""Whichever library reads the file counts, and a fault in one part leaves the others."""

from __future__ import annotations

import logging
from logging.handlers import BufferingHandler
from pathlib import Path
from typing import Any, NoReturn

import pypdfium2  # type: ignore[import-untyped]
import pytest
from pdf_kit import ALMANAC, by_hand, read

from picasso_core.exceptions import InvalidFile
from picasso_core.processors import SourceFile
from picasso_pdf import processor, structure

DAMAGED = "This cannot be read as a PDF: it is damaged or cut off."


def pdfium_fails(file: SourceFile) -> NoReturn:
    raise pypdfium2.PdfiumError("no")


def pypdf_fails(path: Path) -> NoReturn:
    raise RecursionError


def test_pypdf_reads_what_pdfium_cannot(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processor, "read_content", pdfium_fails)
    data, artifacts, warnings = read(ALMANAC)
    assert (data["pages"], data["page_sizes"][0]["label"]) == (3, "A4")
    assert data["information"]["author"] == "Marit Solberg"
    assert [page.strip().split("\n")[2] for page in artifacts["text.txt"].decode().split("\f")] == [
        "Tending the lamp",
        "Reading the tide",
        "Signals at night",
    ]
    assert warnings == ["The PDF is damaged: its pages were read the slow way, and page 1 could not be drawn."]


def test_pdfium_reads_what_pypdf_cannot(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processor, "read_structure", pypdf_fails)
    data, artifacts, warnings = read(ALMANAC)
    assert (data["pages"], data["version"], data["words"]) == (3, "1.7", 180)
    assert data["information"]["modified"] == "2026-03-22T18:15:00+01:00"
    assert data["encryption"] == {"encrypted": False}
    assert sorted(artifacts) == ["page-1.webp", "text.txt"]
    assert warnings == ["The PDF is damaged: its attachments and form fields could not be read."]


@pytest.mark.parametrize("part", structure.PARTS)
def test_a_fault_in_one_part_is_a_warning(monkeypatch: pytest.MonkeyPatch, part: str) -> None:
    def fails(reader: Any) -> NoReturn:
        raise RecursionError

    monkeypatch.setitem(structure.PARTS, part, fails)
    data, _, warnings = read(ALMANAC)
    assert data["pages"] == 3
    assert warnings == [f"The PDF's {part.replace('_', ' ')} could not be read."]


@pytest.mark.parametrize("body", [b"", b"%", b"%PDF-1.7\n", b"%PDF-1.7\n%%EOF\n", b"hello" * 1000])
def test_what_neither_reads_is_damaged(body: bytes) -> None:
    with pytest.raises(InvalidFile) as refusal:
        read(body)
    assert (refusal.value.message, refusal.value.code) == (DAMAGED, "invalid_file")


def test_a_pdf_without_pages_is_damaged() -> None:
    with pytest.raises(InvalidFile, match=r"no page"):
        read(by_hand(b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Kids[]/Count 0>>"))


def test_a_bad_page_leaves_the_others() -> None:
    body = by_hand(
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R 9 0 R]/Count 2>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 200 100]>>",
    )
    data, artifacts, warnings = read(body)
    assert (data["pages"], data["page_sizes"][0]["width"], list(artifacts)) == (2, 200.0, ["page-1.webp"])
    assert warnings == ["1 of 2 pages could not be read: 2."]


def test_the_faults_of_a_file_fill_no_log(capfd: pytest.CaptureFixture[str]) -> None:
    handler = BufferingHandler(1000)
    logging.getLogger().addHandler(handler)
    try:
        read(ALMANAC.read_bytes().replace(b"startxref\n", b"startxref\n7"))
    finally:
        logging.getLogger().removeHandler(handler)
    assert (handler.buffer, capfd.readouterr()) == ([], ("", ""))
