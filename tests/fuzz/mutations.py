"""How a good file is spoilt: one seed and one number always make the same mutant."""

from __future__ import annotations

import random
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass

from .chunks import pieces, with_checksums
from .seeds import Format, Seed

MAX_BYTES = 2 << 20
HEADER = 512
NUMBERS = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0xFFFFFFFE)
WRITTEN = (b"0", b"-1", b"1", b"65536", b"2147483647", b"4294967296", b"99999999999999999999", b"1e999", b"nan", b"")
RUNS = (b"\0", b"\xff", b" ", b"\n", b"A", b"[", b"<<", b"(", b"\xff\xd8", b"\xed\xa0\x80", b"\xf0\x9f\x92\xa9", b"%\r")


@dataclass(frozen=True)
class Mutant:
    """A file nobody has seen before."""

    name: str
    content: bytes
    made: str
    """What was done to which seed."""


def mutant(format: Format, number: int, seed: int) -> Mutant:
    """Make the mutant of this number."""
    chance = random.Random(f"{seed} {format.name} {number}")
    original = chance.choice(format.seeds)
    content, steps = original.content, []
    for _ in range(chance.choice((1, 1, 1, 2, 3, 6))):
        change = chance.choice(CHANGES)
        content = change(content, format, chance)[:MAX_BYTES]
        steps.append(change.__name__)
    if format.name == "PNG" and chance.random() < 0.7:
        content = with_checksums(content)
        steps.append("with_checksums")
    return Mutant(_name(original, chance), content, f"{original.name}: {', '.join(steps)}")


def _name(original: Seed, chance: random.Random) -> str:
    """Mostly the name that it should have; else one that lies."""
    return original.name if chance.random() < 0.9 else chance.choice(("a.txt", "a.pdf", "a.jpg", "a.svg", "a", "a.bin"))


def _place(content: bytes | bytearray, chance: random.Random) -> int:
    """Where to change something: half of the time in the header, at times at the end, where indexes lie."""
    size = len(content)
    part = chance.random()
    if part < 0.5:
        return chance.randrange(max(1, min(size, HEADER)))
    return chance.randrange(max(0, size - HEADER), max(1, size)) if part < 0.7 else chance.randrange(max(1, size))


def flip_bits(content: bytes, format: Format, chance: random.Random) -> bytes:
    changed = bytearray(content or b"\0")
    for _ in range(chance.choice((1, 2, 8, 32))):
        changed[_place(changed, chance)] ^= 1 << chance.randrange(8)
    return bytes(changed)


def replace_bytes(content: bytes, format: Format, chance: random.Random) -> bytes:
    changed = bytearray(content or b"\0")
    for _ in range(chance.choice((1, 2, 8, 32))):
        changed[_place(changed, chance)] = chance.choice((0, 0xFF, chance.randrange(256)))
    return bytes(changed)


def write_numbers(content: bytes, format: Format, chance: random.Random) -> bytes:
    """Put numbers at which sums overflow over fields of the header."""
    changed = bytearray(content)
    for _ in range(chance.choice((1, 1, 2, 4))):
        number, at = chance.choice(NUMBERS), _place(changed, chance)
        order, (kind, most) = chance.choice("<>"), chance.choice((("B", 0xFF), ("H", 0xFFFF), ("I", 0xFFFFFFFF)))
        field = struct.pack(order + kind, number & most)
        changed[at : at + len(field)] = field
    return bytes(changed)


def rewrite_numbers(content: bytes, format: Format, chance: random.Random) -> bytes:
    """Do the same to numbers that are written in digits."""
    found = list(re.finditer(rb"-?\d+", content))
    for place in sorted(
        chance.sample(found, min(len(found), chance.choice((1, 2, 5)))), key=lambda each: -each.start()
    ):
        content = content[: place.start()] + chance.choice(WRITTEN) + content[place.end() :]
    return content


def cut_off(content: bytes, format: Format, chance: random.Random) -> bytes:
    return content[: _place(content, chance)]


def cut_out(content: bytes, format: Format, chance: random.Random) -> bytes:
    at = _place(content, chance)
    return content[:at] + content[at + chance.choice((1, 2, 4, 16, 256, 4096)) :]


def insert_run(content: bytes, format: Format, chance: random.Random) -> bytes:
    at = _place(content, chance)
    run = chance.choice((*RUNS, chance.randbytes(16))) * chance.choice((1, 2, 16, 1000, 70_000))
    return content[:at] + run + content[at:]


def copy_part(content: bytes, format: Format, chance: random.Random) -> bytes:
    """Put one part of the file over another."""
    source, target, length = _place(content, chance), _place(content, chance), chance.choice((4, 32, 512))
    part = content[source : source + length]
    return content[:target] + part + content[target + len(part) :]


def drop_chunk(content: bytes, format: Format, chance: random.Random) -> bytes:
    parts = pieces(content, chance)
    del parts[chance.randrange(len(parts))]
    return b"".join(parts)


def repeat_chunk(content: bytes, format: Format, chance: random.Random) -> bytes:
    parts = pieces(content, chance)
    at = chance.randrange(len(parts))
    parts[at] *= chance.choice((2, 3, 50))
    return b"".join(parts)


def swap_chunks(content: bytes, format: Format, chance: random.Random) -> bytes:
    parts = pieces(content, chance)
    one, other = chance.randrange(len(parts)), chance.randrange(len(parts))
    parts[one], parts[other] = parts[other], parts[one]
    return b"".join(parts)


def take_chunk(content: bytes, format: Format, chance: random.Random) -> bytes:
    """Put a chunk of another file of the format in the place of one, or before it."""
    parts, others = pieces(content, chance), pieces(chance.choice(format.seeds).content, chance)
    at = chance.randrange(len(parts))
    parts[at : at + chance.randrange(2)] = [chance.choice(others)]
    return b"".join(parts)


def join_halves(content: bytes, format: Format, chance: random.Random) -> bytes:
    """Begin as this file and end as another of the format."""
    other = chance.choice(format.seeds).content
    at = _place(content, chance)
    return content[:at] + other[min(at, len(other)) :]


Change = Callable[[bytes, Format, random.Random], bytes]
CHANGES: tuple[Change, ...] = (
    *(flip_bits, replace_bytes, write_numbers, write_numbers, rewrite_numbers, cut_off, cut_out, insert_run),
    *(copy_part, drop_chunk, repeat_chunk, swap_chunks, take_chunk, join_halves),
)
