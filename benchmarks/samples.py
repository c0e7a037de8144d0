"""Mixed files as people have them, the same at every run: photographs, drawings, PDFs and texts."""

from __future__ import annotations

import random
from pathlib import Path

from PIL import Image

WORDS = ["archive", "boat", "cliff", "drift", "estuary", "fathom", "gale", "harbour", "island", "lighthouse", "moor"]
PHOTOS = 12
TOTAL = 120


def make(folder: Path) -> list[tuple[Path, str]]:
    """Write them into ``folder``; return each path with its media type, mixed, some of them more than once."""
    photos = [_photo(folder / f"photo {number}.jpg", 2 + number * 10 / (PHOTOS - 1)) for number in range(PHOTOS)]
    drawings = [_photo(folder / f"drawing {number}.png", 1 + number) for number in range(3)]
    pdfs = [_pdf(folder / f"letter {number}.pdf", pages=1 + number) for number in range(10)]
    texts = [_text(folder / f"notes {number}.txt", 10 ** (3 + number % 4), number) for number in range(30)]
    files = [(path, "image/jpeg") for path in photos] * 5 + [(path, "image/png") for path in drawings] * 2
    files += [(path, "application/pdf") for path in pdfs] * 2 + [(path, "text/plain") for path in texts]
    files = files[:TOTAL]
    random.Random(0).shuffle(files)
    return files


def _photo(path: Path, megapixels: float) -> Path:
    """Soft colours with grain over them."""
    dice = random.Random(path.name)
    width, height = int((megapixels * 4e6 / 3) ** 0.5), int((megapixels * 3e6 / 4) ** 0.5)
    soft = Image.frombytes("RGB", (16, 12), dice.randbytes(16 * 12 * 3)).resize((width, height), Image.BICUBIC)
    small = (width // 4, height // 4)
    grain = Image.frombytes("RGB", small, dice.randbytes(small[0] * small[1] * 3)).resize((width, height))
    image = Image.blend(soft, grain, 0.08)
    image.save(path, **({"quality": 88} if path.suffix == ".jpg" else {"compress_level": 3}))
    return path


def _text(path: Path, size: int, seed: int) -> Path:
    text = " ".join(random.Random(seed).choices(WORDS, k=size // 7))
    path.write_text(text, encoding="utf-8" if seed % 3 else "cp1251")
    return path


def _pdf(path: Path, pages: int) -> Path:
    """Pages full of lines, as a writer of PDFs would make them, down to the table of offsets."""
    dice = random.Random(path.name)
    kids = " ".join(f"{4 + 2 * page} 0 R" for page in range(pages))
    objects = [
        "<</Type/Catalog/Pages 2 0 R>>",
        f"<</Type/Pages/Count {pages}/Kids[{kids}]>>",
        "<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    ]
    for page in range(pages):
        lines = "".join(f"({' '.join(dice.choices(WORDS, k=12))}) Tj 0 -15 Td " for _ in range(45))
        content = f"BT /F 11 Tf 50 780 Td {lines}ET"
        objects.append(
            "<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Resources<</Font<</F 3 0 R>>>>"
            f"/Contents {5 + 2 * page} 0 R>>"
        )
        objects.append(f"<</Length {len(content)}>>stream\n{content}\nendstream")
    body, offsets = "%PDF-1.7\n", []
    for number, each in enumerate(objects, 1):
        offsets.append(len(body))
        body += f"{number} 0 obj{each}endobj\n"
    table = "".join(f"{offset:010} 00000 n \n" for offset in offsets)
    trailer = f"trailer<</Size {len(objects) + 1}/Root 1 0 R>>\nstartxref\n{len(body)}\n%%EOF"
    path.write_text(f"{body}xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}{trailer}", encoding="ascii")
    return path
