"""What identification says of bytes, names and declared types: small files, built here."""

from __future__ import annotations

import gzip
import io
import json
import random
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from picasso_core.identification import Identification, identify
from picasso_core.identification.aliases import normalise
from picasso_core.identification.window import Window

Identify = Callable[..., Identification]
OFFICE = "application/vnd.openxmlformats-officedocument."
PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\1\0\0\0\1\x08\0\0\0\0"


@pytest.fixture
def says(tmp_path: Path) -> Callable[..., str]:
    """The media type of some bytes."""

    def media_type(data: bytes, name: str = "", declared: str = "") -> str:
        path = tmp_path / "upload"
        path.write_bytes(data)
        return identify(path, name=name, declared=declared).media_type

    return media_type


def zipped(members: dict[str, bytes | str], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def package(main_part: str, **members: bytes) -> bytes:
    types = f'<Types><Override PartName="/main.xml" ContentType="{main_part}"/></Types>'
    return zipped({**members, "[Content_Types].xml": types})


def compound(*names: str) -> bytes:
    """A compound file with one directory sector whose root holds up to three empty entries."""
    header = bytearray(512)
    header[:8] = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
    struct.pack_into("<5H", header, 24, 62, 3, 0xFFFE, 9, 6)
    struct.pack_into("<I", header, 48, 1)
    struct.pack_into("<109I", header, 76, 0, *[0xFFFFFFFF] * 108)
    table = struct.pack("<128I", 0xFFFFFFFD, 0xFFFFFFFE, *[0xFFFFFFFF] * 126)
    entries = b""
    for number, name in enumerate(("Root Entry", *names)):
        entry = bytearray(128)
        text = name.encode("utf-16-le")
        entry[: len(text)] = text
        right = number + 1 if 0 < number < len(names) else 0xFFFFFFFF
        child = 1 if number == 0 else 0xFFFFFFFF
        struct.pack_into("<HBB3I", entry, 64, len(text) + 2, 5 if number == 0 else 2, 1, 0xFFFFFFFF, right, child)
        entries += bytes(entry)
    return bytes(header) + table + entries.ljust(512, b"\0")


def box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", 8 + len(content)) + kind + content


def film(brand: bytes, *handlers: bytes) -> bytes:
    tracks = b"".join(box(b"hdlr", bytes(8) + handler + bytes(12)) for handler in handlers)
    return box(b"ftyp", brand + bytes(4) + b"isom") + box(b"mdat", bytes(50)) + box(b"moov", tracks)


def test_a_file_without_bytes_is_empty(says: Callable[..., str]) -> None:
    assert says(b"", name="photo.png", declared="image/png") == "application/x-empty"


def test_bytes_that_nobody_knows_are_an_octet_stream(says: Callable[..., str]) -> None:
    assert says(bytes(range(256)) * 4) == "application/octet-stream"


@pytest.mark.parametrize("text", ["plain words\n", "Größe: 5 €\n", "x"])
def test_what_can_be_read_is_text(says: Callable[..., str], text: str) -> None:
    assert says(text.encode()) == "text/plain"


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "koi8-r", "shift_jis"])
def test_text_is_text_in_any_encoding(says: Callable[..., str], encoding: str) -> None:
    words = {"koi8-r": "Привет, мир. Как дела?\n", "shift_jis": "こんにちは世界\n"}.get(
        encoding, "Some words, a line.\n"
    )
    assert says((words * 5).encode(encoding)) == "text/plain"


def test_binary_data_late_in_a_file_makes_it_binary(says: Callable[..., str]) -> None:
    assert says(b"looks like text\n" * 10_000 + bytes(200_000)) == "application/octet-stream"


