"""The thumbnail shows what a person would see, the colours what it is made of."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from image_kit import data_of, encoded, processed
from PIL import Image, ImageCms
from PIL.ExifTags import Base

AS_STORED = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
"""What each orientation does to an upright scene before it is stored."""
RED, BLUE, GREEN = (220, 30, 30), (20, 40, 200), (20, 180, 60)


def halves(mode: str, left: Any, right: Any, size: tuple[int, int] = (40, 20)) -> Image.Image:
    image = Image.new(mode, size, right)
    image.paste(Image.new(mode, (size[0] // 2, size[1]), left))
    return image


def shown(content: bytes, media_type: str, at: tuple[int, int]) -> Any:
    with processed(content, media_type) as (_, thumbnail):
        assert thumbnail is not None
        return thumbnail.getpixel(at)


def near(found: Any, expected: tuple[int, ...], tolerance: int = 12) -> bool:
    return all(abs(one - other) <= tolerance for one, other in zip(found, expected, strict=True))


@pytest.mark.parametrize(
    ("size", "expected"),
    [((1600, 1200), (512, 384)), ((600, 1200), (256, 512)), ((300, 200), (300, 200)), ((9000, 3), (512, 1))],
)
def test_the_longer_side_has_at_most_512_pixels_and_nothing_is_enlarged(
    size: tuple[int, int], expected: tuple[int, int]
) -> None:
    with processed(encoded(Image.new("RGB", size), "JPEG"), "image/jpeg") as (result, thumbnail):
        assert thumbnail is not None
        assert thumbnail.size == expected
        assert (result.data["width"], result.data["height"]) == size


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_ends_upright(orientation: int) -> None:
    upright = halves("RGB", RED, BLUE)
    upright.paste(GREEN, (0, 0, 10, 10))
    stored = upright.transpose(AS_STORED[orientation]) if orientation > 1 else upright
    exif = Image.Exif()
    exif[Base.Orientation] = orientation
    with processed(encoded(stored, exif=exif)) as (result, thumbnail):
        assert thumbnail is not None
        assert thumbnail.size == (40, 20)
        assert (result.data["display_width"], result.data["display_height"]) == (40, 20)
        assert near(thumbnail.getpixel((4, 4)), GREEN)
        assert near(thumbnail.getpixel((35, 10)), BLUE)


@pytest.mark.parametrize(
    ("image", "options", "left", "right"),
    [
        (halves("RGB", RED, BLUE).quantize(2), {}, RED, BLUE),
        (halves("1", 1, 0), {}, (255, 255, 255), (0, 0, 0)),
        (halves("L", 200, 20), {}, (200, 200, 200), (20, 20, 20)),
        (halves("I;16", 51400, 5140), {}, (200, 200, 200), (20, 20, 20)),
        (halves("I;16", 200, 20), {}, (1, 1, 1), (0, 0, 0)),
    ],
    ids=["palette", "black and white", "grey", "16 bit", "dark 16 bit"],
)
def test_a_png_of_every_mode_looks_as_it_should(
    image: Image.Image, options: dict[str, Any], left: tuple[int, ...], right: tuple[int, ...]
) -> None:
    content = encoded(image, **options)
    assert near(shown(content, "image/png", (8, 10)), left, 16)
    assert near(shown(content, "image/png", (32, 10)), right, 16)


@pytest.mark.parametrize(
    ("image", "left"),
    [
        (halves("CMYK", (0, 255, 255, 0), (0, 0, 0, 0)), (255, 0, 0)),
        (halves("F", 7.5, -2.5), (255, 255, 255)),
        (halves("I", 70000, -70000), (255, 255, 255)),
        (halves("LAB", (136, 209, 195), (0, 128, 128)), (255, 0, 0)),
    ],
    ids=["cmyk", "float", "32 bit", "lab"],
)
def test_a_tiff_of_every_mode_looks_as_it_should(image: Image.Image, left: tuple[int, ...]) -> None:
    assert near(shown(encoded(image, "TIFF"), "image/tiff", (8, 10)), left, 20)


def test_numbers_that_are_none_do_not_break_a_float_image() -> None:
    image = halves("F", float("nan"), 1.0)
    with processed(encoded(image, "TIFF"), "image/tiff") as (_, thumbnail):
        assert thumbnail is not None


def test_transparency_is_kept_and_the_hidden_colour_does_not_bleed() -> None:
    image = halves("RGBA", (*RED, 255), (0, 255, 0, 0), (1200, 600))
    with processed(encoded(image)) as (result, thumbnail):
        assert thumbnail is not None
        assert result.data["transparency"] is True
        assert thumbnail.mode == "RGBA"
        assert near(thumbnail.getpixel((100, 100)), (*RED, 255))
        assert thumbnail.getchannel("A").getpixel((400, 100)) == 0
        assert [colour["share"] for colour in result.data["colours"]] == [1.0]


def test_a_transparent_palette_colour_is_transparent() -> None:
    image = halves("P", 1, 0)
    image.putpalette([*BLUE, *RED])
    with processed(encoded(image, "GIF", transparency=0), "image/gif") as (result, thumbnail):
        assert thumbnail is not None
        assert result.data["transparency"] is True
        assert thumbnail.getchannel("A").getpixel((35, 10)) == 0


def test_an_opaque_alpha_channel_is_no_transparency() -> None:
    assert data_of(encoded(Image.new("RGBA", (20, 20), (*RED, 255))))["transparency"] is False


def test_an_invisible_image_has_no_colours() -> None:
    assert data_of(encoded(Image.new("RGBA", (20, 20), (*RED, 0))))["colours"] == []


def test_the_colours_come_with_their_shares_largest_first() -> None:
    image = Image.new("RGB", (100, 100), RED)
    image.paste(BLUE, (0, 0, 100, 25))
    assert data_of(encoded(image))["colours"] == [{"hex": "#dc1e1e", "share": 0.75}, {"hex": "#1428c8", "share": 0.25}]


def test_a_colour_profile_is_named_and_applied() -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    swapped = _with_red_and_blue_exchanged(srgb).replace("sRGB".encode("utf-16-be"), "Rose".encode("utf-16-be"))
    content = encoded(Image.new("RGB", (20, 20), RED), icc_profile=swapped)
    assert near(shown(content, "image/png", (10, 10)), (30, 30, 220), 20)
    assert data_of(content)["icc_profile"] == "Rose built-in"


def test_a_damaged_colour_profile_is_a_warning() -> None:
    with processed(encoded(Image.new("RGB", (20, 20), RED), icc_profile=b"no profile" * 50)) as (result, thumbnail):
        assert thumbnail is not None
        assert result.warnings == ["The colour profile is damaged and was left out."]
        assert "icc_profile" not in result.data


def test_a_multi_page_tiff_is_counted_in_both_byte_orders_and_as_bigtiff() -> None:
    pages = [Image.new("L", (30, 20), shade) for shade in (0, 100, 200)]
    for big in (False, True):
        content = encoded(pages[0], "TIFF", save_all=True, append_images=pages[1:], big_tiff=big)
        assert data_of(content, "image/tiff")["frames"] == 3
    motorola = b"MM\0*" + struct.pack(">I", 8) + _motorola_page(8) + _motorola_page(66)
    assert data_of(motorola.ljust(200, b"\x80"), "image/tiff")["frames"] == 2


def _motorola_page(at: int) -> bytes:
    tags = [(256, 8), (257, 8), (262, 1), (273, 124)]
    body = b"".join(struct.pack(">HHIHH", tag, 3, 1, value, 0) for tag, value in tags)
    return struct.pack(">H", len(tags)) + body + struct.pack(">I", 66 if at == 8 else 0) + bytes(4)


def _with_red_and_blue_exchanged(profile: bytes) -> bytes:
    """Return ``profile`` with its red and blue primaries exchanged in the table of tags."""
    return profile.replace(b"rXYZ", b"tmp!").replace(b"bXYZ", b"rXYZ").replace(b"tmp!", b"bXYZ")
