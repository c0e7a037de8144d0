"""Whatever the bytes are, the uploader is told; nothing else is raised."""

from __future__ import annotations

import random
import resource
import struct
import sys
import zlib
from contextlib import suppress
from pathlib import Path

import pytest
from image_kit import SAMPLES, data_of, encoded, processed, sample_type
from PIL import Image, ImageFile

from picasso_core.exceptions import InvalidFile, ProcessorError
from picasso_core.processors import Bounds, MiB
from picasso_core.testing import source_file
from picasso_image import ImageProcessor


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png_header(width: int, height: int) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))


def refusal(content: bytes | Path, media_type: str = "image/png") -> InvalidFile:
    with source_file(content, media_type=media_type) as file, pytest.raises(InvalidFile) as caught:
        ImageProcessor().process(file)
    return caught.value


@pytest.mark.parametrize("size", [(30_000, 30_000), (10_000, 10_000), (8_000, 6_251)])
def test_more_than_50_megapixels_are_refused_before_they_are_decoded(size: tuple[int, int]) -> None:
    error = refusal(png_header(*size) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b""))
    assert "the limit is 50" in error.message
    assert error.code == "limit_exceeded"


def test_the_operator_sets_how_many_megapixels_are_decoded() -> None:
    content = encoded(Image.new("L", (1001, 1000)), "PNG")
    bounds = Bounds(pixels=1_000_000)
    with source_file(content, media_type="image/png", bounds=bounds) as file, pytest.raises(InvalidFile) as caught:
        ImageProcessor().process(file)
    assert caught.value.message == "The image has 1.0 megapixels; the limit is 1 (PICASSO_MAX_PIXELS)."


def scans(number: int, behind: bytes = b"") -> bytes:
    """Write a progressive JPEG of 4 megapixels with its last scan so often."""
    content = encoded(Image.new("RGB", (2000, 2000), "red"), "JPEG", progressive=True)
    last = content.rfind(b"\xff\xda")
    return content[:last] + content[last:-2] * number + b"\xff\xd9" + behind


def test_a_jpeg_that_goes_over_its_pixels_without_end_is_refused() -> None:
    error = refusal(scans(10_000), "image/jpeg")
    assert error.code == "limit_exceeded"
    assert error.message == "The image is built up in more scans than the 625 that are read of 4.0 megapixels."


def test_what_looks_like_scans_behind_a_jpeg_is_none() -> None:
    assert data_of(scans(1, behind=b"\xff\xda" * 10_000), "image/jpeg")["width"] == 2000


def test_only_the_frame_that_is_decoded_counts_for_the_limit() -> None:
    first, second = Image.new("1", (6000, 6000)), Image.new("1", (6000, 6000), 1)
    content = encoded(first, "TIFF", save_all=True, append_images=[second], compression="group4")
    assert data_of(content, "image/tiff")["frames"] == 2


def test_a_photo_that_is_decoded_coarsely_may_be_larger_than_the_limit() -> None:
    assert data_of(encoded(Image.new("L", (9000, 6000)), "JPEG"), "image/jpeg")["width"] == 9000


def test_counting_frames_has_an_end() -> None:
    header = b"GIF89a" + struct.pack("<HHBBB", 1, 1, 0x80, 0, 0) + bytes(6)
    frame = b"," + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02\x44\x01\x00"
    with processed(header + frame * 20_000, "image/gif") as (result, _):
        assert result.data["frames"] == 10_000
        assert result.warnings == ["The image has more than 10,000 frames; only these were counted."]


IM_HEADER = b"Image type: Greyscale image\r\nImage size (x*y): %s\r\nFile size (no of images): %s\r\n"


@pytest.mark.parametrize("size", [b"nan*2", b"2.5*2", b"x*2"])
def test_an_im_file_whose_size_is_no_number_is_damaged(size: bytes) -> None:
    assert (
        "header is damaged" in refusal((IM_HEADER % (size, b"1")).ljust(511, b"\0") + b"\x1a" * 5, "image/x-im").message
    )