class TestNames:
    def test_a_picture_called_txt_stays_a_picture(self, says: Callable[..., str]) -> None:
        assert says(PNG, name="notes.txt", declared="text/plain") == "image/png"

    @pytest.mark.parametrize("name", ["photo.png", "drawing.svg", "paper.pdf", "letter.docx", "film.mp4"])
    def test_text_called_something_else_stays_text(self, says: Callable[..., str], name: str) -> None:
        assert says(b"only words\n", name=name) == "text/plain"

    @pytest.mark.parametrize(
        ("name", "expected"),
        [
            ("README.md", "text/markdown"),
            ("tool.PY", "text/x-python"),
            ("style.css", "text/css"),
            ("app.js", "text/javascript"),
            ("table.csv", "text/csv"),
            ("deploy.yml", "application/yaml"),
            ("Makefile", "text/x-makefile"),
            ("C:\\notes\\page.md", "text/markdown"),
            ("notes.txt", "text/plain"),
        ],
    )
    def test_a_name_tells_what_kind_of_text(self, says: Callable[..., str], name: str, expected: str) -> None:
        assert says(b"some: words\nwithout = form\n", name=name) == expected

    def test_the_declared_type_narrows_when_the_name_is_silent(self, says: Callable[..., str]) -> None:
        assert says(b"# Title\n", name="title", declared="text/markdown; charset=utf-8") == "text/markdown"

    def test_a_declared_type_that_contradicts_is_kept_as_evidence_only(self, tmp_path: Path) -> None:
        path = tmp_path / "upload"
        path.write_bytes(PNG)
        found = identify(path, declared="application/pdf")
        assert found.media_type == "image/png"
        assert [(voice.by, voice.says) for voice in found.evidence] == [
            ("declared", "application/pdf"),
            ("mark", "image/png"),
        ]

    def test_markup_in_a_readme_leaves_it_markdown(self, says: Callable[..., str]) -> None:
        assert says(b'<p align="center">Logo</p>\n\n# Title\n', name="README.md") == "text/markdown"


class TestSignatures:
    def test_a_plugins_signature_wins_over_everything(self, tmp_path: Path) -> None:
        path = tmp_path / "upload"
        path.write_bytes(PNG + b"ECHO")
        taught = [(0, b"nope", "a/b"), (len(PNG), b"ECHO", "application/vnd.picasso.echo")]
        found = identify(path, name="photo.png", signatures=taught)
        assert found.media_type == "application/vnd.picasso.echo"
        assert found.evidence[-1].by == "signature"

    @pytest.mark.parametrize("taught", [(0, b"", "a/b"), (10_000, b"x", "a/b"), (-5, b"x", "a/b")])
    def test_a_signature_that_cannot_match_is_passed_over(self, tmp_path: Path, taught: tuple[int, bytes, str]) -> None:
        path = tmp_path / "upload"
        path.write_bytes(b"x words\n")
        assert identify(path, signatures=[taught]).media_type == "text/plain"


