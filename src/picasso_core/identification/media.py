"""Sound and moving pictures: containers that hold either."""

from __future__ import annotations

from picasso_core.identification.window import Window

_BRANDS = {
    b"avif": "image/avif",
    b"avis": "image/avif",
    b"heic": "image/heic",
    b"heix": "image/heic",
    b"heim": "image/heic",
    b"heis": "image/heic",
    b"hevc": "image/heic-sequence",
    b"hevx": "image/heic-sequence",
    b"mif1": "image/heif",
    b"mif2": "image/heif",
    b"mif3": "image/heif",
    b"msf1": "image/heif-sequence",
    b"crx ": "image/x-canon-cr3",
    b"qt  ": "video/quicktime",
    b"M4A ": "audio/mp4",
    b"M4B ": "audio/mp4",
    b"M4P ": "audio/mp4",
    b"F4A ": "audio/mp4",
    b"F4B ": "audio/mp4",
    b"M4V ": "video/x-m4v",
    b"M4VH": "video/x-m4v",
    b"M4VP": "video/x-m4v",
    b"mjp2": "video/mj2",
    b"mj2s": "video/mj2",
    b"jp2 ": "image/jp2",
    b"jpx ": "image/jpx",
    b"jpm ": "image/jpm",
    b"aax ": "audio/vnd.audible.aax",
}
_RIFF = {
    b"WAVE": "audio/wav",
    b"AVI ": "video/x-msvideo",
    b"WEBP": "image/webp",
    b"RMID": "audio/midi",
    b"ACON": "application/x-navi-animation",
    b"sfbk": "audio/x-soundfont",
    b"MV93": "application/x-director",
    b"39VM": "application/x-director",
    b"QLCM": "audio/qcelp",
}
_FORM = {
    b"AIFF": "audio/aiff",
    b"AIFC": "audio/aiff",
    b"8SVX": "audio/x-8svx",
    b"ILBM": "image/x-ilbm",
    b"PBM ": "image/x-ilbm",
    b"ACBM": "image/x-ilbm",
    b"RGB8": "image/x-ilbm",
    b"RGBN": "image/x-ilbm",
    b"DEEP": "image/x-ilbm",
    b"TVPP": "image/x-ilbm",
    b"ANIM": "video/x-anim",
}
_ASF_VIDEO = bytes.fromhex("c0ef19bc4d5bcf11a8fd00805f5c442b")
_ASF_AUDIO = bytes.fromhex("409e69f84d5bcf11a8fd00805f5c442b")
_OGG_VIDEO = (b"\x80theora", b"OVP80", b"BBCD\0", b"\x01video\0\0\0", b"\x80daala")
_OGG_AUDIO = (b"\x01vorbis", b"OpusHead", b"Speex   ", b"\x7fFLAC", b"PCM     ", b"\x80kate", b"fLaC")
_MOVIE_BOXES = (b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot", b"moof", b"styp", b"uuid", b"sidx", b"PICT")


def media_type_of_media(window: Window) -> str:
    """The type of a sound or film container, or nothing."""
    head = window.head
    if head[4:8] == b"ftyp":
        return _iso_media(window)
    if head[4:8] in _MOVIE_BOXES[:6] and _is_movie(window):
        return "video/quicktime"
    if head[:4] == b"OggS":
        return _ogg(head)
    if head[:4] == b"\x1a\x45\xdf\xa3":
        return _matroska(head, window.extension)
    if head[:4] in (b"RIFF", b"RIFX", b"RF64", b"BW64"):
        kind = head[8:12]
        return "application/vnd.corel-draw" if kind[:3] in (b"CDR", b"cdr") else _RIFF.get(kind, "")
    if head[:4] == b"FORM":
        return _FORM.get(head[8:12], "")
    if head[:8] == b"\x30\x26\xb2\x75\x8e\x66\xcf\x11":
        return _asf(head[:8192], window.extension)
    return ""


def _iso_media(window: Window) -> str:
    length = int.from_bytes(window.head[:4], "big")
    brands = [window.head[at : at + 4] for at in (8, *range(12, min(max(length, 16), 256), 4))]
    kind = _BRANDS.get(brands[0], "")
    if kind in ("image/heif", "image/heif-sequence"):
        if b"avif" in brands or b"avis" in brands:
            return "image/avif"
        return "image/heic" if window.extension == "heic" and b"heic" in brands else kind
    if kind:
        return kind
    if b"avif" in brands:
        return "image/avif"
    if brands[0][:3] in (b"3gp", b"3gr", b"3gs", b"3ge", b"3gg", b"3gh"):
        return "video/3gpp"
    if brands[0][:3] == b"3g2":
        return "video/3gpp2"
    if brands[0] in (b"jxl ", b"JXL "):
        return "image/jxl"
    return "audio/mp4" if _has_sound_only(window) else "video/mp4"


def _has_sound_only(window: Window) -> bool:
    """Whether the tracks of a film are all sound; with no track in sight the name decides."""
    offset = 0
    for _ in range(64):
        header = window.read(offset, 16)
        length = int.from_bytes(header[:4], "big")
        if length == 1:
            length = int.from_bytes(header[8:16], "big")
        if header[4:8] == b"moov":
            movie = window.read(offset, min(length, 1024 * 1024))
            handlers = {piece[8:12] for piece in movie.split(b"hdlr")[1:]}
            if handlers & {b"vide", b"soun"}:
                return b"vide" not in handlers and window.extension not in ("mp4", "mov", "m4v")
            break
        if length < 8:
            break
        offset += length
    return window.extension in ("m4a", "m4b")


def _is_movie(window: Window) -> bool:
    """Whether the first box is followed by another one, or fills the file."""
    length = int.from_bytes(window.head[:4], "big")
    if length == 1:
        length = int.from_bytes(window.head[8:16], "big")
    if window.head[4:8] == b"moov" and window.head[12:16] in (b"mvhd", b"cmov", b"trak", b"udta", b"rmra", b"prfl"):
        return True
    return length >= 8 and (length >= window.size or window.read(length + 4, 4) in _MOVIE_BOXES)


def _ogg(head: bytes) -> str:
    start = head[:8192]
    if any(mark in start for mark in _OGG_VIDEO):
        return "video/ogg"
    return "audio/ogg" if any(mark in start for mark in _OGG_AUDIO) else "application/ogg"


def _matroska(head: bytes, extension: str) -> str:
    kind = "webm" if b"webm" in head[:128] else "x-matroska"
    if kind != "webm" and b"matroska" not in head[:4096]:
        return "application/x-matroska"
    sound_only = extension not in ("webm", "mkv") and b"A_" in head and b"V_" not in head
    return f"{'audio' if sound_only else 'video'}/{kind}"


def _asf(head: bytes, extension: str) -> str:
    if extension == "asf":
        return "video/x-ms-asf"
    if _ASF_VIDEO in head:
        return "video/x-ms-wmv"
    return "audio/x-ms-wma" if _ASF_AUDIO in head else "video/x-ms-asf"
