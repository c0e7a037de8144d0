"""The whole file decides about the encoding."""

from __future__ import annotations

import codecs
from pathlib import Path

import chardet
import pytest

from picasso_core.testing import source_file
from picasso_text import TextProcessor, decoding
from picasso_text.encoding import Encoding, find_encoding
from picasso_text.names import common_name

GERMAN = "Die Tür zum Gärtchen ist größer, als der Wärter in der Nähe des Schlosses für möglich hält.\n"
RUSSIAN = "Смотритель поднимается по лестнице ещё до рассвета и записывает погоду в журнал.\n"
JAPANESE = "灯台守は夜明け前に階段を上ります。下では波が岩を打っています。\n"


def find(tmp_path: Path, body: bytes) -> Encoding:
    path = tmp_path / "text"
    path.write_bytes(body)
    return find_encoding(path)


@pytest.mark.parametrize(
    ("text", "codec", "name"),
    [
        (GERMAN, "cp1252", "windows-1252"),
        (RUSSIAN, "cp1251", "windows-1251"),
        (RUSSIAN, "koi8-r", "koi8-r"),
        (JAPANESE, "shift_jis", "shift_jis"),
        (JAPANESE, "euc-jp", "euc-jp"),
        (JAPANESE, "iso-2022-jp", "iso-2022-jp"),
        (RUSSIAN, "utf-16-le", "utf-16le"),
    ],
    ids=["cp1252", "cp1251", "koi8-r", "shift_jis", "euc-jp", "iso-2022-jp", "utf-16-le"],
)
def test_finds_common_encodings(tmp_path: Path, text: str, codec: str, name: str) -> None:
    found = find(tmp_path, (text * 5).encode(codec))
    assert (text * 5).encode(codec).decode(found.codec) == text * 5
    assert found.name == name
    assert found.detected_as


@pytest.mark.parametrize(
    ("mark", "codec", "name"),
    [
        (codecs.BOM_UTF8, "utf-8", "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le", "utf-16le"),
        (codecs.BOM_UTF16_BE, "utf-16-be", "utf-16be"),
        (codecs.BOM_UTF32_LE, "utf-32-le", "utf-32le"),
        (codecs.BOM_UTF32_BE, "utf-32-be", "utf-32be"),
    ],
)
def test_a_byte_order_mark_decides(tmp_path: Path, mark: bytes, codec: str, name: str) -> None:
    with source_file(mark + RUSSIAN.encode(codec), media_type="text/plain") as file:
        result = TextProcessor().process(file)
        assert (result.data["encoding"], result.data["bom"]) == (name, True)
        assert result.artifacts[0].path.read_bytes().decode() == RUSSIAN


def test_ascii_is_ascii_only_to_the_last_byte(tmp_path: Path) -> None:
    assert find(tmp_path, b"plain\n" * 500_000).name == "ascii"
    assert find(tmp_path, b"plain\n" * 500_000 + "ü".encode()).name == "utf-8"


def test_the_last_line_of_a_large_file_shows_the_encoding(tmp_path: Path) -> None:
    body = b"a plain line that tells nothing at all\n" * 100_000 + (RUSSIAN * 3).encode("cp1251")
    assert find(tmp_path, body).name == "windows-1251"


def test_a_character_across_two_chunks_is_one(tmp_path: Path) -> None:
    body = b"x" * (decoding.CHUNK - 1) + "ü".encode() + b"x"
    with source_file(body, media_type="text/plain") as file:
        data = TextProcessor().process(file).data
    assert (data["encoding"], data["characters"]) == ("utf-8", decoding.CHUNK + 1)


def test_utf_8_with_a_few_faults_is_utf_8_with_a_warning() -> None:
    with source_file((GERMAN * 50).encode() + b"\xff\xfe\n", media_type="text/plain") as file:
        result = TextProcessor().process(file)
    assert result.data["encoding"] == "utf-8"
    assert result.data["confidence"] < 1
    assert result.warnings == ["Bytes that do not fit utf-8 were replaced: 2."]


def test_utf_8_that_is_cut_off_within_a_character_is_utf_8_with_a_warning() -> None:
    with source_file("lumière é".encode()[:-1], media_type="text/plain") as file:
        result = TextProcessor().process(file)
        assert result.artifacts[0].path.read_bytes().decode() == "lumière \ufffd"
    assert result.data["encoding"] == "utf-8"
    assert result.warnings == ["Bytes that do not fit utf-8 were replaced: 1."]


def test_a_last_character_alone_does_not_make_latin_1_utf_8() -> None:
    with source_file("un café".encode("latin-1"), media_type="text/plain") as file:
        result = TextProcessor().process(file)
        assert result.artifacts[0].path.read_bytes().decode() == "un café"


def test_a_larger_set_steps_in_for_what_the_sample_did_not_show(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = {"encoding": "ISO-8859-1", "confidence": 0.7, "language": None, "mime_type": None}
    monkeypatch.setattr(chardet, "detect", lambda data, max_bytes: said)
    assert find(tmp_path, GERMAN.encode("cp1252")).name == "iso-8859-1"
    found = find(tmp_path, GERMAN.encode("cp1252") + "„Zitat“ für 5 €\n".encode("cp1252"))
    assert (found.name, found.detected_as) == ("windows-1252", "ISO-8859-1")


@pytest.mark.parametrize(
    ("codec", "name"),
    [
        ("cp1251", "windows-1251"),
        ("cp874", "windows-874"),
        ("cp866", "ibm866"),
        ("iso8859-15", "iso-8859-15"),
        ("iso2022_jp_2", "iso-2022-jp-2"),
        ("euc_jp", "euc-jp"),
        ("shift_jis", "shift_jis"),
        ("mac-roman", "macintosh"),
        ("utf-16-be", "utf-16be"),
    ],
)
def test_names_are_those_that_the_world_knows(codec: str, name: str) -> None:
    assert common_name(codec) == name