class TestZips:
    @pytest.mark.parametrize(
        ("main_part", "expected"),
        [
            (f"{OFFICE}wordprocessingml.document.main+xml", f"{OFFICE}wordprocessingml.document"),
            (f"{OFFICE}presentationml.slideshow.main+xml", f"{OFFICE}presentationml.slideshow"),
            (f"{OFFICE}spreadsheetml.template.main+xml", f"{OFFICE}spreadsheetml.template"),
            (
                "application/vnd.ms-excel.sheet.macroEnabled.main+xml",
                "application/vnd.ms-excel.sheet.macroEnabled.12",
            ),
            (
                "application/vnd.ms-excel.sheet.binary.macroEnabled.main",
                "application/vnd.ms-excel.sheet.binary.macroEnabled.12",
            ),
            ("application/vnd.ms-visio.drawing.main+xml", "application/vnd.ms-visio.drawing.main+xml"),
        ],
    )
    def test_an_office_file_is_what_its_main_part_is(
        self, says: Callable[..., str], main_part: str, expected: str
    ) -> None:
        assert says(package(main_part, big=bytes(100_000))) == expected

    @pytest.mark.parametrize(
        "stated",
        ["application/epub+zip", "application/vnd.oasis.opendocument.text", "application/hwp+zip", "image/openraster"],
    )
    def test_a_member_called_mimetype_states_the_type(self, says: Callable[..., str], stated: str) -> None:
        assert says(zipped({"mimetype": stated, "content.xml": "<a/>"}, zipfile.ZIP_STORED)) == stated

    @pytest.mark.parametrize(
        ("members", "name", "expected"),
        [
            (["META-INF/MANIFEST.MF", "A.class"], "a.jar", "application/java-archive"),
            (["AndroidManifest.xml", "META-INF/MANIFEST.MF"], "", "application/vnd.android.package-archive"),
            (["doc.kml"], "", "application/vnd.google-earth.kmz"),
            (["Index/Document.iwa"], "sheet.numbers", "application/vnd.apple.numbers"),
            (["Index/Document.iwa", "Index/Slide.iwa"], "", "application/vnd.apple.keynote"),
            (["word/document.xml"], "", f"{OFFICE}wordprocessingml.document"),
            (["1.jpg", "2.jpg"], "comic.cbz", "application/vnd.comicbook+zip"),
            (["1.jpg", "2.jpg"], "pictures.zip", "application/zip"),
            (["1.jpg", "2.jpg"], "letter.docx", "application/zip"),
            (["Talk.key/Index.zip"], "", "application/vnd.apple.keynote"),
            (["[Content_Types].xml", "xl/sheet.xml"], "", f"{OFFICE}spreadsheetml.sheet"),
        ],
    )
    def test_the_members_tell_what_kind_of_zip(
        self, says: Callable[..., str], members: list[str], name: str, expected: str
    ) -> None:
        assert says(zipped(dict.fromkeys(members, b"x")), name=name) == expected

    def test_an_open_document_without_its_first_member_goes_by_its_manifest(self, says: Callable[..., str]) -> None:
        entry = '<m:file-entry m:full-path="/" m:media-type="application/vnd.oasis.opendocument.spreadsheet"/>'
        assert says(zipped({"META-INF/manifest.xml": entry})) == "application/vnd.oasis.opendocument.spreadsheet"

    def test_bytes_before_a_zip_do_not_hide_its_members(self, says: Callable[..., str]) -> None:
        assert says(bytes(100) + zipped({"doc.kml": "<kml/>"})) == "application/vnd.google-earth.kmz"

    def test_a_docx_cut_off_in_the_middle_is_still_one(self, says: Callable[..., str]) -> None:
        whole = zipped({"[Content_Types].xml": "<Types/>", "word/document.xml": bytes(5000), "z": bytes(9)})
        assert says(whole[:-200]) == f"{OFFICE}wordprocessingml.document"

    def test_a_member_that_unpacks_to_gigabytes_costs_nothing(self, says: Callable[..., str]) -> None:
        bomb = zipped({"mimetype": bytes(50 * 1024 * 1024), "[Content_Types].xml": bytes(50 * 1024 * 1024)})
        assert says(bomb) == "application/zip"


class TestCompoundFiles:
    @pytest.mark.parametrize(
        ("entries", "expected"),
        [
            (["WordDocument", "1Table"], "application/msword"),
            (["Workbook"], "application/vnd.ms-excel"),
            (["PowerPoint Document"], "application/vnd.ms-powerpoint"),
            (["__properties_version1.0"], "application/vnd.ms-outlook"),
            (["FileHeader", "BodyText"], "application/x-hwp"),
            (["Something else"], "application/x-ole-storage"),
        ],
    )
    def test_the_directory_tells_what_kind(self, says: Callable[..., str], entries: list[str], expected: str) -> None:
        assert says(compound(*entries)) == expected

    def test_a_protected_docx_goes_by_its_name(self, says: Callable[..., str]) -> None:
        assert says(compound("EncryptedPackage"), name="secret.docx") == f"{OFFICE}wordprocessingml.document"

    def test_a_directory_that_runs_in_circles_ends(self, says: Callable[..., str]) -> None:
        looped = bytearray(compound("Workbook"))
        struct.pack_into("<I", looped, 512 + 4, 1)
        assert says(bytes(looped)) == "application/vnd.ms-excel"


