"""A picture small enough for a list, upright, in the colours of a screen."""

from __future__ import annotations

import math
from typing import cast

from PIL import Image

from .exif import UNDONE
from .profiles import to_srgb

EDGE = 512


def fitting(size: tuple[int, int]) -> tuple[int, int]:
    """Return the size of the thumbnail of an image of ``size``: never larger than that."""
    scale = min(1.0, EDGE / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def shrink(image: Image.Image, orientation: int | None) -> Image.Image:
    """Return the thumbnail of a decoded image: RGBA if any of it is transparent, else RGB."""
    profile = image.info.get("icc_profile")
    size = fitting(image.size)
    small = _resizable(image)
    if small.size != size:
        small = small.resize(size, Image.Resampling.BICUBIC, reducing_gap=2.0)
    if small.mode == "F":
        small = _visible(small, _white(image.mode))
    elif small.mode == "RGBa":
        small = small.convert("RGBA")
        if small.getchannel("A").getextrema() == (255, 255):
            small = small.convert("RGB")
    small = to_srgb(small, profile if isinstance(profile, bytes) else None)
    return small.transpose(UNDONE[orientation]) if orientation in UNDONE else small


def _resizable(image: Image.Image) -> Image.Image:
    """Return ``image`` in a mode whose values may be averaged: L, RGB, CMYK, RGBa or F."""
    if image.mode.startswith("I"):
        return image.convert("I").convert("F")
    if image.mode in ("L", "RGB", "CMYK", "F") and "transparency" not in image.info:
        return image
    if image.has_transparency_data:
        # With its colours multiplied by alpha, so that invisible ones do not bleed into the visible.
        return image.convert("RGBA").convert("RGBa")
    return image.convert("L" if image.mode == "1" else "RGB")


def _white(mode: str) -> float | None:
    """Return the value that is white in ``mode``, None where the format leaves it open."""
    return 65535.0 if mode.startswith("I") else None


def _visible(image: Image.Image, white: float | None) -> Image.Image:
    """Return numbers of any range as shades of grey: 0 to ``white`` where they are in it, else from least to most."""
    low, high = cast("tuple[float, float]", image.getextrema())
    if not (math.isfinite(low) and math.isfinite(high)):
        return image.convert("L")
    if white is not None and low >= 0 and high <= white:
        low, high = 0.0, white
    scale = 255 / (high - low) if high > low else 0.0
    return image.point(lambda value: value * scale - low * scale).convert("L")
