"""The text of the pages: counted, previewed and written to ``text.txt``."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any, Self

from picasso_core.processors import Artifact, MiB

from .strings import clean_page

PREVIEW = 500
MAX_TEXT = 16 * MiB


class PageText:
    """Take the pages' text one after the other; a form feed parts them in the file."""

    def __init__(self, workdir: Path, max_bytes: int | None = None) -> None:
        self.path = workdir / "text.txt"
        self.max_bytes = MAX_TEXT if max_bytes is None else max_bytes
        self.pages = self.characters = self.words = self.written = 0
        self.preview = ""
        self.cut = False
        """No more is taken: ``max_bytes`` are written."""

    def __enter__(self) -> Self:
        self._file = self.path.open("wb")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._file.close()

    def add(self, text: str) -> None:
        """Take the next page's text; an empty string keeps its place."""
        text = clean_page(text).strip("\n")
        self.characters += len(text)
        self.words += len(text.split())
        if len(self.preview) < PREVIEW and text:
            self.preview = f"{self.preview}\n\n{text}".lstrip("\n")[:PREVIEW]
        body = ("\f" if self.pages else "").encode() + text.encode()
        self.pages += 1
        if len(body) > self.max_bytes - self.written:
            self.cut = True
            body = body[: self.max_bytes - self.written].decode(errors="ignore").encode()
        self._file.write(body)
        self.written += len(body)

    def facts(self) -> dict[str, Any]:
        """Return what goes into the result's data."""
        return {"characters": self.characters, "words": self.words, "preview": self.preview}

    def artifacts(self) -> list[Artifact]:
        """Return ``text.txt``, or nothing where no page has a word."""
        return [Artifact(name="text.txt", path=self.path, media_type="text/plain")] if self.words else []

    def warnings(self) -> list[str]:
        """Say where the file ends before the text does."""
        if not self.cut:
            return []
        size = f"{self.max_bytes // MiB} MiB"
        return [f"text.txt ends after {size}; the text was read and counted up to page {self.pages}."]
