"""ICC profiles: their name, and the way from their colours to those of a screen."""

from __future__ import annotations

from io import BytesIO

from PIL import Image, ImageCms

from .text import clean

SRGB = ImageCms.createProfile("sRGB")
SPACES = {"RGB": "RGB", "CMYK": "CMYK", "L": "GRAY"}
"""The colour space that a profile must have to be of use for an image of that mode."""


def profile_name(profile: bytes) -> str | None:
    """Return what the profile calls itself; raises whatever ImageCms raises on a damaged one."""
    return clean(ImageCms.getProfileDescription(ImageCms.getOpenProfile(BytesIO(profile))))


def to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Return ``image`` (L, RGB, RGBA or CMYK) as RGB or RGBA with the colours that ``profile`` means by its numbers.

    A profile that is damaged or of another colour space is passed over.
    """
    if image.mode == "RGBA":
        colours = to_srgb(image.convert("RGB"), profile)
        colours.putalpha(image.getchannel("A"))
        return colours
    if profile and len(profile) > 128:
        try:
            source = ImageCms.getOpenProfile(BytesIO(profile))
            # Most photos say sRGB, where there is nothing to convert.
            is_srgb = ImageCms.getProfileDescription(source).startswith("sRGB")
            if source.profile.xcolor_space.strip() == SPACES.get(image.mode) and not is_srgb:
                converted = ImageCms.profileToProfile(image, source, SRGB, outputMode="RGB")
                if converted is not None:
                    return converted
        except (OSError, ValueError, TypeError, ImageCms.PyCMSError):
            pass
    return image.convert("RGB")
