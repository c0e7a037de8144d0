"""A form with one file, read while it comes in: the file's bytes go to disk, nothing else is kept."""

from __future__ import annotations

import html
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from django.utils.http import parse_header_parameters
from multipart import MultipartError, MultipartSegment, PushMultipartParser
from rest_framework.exceptions import ParseError, UnsupportedMediaType
from rest_framework.request import Request

from ..uploads import CHUNK, Incoming, Upload
from .errors import PayloadTooLarge
from .upload_headers import BodyDigests

MOST_PARTS = 1000
MOST_TEXT = 1024 * 1024
"""Bytes of all parts together that are no file."""
LONGEST_BOUNDARY = 200
LONGEST_HEAD = 32 * 1024
"""Bytes of one line before a part; a name that is too long is cut."""
AS_IT_IS = ("7bit", "8bit", "binary")
"""The encodings of a part that are none (RFC 2045, 6.2)."""
HOW_TO_UPLOAD = "Send multipart/form-data with one part named 'file' that has a file name."


@contextmanager
def only_file(request: Request) -> Iterator[Upload]:
    """Read the form (RFC 7578) and give its one file; its bytes are removed where something is raised.

    Raises ``UnsupportedMediaType``, ``ParseError`` with a code, ``PayloadTooLarge`` or ``TooLarge``.
    """
    form = _Form()
    try:
        yield form.read(request)
    except BaseException:
        if form.incoming:
            form.incoming.discard()
        raise
    if form.incoming:
        form.incoming.close()


class _Form:
    def __init__(self) -> None:
        self.incoming: Incoming | None = None
        self._upload: Upload | None = None
        self._head: tuple[str, str] | None = None
        """The name and declared type of the file that is being read; None within other parts."""
        self._text = 0

    def read(self, request: Request) -> Upload:
        announced = int(request.META["CONTENT_LENGTH"])
        if not announced:
            raise ParseError(f"There is no file. {HOW_TO_UPLOAD}", "no_file")
        parser, digests = _parser(request), BodyDigests(request.headers.get("Content-Digest"))
        length = 0
        try:
            # To the end: what comes after the form belongs to the body as well.
            while chunk := request.read(CHUNK):
                length += len(chunk)
                digests.update(chunk)
                for event in parser.parse(chunk):
                    self._take(event)
        except MultipartError as error:
            raise ParseError(f"The form cannot be read: {str(error).removesuffix('.')}.") from None
        if length != announced:
            raise ParseError("The body is shorter than its Content-Length.", "incomplete")
        digests.check()
        return self._only(parser)

    def _take(self, event: MultipartSegment | bytes | None) -> None:
        if isinstance(event, bytes):
            if self._head is not None and self.incoming is not None:
                self.incoming.write(event)
            else:
                self._text += len(event)
                if self._text > MOST_TEXT:
                    raise PayloadTooLarge("The form has too much text: a part that is a file needs a file name.")
        elif event is not None:
            self._begin(event)
        elif self._head is not None and self.incoming is not None:
            self._upload = self.incoming.complete(*self._head)
            self._head = None

    def _begin(self, part: MultipartSegment) -> None:
        name = _file_name(part)
        if not name:
            return
        if self.incoming is not None:
            raise ParseError("There is more than one file: send one a request.", "too_many_files")
        if part.name != "file":
            raise ParseError(f"The file's part is named {_decoded(part.name or '')!r}: name it 'file'.", "no_file")
        encoding = part.header("Content-Transfer-Encoding", AS_IT_IS[0])
        if encoding.strip().lower() not in AS_IT_IS:
            raise ParseError(f"The file is encoded as {encoding.strip()[:100]!r}: send its bytes as they are.")
        self._head = name, _decoded(part.header("Content-Type", "")).partition(";")[0].strip().lower()
        self.incoming = Incoming()

    def _only(self, parser: PushMultipartParser) -> Upload:
        try:
            parser.close()
        except MultipartError:
            sentence = "The body ends before the form does: its closing boundary is missing."
            raise ParseError(sentence, "incomplete") from None
        if self._upload is None:
            raise ParseError(f"There is no file. {HOW_TO_UPLOAD}", "no_file")
        if self._upload.size == 0:
            raise ParseError("The file is empty.", "empty_file")
        return self._upload


def _parser(request: Request) -> PushMultipartParser:
    content_type, options = request.content_type or "", request.content_params or {}
    if content_type.partition(";")[0].strip().lower() != "multipart/form-data":
        raise UnsupportedMediaType(content_type, f"{content_type!r} is no form. {HOW_TO_UPLOAD}")
    boundary = options.get("boundary", "")
    if not (boundary.isascii() and 0 < len(boundary) <= LONGEST_BOUNDARY):
        raise ParseError(f"The form has no boundary, or none of at most {LONGEST_BOUNDARY} ASCII characters.")
    # Latin-1 reads any byte; what is in UTF-8 is decoded where it is looked at.
    limits = {"max_segment_count": MOST_PARTS, "max_header_size": LONGEST_HEAD}
    return PushMultipartParser(boundary, **limits, header_charset="latin-1")


def _file_name(part: MultipartSegment) -> str:
    """Return what the last part of a file's path is, as its sender has it; nothing for a part that is no file."""
    name, disposition = part.filename, _decoded(part.header("Content-Disposition", ""))
    if name is not None:
        name = _decoded(name)
    elif "filename*" in disposition.lower():
        # Not for forms (RFC 7578, 4.2), and yet widely used libraries send it.
        with suppress(ValueError):
            name = parse_header_parameters(disposition)[1].get("filename")
    # What a page in another encoding cannot write, browsers send as &#8364;
    name = html.unescape(name or "").replace("\\", "/").rpartition("/")[2]
    return "" if name in (".", "..") else name


def _decoded(text: str) -> str:
    """Read as UTF-8 what the parser has read as Latin-1."""
    return text.encode("latin-1").decode(errors="replace")
