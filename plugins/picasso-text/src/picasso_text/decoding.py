"""Read a file of any size as text, piece by piece, whatever its faults."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from pathlib import Path

CHUNK = 1 << 20
HANDLER = "picasso_text.replace"


class Decoder:
    """Decode the file at ``path``; bytes that do not fit become U+FFFD and are counted in ``undecodable``."""

    def __init__(self, path: Path, codec: str) -> None:
        self.path = path
        self.codec = codec
        self.undecodable = 0
        self.done = 0

    def __iter__(self) -> Iterator[str]:
        """Yield the text in pieces of about 1 MiB."""
        codecs.register_error(HANDLER, self._replace)
        decoder = codecs.getincrementaldecoder(self.codec)(HANDLER)
        with self.path.open("rb") as file:
            while chunk := file.read(CHUNK):
                self.done += len(chunk)
                yield decoder.decode(chunk)
            yield decoder.decode(b"", final=True)

    def _replace(self, error: UnicodeError) -> tuple[str, int]:
        if not isinstance(error, UnicodeDecodeError):
            raise error
        self.undecodable += error.end - error.start
        return "\ufffd", error.end
