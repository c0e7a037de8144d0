"""What pypdf reads: information, encryption, attachments, forms. It reads pages only where pdfium cannot."""

from __future__ import annotations

import logging
import os
import re
import warnings as python_warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

from pypdf import PdfReader, apply_configuration
from pypdf.errors import PdfReadError, WrongPasswordError

from picasso_core.processors import MiB, Result

from .strings import clean_line, iso_date

MAX_ATTACHMENTS = 100
TAIL = 8 * MiB
MAX_LINES_BEHIND = 50_000
TEXTS = ("title", "author", "subject", "keywords", "creator", "producer")
DATES = {"created": "/CreationDate", "modified": "/ModDate"}

# pypdf logs every fault of an uploaded file, which nobody can mend: thousands of lines for a bad one.
logging.getLogger("pypdf").addHandler(logging.NullHandler())
logging.getLogger("pypdf").propagate = False


@contextmanager
def opened(path: Path) -> Iterator[PdfReader]:
    """Open ``path`` with pypdf, forgiving, quiet and without the program that it would call for JBIG2 pictures.

    Raises ``WrongPasswordError`` where the empty password does not open it, and anything at all where it is damaged.
    """
    frugal = apply_configuration(
        jbig2dec_binary=None,
        zlib_maximum_output_length=32 * MiB,
        stream_decoding_work_maximum_length=100 * MiB,
    )
    with python_warnings.catch_warnings(), frugal, path.open("rb") as stream:
        python_warnings.simplefilter("ignore")
        _check_end(stream)
        reader = PdfReader(stream, strict=False)
        if reader.is_encrypted and not reader.decrypt(""):
            raise WrongPasswordError("The empty password does not open it.")
        yield reader


def _check_end(stream: BinaryIO) -> None:
    """Raise where the end marker is far from the end: pypdf would look for it line by line, 80,000 lines a second."""
    size = stream.seek(0, os.SEEK_END)
    stream.seek(max(size - TAIL, 0))
    tail = stream.read()
    stream.seek(0)
    last_line = re.split(rb"[\r\n]", tail.rstrip()[-1024:])[-1]
    if b"%%EOF" in last_line or last_line.endswith((b"%", b"%%E", b"%%EO")):  # pypdf takes half a marker for one
        return
    behind = tail[max(tail.rfind(b"\n%%EOF"), tail.rfind(b"\r%%EOF"), 0) :]
    if (size > TAIL and b"%%EOF" not in tail) or behind.count(b"\n") + behind.count(b"\r") > MAX_LINES_BEHIND:
        raise PdfReadError("The file is cut off.")


def read_structure(path: Path) -> Result:
    """Read what belongs to the document as a whole; a fault in one part is a warning and leaves the others."""
    data: dict[str, Any] = {}
    warnings: list[str] = []
    with opened(path) as reader:
        for name, read in PARTS.items():
            try:
                data[name] = read(reader)
            except Exception:  # pypdf raises anything on a damaged file, RecursionError and AttributeError included
                warnings.append(f"The PDF's {name.replace('_', ' ')} could not be read.")
    attachments = data.get("attachments", [])
    if len(attachments) > MAX_ATTACHMENTS:
        data["attachments"] = attachments[:MAX_ATTACHMENTS]
        warnings.append(f"Only the first {MAX_ATTACHMENTS} attachments are listed.")
    return Result(data=data, warnings=warnings)


def _version(reader: PdfReader) -> str:
    """Return the version in the header, or the later one in the catalog."""
    header = reader.pdf_header.removeprefix("%PDF-")
    return clean_line(max(header, str(reader.root_object.get("/Version", "")).removeprefix("/")), 10)


def _information(reader: PdfReader) -> dict[str, str]:
    """Return title, author and so on, as far as they are given."""
    raw: dict[str, Any] = reader.metadata or {}
    words = {name: clean_line(raw[key]) for name in TEXTS if (key := f"/{name.title()}") in raw}
    dates = {name: iso_date(raw[key]) for name, key in DATES.items() if key in raw}
    return {name: value for name, value in (words | dates).items() if value}


def _encryption(reader: PdfReader) -> dict[str, Any]:
    """Return whether it is encrypted, and what its author allows."""
    permissions = reader.user_access_permissions
    if not reader.is_encrypted or permissions is None:
        return {"encrypted": reader.is_encrypted}
    allowed = sorted(name for name, granted in permissions.to_dict().items() if granted)
    return {"encrypted": True, "opens_without_password": True, "permissions": allowed}


def _attachments(reader: PdfReader) -> list[dict[str, Any]]:
    """Return names and declared sizes; the contents stay packed."""
    found = islice(reader.attachment_list, MAX_ATTACHMENTS + 1)
    return [
        {"name": clean_line(entry.alternative_name or entry.name, 200), "size": _number(entry.size)} for entry in found
    ]


def _number(value: object) -> int | None:
    """Return ``value`` where it is a plausible size: a PDF may declare anything."""
    return int(value) if isinstance(value, int) and 0 <= value < 2**53 else None


def _form_fields(reader: PdfReader) -> int:
    """Return how many fields can be filled in."""
    return len(reader.get_fields() or {})


def _javascript(reader: PdfReader) -> bool:
    """Return whether the document itself runs JavaScript; pages and fields are not searched."""
    names, action = (_dictionary(reader.root_object, key) for key in ("/Names", "/OpenAction"))
    return "/JavaScript" in names or action.get("/S") == "/JavaScript"


def _dictionary(parent: dict[Any, Any], key: str) -> dict[Any, Any]:
    """Return the dictionary under ``key``, followed where it is a reference; an empty one for anything else."""
    child = parent[key] if key in parent else None  # noqa: SIM401 - get() of pypdf does not follow references
    return child if isinstance(child, dict) else {}


def _linearized(reader: PdfReader) -> bool:
    """Return whether it is laid out for reading while it downloads."""
    reader.stream.seek(0)
    return b"/Linearized" in reader.stream.read(1024)


PARTS: dict[str, Callable[[PdfReader], Any]] = {
    "version": _version,
    "information": _information,
    "encryption": _encryption,
    "attachments": _attachments,
    "form_fields": _form_fields,
    "has_javascript": _javascript,
    "linearized": _linearized,
}
