"""Files that are small and ask for much: each has to end within seconds and within the memory limit."""

from __future__ import annotations

import io
import random
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from .chunks import PNG
from .written import by_hand

MB = 1_000_000
CATALOG = b"<</Type/Catalog/Pages 2 0 R>>"
PAGES = b"<</Type/Pages/Kids[3 0 R]/Count 1>>"
PAGE = b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 200 100]>>"
ANY = ("", "declined", "invalid_file", "limit_exceeded")
REFUSED = ("invalid_file", "limit_exceeded")


@dataclass(frozen=True)
class Bomb:
    """A file, who gets it as what, and the codes it may end with; the empty one is a success."""

    name: str
    make: Callable[[], bytes]
    processor: str
    media_type: str
    ends: tuple[str, ...] = ANY


def bombs() -> Iterator[Bomb]:
    """Yield each kind."""
    for name, make, ends in _images():
        yield Bomb(name, make, "image", "image/png" if name.endswith("png") else "image/gif", ends)
    for name, make, ends in _pdfs():
        yield Bomb(name, make, "pdf", "application/pdf", ends)
    for name, make in _texts():
        yield Bomb(name, make, "text", "text/plain")
    for name, make in _archives():
        yield Bomb(name, make, "", "")


def _png(width: int, height: int, colour: int = 0, *, before: bytes = b"", data: bytes | None = None) -> bytes:
    """Write a PNG of zeros; ``colour`` is 0 for grey, 2 for RGB, 6 for RGBA."""
    header = struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0)
    if data is None:
        data = _zeros(height * (1 + width * {0: 1, 2: 3, 6: 4}[colour]))
    return PNG + _chunk(b"IHDR", header) + before + _chunk(b"IDAT", data) + _chunk(b"IEND", b"")


def _zeros(count: int) -> bytes:
    """Return so many zeros, packed, without having them: one packed megabyte is repeated."""
    packer = zlib.compressobj(9, wbits=-15)
    block = packer.compress(bytes(MB)) + packer.flush(zlib.Z_FULL_FLUSH)
    rest = packer.compress(bytes(count % MB)) + packer.flush()
    return b"\x78\x01" + block * (count // MB) + rest + struct.pack(">HH", count % 65521, 1)


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _gif(frames: int) -> bytes:
    frame = b"," + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02\x44\x01\x00"
    return b"GIF89a" + struct.pack("<HHBBB", 1, 1, 0x80, 0, 0) + bytes(6) + frame * frames


def _images() -> Iterator[tuple[str, Callable[[], bytes], tuple[str, ...]]]:
    text = _chunk(b"zTXt", b"key\0\0" + _zeros(MB))
    profile = _chunk(b"iCCP", b"p\0\0" + _zeros(100 * MB))
    limit = ("limit_exceeded",)
    yield "178 megapixels of grey.png", lambda: _png(13_350, 13_350), limit
    yield "178 megapixels of RGBA.png", lambda: _png(13_350, 13_350, 6), limit
    yield "400 megapixels.png", lambda: _png(20_000, 20_000), limit
    yield "49 megapixels of RGB.png", lambda: _png(7_000, 7_000, 2), ANY
    yield "the largest size there is.png", lambda: _png(2**31 - 1, 2**31 - 1, data=b""), limit
    yield "80 texts of 1 MB.png", lambda: _png(1, 1, before=text * 80), ANY
    yield "one text of 100 MB.png", lambda: _png(1, 1, before=_chunk(b"zTXt", b"k\0\0" + _zeros(100 * MB))), ANY
    yield "a profile of 100 MB.png", lambda: _png(1, 1, before=profile), ANY
    yield "half a million chunks.png", lambda: _png(1, 1, before=_chunk(b"tEXt", b"k\0v") * 500_000), ANY
    yield "a million frames.gif", lambda: _gif(1_000_000), ANY


def _pdf_of(packed: bytes) -> bytes:
    stream = b"<</Length %d/Filter/FlateDecode>>\nstream\n%s\nendstream" % (len(packed), packed)
    font = b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>"
    page = b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 200 100]/Contents 4 0 R/Resources<</Font<</F 5 0 R>>>>>>"
    return by_hand(CATALOG, PAGES, page, stream, font)


