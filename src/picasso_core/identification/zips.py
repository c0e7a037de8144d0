"""Inside a zip: the media type from the names of its members and from the few that state it."""

from __future__ import annotations

import re
import struct
import zlib
from dataclasses import dataclass

from picasso_core.identification.window import Window

_END = b"PK\x05\x06"
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_LOCAL = struct.Struct("<4s5H3I2H")
_MOST_MEMBERS = 4096
_LARGEST_MEMBER = 1024 * 1024
_STATED = re.compile(rb"[a-z]{3,12}/[a-zA-Z0-9][a-zA-Z0-9.+-]{1,100}")
_OPEN_DOCUMENT = re.compile(rb"""["'](application/vnd\.(?:oasis\.opendocument|sun\.xml)\.[a-z.-]{3,40})["']""")
_CONTENT_TYPE = re.compile(rb"""ContentType\s{0,9}=\s{0,9}["'](application/vnd\.(?:ms-|openxml)[^"']{5,120})["']""")

_OFFICE = "application/vnd.openxmlformats-officedocument."
# What the main part of a package is declared as, and the type of the package.
_MAIN_PARTS = {
    f"{_OFFICE}wordprocessingml.document.main+xml": f"{_OFFICE}wordprocessingml.document",
    f"{_OFFICE}wordprocessingml.template.main+xml": f"{_OFFICE}wordprocessingml.template",
    f"{_OFFICE}spreadsheetml.sheet.main+xml": f"{_OFFICE}spreadsheetml.sheet",
    f"{_OFFICE}spreadsheetml.template.main+xml": f"{_OFFICE}spreadsheetml.template",
    f"{_OFFICE}presentationml.presentation.main+xml": f"{_OFFICE}presentationml.presentation",
    f"{_OFFICE}presentationml.template.main+xml": f"{_OFFICE}presentationml.template",
    f"{_OFFICE}presentationml.slideshow.main+xml": f"{_OFFICE}presentationml.slideshow",
    "application/vnd.ms-word.document.macroenabled.main+xml": "application/vnd.ms-word.document.macroEnabled.12",
    "application/vnd.ms-word.template.macroenabledtemplate.main+xml": (
        "application/vnd.ms-word.template.macroEnabled.12"
    ),
    "application/vnd.ms-excel.sheet.macroenabled.main+xml": "application/vnd.ms-excel.sheet.macroEnabled.12",
    "application/vnd.ms-excel.template.macroenabled.main+xml": "application/vnd.ms-excel.template.macroEnabled.12",
    "application/vnd.ms-excel.addin.macroenabled.main+xml": "application/vnd.ms-excel.addin.macroEnabled.12",
    "application/vnd.ms-excel.sheet.binary.macroenabled.main": "application/vnd.ms-excel.sheet.binary.macroEnabled.12",
    "application/vnd.ms-powerpoint.presentation.macroenabled.main+xml": (
        "application/vnd.ms-powerpoint.presentation.macroEnabled.12"
    ),
    "application/vnd.ms-powerpoint.template.macroenabled.main+xml": (
        "application/vnd.ms-powerpoint.template.macroEnabled.12"
    ),
    "application/vnd.ms-powerpoint.slideshow.macroenabled.main+xml": (
        "application/vnd.ms-powerpoint.slideshow.macroEnabled.12"
    ),
    "application/vnd.ms-powerpoint.addin.macroenabled.main+xml": "application/vnd.ms-powerpoint.addin.macroEnabled.12",
    "application/vnd.ms-package.xps-fixeddocumentsequence+xml": "application/vnd.ms-xpsdocument",
    "application/vnd.ms-package.3dmanufacturing-3dmodel+xml": "model/3mf",
}
_BY_MEMBER = (
    (b"word/document.xml", f"{_OFFICE}wordprocessingml.document"),
    (b"xl/workbook.xml", f"{_OFFICE}spreadsheetml.sheet"),
    (b"xl/workbook.bin", "application/vnd.ms-excel.sheet.binary.macroEnabled.12"),
    (b"ppt/presentation.xml", f"{_OFFICE}presentationml.presentation"),
    (b"visio/document.xml", "application/vnd.ms-visio.drawing.main+xml"),
    (b"3D/3dmodel.model", "model/3mf"),
    (b"FixedDocSeq.fdseq", "application/vnd.ms-xpsdocument"),
    (b"FixedDocumentSequence.fdseq", "application/vnd.ms-xpsdocument"),
    (b"index.apxl", "application/vnd.apple.keynote"),
    (b"AndroidManifest.xml", "application/vnd.android.package-archive"),
    (b"META-INF/mozilla.rsa", "application/x-xpinstall"),
    (b"META-INF/container.xml", "application/epub+zip"),
    (b"META-INF/MANIFEST.MF", "application/java-archive"),
    (b"doc.kml", "application/vnd.google-earth.kmz"),
)
_BY_FOLDER = (
    (b"word/", f"{_OFFICE}wordprocessingml.document"),
    (b"xl/", f"{_OFFICE}spreadsheetml.sheet"),
    (b"ppt/", f"{_OFFICE}presentationml.presentation"),
)
_APPLE = {
    "pages": "application/vnd.apple.pages",
    "numbers": "application/vnd.apple.numbers",
    "key": "application/vnd.apple.keynote",
}


