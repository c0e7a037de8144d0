"""MPEG sound without a container: frames that follow each other, and tags put before them."""

from __future__ import annotations

import re
from collections.abc import Callable

from picasso_core.identification.window import Window

# The version, the flags and a length of four times seven bits: a text about ID3 begins otherwise.
_ID3 = re.compile(rb"ID3[\2-\4][\0-\x0f][\0-\xff][\0-\x7f]{4}", re.DOTALL)
_SOUND_EXTENSIONS = ("mp3", "mp2", "mp1", "mpga", "aac")
_BEHIND_TAGS = (
    (b"fLaC", "audio/flac"),
    (b"MAC ", "audio/x-ape"),
    (b"MP+", "audio/x-musepack"),
    (b"MPCK", "audio/x-musepack"),
    (b"TTA", "audio/x-tta"),
    (b"wvpk", "audio/x-wavpack"),
)


def media_type_of_frames(window: Window) -> str:
    """The type of an MPEG sound stream, or of what hides behind an ID3 tag; or nothing."""
    offset = 0
    if _ID3.match(window.head):
        size = window.head[6:10]
        offset = 10 + (size[0] << 21 | size[1] << 14 | size[2] << 7 | size[3])
    data = window.read(offset, 16 * 1024) if offset else window.head[: 16 * 1024]
    if offset:
        for mark, media_type in _BEHIND_TAGS:
            if data.startswith(mark):
                return media_type
        data = data.lstrip(b"\0")
        return "audio/aac" if _frames(data, _adts_length) >= 2 else "audio/mpeg"
    for length, media_type in ((_adts_length, "audio/aac"), (_mpeg_length, "audio/mpeg")):
        if _frames(data, length) >= (2 if window.extension in _SOUND_EXTENSIONS else 3):
            return media_type
    if window.extension in _SOUND_EXTENSIONS:
        starts = (at for at in range(min(len(data), 4096)) if data[at] == 0xFF)
        if any(_frames(data[at : at + 8192], _mpeg_length) >= 3 for at in starts):
            return "audio/mpeg"
    return ""


def _frames(data: bytes, length_of: Callable[[bytes], int]) -> int:
    """How many frames follow each other from the start of ``data``, counted up to three."""
    count = position = 0
    while count < 3:
        length = length_of(data[position : position + 7])
        if not length:
            break
        count += 1
        position += length
        if position >= len(data):
            break
    return count


def _adts_length(header: bytes) -> int:
    if len(header) < 7 or header[0] != 0xFF or header[1] & 0xF6 != 0xF0 or header[2] >> 2 & 15 > 12:
        return 0
    return (header[3] & 3) << 11 | header[4] << 3 | header[5] >> 5


_RATES = {
    (3, 3): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (3, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (3, 1): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (2, 3): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (2, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}


def _mpeg_length(header: bytes) -> int:
    """The length of the MPEG sound frame that ``header`` starts, 0 if it starts none."""
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE0 != 0xE0:
        return 0
    version, layer = header[1] >> 3 & 3, header[1] >> 1 & 3
    rate, frequency, padding = header[2] >> 4, header[2] >> 2 & 3, header[2] >> 1 & 1
    if version == 1 or layer == 0 or rate in (0, 15) or frequency == 3:
        return 0
    bits = _RATES[(3 if version == 3 else 2, layer if version == 3 else max(layer, 2))][rate - 1] * 1000
    hertz = (44100, 48000, 32000)[frequency] >> (3 - version if version else 2)
    if layer == 3:
        return (12 * bits // hertz + padding) * 4
    return (72 if layer == 1 and version != 3 else 144) * bits // hertz + padding
