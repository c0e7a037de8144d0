"""Small images in the variants of each format: compressions, depths, palettes, camera data, several frames."""

from __future__ import annotations

import io
import struct
import warnings
from typing import Any

from PIL import ExifTags, Image, ImageCms, PngImagePlugin

PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def images() -> list[tuple[str, str, bytes]]:
    """Return (``image``, name, bytes) of each."""
    pictures = {name: _saved(image, **options) for name, image, options in _by_pillow()} | _by_hand()
    return [("image", name, content) for name, content in pictures.items()]


def _saved(image: Image.Image, **options: Any) -> bytes:
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of the IM format, which is read for as long as it can be
        image.save(buffer, **options)
    return buffer.getvalue()


def _picture(mode: str) -> Image.Image:
    gradient = Image.linear_gradient("L").resize((48, 32))
    colours = Image.merge("RGB", (gradient, gradient.rotate(180), gradient.rotate(90)))
    if mode == "RGBA":
        colours.putalpha(gradient)
        return colours
    return colours.quantize(16) if mode == "P" else colours.convert(mode)


def _exif() -> Image.Exif:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    exif[ExifTags.Base.Make] = "Fuzz"
    exif[ExifTags.Base.DateTime] = "2026:01:31 12:00:00"
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.FNumber] = 2.8
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = "2026:01:31 12:00:00"
    place = exif.get_ifd(ExifTags.IFD.GPSInfo)
    place.update({1: "N", 2: (48.0, 8.0, 14.0), 3: "E", 4: (11.0, 34.0, 31.0), 5: b"\0", 6: 519.0})
    return exif


def _texts() -> PngImagePlugin.PngInfo:
    texts = PngImagePlugin.PngInfo()
    texts.add_text("Title", "a title")
    texts.add_text("Comment", "packed " * 100, zip=True)
    texts.add_itxt("Description", "überall", lang="de", tkey="Beschreibung")
    texts.add_itxt("XML:com.adobe.xmp", "<x:xmpmeta xmlns:x='adobe:ns:meta/'/>")
    return texts


def _by_pillow() -> list[tuple[str, Image.Image, dict[str, Any]]]:
    rgb, rgba, grey, palette, cmyk, black = (_picture(mode) for mode in ("RGB", "RGBA", "L", "P", "CMYK", "1"))
    deep = Image.frombytes("I;16", (16, 16), bytes(range(256)) * 2)
    more: dict[str, Any] = {"save_all": True, "append_images": [rgb.rotate(90), rgb.rotate(180)]}
    camera: dict[str, Any] = {"exif": _exif(), "icc_profile": PROFILE, "dpi": (300, 300)}
    tiffs = [
        (f"drawn-{name}.tif", image, {"format": "TIFF", "compression": name})
        for name, image in {
            "tiff_lzw": rgb, "tiff_adobe_deflate": rgba, "jpeg": rgb, "packbits": palette, "group3": black,
            "tiff_ccitt": black, "tiff_deflate": cmyk, "lzma": grey, "zstd": grey,
        }.items()
    ]  # fmt: skip
    return [
        *tiffs,
        ("float.tif", grey.convert("F"), {"format": "TIFF"}),
        ("big.tif", rgb, {"format": "TIFF", "big_tiff": True, **camera, **more}),
        ("texts.png", rgba, {"format": "PNG", "pnginfo": _texts(), **camera}),
        ("palette.png", palette, {"format": "PNG", "transparency": 3}),
        ("deep.png", deep, {"format": "PNG"}),
        ("bit.png", black, {"format": "PNG"}),
        ("progressive.jpg", rgb, {"format": "JPEG", "progressive": True, "comment": "a comment", **camera}),
        ("cmyk.jpg", cmyk, {"format": "JPEG"}),
        ("grey.jpg", grey, {"format": "JPEG", "restart_marker_blocks": 2}),
        (
            "lossless.webp",
            rgba,
            {"format": "WEBP", "lossless": True, **{k: camera[k] for k in ("exif", "icc_profile")}},
        ),
        ("animated.avif", rgb, {"format": "AVIF", **more}),
        ("alpha.avif", rgba, {"format": "AVIF", "exif": _exif()}),
        ("palette.gif", palette, {"format": "GIF", "transparency": 2, "comment": b"a comment"}),
        ("tiled.jp2", rgb, {"format": "JPEG2000", "tile_size": (16, 16), "irreversible": True}),
        ("grey.j2k", grey, {"format": "JPEG2000", "no_jp2": True}),
        ("palette.bmp", palette, {"format": "BMP"}),
        ("alpha.bmp", rgba, {"format": "BMP"}),
        ("plain.dib", rgb, {"format": "DIB"}),
        ("palette.dib", palette, {"format": "DIB"}),
        ("dxt1.dds", rgb, {"format": "DDS", "pixel_format": "DXT1"}),
        ("dxt5.dds", rgba, {"format": "DDS", "pixel_format": "DXT5"}),
        ("bc5.dds", rgb, {"format": "DDS", "pixel_format": "BC5"}),
        ("packed.tga", rgba, {"format": "TGA", "compression": "tga_rle"}),
        ("palette.tga", palette, {"format": "TGA"}),
        ("bit.pcx", black, {"format": "PCX"}),
        ("palette.pcx", palette, {"format": "PCX"}),
        ("alpha.qoi", rgba, {"format": "QOI"}),
        ("alpha.sgi", rgba, {"format": "SGI"}),
        ("deep.sgi", grey, {"format": "SGI", "bpc": 2}),
        ("palette.im", palette, {"format": "IM"}),
        ("alpha.ico", rgba, {"format": "ICO", "sizes": [(16, 16), (32, 32)], "bitmap_format": "bmp"}),
        ("float.pfm", grey.convert("F"), {"format": "PPM"}),
    ]


def _by_hand() -> dict[str, bytes]:
    """Write what Pillow reads and does not write."""
    facts = {"SIMPLE": "T", "BITPIX": "8", "NAXIS": "2", "NAXIS1": "16", "NAXIS2": "16"}
    cards = [f"{name:8}= {value:>20}" for name, value in facts.items()]
    fits = "".join(card.ljust(80) for card in [*cards, "END"]).ljust(2880).encode() + bytes(range(256)).ljust(
        2880, b"\0"
    )
    brush = struct.pack(">IIIII4sI", 32, 2, 8, 8, 4, b"GIMP", 10) + b"fuz\0" + bytes(range(256))
    photo = bytearray(96 * 2048 + 768 * 512 * 3 // 2)
    photo[2048:2052] = b"PCD_"
    packed = b"\x00\x02\x10\x20" * 8
    return {
        "grey.fits": fits,
        "brush.gbr": brush,
        "photo.pcd": bytes(photo),
        "digits.ppm": b"P3\n# a comment\n4 2\n255\n" + b"0 128 255 7 9 11 " * 4,
        "digits.pbm": b"P1 8 2\n" + b"0 1 " * 8,
        "alpha.pam": b"P7\nWIDTH 4\nHEIGHT 2\nDEPTH 4\nMAXVAL 255\nTUPLTYPE RGB_ALPHA\nENDHDR\n" + bytes(range(32)),
        "packed.ras": struct.pack(">8I", 0x59A66A95, 16, 4, 8, len(packed), 2, 0, 0) + packed,
    }
