"""What is told about an image besides its camera data: form, size, frames, profile and texts."""

from __future__ import annotations

from typing import Any

from PIL import ImageFile

from .exif import number
from .frames import MAX_COUNTED, Frames
from .profiles import profile_name
from .reading import warning_instead
from .text import XMP_KEY, texts

LYING_DOWN = frozenset({5, 6, 7, 8})
"""Orientations under which width and height change places."""


def describe(
    image: ImageFile.ImageFile, size: tuple[int, int], frames: Frames, exif: dict[str, Any], notes: list[str]
) -> dict[str, Any]:
    """Return the data of an image that was ``size`` large before it was decoded; what is unknown is not in it."""
    width, height = size
    turned = exif.get("orientation") in LYING_DOWN
    data = {
        "format": image.format,
        "mode": image.mode,
        "width": width,
        "height": height,
        "display_width": height if turned else width,
        "display_height": width if turned else height,
        "transparency": _transparency(image),
        **_animation(image, frames, notes),
        "dpi": _dpi(image),
        "icc_profile": _profile(image, notes),
        "xmp": bool(image.info.get("xmp") or image.info.get(XMP_KEY)),
        "text": texts(image.info) or None,
        "exif": exif or None,
    }
    return {name: value for name, value in data.items() if value is not None}


def _transparency(image: ImageFile.ImageFile) -> bool | None:
    """Return whether any of it may be transparent; nobody knows where the palette is missing."""
    return None if image.mode == "P" and image.palette is None else image.has_transparency_data


def _animation(image: ImageFile.ImageFile, frames: Frames, notes: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {"frames": frames.count}
    if not frames.complete:
        notes.append(f"The image has more than {MAX_COUNTED:,} frames; only these were counted.")
    if frames.milliseconds and frames.complete:
        found["duration_ms"] = frames.milliseconds
    loop = image.info.get("loop")
    if frames.count > 1 and isinstance(loop, int):
        found["loop"] = loop
    return found


def _dpi(image: ImageFile.ImageFile) -> list[float] | None:
    """Return the dots per inch, across and down, where both are numbers that mean anything."""
    pair = image.info.get("dpi")
    if not isinstance(pair, tuple) or len(pair) != 2:
        return None
    across, down = (number(value) for value in pair)
    # Pillow says 1 for a TIFF that says nothing.
    if across is None or down is None or across <= 1 or down <= 1:
        return None
    return [round(across, 2), round(down, 2)]


def _profile(image: ImageFile.ImageFile, notes: list[str]) -> str | None:
    profile = image.info.get("icc_profile")
    if isinstance(profile, bytes) and profile:
        with warning_instead(notes, "The colour profile is damaged and was left out."):
            return profile_name(profile)
    return None
