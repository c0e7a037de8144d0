"""What pdfium reads: the pages' sizes and text, the outline, and the picture of page one."""

from __future__ import annotations

import logging
from contextlib import closing, suppress
from io import BytesIO
from itertools import islice
from typing import Any

import pypdfium2

from picasso_core.exceptions import InvalidFile
from picasso_core.processors import Artifact, Result, SourceFile

from .page_text import PageText
from .paper import page_sizes
from .strings import clean_line, iso_date

MAX_OUTLINE = 200
MAX_OUTLINE_DEPTH = 10
MAX_PIXELS = 512
# A stamp of a few points is not blown up beyond this.
MAX_SCALE = 4.0

# It reports faults of uploaded files, which nobody can mend, on standard error.
logging.getLogger("pypdfium2").addHandler(logging.NullHandler())


def read_content(file: SourceFile) -> Result:
    """Read ``file`` with pdfium; raises what pdfium raises where it cannot open it or any page of it."""
    with pypdfium2.PdfDocument(file.path) as pdf:
        pages = check_page_count(len(pdf), file.bounds.pages)
        warnings: list[str] = []
        if pdf.get_formtype():
            with suppress(pypdfium2.PdfiumError):
                pdf.init_forms()  # or what was typed into a form is missing from the picture
        sizes, text = _read_pages(pdf, file, warnings)
        data = {
            "pages": pages,
            "page_sizes": page_sizes(sizes),
            "version": _version(pdf),
            "information": _information(pdf),
            "outline": _outline(pdf, warnings),
            "encryption": _encryption(pdf),
            "tagged": pdf.is_tagged(),
            **text.facts(),
        }
        picture = _picture(pdf, file, warnings)
        return Result(data=data, artifacts=[*text.artifacts(), *picture], warnings=[*warnings, *text.warnings()])


def check_page_count(pages: int, most: int) -> int:
    """Return ``pages``, or raise ``InvalidFile`` where there are more than ``most``."""
    if pages > most:
        sentence = f"The PDF has {pages:,} pages; the limit is {most:,} (PICASSO_MAX_PAGES)."
        raise InvalidFile(sentence, code="limit_exceeded")
    return pages


def _read_pages(
    pdf: pypdfium2.PdfDocument, file: SourceFile, warnings: list[str]
) -> tuple[list[tuple[float, float]], PageText]:
    """Return the sizes and the text of the pages that can be read; raises where none can."""
    sizes: list[tuple[float, float]] = []
    unread: list[int] = []
    with PageText(file.workdir) as text:
        for index in range(len(pdf)):
            try:
                if text.cut:  # what nobody will read takes as long as what somebody does
                    sizes.append(pdf.get_page_size(index))
                else:
                    page = pdf[index]
                    sizes.append(page.get_size())
                    text.add(_text_of(page))
            except (pypdfium2.PdfiumError, AssertionError):
                unread.append(index + 1)
                if not text.cut:
                    text.add("")
            file.progress(index + 1, len(pdf))
    if len(unread) == len(pdf):
        raise pypdfium2.PdfiumError("No page can be read.")
    if unread:
        some = ", ".join(map(str, unread[:10])) + (" and more" if len(unread) > 10 else "")
        warnings.append(f"{len(unread)} of {len(pdf)} pages could not be read: {some}.")
    return sizes, text


def _text_of(page: pypdfium2.PdfPage) -> str:
    """Return the page's text and let go of the page: 2,000 open pages would fill the memory."""
    with closing(page), closing(page.get_textpage()) as textpage:
        return str(textpage.get_text_range())


def _version(pdf: pypdfium2.PdfDocument) -> str | None:
    """Return ``1.7`` from pdfium's 17."""
    number = pdf.get_version()
    return f"{number // 10}.{number % 10}" if number else None


def _information(pdf: pypdfium2.PdfDocument) -> dict[str, str]:
    """Return title, author and so on: only where pypdf cannot tell them better."""
    try:
        raw = pdf.get_metadata_dict(skip_empty=True)
    except ValueError:  # a string that is not the UTF-16 it should be
        return {}
    words = {name.lower(): clean_line(raw[name]) for name in raw if not name.endswith("Date") and name != "Trapped"}
    dates = {"created": iso_date(raw.get("CreationDate", "")), "modified": iso_date(raw.get("ModDate", ""))}
    return {name: value for name, value in (words | dates).items() if value}


def _encryption(pdf: pypdfium2.PdfDocument) -> dict[str, Any]:
    """Return whether it is encrypted; that it is open here shows that no password is needed."""
    if pypdfium2.raw.FPDF_GetSecurityHandlerRevision(pdf) == -1:
        return {"encrypted": False}
    return {"encrypted": True, "opens_without_password": True}


def _outline(pdf: pypdfium2.PdfDocument, warnings: list[str]) -> list[dict[str, Any]]:
    """Return the first entries of the table of contents; pages count from 1."""
    entries: list[dict[str, Any]] = []
    try:
        for entry in islice(pdf.get_toc(max_depth=MAX_OUTLINE_DEPTH), MAX_OUTLINE + 1):
            goal = entry.get_dest()
            page = goal.get_index() if goal else None
            title = _title(entry)
            entries.append({"title": title, "level": entry.level + 1, "page": None if page is None else page + 1})
    except (pypdfium2.PdfiumError, RecursionError):
        warnings.append("The outline could not be read to its end.")
    if len(entries) > MAX_OUTLINE:
        warnings.append(f"Only the first {MAX_OUTLINE} outline entries are listed.")
    return entries[:MAX_OUTLINE]


def _title(entry: pypdfium2.PdfBookmark) -> str:
    """Return the entry's title; none where it is not the UTF-16 that it should be."""
    try:
        return clean_line(entry.get_title(), 200)
    except ValueError:
        return ""


def _picture(pdf: pypdfium2.PdfDocument, file: SourceFile, warnings: list[str]) -> list[Artifact]:
    """Draw page one into ``page-1.webp``, its longer side at most ``MAX_PIXELS``."""
    drawn = BytesIO()
    try:
        with closing(pdf[0]) as page:
            scale = min(MAX_PIXELS / max(page.get_size()), MAX_SCALE)
            with closing(page.render(scale=scale)) as bitmap:
                image = bitmap.to_pil()
                image.thumbnail((MAX_PIXELS, MAX_PIXELS))  # rounding up may have made it one pixel too long
                image.save(drawn, "WEBP", quality=80)
    except (pypdfium2.PdfiumError, ValueError, ZeroDivisionError, OverflowError, MemoryError, OSError):
        warnings.append("Page 1 could not be drawn.")
        return []
    # Out of the net above: a full disk is not the page's fault.
    path = file.workdir / "page-1.webp"
    path.write_bytes(drawn.getbuffer())
    return [Artifact(name="page-1.webp", path=path, media_type="image/webp")]
