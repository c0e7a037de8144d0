"""EXIF and texts: cleaned, finite, in known units; what is damaged is left out."""

from __future__ import annotations

import json
from typing import Any

import pytest
from image_kit import data_of, encoded, processed
from PIL import Image, PngImagePlugin
from PIL.ExifTags import GPS, IFD, Base
from PIL.TiffImagePlugin import IFDRational

PIXEL = Image.new("RGB", (8, 8), (10, 20, 30))


def exif_of(main: dict[int, Any] | None = None, camera: dict[int, Any] | None = None, **more: Any) -> dict[str, Any]:
    """Return what is found in a JPEG with these tags."""
    exif = Image.Exif()
    exif.update(main or {})
    exif.get_ifd(IFD.Exif).update(camera or {})
    exif.get_ifd(IFD.GPSInfo).update(more.get("gps", {}))
    found: dict[str, Any] = data_of(encoded(PIXEL, "JPEG", exif=exif), "image/jpeg").get("exif", {})
    json.dumps(found, allow_nan=False)
    return found


def test_text_ends_at_nul_and_loses_control_characters() -> None:
    assert exif_of({Base.Make: "Ca\x07non \x00hidden"}) == {"camera_make": "Canon"}


def test_utf8_in_an_ascii_field_is_read_as_meant() -> None:
    assert exif_of({Base.Artist: "Françoise".encode()}) == {"artist": "Françoise"}


def test_marks_that_turn_the_reading_direction_are_removed() -> None:
    assert exif_of({Base.Artist: "abc\u202egpj.exe".encode()}) == {"artist": "abcgpj.exe"}


def test_long_text_is_cut() -> None:
    assert len(exif_of({Base.ImageDescription: "x" * 50_000})["description"]) == 1000


@pytest.mark.parametrize("fraction", [IFDRational(0, 0), IFDRational(1, 0), IFDRational(-1, 50), IFDRational(0, 1)])
def test_fractions_that_mean_nothing_are_left_out(fraction: IFDRational) -> None:
    assert exif_of({Base.Software: "x"}, {Base.ExposureTime: fraction, Base.FNumber: fraction}) == {"software": "x"}


@pytest.mark.parametrize("time", ["0000:00:00 00:00:00", "    :  :     :  :  ", "yesterday", "2024:13:01 00:00:00"])
def test_a_time_that_is_none_is_left_out(time: str) -> None:
    assert exif_of({Base.Software: "x"}, {Base.DateTimeOriginal: time}) == {"software": "x"}


def test_the_time_of_digitising_stands_in_for_the_time_taken() -> None:
    assert exif_of(camera={Base.DateTimeDigitized: "2001:02:03 04:05:06"}) == {"taken_at": "2001-02-03T04:05:06"}


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_unknown_orientation_is_left_out(orientation: int) -> None:
    assert exif_of({Base.Orientation: orientation, Base.Software: "x"}) == {"software": "x"}


def test_a_place_in_the_south_west_below_the_sea_has_negative_numbers() -> None:
    gps = {
        GPS.GPSLatitudeRef: "S",
        GPS.GPSLatitude: (IFDRational(33), IFDRational(30), IFDRational(0)),
        GPS.GPSLongitudeRef: "W",
        GPS.GPSLongitude: (IFDRational(70), IFDRational(45, 2), IFDRational(0, 0)),
        GPS.GPSAltitudeRef: b"\x01",
        GPS.GPSAltitude: IFDRational(25, 10),
    }
    assert exif_of(gps=gps) == {"gps": {"latitude": -33.5, "longitude": -70.375, "altitude": -2.5}}


@pytest.mark.parametrize("degrees", [IFDRational(0, 0), IFDRational(95), IFDRational(181)])
def test_a_place_outside_the_world_is_left_out(degrees: IFDRational) -> None:
    position = (degrees, IFDRational(0), IFDRational(0))
    gps = {GPS.GPSLatitudeRef: "N", GPS.GPSLatitude: position, GPS.GPSLongitudeRef: "E", GPS.GPSLongitude: position}
    assert exif_of({Base.Software: "x"}, gps=gps) == {"software": "x"}


def test_damaged_exif_is_a_warning_and_the_image_is_read() -> None:
    with processed(encoded(PIXEL, "JPEG", exif=b"Exif\0\0rubbish, no TIFF"), "image/jpeg") as (result, thumbnail):
        assert thumbnail is not None
        assert result.warnings == ["The EXIF data is damaged and was left out."]
        assert "exif" not in result.data


def test_png_texts_are_found_and_bounded() -> None:
    info = PngImagePlugin.PngInfo()
    info.add_text("Title", "A\x00b")
    info.add_itxt("Comment", "Öl auf Leinwand", zip=True)
    for number in range(100):
        info.add_text(f"key {number}", "v" * 3000)
    texts = data_of(encoded(PIXEL, pnginfo=info))["text"]
    assert texts["Comment"] == "Öl auf Leinwand"
    assert texts["Title"] == "A"
    assert len(texts) == 50
    assert max(len(text) for text in texts.values()) == 1000


def test_xmp_is_noted_but_not_shown() -> None:
    data = data_of(encoded(PIXEL, "JPEG", xmp=b"<x:xmpmeta/>"), "image/jpeg")
    assert data["xmp"] is True
    assert "xmpmeta" not in json.dumps(data)


def test_exif_behind_the_pixels_of_a_png_is_found() -> None:
    exif = Image.Exif()
    exif[Base.Software] = "late"
    content = encoded(PIXEL, exif=exif)
    at = content.index(b"eXIf") - 4
    chunk = content[at : at + 12 + int.from_bytes(content[at : at + 4], "big")]
    moved = content.replace(chunk, b"").replace(content[-12:], chunk + content[-12:])
    assert data_of(moved)["exif"] == {"software": "late"}