class TestMedia:
    @pytest.mark.parametrize(
        ("data", "name", "expected"),
        [
            (film(b"isom", b"vide", b"soun"), "", "video/mp4"),
            (film(b"isom", b"soun"), "", "audio/mp4"),
            (film(b"isom", b"soun"), "talk.mp4", "video/mp4"),
            (film(b"M4A ", b"soun"), "", "audio/mp4"),
            (film(b"qt  ", b"vide"), "", "video/quicktime"),
            (film(b"3gp4", b"vide"), "", "video/3gpp"),
            (film(b"heic"), "", "image/heic"),
            (film(b"avif"), "", "image/avif"),
            (b"RIFF\x24\0\0\0WAVEfmt ", "", "audio/wav"),
            (b"RIFF\x24\0\0\0WEBPVP8 ", "", "image/webp"),
            (b"FORM\0\0\0\x24AIFFCOMM", "", "audio/aiff"),
            (b"OggS\0\2" + bytes(22) + b"OpusHead", "", "audio/ogg"),
            (b"OggS\0\2" + bytes(22) + b"\x80theora", "", "video/ogg"),
            (b"\x1a\x45\xdf\xa3\x9f\x42\x82\x84webm\x86\x85V_VP9", "", "video/webm"),
            (b"\x1a\x45\xdf\xa3\x9f\x42\x82\x88matroska\x86\x85V_VP9", "", "video/x-matroska"),
            ((b"\xff\xfb\x90\x00" + bytes(413)) * 4, "", "audio/mpeg"),
            (b"ID3\4\0\0\0\0\0\x04" + bytes(4) + b"fLaC", "", "audio/flac"),
        ],
    )
    def test_containers_are_told_apart(self, says: Callable[..., str], data: bytes, name: str, expected: str) -> None:
        assert says(data, name=name) == expected


class TestPictures:
    @pytest.mark.parametrize(
        ("data", "name", "expected"),
        [
            (b"II*\0\x08\0\0\0\0\0\0\0\0\0", "", "image/tiff"),
            (b"II*\0\x08\0\0\0\0\0\0\0\0\0", "shot.nef", "image/x-nikon-nef"),
            (b"II*\0\x10\0\0\0CR\2\0" + bytes(20), "", "image/x-canon-cr2"),
            (b"II*\0\x08\0\0\0\1\0" + struct.pack("<HHII", 50706, 1, 4, 1) + bytes(4), "", "image/x-adobe-dng"),
            (b"BM\x46\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0" + bytes(40), "", "image/bmp"),
            (b"P5\n# made by hand\n2 2\n255\n\1\2\3\4", "", "image/x-portable-graymap"),
            (bytes(2) + b"\2" + bytes(9) + b"\1\0\1\0\x18\0" + bytes(9), "dot.tga", "image/x-tga"),
            (bytes(128) + b"DICM" + bytes(20), "", "application/dicom"),
        ],
    )
    def test_headers_are_read_with_care(self, says: Callable[..., str], data: bytes, name: str, expected: str) -> None:
        assert says(data, name=name) == expected


