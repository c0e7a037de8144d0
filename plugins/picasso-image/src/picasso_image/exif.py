"""EXIF: what a camera wrote about itself, the moment and the place."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from PIL import Image
from PIL.ExifTags import GPS, IFD, Base

from .text import clean

UNDONE = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What turns a picture of each orientation upright."""
OFFSET = re.compile(r"[+-][0-9]{2}:[0-9]{2}")

Tags = Mapping[int, Any]


def read_exif(image: Image.Image) -> dict[str, Any]:
    """Return what is known, under names that say the unit; raises whatever Pillow raises on damaged EXIF."""
    main = image.getexif()
    if not main:
        # Opening a JPEG passes over damaged EXIF data in silence: read it once more, to hear about it.
        Image.Exif().load(image.info.get("exif", b""))
        return {}
    camera = main.get_ifd(IFD.Exif)
    found = {
        "orientation": orientation_of(main),
        "camera_make": clean(main.get(Base.Make)),
        "camera_model": clean(main.get(Base.Model)),
        "lens": clean(camera.get(Base.LensModel)),
        "taken_at": _time(camera, Base.DateTimeOriginal, Base.OffsetTimeOriginal, Base.SubsecTimeOriginal)
        or _time(camera, Base.DateTimeDigitized, Base.OffsetTimeDigitized, Base.SubsecTimeDigitized),
        "modified_at": _time(main, Base.DateTime, Base.OffsetTime, Base.SubsecTime),
        "exposure_seconds": _positive(camera.get(Base.ExposureTime), digits=7),
        "f_number": _positive(camera.get(Base.FNumber)),
        "iso": _positive(camera.get(Base.ISOSpeedRatings), digits=0),
        "focal_length_mm": _positive(camera.get(Base.FocalLength)),
        "focal_length_35mm": _positive(camera.get(Base.FocalLengthIn35mmFilm), digits=0),
        "gps": _place(main.get_ifd(IFD.GPSInfo)),
        "software": clean(main.get(Base.Software)),
        "description": clean(main.get(Base.ImageDescription)),
        "artist": clean(main.get(Base.Artist)),
        "copyright": clean(main.get(Base.Copyright)),
    }
    return {name: value for name, value in found.items() if value is not None}


def orientation_of(tags: Tags) -> int | None:
    """Return the orientation, 1 to 8, or None where there is none that means anything."""
    value = tags.get(Base.Orientation)
    return value if isinstance(value, int) and 1 <= value <= 8 else None


def number(value: object) -> float | None:
    """Return a finite number, None for anything else: fractions over zero, text, missing values."""
    if isinstance(value, tuple | list):
        value = value[0] if value else None
    try:
        result = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, ArithmeticError):
        return None
    return result if math.isfinite(result) else None


def _positive(value: object, digits: int = 2) -> float | None:
    result = number(value)
    if result is None or result <= 0:
        return None
    return round(result, digits) if digits else round(result)


def _time(tags: Tags, moment: int, offset: int, fraction: int) -> str | None:
    """Return an EXIF time as ISO 8601, with the offset from UTC only where the camera noted one."""
    try:
        time = datetime.strptime(clean(tags.get(moment)) or "", "%Y:%m:%d %H:%M:%S").isoformat()
    except ValueError:
        return None
    digits = clean(tags.get(fraction)) or ""
    if re.fullmatch("[0-9]{1,6}", digits):
        time = f"{time}.{digits}"
    zone = clean(tags.get(offset)) or ""
    return time + zone if OFFSET.fullmatch(zone) else time


def _place(tags: Tags) -> dict[str, float] | None:
    latitude = _degrees(tags.get(GPS.GPSLatitude), tags.get(GPS.GPSLatitudeRef), "S", 90)
    longitude = _degrees(tags.get(GPS.GPSLongitude), tags.get(GPS.GPSLongitudeRef), "W", 180)
    if latitude is None or longitude is None:
        return None
    place = {"latitude": latitude, "longitude": longitude}
    altitude = number(tags.get(GPS.GPSAltitude))
    if altitude is not None:
        below = tags.get(GPS.GPSAltitudeRef) in (1, b"\x01")
        place["altitude"] = round(-altitude if below else altitude, 1)
    return place


def _degrees(parts: object, reference: object, negative: str, most: int) -> float | None:
    """Return degrees, minutes and seconds as one number; missing minutes or seconds count as zero."""
    if not isinstance(parts, tuple) or not parts:
        return None
    degrees = number(parts[0])
    if degrees is None:
        return None
    minutes, seconds = ((number(part) or 0.0) for part in (*parts[1:3], 0, 0)[:2])
    result = degrees + minutes / 60 + seconds / 3600
    if not 0 <= result <= most:
        return None
    return round(-result if clean(reference) == negative else result, 6)