def _pdfs() -> Iterator[tuple[str, Callable[[], bytes], tuple[str, ...]]]:
    kids = b"<</Type/Pages/Count 90000/Kids[" + b"3 0 R " * 90_000 + b"]>>"
    yield "a million operators.pdf", lambda: _pdf_of(zlib.compress(b"q Q " * 500_000)), ANY
    yield "a million texts.pdf", lambda: _pdf_of(zlib.compress(b"BT /F 9 Tf " + b"(a) Tj " * MB + b"ET")), ANY
    yield "70 MB of zeros.pdf", lambda: _pdf_of(_zeros(70 * MB)), ANY
    yield "300 MB of zeros.pdf", lambda: _pdf_of(_zeros(300 * MB)), ANY
    yield "90,000 pages.pdf", lambda: by_hand(CATALOG, kids, PAGE), ("limit_exceeded",)
    yield "pages within themselves.pdf", lambda: by_hand(CATALOG, b"<</Type/Pages/Kids[2 0 R 2 0 R]/Count 2>>"), ANY
    yield "200,000 nested arrays.pdf", lambda: by_hand(CATALOG, PAGES, PAGE, trailer=b"/Info " + b"[" * 200_000), ANY
    yield "5 MB of junk.pdf", lambda: b"%PDF-1.4\n" + random.Random(1).randbytes(5 * MB), REFUSED
    yield "6 MB of white space.pdf", lambda: b"%PDF-1.4\n" + b" " * 6 * MB, REFUSED
    yield "a million unfinished objects.pdf", lambda: b"%PDF-1.4\n" + b"1 0 obj\n" * MB, REFUSED
    yield "a million objects.pdf", lambda: b"%PDF-1.4\n" + b"1 0 obj\nendobj\n" * MB + b"startxref\n9\n%%EOF", REFUSED
    yield "a million lines behind the end.pdf", lambda: by_hand(CATALOG, PAGES, PAGE) + b"x\n" * MB, ANY
    yield "no page.pdf", lambda: by_hand(CATALOG, b"<</Type/Pages/Kids[]/Count 0>>"), REFUSED


def _texts() -> Iterator[tuple[str, Callable[[], bytes]]]:
    noise = random.Random(2)
    yield "10 MB of noise.txt", lambda: noise.randbytes(10 * MB)
    yield "10 MB of high bytes.txt", lambda: bytes(noise.randrange(0x80, 0x100) for _ in range(MB)) * 10
    yield "10 MB of escapes.txt", lambda: b"\x1b$B" * (10 * MB // 3)
    yield "10 MB of half pairs.txt", lambda: b"\x81\x30\x81" * (10 * MB // 3)
    yield "10 MB of NUL.txt", lambda: bytes(10 * MB)
    yield "10 MB of carriage returns.txt", lambda: b"\r" * 10 * MB
    yield "one line of 50 MB.txt", lambda: b"word " * (10 * MB)
    yield "10 MB of lone surrogates.txt", lambda: b"\xff\xfe" + b"\x00\xd8" * (5 * MB)
    yield "a million open brackets.json", lambda: b"[" * MB
    yield "a million open elements.xml", lambda: b'<?xml version="1.0"?>' + b"<a>" * MB
    yield "a billion laughs.xml", _laughs


def _laughs() -> bytes:
    entities = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    return f'<?xml version="1.0"?><!DOCTYPE l [<!ENTITY l0 "ha">{entities}]><l>&l9;</l>'.encode()


def _archives() -> Iterator[tuple[str, Callable[[], bytes]]]:
    yield "60,000 members.zip", lambda: _zip({f"m/{number}": b"" for number in range(60_000)})
    yield "100 MB of zeros.zip", lambda: _zip({"zeros": bytes(100 * MB)})
    yield "a zip in a zip in a zip.zip", lambda: _zip({"a.zip": _zip({"b.zip": _zip({"zeros": bytes(50 * MB)})})})
    yield "names that climb.zip", lambda: _zip({"../../../../etc/cron.d/x": b"x", "/etc/passwd": b"x"})


def _zip(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()
