"""Small PDFs for the tests, made by pypdf or written by hand."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from pypdf import PdfWriter

from picasso_core.testing import source_file
from picasso_pdf import PdfProcessor

ALMANAC = PdfProcessor.samples / "almanac.pdf"
LETTER = PdfProcessor.samples / "letter-encrypted.pdf"


def read(content: bytes | Path) -> tuple[dict[str, Any], dict[str, bytes], list[str]]:
    """Return the data, the artifacts by name and the warnings."""
    with source_file(content, media_type="application/pdf") as file:
        result = PdfProcessor().process(file)
        artifacts = {artifact.name: artifact.path.read_bytes() for artifact in result.artifacts}
        return dict(result.data), artifacts, list(result.warnings)


def written(writer: PdfWriter) -> bytes:
    """Return what ``writer`` writes."""
    output = io.BytesIO()
    writer.write(output)
    return output.getvalue()


def blank(pages: int, width: float = 595, height: float = 842) -> PdfWriter:
    """Return a writer with empty pages."""
    writer = PdfWriter()
    for _ in range(pages):
        writer.add_blank_page(width, height)
    return writer


def by_hand(*objects: bytes, trailer: bytes = b"") -> bytes:
    """Return a PDF of ``objects``, numbered from 1; the first is the catalog."""
    body, places = b"%PDF-1.4\n", []
    for number, content in enumerate(objects, 1):
        places.append(len(body))
        body += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    size = len(objects) + 1
    end = b"trailer\n<</Size %d /Root 1 0 R %s>>\nstartxref\n%d\n%%%%EOF\n" % (size, trailer, len(body))
    return body + b"xref\n0 %d\n0000000000 65535 f \n" % size + table + end