@dataclass(frozen=True, slots=True)
class _Member:
    offset: int
    method: int
    packed: int


def media_type_of_zip(window: Window) -> str:
    """What kind of zip this is; ``application/zip`` when its members say nothing."""
    members = _members(window) or _local_members(window)
    stated = _content(window, members.get(b"mimetype"), 200).strip()
    if _STATED.fullmatch(stated):
        return stated.decode("ascii")
    if b"[Content_Types].xml" in members:
        for declared in _CONTENT_TYPE.finditer(_content(window, members[b"[Content_Types].xml"], _LARGEST_MEMBER)):
            part = declared[1].decode("latin-1").lower()
            if part in _MAIN_PARTS:
                return _MAIN_PARTS[part]
            if part.startswith("application/vnd.ms-visio.") and part.endswith(".main+xml"):
                return part  # Visio alone calls the package like its main part
    manifest = _content(window, members.get(b"META-INF/manifest.xml"), 64 * 1024)
    if listed := _OPEN_DOCUMENT.search(manifest):
        return listed[1].decode("ascii")
    return _by_members(window, members)


def _by_members(window: Window, members: dict[bytes, _Member]) -> str:
    for member, media_type in _BY_MEMBER:
        if member in members:
            return media_type
    kind = _apple(window, members)
    if kind:
        return _APPLE[kind]
    if b"[Content_Types].xml" in members:
        for folder, media_type in _BY_FOLDER:
            if any(name.startswith(folder) for name in members):
                return media_type
    if any(name.startswith(b"Payload/") and name.endswith(b".app/Info.plist") for name in members):
        return "application/x-ios-app"
    return "application/zip"


def _apple(window: Window, members: dict[bytes, _Member]) -> str:
    """Pages, Numbers and Keynote share one layout: a name decides, else what only one of them has; or nothing."""
    for name in members:
        folder, _, inside = name.partition(b"/")
        if inside == b"Index.zip" and (kind := folder.rpartition(b".")[2].decode("latin-1")) in _APPLE:
            return kind
    root = _content(window, members.get(b"index.xml"), 2000)
    for mark, kind in ((b"<sl:document", "pages"), (b"<ls:document", "numbers"), (b"<key:", "key")):
        if mark in root:
            return kind
    if not any(name == b"Index.zip" or (name.startswith(b"Index/") and name.endswith(b".iwa")) for name in members):
        return ""
    if window.extension in _APPLE:
        return window.extension
    if any(name.startswith((b"Index/Slide", b"Index/MasterSlide")) for name in members):
        return "key"
    return "numbers" if any(name.startswith(b"Index/Tables/") for name in members) else "pages"


def _members(window: Window) -> dict[bytes, _Member]:
    """The central directory, as far as bounds allow."""
    tail = window.tail(66 * 1024)
    at = tail.rfind(_END)
    if at < 0 or len(tail) < at + 22:
        return {}
    size, start = struct.unpack_from("<2I", tail, at + 12)
    end = window.size - len(tail) + at
    # Bytes put before the archive shift everything: the directory ends where its end record starts.
    shift = end - size - start if end >= size and window.read(end - size, 4) == b"PK\x01\x02" else 0
    directory = window.read(start + shift, min(size, _MOST_MEMBERS * 300))
    found: dict[bytes, _Member] = {}
    position = 0
    while len(found) < _MOST_MEMBERS and position + _CENTRAL.size <= len(directory):
        field = _CENTRAL.unpack_from(directory, position)
        if field[0] != b"PK\x01\x02":
            break
        name_at = position + _CENTRAL.size
        name = directory[name_at : name_at + field[10]].replace(b"\\", b"/").removeprefix(b"./")
        found.setdefault(name, _Member(field[16] + shift, field[4], field[8]))
        position = name_at + field[10] + field[11] + field[12]
    return found


def _local_members(window: Window) -> dict[bytes, _Member]:
    """The members whose headers lie in the head: for archives that were cut off."""
    found: dict[bytes, _Member] = {}
    position = window.head.find(b"PK\x03\x04")
    while position >= 0 and len(found) < 200 and position + _LOCAL.size <= len(window.head):
        field = _LOCAL.unpack_from(window.head, position)
        name_at = position + _LOCAL.size
        name = window.head[name_at : name_at + field[9]].replace(b"\\", b"/")
        found.setdefault(name, _Member(position, field[3], field[7] or len(window.head)))
        position = window.head.find(b"PK\x03\x04", name_at + field[9])
    return found


def _content(window: Window, member: _Member | None, most: int) -> bytes:
    """Up to ``most`` bytes of what a member unpacks to, or nothing."""
    if member is None:
        return b""
    header = window.read(member.offset, _LOCAL.size)
    if len(header) < _LOCAL.size or not header.startswith(b"PK\x03\x04"):
        return b""
    name_length, extra_length = struct.unpack_from("<2H", header, 26)
    packed = window.read(member.offset + _LOCAL.size + name_length + extra_length, min(member.packed, most))
    if member.method == 0:
        return packed
    if member.method != 8:
        return b""
    try:
        return zlib.decompressobj(-15).decompress(packed, most)
    except zlib.error:
        return b""
