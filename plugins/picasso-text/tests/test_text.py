"""The text processor on good files."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import pytest

from picasso_core.exceptions import Declined
from picasso_core.processors import accepts
from picasso_core.testing import check_processor, source_file
from picasso_text import TextProcessor, processor

SAMPLES = sorted(TextProcessor.samples.iterdir())


def read(content: bytes | Path) -> tuple[dict[str, Any], str, list[str]]:
    """Return the data, what text.txt holds and the warnings."""
    with source_file(content, media_type="text/plain") as file:
        result = TextProcessor().process(file)
        text = "".join(artifact.path.read_bytes().decode() for artifact in result.artifacts)
        return dict(result.data), text, list(result.warnings)


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.name)
def test_keeps_the_contract(sample: Path) -> None:
    check_processor(TextProcessor(), {"text/plain": sample})


def test_tells_all_about_a_small_text() -> None:
    data, text, warnings = read("Grüße\nvom Leuchtturm\n".encode())
    assert data == {
        "encoding": "utf-8",
        "confidence": 1.0,
        "detected_as": None,
        "bom": False,
        "newlines": "lf",
        "newline_counts": {"lf": 2, "crlf": 0, "cr": 0},
        "lines": 2,
        "words": 3,
        "characters": 21,
        "longest_line": 14,
        "preview": "Grüße\nvom Leuchtturm\n",
    }
    assert text == "Grüße\nvom Leuchtturm\n"
    assert warnings == []


@pytest.mark.parametrize(
    ("name", "encoding", "codec"),
    [
        ("almanac.md", "ascii", "ascii"),
        ("lighthouse.txt", "utf-8", "utf-8"),
        ("morning-cp1251.txt", "windows-1251", "cp1251"),
        ("tide-shift-jis.txt", "shift_jis", "cp932"),
        ("signals-utf-16.txt", "utf-16le", "utf-16"),
    ],
)
def test_keeps_every_character_of_a_sample_in_utf_8(name: str, encoding: str, codec: str) -> None:
    path = TextProcessor.samples / name
    data, text, _ = read(path)
    assert data["encoding"] == encoding
    assert text == path.read_bytes().decode(codec)


def test_an_empty_file_has_no_lines_and_no_artifact() -> None:
    data, text, _ = read(b"")
    assert (data["encoding"], data["lines"], data["newlines"], text) == ("ascii", 0, None, "")


def test_a_full_text_file_is_counted_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processor, "MAX_TEXT", 1 << 20)
    data, text, warnings = read(b"0123456789abcde\n" * (1 << 17))
    assert (data["lines"], len(text)) == (1 << 17, 1 << 20)
    assert warnings == ["text.txt ends after 1 MiB; the text is longer and was counted to its end."]


def test_shows_progress() -> None:
    steps: list[tuple[int, int]] = []
    with source_file(b"x" * (3 << 20), media_type="text/plain") as file:
        object.__setattr__(file, "report", lambda done, total: steps.append((done, total)))
        TextProcessor().process(file)
    assert steps[0] == (1 << 20, 3 << 20)
    assert steps[-1] == (3 << 20, 3 << 20)


@pytest.mark.parametrize(
    "media_type",
    [
        "text/plain",
        "text/csv",
        "text/markdown",
        "text/x-python",
        "application/json",
        "application/xml",
        "image/svg+xml",
    ],
)
def test_accepts_text_under_its_many_names(media_type: str) -> None:
    assert accepts(TextProcessor.media_types, media_type)


@pytest.mark.parametrize("media_type", ["message/rfc822", "application/rtf", "application/pdf", "image/png"])
def test_leaves_to_others_what_is_more_than_text(media_type: str) -> None:
    assert not accepts(TextProcessor.media_types, media_type)


@pytest.mark.parametrize("body", [bytes(range(256)) * 64, b"\x7fELF\x02\x01\x01" + bytes(500), b"ab\0\0\0cd\0"])
def test_declines_what_is_not_text(body: bytes) -> None:
    with pytest.raises(Declined, match=r"not text"):
        read(body)


def test_the_example_in_the_readme_is_true() -> None:
    readme = Path(__file__).parents[1].joinpath("README.md").read_text(encoding="utf-8")
    example = json.loads(readme.split("```json\n")[1].split("```")[0])
    data = read(TextProcessor.samples / "morning-cp1251.txt")[0]
    assert data.pop("preview").startswith(example.pop("preview").removesuffix(" ..."))
    assert data == example


@pytest.mark.parametrize("module", TextProcessor.preload)
def test_what_is_imported_beforehand_is_there(module: str) -> None:
    assert importlib.import_module(module)
