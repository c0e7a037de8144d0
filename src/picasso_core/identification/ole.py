"""Inside an OLE compound file (Office 97, Outlook, Hangul, installers): the media type from its directory."""

from __future__ import annotations

import struct

from picasso_core.identification.window import Window

_MOST_ENTRIES = 1024
_END_OF_CHAIN = 0xFFFFFFFA
_MSI = bytes.fromhex("84100c0000000000c000000000000046")

# In this order: what a document embeds lies deeper, but converted files keep leftovers of their former kind beside it.
_BY_ENTRY = (
    ("__properties_version1.0", "application/vnd.ms-outlook"),
    ("__nameid_version1.0", "application/vnd.ms-outlook"),
    ("HwpSummaryInformation", "application/x-hwp"),
    ("Quill", "application/vnd.ms-publisher"),
    ("VisioDocument", "application/vnd.visio"),
    ("PowerPoint Document", "application/vnd.ms-powerpoint"),
    ("PP97_DUALSTORAGE", "application/vnd.ms-powerpoint"),
    ("PP40", "application/vnd.ms-powerpoint"),
    ("WordDocument", "application/msword"),
    ("Workbook", "application/vnd.ms-excel"),
    ("WORKBOOK", "application/vnd.ms-excel"),
    ("Book", "application/vnd.ms-excel"),
    ("BOOK", "application/vnd.ms-excel"),
    ("StarWriterDocument", "application/vnd.stardivision.writer"),
    ("StarCalcDocument", "application/vnd.stardivision.calc"),
    ("StarImpressDocument", "application/vnd.stardivision.impress"),
    ("StarDrawDocument3", "application/vnd.stardivision.draw"),
    ("StarDrawDocument", "application/vnd.stardivision.draw"),
    ("StarChartDocument", "application/vnd.stardivision.chart"),
    ("StarMathDocument", "application/vnd.stardivision.math"),
    ("EncryptedPackage", "application/encrypted"),
    ("PerfectOffice_MAIN", "application/vnd.wordperfect"),
    ("NativeContent_MAIN", "application/x-quattro-pro"),
    ("MatOST", "application/vnd.ms-works"),
    ("WksSSWorkBook", "application/vnd.ms-works"),
    ("Props", "application/vnd.ms-project"),
    ("Props9", "application/vnd.ms-project"),
    ("Props12", "application/vnd.ms-project"),
    ("Image Contents", "image/vnd.fpx"),
    ("Data Object Store 000001", "image/vnd.fpx"),
)


def media_type_of_ole(window: Window) -> str:
    """What kind of compound file this is; ``application/x-ole-storage`` when its directory says nothing."""
    directory = _directory(window)
    entries = [directory[at : at + 128] for at in range(0, len(directory) - 127, 128)][:_MOST_ENTRIES]
    if not entries:
        return "application/x-ole-storage"
    if entries[0][80:96] == _MSI:
        return "application/x-msi"
    names = _top_names(entries) or {_name(entry) for entry in entries}
    if "FileHeader" in names and ("BodyText" in names or "DocInfo" in names):
        return "application/x-hwp"
    for name, media_type in _BY_ENTRY:
        if name in names or (name[0].isalpha() and f"\x05{name}" in names):
            return media_type
    if any(name.startswith("   1") for name in names):
        return "application/vnd.ms-project"
    return "application/x-ole-storage"


def _directory(window: Window) -> bytes:
    """The directory's sectors, followed through the allocation table within bounds."""
    if len(window.head) < 512:
        return b""
    (shift,) = struct.unpack_from("<H", window.head, 30)
    if shift not in (9, 12):
        return b""
    (sector,) = struct.unpack_from("<I", window.head, 48)
    tables = struct.unpack_from("<109I", window.head, 76)
    size = 1 << shift
    pieces: list[bytes] = []
    while sector < _END_OF_CHAIN and len(pieces) * size < _MOST_ENTRIES * 128:
        piece = window.read((sector + 1) * size, size)
        if len(piece) < 128:
            break
        pieces.append(piece)
        table, slot = divmod(sector, size // 4)
        # Allocation tables beyond the header's 109 belong to files over 6 MiB; what was read so far must do then.
        if table >= len(tables) or tables[table] >= _END_OF_CHAIN:
            break
        link = window.read((tables[table] + 1) * size + slot * 4, 4)
        if len(link) < 4:
            break
        (sector,) = struct.unpack("<I", link)
    return b"".join(pieces)


def _top_names(entries: list[bytes]) -> set[str]:
    """The names directly under the root: an embedded spreadsheet does not make a letter a spreadsheet."""
    names: set[str] = set()
    seen: set[int] = set()
    waiting: list[int] = list(struct.unpack_from("<I", entries[0], 76))
    while waiting:
        number = waiting.pop()
        if number >= len(entries) or number in seen:
            continue
        seen.add(number)
        names.add(_name(entries[number]))
        waiting.extend(struct.unpack_from("<2I", entries[number], 68))
    return names


def _name(entry: bytes) -> str:
    (length,) = struct.unpack_from("<H", entry, 64)
    return entry[: max(0, min(length, 64) - 2)].decode("utf-16-le", "replace")
