"""The colours that an image is mostly made of."""

from __future__ import annotations

from collections import Counter
from typing import Any

from PIL import Image

COLOURS = 5
SAMPLE = (48, 48)


def dominant_colours(thumbnail: Image.Image) -> list[dict[str, Any]]:
    """Return up to five colours of ``thumbnail`` (RGB or RGBA) with their share of what is not transparent."""
    sample = thumbnail.resize(SAMPLE, Image.Resampling.NEAREST)
    pixels = _opaque(sample) if sample.mode == "RGBA" else sample.tobytes()
    if not pixels:
        return []
    row = Image.frombytes("RGB", (len(pixels) // 3, 1), pixels)
    # Median cut alone mixes the colours at the edges of its boxes; k-means moves them to where the pixels are.
    reduced = row.quantize(COLOURS, kmeans=COLOURS)
    palette = bytes(reduced.getpalette() or ())
    shares: Counter[str] = Counter()
    for at, count in enumerate(reduced.histogram()[: len(palette) // 3]):
        shares[palette[3 * at : 3 * at + 3].hex()] += count
    ranked = sorted((-count, colour) for colour, count in shares.items() if count)
    return [{"hex": f"#{colour}", "share": round(-count / row.width, 3)} for count, colour in ranked]


def _opaque(image: Image.Image) -> bytes:
    """Return the pixels of an RGBA image that are more opaque than not, as RGB."""
    pixels = image.tobytes()
    return b"".join(pixels[at : at + 3] for at in range(0, len(pixels), 4) if pixels[at + 3] > 127)
