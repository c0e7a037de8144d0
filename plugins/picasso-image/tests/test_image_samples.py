"""Every sample is read in full."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from image_kit import MEDIA_TYPES, SAMPLES, data_of, processed, sample_type
from PIL import Image

from picasso_core.testing import check_processor
from picasso_image import ImageProcessor
from picasso_image.formats import ALL_FORMATS


@pytest.mark.parametrize("name", SAMPLES)
def test_each_sample_keeps_the_contract(name: str) -> None:
    check_processor(ImageProcessor(), {sample_type(name): SAMPLES[name]})


@pytest.mark.parametrize("name", SAMPLES)
def test_each_sample_gives_a_thumbnail_and_colours_without_a_warning(name: str) -> None:
    with processed(SAMPLES[name], sample_type(name)) as (result, thumbnail):
        assert result.warnings == []
        assert thumbnail is not None
        assert thumbnail.size == (result.data["display_width"], result.data["display_height"])
        assert 0.99 <= sum(colour["share"] for colour in result.data["colours"]) <= 1.01


def test_samples_are_small() -> None:
    assert max(path.stat().st_size for path in SAMPLES.values()) <= 20 * 1024


def test_the_media_types_are_exact_and_name_no_vector_format() -> None:
    assert set(MEDIA_TYPES.values()) <= ImageProcessor.media_types
    assert not [name for name in ImageProcessor.media_types if "*" in name or "svg" in name or "postscript" in name]


def test_the_preloaded_modules_hold_all_codecs() -> None:
    for module in ImageProcessor.preload:
        __import__(module)
    assert set(ALL_FORMATS) <= set(Image.OPEN)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("animation.gif", {"frames": 6, "duration_ms": 1000, "loop": 0, "text": {"comment": "The sun goes down"}}),
        ("animation.apng", {"format": "PNG", "frames": 4, "duration_ms": 1000, "loop": 0}),
        ("animation.webp", {"frames": 6, "duration_ms": 900, "loop": 3, "transparency": False}),
        ("animation.flc", {"frames": 2, "duration_ms": 800}),
        ("cmyk.tiff", {"mode": "CMYK", "width": 180, "height": 120, "dpi": [150.0, 150.0]}),
        ("fax.tiff", {"mode": "1", "frames": 3, "dpi": [204.0, 196.0]}),
        ("sixteen-bit.tif", {"mode": "I;16", "width": 96, "height": 72}),
        ("logo.png", {"transparency": True, "icc_profile": "sRGB built-in", "dpi": [143.99, 143.99]}),
        ("poster.psd", {"frames": 1, "transparency": False}),
        ("stereo.mpo", {"format": "MPO", "frames": 2}),
    ],
)
def test_the_facts_of_a_sample_are_found(name: str, expected: dict[str, object]) -> None:
    data = data_of(SAMPLES[name], sample_type(name))
    assert {key: data.get(key) for key in expected} == expected


def test_a_photo_tells_its_camera_time_and_place() -> None:
    data = data_of(SAMPLES["photo.jpg"], "image/jpeg")
    assert data["exif"] == {
        "orientation": 6,
        "camera_make": "Picasso",
        "camera_model": "Sketchbook 5",
        "lens": "Brush 35mm f/2.8",
        "taken_at": "2024-06-21T20:45:30.25+02:00",
        "modified_at": "2024-06-21T21:30:00",
        "exposure_seconds": 0.004,
        "f_number": 2.8,
        "iso": 200,
        "focal_length_mm": 35.0,
        "focal_length_35mm": 52,
        "gps": {"latitude": 36.721533, "longitude": -4.42, "altitude": 11.0},
        "software": "Picasso samples",
        "description": "Sailing home at dusk",
        "artist": "The Picasso project",
    }
    assert (data["width"], data["height"]) == (240, 360)
    assert (data["display_width"], data["display_height"]) == (360, 240)


@pytest.mark.parametrize("name", ["photo.jpg", "logo.png", "animation.gif", "landscape.jp2"])
def test_a_wrong_media_type_is_no_obstacle(name: str) -> None:
    right, wrong = sample_type(name), "image/webp"
    assert data_of(SAMPLES[name], wrong) == data_of(SAMPLES[name], right)


def test_the_example_in_the_readme_is_true() -> None:
    readme = Path(__file__).parents[1].joinpath("README.md").read_text(encoding="utf-8")
    example = readme.partition("```json\n")[2].partition("```")[0]
    told, found = json.loads(example), data_of(SAMPLES["photo.jpg"], "image/jpeg")
    # Another build of libjpeg may move a colour by a shade.
    assert len(told.pop("colours")) == len(found.pop("colours"))
    assert told == found
