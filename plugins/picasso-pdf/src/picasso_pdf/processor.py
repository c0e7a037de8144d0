"""The PDF processor: two libraries, and whichever reads the file counts."""

from __future__ import annotations

from pathlib import Path

import pypdfium2
from pypdf.errors import WrongPasswordError

from picasso_core.exceptions import InvalidFile, ProcessorError
from picasso_core.processors import Processor, Result, SourceFile

from .content import read_content
from .fallback import read_content_slowly
from .structure import read_structure

# pdfium's codes for a password that it needs and for a protection that it does not know.
LOCKED = (pypdfium2.raw.FPDF_ERR_PASSWORD, pypdfium2.raw.FPDF_ERR_SECURITY)


class PdfProcessor(Processor):
    """Read a PDF's pages, information, outline, attachments and text, and draw its first page."""

    media_types = ("application/pdf",)
    preload = ("pypdf", "pypdfium2", "PIL.Image", "PIL.WebPImagePlugin", "cryptography.hazmat.primitives.ciphers.modes")
    samples = Path(__file__).parent / "samples"

    def process(self, file: SourceFile) -> Result:
        """Read ``file`` with pdfium and with pypdf, and put together what they say."""
        content = _attempt_content(file)
        structure = _attempt_structure(file)
        if isinstance(content, Exception):
            if isinstance(structure, Exception):
                raise _refusal(content, structure) from content
            content = _content_after_all(file)
        if isinstance(structure, Exception):
            structure = Result(warnings=["The PDF is damaged: its attachments and form fields could not be read."])
        return Result(
            data={**content.data, **structure.data},
            artifacts=content.artifacts,
            warnings=[*content.warnings, *structure.warnings],
        )


def _attempt_content(file: SourceFile) -> Result | Exception:
    """Return what pdfium reads, or why it does not."""
    try:
        return read_content(file)
    except ProcessorError:
        raise
    except (pypdfium2.PdfiumError, MemoryError, ValueError) as error:
        return error


def _attempt_structure(file: SourceFile) -> Result | Exception:
    """Return what pypdf reads, or why it does not: on damaged files it raises anything."""
    try:
        return read_structure(file.path)
    except Exception as error:
        return error


def _content_after_all(file: SourceFile) -> Result:
    """Return the pages as pypdf reads them."""
    try:
        return read_content_slowly(file)
    except ProcessorError:
        raise
    except Exception as error:
        raise InvalidFile("The PDF's pages cannot be read: it is damaged or cut off.") from error


def _refusal(content: Exception, structure: Exception) -> InvalidFile:
    """Say why neither library reads the file."""
    if isinstance(structure, WrongPasswordError) or getattr(content, "err_code", None) in LOCKED:
        return InvalidFile("The PDF is protected with a password.", code="encrypted")
    return InvalidFile("This cannot be read as a PDF: it is damaged or cut off.")