@pytest.mark.parametrize("count", [b"1e999", b"2.5", b"2,3", b"nan"])
def test_an_im_file_whose_count_is_no_number_has_one_frame(count: bytes) -> None:
    content = (IM_HEADER % (b"2*2", count)).ljust(511, b"\0") + b"\x1a" + bytes(4)
    assert data_of(content, "image/x-im")["frames"] == 1


@pytest.mark.skipif(sys.platform != "linux", reason="needs a limit of the address space")
@pytest.mark.parametrize(
    ("content", "media_type"),
    [
        (struct.pack(">IIIII4sI", 0x7FFFFFFF, 2, 8, 8, 1, b"GIMP", 10) + bytes(64), "image/x-gimp-gbr"),
        (b"8BPS\0\1" + bytes(6) + struct.pack(">HIIHHII", 3, 8, 8, 8, 3, 0, 0x7FFFFFFF), "image/vnd.adobe.photoshop"),
    ],
    ids=["GBR", "PSD"],
)
def test_a_length_in_the_header_takes_no_memory(content: bytes, media_type: str) -> None:
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (_address_space() + 256 * MiB, before[1]))
    try:
        with source_file(content, media_type=media_type) as file, suppress(InvalidFile):
            ImageProcessor().process(file)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def _address_space() -> int:
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


def test_an_image_that_lost_its_palette_leaves_the_data() -> None:
    header = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 8, 8, 3, 0, 0, 0))
    content = header + chunk(b"IDAT", zlib.compress(bytes(72))) + chunk(b"IEND", b"")
    with processed(content) as (result, _):
        assert (result.data["width"], result.data["mode"]) == (8, "P")


def test_an_empty_file_is_called_empty() -> None:
    assert refusal(b"").message == "The file is empty."


def test_text_is_called_no_image() -> None:
    assert refusal(b"This is not an image at all.").message == "This is not an image, or its header is damaged."


def test_a_text_chunk_that_grows_without_end_is_the_files_fault() -> None:
    bomb = chunk(b"zTXt", b"key\0\0" + zlib.compress(bytes(40_000_000)))
    assert "header is damaged" in refusal(png_header(1, 1) + bomb + chunk(b"IEND", b"")).message


def test_external_programs_are_never_called() -> None:
    assert "not an image" in refusal(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "image/x-eps").message


@pytest.mark.parametrize("name", ["photo.jpg", "logo.png"])
def test_a_truncated_image_still_tells_its_data_and_shows_what_is_there(name: str) -> None:
    body = SAMPLES[name].read_bytes()
    whole = data_of(body, sample_type(name))
    with processed(body[: len(body) * 2 // 3], sample_type(name)) as (result, thumbnail):
        assert thumbnail is not None
        assert [note[:33] for note in result.warnings] == ["The file is damaged or ends early"]
        for key in ("width", "height", "format", "icc_profile", "exif"):
            assert result.data.get(key) == whole.get(key)
    assert ImageFile.LOAD_TRUNCATED_IMAGES is False


def test_pixels_that_cannot_be_read_leave_the_data() -> None:
    with processed(png_header(640, 480) + chunk(b"IDAT", b"rubbish") + chunk(b"IEND", b"")) as (result, thumbnail):
        assert thumbnail is None
        assert (result.data["width"], result.data["height"]) == (640, 480)
        assert any("no thumbnail" in note for note in result.warnings)


@pytest.mark.parametrize("name", SAMPLES)
def test_200_mutants_of_each_sample_raise_nothing_unexpected(name: str, tmp_path: Path) -> None:
    seed, body, processor = random.Random(name), SAMPLES[name].read_bytes(), ImageProcessor()
    path = tmp_path / "mutant"
    path.write_bytes(body)
    with source_file(path, media_type=sample_type(name)) as file:
        for _ in range(200):
            path.write_bytes(mutant(body, seed))
            # A MemoryError is the sandbox's to report.
            with suppress(ProcessorError, MemoryError):
                processor.process(file)


def mutant(body: bytes, seed: random.Random) -> bytes:
    """Return ``body`` with up to ten bytes changed, half of them in the header, where they do most."""
    changed = bytearray(body)
    for _ in range(seed.choice((1, 3, 10))):
        at = seed.randrange(len(body) if seed.random() < 0.5 else min(len(body), 400))
        changed[at] = seed.randrange(256)
    return bytes(changed)
