"""Formats with a mark of their own: compared byte for byte, with a second look where the mark is short."""

from __future__ import annotations

import re
from typing import Literal

from picasso_core.identification.window import Window

_MARKS = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"8BPS\0\1", "image/vnd.adobe.photoshop"),
    (b"8BPS\0\2", "image/vnd.adobe.photoshop"),
    (b"\x8bJNG\r\n\x1a\n", "image/x-jng"),
    (b"\x8aMNG\r\n\x1a\n", "video/x-mng"),
    (b"\xff\x4f\xff\x51\x00", "image/x-jp2-codestream"),
    (b"\x00\x00\x00\x0cJXL \r\n\x87\n", "image/jxl"),
    (b"\xff\x0a", "image/jxl"),
    (b"AT&TFORM", "image/vnd.djvu"),
    (b"qoif\0", "image/qoi"),
    (b"BPG\xfb", "image/bpg"),
    (b"DDS ", "image/vnd.ms-dds"),
    (b"IIRO\x08\0\0\0", "image/x-olympus-orf"),
    (b"IIRS\x08\0\0\0", "image/x-olympus-orf"),
    (b"MMOR\0\0\0\x08", "image/x-olympus-orf"),
    (b"IIU\0", "image/x-panasonic-rw2"),
    (b"FUJIFILMCCD-RAW", "image/x-fuji-raf"),
    (b"FOVb", "image/x-sigma-x3f"),
    (b"\0MRM", "image/x-minolta-mrw"),
    (b"II\x1a\0\0\0HEAPCCDR", "image/x-canon-crw"),
    (b"fLaC", "audio/flac"),
    (b"MThd", "audio/midi"),
    (b"MAC ", "audio/x-ape"),
    (b"MP+", "audio/x-musepack"),
    (b"MPCK", "audio/x-musepack"),
    (b"wvpk", "audio/x-wavpack"),
    (b"TTA1", "audio/x-tta"),
    (b"DSD ", "audio/x-dsf"),
    (b"#!AMR", "audio/amr"),
    (b"\x1f\x8b\x08", "application/gzip"),
    (b"BZh", "application/x-bzip2"),
    (b"\xfd7zXZ\0", "application/x-xz"),
    (b"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"),
    (b"Rar!\x1a\x07", "application/vnd.rar"),
    (b"\x28\xb5\x2f\xfd", "application/zstd"),
    (b"LZIP\1", "application/x-lzip"),
    (b"SQLite format 3\0", "application/vnd.sqlite3"),
    (b"PAR1", "application/vnd.apache.parquet"),
    (b"ARROW1\0\0", "application/vnd.apache.arrow.file"),
    (b"\0asm", "application/wasm"),
    (b"bplist0", "application/x-plist"),
    (b"wOFF", "font/woff"),
    (b"wOF2", "font/woff2"),
    (b"OTTO\0", "font/otf"),
    (b"ttcf\0", "font/collection"),
    (b"\xe4\x52\x5c\x7b\x8c\xd8\xa7\x4d", "application/onenote"),
    (b"\xc5\xd0\xd3\xc6", "application/postscript"),
    (b"FWS", "application/vnd.adobe.flash.movie"),
    (b"CWS", "application/vnd.adobe.flash.movie"),
    (b"ZWS", "application/vnd.adobe.flash.movie"),
    (b"HWP Document File V", "application/x-hwp"),
    (b"\xd7\xcd\xc6\x9a\0\0", "image/wmf"),
    (b"MSCF\0\0\0\0", "application/vnd.ms-cab-compressed"),
    (b"!<arch>\ndebian-binary", "application/vnd.debian.binary-package"),
    (b"!<arch>\n", "application/x-archive"),
    (b"070701", "application/x-cpio"),
    (b"070702", "application/x-cpio"),
    (b"070707", "application/x-cpio"),
    (b"\xc7\x71", "application/x-cpio"),
    (b"\x71\xc7", "application/x-cpio"),
    (b"SIMPLE  =  ", "image/fits"),
    (b"\x59\xa6\x6a\x95", "image/x-sun-raster"),
    (b"\x06\x06\xed\xf5\xd8\x1d\x46\xe5\xbd\x31\xef\xe7\xfe\x74\xb7\x1d", "application/x-indesign"),
    (b"\x7f\xfe\x80\x01", "audio/vnd.dts"),
    (b".ra\xfd", "audio/vnd.rn-realaudio"),
    (b"hsqs", "application/vnd.squashfs"),
    (b"vhdxfile", "application/x-vhdx-disk"),
    (b"KDMV", "application/x-vmdk-disk"),
    (b"QED\0", "application/x-qed-disk"),
    (b"ALZ\x01", "application/x-alz"),
    (b"EP*\0", "image/vnd.ms-modi"),
    (b"IWAD", "application/x-doom-wad"),
    (b"PWAD", "application/x-doom-wad"),
    (b"MTM\x10", "audio/x-mod"),
    (b"MMD0", "audio/x-mod"),
    (b"MMD1", "audio/x-mod"),
    (b"flatpak\0", "application/vnd.flatpak"),
    (b"xdg-app\0", "application/vnd.flatpak"),
    (b"JAVA PROFILE 1.0", "application/vnd.java.hprof"),
    (b"DTSHDHDR", "audio/vnd.dts.hd"),
    (b"MMMD", "application/vnd.smaf"),
    (b"\x13\xab\xa1\x5c", "image/astc"),
    (b"MComprHD", "application/x-mame-chd"),
    (b"id=ImageMagick", "image/x-miff"),
    (b"glTF", "model/gltf-binary"),
    (b"$FL2@(#)", "application/x-spss-sav"),
)
_SFNT_TABLE = re.compile(rb"[A-Za-z][A-Za-z0-9/ ]{3}")


