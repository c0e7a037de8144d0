"""A Picasso processor for images."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from PIL import Image, ImageFile

from picasso_core.exceptions import InvalidFile
from picasso_core.processors import Artifact, Processor, Result, SourceFile

from .colours import dominant_colours
from .description import describe
from .exif import read_exif
from .formats import MEDIA_TYPES, MODULES
from .frames import frames_of
from .reading import (
    PARTIAL,
    UNREADABLE,
    Stream,
    decode,
    only_bomb_warnings,
    open_image,
    refuse_if_too_large,
    skip_detail,
    warning_instead,
)
from .scans import refuse_if_scanned_too_often
from .thumbnail import fitting, shrink

__all__ = ["ImageProcessor"]


class ImageProcessor(Processor):
    """Read an image's size, camera data and colours, and make a thumbnail."""

    media_types: ClassVar[frozenset[str]] = MEDIA_TYPES
    version = "1"
    preload = ("PIL.Image", "PIL.ExifTags", "PIL.ImageCms", *MODULES)
    signatures = ((0, b"DanM", "image/x-msp"), (0, b"LinS", "image/x-msp"), (0, b"Image type: ", "image/x-im"))
    samples = Path(__file__).parent / "samples"

    def process(self, file: SourceFile) -> Result:
        """Return what the header says even where the pixels cannot be read."""
        if file.size == 0:
            raise InvalidFile("The file is empty.")
        notes: list[str] = []
        with (
            only_bomb_warnings(),
            Stream(file.path) as stream,
            open_image(stream, file.media_type, file.bounds.pixels) as image,
        ):
            frames = frames_of(image, file)
            size = image.size
            skip_detail(image, fitting(size))
            refuse_if_too_large(image, file.bounds.pixels)
            if image.info.get("progressive"):
                refuse_if_scanned_too_often(file.path, size[0] * size[1], file.bounds.pixels)
            # A PNG may hold its EXIF data behind the pixels; a TIFF cannot give it any more once they are read.
            exif_comes_last = image.format == "PNG"
            exif = {} if exif_comes_last else _exif(image, notes)
            decoded = _decode(image, notes)
            if exif_comes_last:
                exif = _exif(image, notes)
            data = describe(image, size, frames, exif, notes)
            thumbnail = _thumbnail(image, exif, notes) if decoded else None
        if thumbnail is None:
            return Result(data=data, warnings=notes)
        data["transparency"] = thumbnail.mode == "RGBA"
        if PARTIAL not in notes:  # else the part that is missing would count as black
            data["colours"] = dominant_colours(thumbnail)
        return Result(data=data, artifacts=[_save(thumbnail, file.workdir)], warnings=notes)


def _exif(image: ImageFile.ImageFile, notes: list[str]) -> dict[str, Any]:
    with warning_instead(notes, "The EXIF data is damaged and was left out."):
        return read_exif(image)
    return {}


def _decode(image: ImageFile.ImageFile, notes: list[str]) -> bool:
    """Decode ``image`` in place; return whether there is anything to be seen."""
    with warning_instead(notes, UNREADABLE):
        missing = decode(image)
        notes.extend([missing] if missing else [])
        return True
    return False


def _thumbnail(image: ImageFile.ImageFile, exif: dict[str, Any], notes: list[str]) -> Image.Image | None:
    with warning_instead(notes, UNREADABLE):
        return shrink(image, exif.get("orientation"))
    return None


def _save(thumbnail: Image.Image, workdir: Path) -> Artifact:
    path = workdir / "thumbnail.webp"
    thumbnail.save(path, "WEBP", quality=80, method=2)
    return Artifact(name=path.name, path=path, media_type="image/webp")
