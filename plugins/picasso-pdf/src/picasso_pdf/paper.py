"""Page sizes, grouped and named."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from math import isfinite
from typing import Any

# In points, upright.
PAPER = {
    "A0": (2384, 3370),
    "A1": (1684, 2384),
    "A2": (1191, 1684),
    "A3": (842, 1191),
    "A4": (595, 842),
    "A5": (420, 595),
    "A6": (298, 420),
    "B4": (709, 1001),
    "B5": (499, 709),
    "Letter": (612, 792),
    "Legal": (612, 1008),
    "Tabloid": (792, 1224),
    "Executive": (522, 756),
}
MAX_SIZES = 20


def page_sizes(sizes: Iterable[tuple[float, float]]) -> list[dict[str, Any]]:
    """Group pages of one size, the most frequent first, at most ``MAX_SIZES`` of them."""
    finite = (size for size in sizes if all(map(isfinite, size)))  # JSON knows no infinity
    groups = Counter((round(width, 1), round(height, 1)) for width, height in finite)
    return [
        {"width": width, "height": height, "label": paper_name(width, height), "pages": pages}
        for (width, height), pages in groups.most_common(MAX_SIZES)
    ]


def paper_name(width: float, height: float) -> str | None:
    """Return ``A4`` or ``A4 landscape``; two points of difference are nothing."""
    for name, (short, long) in PAPER.items():
        if abs(width - short) <= 2 and abs(height - long) <= 2:
            return name
        if abs(width - long) <= 2 and abs(height - short) <= 2:
            return f"{name} landscape"
    return None
