"""Opening and decoding with Pillow, so that whatever damaged bytes provoke is blamed on the file."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from PIL import Image, ImageFile, UnidentifiedImageError

from picasso_core.exceptions import InvalidFile

from .formats import ALL_FORMATS, formats_of

PARTIAL = "The file is damaged or ends early: the thumbnail shows the part that could be read."
UNREADABLE = "The pixels could not be read, so there is no thumbnail: the file is damaged or of an unusual kind."
DAMAGED_HEADER = "The image's header is damaged, so nothing could be read."


class Stream(io.BufferedReader):
    """A file of which no more is read than it has.

    Pillow asks for as many bytes as a header says, and Python makes room for gigabytes before it finds so few.
    """

    def __init__(self, path: Path) -> None:
        raw = io.FileIO(path)
        super().__init__(raw)
        self._most = raw.seek(0, io.SEEK_END)
        raw.seek(0)

    def read(self, size: int | None = -1, /) -> bytes:
        """Read at most ``size`` bytes; all that is left where it is None or negative."""
        return super().read(-1 if size is None else min(size, self._most))


@contextmanager
def only_bomb_warnings() -> Iterator[None]:
    """Make Pillow's warning of a decompression bomb an error and silence its other warnings, for this block only."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


@contextmanager
def blaming_the_file(sentence: str) -> Iterator[None]:
    """Turn what Pillow raises into ``InvalidFile(sentence)``.

    On damaged bytes its codecs raise nearly everything there is: OSError, ValueError, TypeError, SyntaxError,
    KeyError, OverflowError, struct.error, AssertionError ... so no list of classes would be complete.
    """
    try:
        yield
    except (MemoryError, InvalidFile):
        raise
    except NotImplementedError as error:
        raise InvalidFile("The image is of a variant of its format that cannot be read.") from error
    except Exception as error:
        raise InvalidFile(sentence) from error


@contextmanager
def warning_instead(notes: list[str], sentence: str) -> Iterator[None]:
    """Do without what the block was to find: add ``sentence`` to ``notes`` when Pillow cannot read it."""
    try:
        with blaming_the_file(sentence):
            yield
    except InvalidFile:
        notes.append(sentence)


def too_large(megapixels: str, most: int) -> InvalidFile:
    """Return the refusal that names the limit."""
    message = f"The image has {megapixels} megapixels; the limit is {most / 1e6:g} (PICASSO_MAX_PIXELS)."
    return InvalidFile(message, code="limit_exceeded")


def refuse_if_too_large(image: ImageFile.ImageFile, most: int) -> None:
    """Raise ``InvalidFile`` if the first frame has more pixels than ``most``."""
    pixels = image.width * image.height
    if pixels > most:
        raise too_large(f"{pixels / 1e6:.1f}", most)


def skip_detail(image: ImageFile.ImageFile, size: tuple[int, int]) -> None:
    """Have the pixels decoded no finer than ``size`` needs, where the format allows it; JPEG does."""
    with blaming_the_file(UNREADABLE):
        image.draft(None, size)


def open_image(stream: BinaryIO, media_type: str, most: int) -> ImageFile.ImageFile:
    """Read the header of the image in ``stream``: by its media type or, if that does not fit, in any format.

    ``most`` are the pixels that are allowed: Pillow itself opens no image with more than 89 million.
    """
    with blaming_the_file(DAMAGED_HEADER):
        try:
            image = _opened(stream, media_type)
        except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
            raise too_large("more than 89", min(most, 89_000_000)) from error
        # An IM file says its size in digits, which may be those of a fraction or of no number at all.
        if not all(isinstance(edge, int) for edge in image.size):
            raise InvalidFile(DAMAGED_HEADER)
        return image


def _opened(stream: BinaryIO, media_type: str) -> ImageFile.ImageFile:
    try:
        return Image.open(stream, formats=formats_of(media_type))
    except UnidentifiedImageError:
        pass
    try:
        return Image.open(stream, formats=ALL_FORMATS)
    except UnidentifiedImageError as error:
        raise InvalidFile("This is not an image, or its header is damaged.") from error


def decode(image: ImageFile.ImageFile) -> str | None:
    """Decode the first frame, in place.

    Returns the sentence that says what is missing, None if nothing is; raises ``InvalidFile`` if all is missing.
    """
    with blaming_the_file(UNREADABLE):
        try:
            image.load()
        except MemoryError:
            raise
        except Exception:
            # Without its list of tiles the image counts as loaded: what is decoded so far can be used.
            image.tile = []
            image.load()
            if image.getbbox() is None:
                raise
            return PARTIAL
    return None
