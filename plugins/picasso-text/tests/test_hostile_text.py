"""Whatever the bytes are: a result or a ProcessorError."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from picasso_core.exceptions import ProcessorError
from picasso_core.testing import source_file
from picasso_text import TextProcessor

SAMPLES = sorted(TextProcessor.samples.iterdir())


def survives(body: bytes) -> bool:
    with source_file(body, media_type="text/plain") as file:
        try:
            result = TextProcessor().process(file)
        except ProcessorError as error:
            return bool(str(error))
        stored = json.dumps(result.data, ensure_ascii=False, allow_nan=False)
        return "\\u0000" not in stored and bool(stored.encode())


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.name)
def test_survives_flipped_bytes(sample: Path) -> None:
    body, chance = sample.read_bytes(), random.Random(sample.name)
    for _ in range(40):
        mutant = bytearray(body)
        for _ in range(chance.randint(1, 20)):
            mutant[chance.randrange(len(mutant))] = chance.randrange(256)
        assert survives(bytes(mutant))


def test_survives_every_single_byte() -> None:
    assert all(survives(bytes([code])) for code in range(256))


def test_survives_noise() -> None:
    chance = random.Random(1)
    assert all(survives(chance.randbytes(chance.randint(1, 5000))) for _ in range(100))


@pytest.mark.parametrize("mark", [b"\xff\xfe", b"\xfe\xff", b"\xff\xfe\0\0", b"\0\0\xfe\xff", b"\xef\xbb\xbf"])
def test_survives_noise_behind_a_byte_order_mark(mark: bytes) -> None:
    chance = random.Random(2)
    assert all(survives(mark + chance.randbytes(chance.randint(0, 3000))) for _ in range(30))


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 200_000 + b"]" * 200_000,
        b"\r" * 3_000_000,
        b"\n" * 3_000_000,
        b"\x1b$B" * 100_000,
        b"+AAA-" * 100_000,
        b"\xd8\x00" * 100_000,
        b"\xff\xfe" + b"\x00\xd8" * 100_000,
    ],
    ids=["nested", "returns", "line feeds", "escapes", "utf-7", "surrogates", "lone surrogates"],
)
def test_survives_bombs(body: bytes) -> None:
    assert survives(body)
