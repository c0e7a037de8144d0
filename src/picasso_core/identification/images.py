"""Pictures that detectors confuse: their headers, read with care."""

from __future__ import annotations

import re
import struct

from picasso_core.identification.window import Window

_RAW_MAKERS = {
    "nef": "image/x-nikon-nef",
    "nrw": "image/x-nikon-nrw",
    "arw": "image/x-sony-arw",
    "sr2": "image/x-sony-sr2",
    "srf": "image/x-sony-srf",
    "pef": "image/x-pentax-pef",
    "srw": "image/x-samsung-srw",
    "erf": "image/x-epson-erf",
    "3fr": "image/x-hasselblad-3fr",
    "fff": "image/x-hasselblad-fff",
    "kdc": "image/x-kodak-kdc",
    "dcr": "image/x-kodak-dcr",
    "k25": "image/x-kodak-k25",
    "mef": "image/x-mamiya-mef",
    "mos": "image/x-leaf-mos",
    "iiq": "image/x-phaseone-iiq",
    "cr2": "image/x-canon-cr2",
    "dng": "image/x-adobe-dng",
    "rwl": "image/x-leica-rwl",
}
_MAKERS = {b"NIKON CORPORATION": "nef", b"SONY": "arw", b"PENTAX": "pef", b"SAMSUNG": "srw"}
_MAKE, _SUB_IMAGES, _DNG_VERSION, _MAKER_PRIVATE = 271, 330, 50706, 50740
_BITMAP_HEADERS = tuple(struct.pack("<H", size) for size in (12, 16, 40, 52, 56, 64, 108, 124))
# One way to read each character, so that a hostile header costs no more than its length.
_ANYMAP = re.compile(rb"P([1-7])(?:\s|#[^\r\n]{0,200}[\r\n]){1,400}(?:WIDTH )?\d{1,7}\s")
_ANYMAPS = {
    b"1": "image/x-portable-bitmap",
    b"2": "image/x-portable-graymap",
    b"3": "image/x-portable-pixmap",
    b"4": "image/x-portable-bitmap",
    b"5": "image/x-portable-graymap",
    b"6": "image/x-portable-pixmap",
    b"7": "image/x-portable-arbitrarymap",
}


def media_type_of_image(window: Window) -> str:
    """The type of a picture, or nothing."""
    head = window.head
    if head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return _tiff(window)
    if head[:2] == b"BM" and head[14:16] in _BITMAP_HEADERS and head[6:10] == b"\0\0\0\0":
        return "image/bmp"
    if head[:4] in (b"\0\0\1\0", b"\0\0\2\0") and len(head) >= 22 and 0 < head[4] < 200 and head[5] == 0:
        return "image/vnd.microsoft.icon" if head[2] == 1 else "image/vnd.microsoft.cursor"
    if head[:1] == b"\x0a" and len(head) >= 128 and head[1] < 6 and head[2] < 2 and head[3] in (1, 2, 4, 8):
        return "image/vnd.zbrush.pcx"
    if _is_flic(window):
        return "video/x-flic"
    if head[:4] == b"\1\0\0\0" and head[40:44] == b" EMF":
        return "image/emf"
    if found := _ANYMAP.match(head[:1024]):
        return _ANYMAPS[found[1]]
    if head[522:526] in (b"\x00\x11\x02\xff", b"\x11\x01\x01\x00") and not head[:512].strip(b"\0"):
        return "image/x-pict"
    return "image/x-tga" if _is_targa(window) else ""


def _tiff(window: Window) -> str:
    """TIFF, or the camera format built on it; a maker's name alone is no proof, its own extension is."""
    if window.head[8:10] == b"CR" and window.head[:2] == b"II":
        return "image/x-canon-cr2"
    if window.head[2:4] in (b"+\0", b"\0+"):
        return "image/tiff"
    tags = _first_tags(window)
    if _DNG_VERSION in tags:
        return "image/x-adobe-dng"
    named = _RAW_MAKERS.get(window.extension, "")
    if named:
        return named
    kind = _MAKERS.get(tags.get(_MAKE, b"").strip(b"\0 "), "")
    if kind and _SUB_IMAGES in tags and (kind != "arw" or _MAKER_PRIVATE in tags):
        return _RAW_MAKERS[kind]
    return "image/tiff"


def _first_tags(window: Window) -> dict[int, bytes]:
    """The tags of the first directory; only the maker comes with its value."""
    order = "<" if window.head[:2] == b"II" else ">"
    if len(window.head) < 8:
        return {}
    (offset,) = struct.unpack_from(f"{order}I", window.head, 4)
    directory = window.read(offset, 2 + 12 * 256)
    if len(directory) < 2:
        return {}
    (count,) = struct.unpack_from(f"{order}H", directory, 0)
    found: dict[int, bytes] = {}
    for at in range(2, min(2 + 12 * count, len(directory) - 11), 12):
        tag, _, length, value = struct.unpack_from(f"{order}HHII", directory, at)
        found[tag] = window.read(value, min(length, 64)) if tag == _MAKE and length > 4 else b""
    return found


def _is_flic(window: Window) -> bool:
    """An Autodesk animation: its mark lies behind the length, so the flags or the name must agree."""
    named = window.extension in ("fli", "flc", "flx")
    return window.head[4:6] in (b"\x11\xaf", b"\x12\xaf") and (named or window.head[14:16] == b"\0\0")


def _is_targa(window: Window) -> bool:
    """Targa has no mark at its start: a footer, or a name together with a header that holds."""
    if window.size > 44 and window.tail(18)[:16] == b"TRUEVISION-XFILE":
        return True
    if window.extension not in ("tga", "targa", "vda", "icb", "vst", "tpic") or len(window.head) < 18:
        return False
    mapped, kind, width, height, depth = struct.unpack_from("<xBB9xHHB", window.head)
    if mapped > 1 or kind not in (1, 2, 3, 9, 10, 11) or depth not in (1, 8, 15, 16, 24, 32):
        return False
    return bool(width and height) and (mapped == 1 or kind not in (1, 9))
