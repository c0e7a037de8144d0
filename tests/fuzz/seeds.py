"""The good files that are spoilt: the plugins' samples, and drawn ones for variants of a format these leave out."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from picasso_image.formats import FORMATS, formats_of

from . import drawn, written

PLUGINS = Path(__file__).parents[2] / "plugins"
ENDINGS = {
    ".apng": "PNG", ".avif": "AVIF", ".bmp": "BMP", ".cur": "CUR", ".dcx": "DCX", ".dds": "DDS", ".dib": "DIB",
    ".fits": "FITS", ".flc": "FLI", ".gbr": "GBR", ".gif": "GIF", ".icns": "ICNS", ".ico": "ICO", ".im": "IM",
    ".j2k": "JPEG2000", ".jp2": "JPEG2000", ".jpg": "JPEG", ".mpo": "JPEG", ".msp": "MSP", ".pam": "PPM", ".pbm": "PPM",
    ".pcd": "PCD", ".pcx": "PCX", ".pfm": "PPM", ".pgm": "PPM", ".png": "PNG", ".ppm": "PPM", ".psd": "PSD",
    ".qoi": "QOI", ".ras": "SUN", ".sgi": "SGI", ".tga": "TGA", ".tif": "TIFF", ".tiff": "TIFF", ".webp": "WEBP",
    ".xbm": "XBM", ".xpm": "XPM",
}  # fmt: skip
"""Pillow's name of the format that an image's name ends with."""
TEXTS = {
    ".csv": "text/csv", ".html": "text/html", ".json": "application/json", ".md": "text/markdown",
    ".py": "text/x-python", ".svg": "image/svg+xml", ".txt": "text/plain", ".xml": "application/xml",
    ".yaml": "application/yaml",
}  # fmt: skip


@dataclass(frozen=True)
class Seed:
    """A good file."""

    name: str
    content: bytes


@dataclass
class Format:
    """What belongs together: the files of one format, and who reads them as what."""

    name: str
    processor: str
    media_type: str
    seeds: list[Seed] = field(default_factory=list)


def formats() -> list[Format]:
    """Return every format that the shipped plugins accept, each with its seeds."""
    found: dict[str, Format] = {}
    for plugin, name, content in sorted([*_samples(), *drawn.images(), *written.documents()]):
        format = _format_of(plugin, Path(name).suffix)
        found.setdefault(format.name, format).seeds.append(Seed(name, content))
    return list(found.values())


def _samples() -> list[tuple[str, str, bytes]]:
    return [
        (folder.parent.name.removeprefix("picasso_"), path.name, path.read_bytes())
        for folder in PLUGINS.glob("picasso-*/src/*/samples")
        for path in folder.iterdir()
    ]


def _format_of(plugin: str, ending: str) -> Format:
    match plugin:
        case "image":
            name = ENDINGS[ending]
            # Of its media types the one that fewest others go by.
            ranked = sorted((len(formats_of(each)), each) for each in FORMATS[name].media_types)
            return Format(name, plugin, ranked[0][1])
        case "text":
            return Format(TEXTS[ending].rpartition("/")[2].removeprefix("x-"), plugin, TEXTS[ending])
        case "pdf":
            return Format("PDF", plugin, "application/pdf")
    return Format(plugin, plugin, f"application/vnd.picasso.{plugin}")