def media_type_of_mark(window: Window) -> str:
    """The type that a mark at a fixed place gives away, or nothing."""
    head = window.head
    for mark, media_type in _MARKS:
        if head.startswith(mark) and (len(mark) > 3 or _is_plausible(head, media_type)):
            return media_type
    if head[128:132] == b"DICM":
        return "application/dicom"
    if head[:4] in (b"\0\1\0\0", b"true", b"typ1") and head[4:5] == b"\0" and _SFNT_TABLE.match(head, 12):
        return "font/ttf"
    if window.extension == "stl" and window.size == 84 + 50 * int.from_bytes(head[80:84], "little"):
        return "model/stl"
    return "application/x-tar" if _is_tar(head) else ""


def _is_plausible(head: bytes, media_type: str) -> bool:
    """A second look where three bytes alone would be a coincidence."""
    if media_type == "image/jxl":
        return any(byte < 9 for byte in head[2:64])
    if media_type == "application/x-cpio":
        order: Literal["little", "big"] = "little" if head[0] == 0xC7 else "big"
        length = int.from_bytes(head[20:22], order)
        return 1 < length <= 4096 and head[25 + length : 26 + length] == b"\0"
    if media_type == "application/x-bzip2":
        return head[3:4].isdigit() and head[4:10] in (b"1AY&SY", b"\x17rE8P\x90")
    if media_type == "application/vnd.adobe.flash.movie":
        return len(head) > 8 and 0 < head[3] < 60
    if media_type == "audio/x-musepack":
        return len(head) > 4 and head[3] & 15 in (4, 5, 6, 7)
    return True


def _is_tar(head: bytes) -> bool:
    """A tape archive carries the sum of its header's bytes, counted with blanks in the sum's own place."""
    block = head[:512]
    if len(block) < 512 or not block[0]:
        return False
    if block[257:262] == b"ustar":
        return True
    try:
        stated = int(block[148:156].strip(b" \0"), 8)
    except ValueError:
        return False
    return stated == sum(block) - sum(block[148:156]) + 8 * ord(" ")