class TestTexts:
    SVG = '<svg xmlns="http://www.w3.org/2000/svg"/>'

    @pytest.mark.parametrize(
        "data",
        [
            SVG.encode(),
            f'<?xml version="1.0" encoding="UTF-16"?>{SVG}'.encode("utf-16"),
            f"<!-- a -->\n<!DOCTYPE svg [<!ENTITY a 'b'>]>\n{SVG}".encode(),
            b'<s:svg xmlns:s="http://www.w3.org/2000/svg"></s:svg>',
        ],
    )
    def test_svg_is_never_plain_text(self, says: Callable[..., str], data: bytes) -> None:
        assert says(data, name="note.txt") == "image/svg+xml"

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ('<?xml version="1.0"?><root/>', "application/xml"),
            ('<rss version="2.0"/>', "application/rss+xml"),
            ('<feed xmlns="http://www.w3.org/2005/Atom"/>', "application/atom+xml"),
            ('<gpx version="1.1"/>', "application/gpx+xml"),
            ('<kml xmlns="http://www.opengis.net/kml/2.2"/>', "application/vnd.google-earth.kml+xml"),
            ('<!DOCTYPE plist PUBLIC "-//Apple"><plist/>', "application/x-plist"),
            ("<!DOCTYPE html><title>x</title>", "text/html"),
            ('<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"/>', "application/xhtml+xml"),
            ('{"a": [1, 2]}', "application/json"),
            ('{"a": 1}\n{"a": 2}\n', "application/x-ndjson"),
            ('{"type": "FeatureCollection", "features": []}', "application/geo+json"),
            ("{\\rtf1 words}", "application/rtf"),
            ("BEGIN:VCALENDAR\r\nEND:VCALENDAR", "text/calendar"),
            ("BEGIN:VCARD\r\nEND:VCARD", "text/vcard"),
            ("WEBVTT\n\n", "text/vtt"),
            ("1\n00:00:01,000 --> 00:00:02,000\nHi\n", "application/x-subrip"),
            ("#!/usr/bin/env python3\nprint()\n", "text/x-python"),
            ("#!/bin/sh\nexit\n", "text/x-shellscript"),
            ("<?php echo 1;", "text/x-php"),
            ("%!PS-Adobe-3.0\n", "application/postscript"),
            ("-----BEGIN CERTIFICATE-----\nMII\n", "application/x-x509-ca-cert"),
            ("-----BEGIN RSA PRIVATE KEY-----\nMII\n", "application/x-pem-key"),
            ("diff --git a/x b/x\n", "text/x-diff"),
            ("a,b,c\n1,2,3\n4,5,6\n", "text/csv"),
            ("a;b;c\n1;2;3\n4;5;6\n", "text/csv"),
            ("a\tb\n1\t2\n3\t4\n", "text/tab-separated-values"),
        ],
    )
    def test_text_that_says_what_it_is(self, says: Callable[..., str], text: str, expected: str) -> None:
        assert says(text.encode()) == expected

    def test_json_too_large_to_parse_goes_by_its_beginning(self, says: Callable[..., str]) -> None:
        assert says(json.dumps([{"key": "x" * 900}] * 2500).encode()) == "application/json"

    @pytest.mark.parametrize(
        "text", ["[" * 60_000, '{"a":' * 12_000, "<!--" * 16_000, "P1" + " " * 60_000, "<?" * 30_000]
    )
    def test_text_built_to_take_long_does_not(self, says: Callable[..., str], text: str) -> None:
        assert "/" in says(text.encode())

    def test_a_pdf_may_begin_late(self, says: Callable[..., str]) -> None:
        assert says(b"junk\n" * 100 + b"%PDF-1.4\n1 0 obj\nstartxref\n0\n%%EOF\n") == "application/pdf"

    def test_words_about_pdf_are_no_pdf(self, says: Callable[..., str]) -> None:
        assert says(b"A file begins with %PDF-1.4 and a line end.\n") == "text/plain"


class TestMail:
    MESSAGE = b"Received: by host\r\nFrom: a@example.org\r\nTo: b@example.org\r\nSubject: Hi\r\n\r\nWords\r\n"

    def test_header_fields_make_a_mail(self, says: Callable[..., str]) -> None:
        assert says(self.MESSAGE, name="mail_01") == "message/rfc822"

    def test_an_attachment_in_eight_bits_leaves_it_a_mail(self, says: Callable[..., str]) -> None:
        assert says(self.MESSAGE + bytes(range(256)) * 20) == "message/rfc822"

    def test_a_mailbox_begins_with_a_from_line(self, says: Callable[..., str]) -> None:
        line = b"From a@example.org Mon Jan  1 00:00:00 2024\n"
        assert says(line + self.MESSAGE + b"\n" + line + self.MESSAGE) == "application/mbox"

    def test_a_patch_from_git_is_no_mailbox(self, says: Callable[..., str]) -> None:
        start = b"From " + b"a" * 40 + b" Mon Sep 17 00:00:00 2001\nFrom: A <a@example.org>\nSubject: x\n\n"
        assert says(start + b"--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n") == "text/x-diff"

    def test_two_lines_with_colons_are_no_mail(self, says: Callable[..., str]) -> None:
        assert says(b"Subject: budget\nDate: Monday\n\nwords\n") == "text/plain"


