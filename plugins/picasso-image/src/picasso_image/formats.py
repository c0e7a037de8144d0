"""The formats that are read: Pillow's name for each, the module of its codec, the media types it goes by.

All of them are raster formats that Pillow decodes itself. What calls another program (EPS, WMF) is left out, and so
is what asks for memory without measure (BLP).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Format(NamedTuple):
    """One of Pillow's formats."""

    module: str
    media_types: frozenset[str]


def _format(module: str, *media_types: str) -> Format:
    return Format(f"PIL.{module}ImagePlugin", frozenset(media_types))


# In the order in which they are tried when the media type does not help; TGA last, because it has no signature.
FORMATS: Mapping[str, Format] = {
    "JPEG": _format("Jpeg", "image/jpeg", "image/jpg", "image/pjpeg", "image/mpo", "image/x-mpo"),
    "PNG": _format("Png", "image/png", "image/x-png", "image/apng", "image/vnd.mozilla.apng"),
    "GIF": _format("Gif", "image/gif"),
    "WEBP": _format("WebP", "image/webp"),
    # Camera raw files that are TIFFs: the picture in them that needs no developing.
    "TIFF": _format(
        "Tiff",
        *("image/tiff", "image/tiff-fx", "image/x-tiff", "image/x-adobe-dng", "image/x-canon-cr2", "image/x-nikon-nef"),
        *("image/x-sony-arw", "image/x-pentax-pef", "image/x-epson-erf", "image/x-kodak-dcr", "image/x-kodak-kdc"),
    ),
    "AVIF": _format("Avif", "image/avif", "image/avif-sequence"),
    "BMP": _format("Bmp", "image/bmp", "image/x-bmp", "image/x-ms-bmp"),
    "DIB": _format("Bmp", "image/bmp", "image/x-ms-bmp", "image/x-ms-dib"),
    # No TGA begins like an ICO, but libmagic takes some icons for TGA.
    "ICO": _format("Ico", "image/vnd.microsoft.icon", "image/x-icon", "image/ico", "image/x-tga"),
    "CUR": _format(
        "Cur",
        *("image/vnd.microsoft.cursor", "image/x-win-bitmap", "image/x-cur"),
        *("image/vnd.microsoft.icon", "image/x-icon"),
    ),
    "ICNS": _format("Icns", "image/icns", "image/x-icns"),
    "JPEG2000": _format(
        "Jpeg2K",
        *("image/jp2", "image/jpx", "image/jpm", "image/jpeg2000", "image/x-jpeg2000-image", "image/jph"),
        *("image/j2c", "image/jphc", "image/x-jp2-codestream", "image/x-j2c"),
    ),
    "PSD": _format("Psd", "image/vnd.adobe.photoshop", "image/x-psd", "image/psd", "application/x-photoshop"),
    "PPM": _format(
        "Ppm",
        *("image/x-portable-anymap", "image/x-portable-pixmap", "image/x-portable-graymap", "image/x-portable-greymap"),
        *("image/x-portable-bitmap", "image/x-portable-floatmap", "image/x-portable-arbitrarymap"),
    ),
    "DDS": _format("Dds", "image/vnd-ms.dds", "image/vnd.ms-dds", "image/x-dds"),
    "PCX": _format("Pcx", "image/x-pcx", "image/vnd.zbrush.pcx"),
    "DCX": _format("Dcx", "image/x-dcx", "image/vnd.zbrush.dcx"),
    "SGI": _format("Sgi", "image/sgi", "image/x-sgi", "image/x-rgb"),
    "SUN": _format("Sun", "image/x-sun-raster", "image/x-cmu-raster", "image/x-ras"),
    "XBM": _format("Xbm", "image/x-xbitmap", "image/xbm", "image/x-xbm"),
    "XPM": _format("Xpm", "image/x-xpixmap", "image/x-xpmi", "image/xpm", "image/x-xpm"),
    "QOI": _format("Qoi", "image/qoi", "image/x-qoi"),
    "FLI": _format("Fli", "video/x-flic", "video/x-fli", "video/x-flc", "video/fli", "image/x-fli", "image/x-flc"),
    "MSP": _format("Msp", "image/x-msp", "image/x-ms-paint"),
    "IM": _format("Im", "image/x-im", "image/x-ifunc"),
    "FITS": _format("Fits", "image/fits", "application/fits"),
    "GBR": _format("Gbr", "image/x-gimp-gbr"),
    "PCD": _format("Pcd", "image/x-photo-cd"),
    "TGA": _format("Tga", "image/x-tga", "image/tga", "image/x-targa"),
}

ALL_FORMATS = tuple(FORMATS)
MEDIA_TYPES = frozenset().union(*(format.media_types for format in FORMATS.values()))
# A JPEG with several pictures turns into an MPO, which reads its index with the help of TIFF.
MODULES = tuple(sorted({format.module for format in FORMATS.values()} | {"PIL.MpoImagePlugin"}))


def formats_of(media_type: str) -> tuple[str, ...]:
    """Return Pillow's names of the formats that go by ``media_type``."""
    return tuple(name for name, format in FORMATS.items() if media_type in format.media_types)
