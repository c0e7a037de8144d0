"""What the tests of this plugin share: running the processor and making bytes."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image

from picasso_core.processors import Result
from picasso_core.testing import source_file
from picasso_image import ImageProcessor

SAMPLES = {path.name: path for path in sorted(ImageProcessor.samples.iterdir())}
MEDIA_TYPES = {
    ".apng": "image/apng",
    ".avif": "image/avif",
    ".bmp": "image/bmp",
    ".cur": "image/x-win-bitmap",
    ".dcx": "image/x-dcx",
    ".dds": "image/x-dds",
    ".flc": "video/x-flc",
    ".gif": "image/gif",
    ".icns": "image/icns",
    ".ico": "image/vnd.microsoft.icon",
    ".im": "image/x-im",
    ".j2k": "image/x-jp2-codestream",
    ".jp2": "image/jp2",
    ".jpg": "image/jpeg",
    ".mpo": "image/mpo",
    ".msp": "image/x-msp",
    ".pbm": "image/x-portable-bitmap",
    ".pcx": "image/x-pcx",
    ".pgm": "image/x-portable-graymap",
    ".png": "image/png",
    ".ppm": "image/x-portable-pixmap",
    ".psd": "image/vnd.adobe.photoshop",
    ".qoi": "image/qoi",
    ".ras": "image/x-sun-raster",
    ".sgi": "image/sgi",
    ".tga": "image/x-tga",
    ".tif": "image/tiff",
    ".tiff": "image/tiff",
    ".webp": "image/webp",
    ".xbm": "image/x-xbitmap",
    ".xpm": "image/x-xpixmap",
}


def sample_type(name: str) -> str:
    """Return the media type of the sample ``name``."""
    return MEDIA_TYPES[Path(name).suffix]


def encoded(image: Image.Image, format: str = "PNG", **options: Any) -> bytes:
    """Return ``image`` as a file of ``format``."""
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


@contextmanager
def processed(content: bytes | Path, media_type: str = "image/png") -> Iterator[tuple[Result, Image.Image | None]]:
    """Run the processor; give the result and its thumbnail, None if there is none."""
    with source_file(content, media_type=media_type) as file:
        result = ImageProcessor().process(file)
        if not result.artifacts:
            yield result, None
            return
        with Image.open(result.artifacts[0].path) as thumbnail:
            yield result, thumbnail


def data_of(content: bytes | Path, media_type: str = "image/png") -> dict[str, Any]:
    """Run the processor and return the data alone."""
    with processed(content, media_type) as (result, _):
        return dict(result.data)