def test_noise_is_not_taken_for_a_known_format(says: Callable[..., str]) -> None:
    noise = random.Random(1)
    assert {says(noise.randbytes(600)) for _ in range(500)} == {"application/octet-stream"}


def test_a_text_about_id3_is_no_sound(says: Callable[..., str]) -> None:
    assert says(b"ID3 tags\n========\n", name="id3.rst") == "text/x-rst"


class TestArchives:
    def test_a_tar_without_the_modern_mark_is_known_by_its_sum(self, says: Callable[..., str]) -> None:
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
            archive.addfile(tarfile.TarInfo("empty"))
        block = bytearray(buffer.getvalue())
        block[257:265] = bytes(8)
        block[148:156] = b"        "
        block[148:156] = b"%06o\0 " % sum(block[:512])
        assert says(bytes(block)) == "application/x-tar"

    def test_gzip_is_gzip_and_a_packed_drawing_a_drawing(self, says: Callable[..., str]) -> None:
        assert says(gzip.compress(b"words"), name="a.tgz") == "application/gzip"
        assert says(gzip.compress(b"<svg/>"), name="a.svgz") == "image/svg+xml-compressed"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("audio/x-wav", "audio/wav"),
        ("Text/XML; charset=utf-8", "application/xml"),
        ("application/vnd.ms-excel.sheet.macroenabled.12", "application/vnd.ms-excel.sheet.macroEnabled.12"),
        ("image/png", "image/png"),
        ("nonsense", ""),
        ("a/b c", ""),
    ],
)
def test_one_format_has_one_name(given: str, expected: str) -> None:
    assert normalise(given) == expected


def test_of_a_huge_file_only_pieces_are_read(tmp_path: Path) -> None:
    path = tmp_path / "huge"
    with path.open("wb") as file:
        file.write(b"words\n" * 20_000)
        file.truncate(2 * 1024**3)
    assert identify(path, name="huge.txt").media_type == "application/octet-stream"
    with path.open("rb") as file:
        assert sum(map(len, Window(file, path.stat().st_size).samples(16, 4096))) <= 16 * 4096


STARTS = [
    *(b"", PNG, b"PK\x03\x04", zipped({"a": b"b"}), compound("Book"), film(b"isom"), b"%PDF-", b"II*\0\x08\0\0\0"),
    *(b"ID3", b"\xff\xfb\x90\0", b"<?xml ", b"<", b"{", b"[", b"From ", b"a: b\n", b"\xff\xfe", b"\x30\x82", b"OggS"),
]


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    start=st.sampled_from(STARTS),
    rest=st.binary(max_size=600),
    cut=st.integers(0, 2000),
    name=st.one_of(st.text(max_size=20), st.sampled_from(["a.tga", "a.mp3", "a.cr2", "a.csv", "a.p12", "a.eml"])),
    declared=st.text(max_size=20),
)
def test_any_bytes_under_any_name_have_a_media_type(
    tmp_path: Path, start: bytes, rest: bytes, cut: int, name: str, declared: str
) -> None:
    path = tmp_path / "upload"
    path.write_bytes((start + rest)[: 2000 - cut])
    found = identify(path, name=name, declared=declared)
    family, slash, kind = found.media_type.partition("/")
    assert slash == "/"
    assert family
    assert kind
    assert normalise(found.media_type)
    assert json.dumps([(voice.by, voice.says, voice.why) for voice in found.evidence])
