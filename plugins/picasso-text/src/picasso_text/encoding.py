"""Find the encoding of a whole file, not only of its head."""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass
from pathlib import Path

import chardet

from picasso_core.exceptions import Declined

from .names import common_name
from .sampling import SAMPLE, first_bytes, sample
from .utf8 import scan

# In this order: the mark of UTF-32-LE begins with that of UTF-16-LE.
MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig", "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32", "utf-32le"),
    (codecs.BOM_UTF32_BE, "utf-32", "utf-32be"),
    (codecs.BOM_UTF16_LE, "utf-16", "utf-16le"),
    (codecs.BOM_UTF16_BE, "utf-16", "utf-16be"),
)
# Larger sets that a file may turn out to need beyond the sample; not asked for at once, it costs accuracy.
SUPERSETS = {
    "big5": "big5hkscs",
    "euc_jp": "euc_jis_2004",
    "euc_kr": "cp949",
    "gb2312": "gb18030",
    "iso8859-1": "cp1252",
    "iso8859-2": "cp1250",
    "iso8859-5": "cp1251",
    "iso8859-6": "cp1256",
    "iso8859-7": "cp1253",
    "iso8859-8": "cp1255",
    "iso8859-9": "cp1254",
    "iso8859-11": "cp874",
    "iso8859-13": "cp1257",
    "shift_jis": "cp932",
    "tis-620": "cp874",
}
# A file with so much valid UTF-8 is UTF-8 with faults: text in other encodings hardly ever fits by chance.
ENOUGH = 0.9
C1_CONTROLS = re.compile("[\x80-\x84\x86-\x9f]")


@dataclass(frozen=True, kw_only=True, slots=True)
class Encoding:
    """How to read a file, and how sure that is."""

    codec: str
    """What Python calls it."""
    name: str
    """What the rest of the world calls it, in lower case."""
    confidence: float = 1.0
    detected_as: str | None = None
    """What chardet said, where it was asked."""
    bom: bool = False


def find_encoding(path: Path) -> Encoding:
    """Return the encoding of the file at ``path``; raises ``Declined`` where no encoding fits."""
    head = first_bytes(path, 4)
    for mark, codec, name in MARKS:
        if head.startswith(mark):
            return Encoding(codec=codec, name=name, bom=True)
    utf8 = scan(path)
    if utf8.odd:
        # UTF-16 without a mark, ISO-2022 and HZ are valid ASCII as well.
        hidden = ask_chardet(path, first_bytes(path, SAMPLE))
        if hidden and hidden.name.startswith(("utf-16", "utf-32", "iso-2022", "hz")):
            return hidden
    if utf8.first_bad is None:
        return Encoding(codec="utf-8", name="ascii" if utf8.ascii else "utf-8")
    data = sample(path, utf8.first_bad)
    share = share_of_utf8(data)
    if share >= ENOUGH or (utf8.cut_at_end and share > 0):
        return Encoding(codec="utf-8", name="utf-8", confidence=round(share, 3))
    found = ask_chardet(path, data)
    if found is None:
        raise Declined("The file is not text in any known encoding.")
    return found


def share_of_utf8(data: bytes) -> float:
    """Return how much of what is not ASCII in ``data`` is valid UTF-8: near 1 for a UTF-8 file with a few faults."""
    text = data.decode("utf-8", "replace")
    bad = text.count("\ufffd") - data.count(b"\xef\xbf\xbd")
    special = len(text) - len(text.encode("ascii", "ignore"))
    return (special - bad) / special if special else 1.0


def ask_chardet(path: Path, data: bytes) -> Encoding | None:
    """Return what chardet makes of ``data``, or a larger set of the same family that decodes the whole file."""
    said = chardet.detect(data, max_bytes=max(len(data), 1))
    detected_as = said["encoding"]
    if not detected_as:
        return None
    codec = codecs.lookup(detected_as).name
    superset = SUPERSETS.get(codec)
    if superset and not fits(path, codec) and fits(path, superset):
        codec = superset
    confidence = round(float(said["confidence"]), 3)
    return Encoding(codec=codec, name=common_name(codec), confidence=confidence, detected_as=detected_as)


def fits(path: Path, codec: str) -> bool:
    """Return whether the whole file is text in ``codec``: ISO-8859 decodes all bytes, some of them to controls."""
    try:
        with path.open(encoding=codec, newline="") as file:
            while text := file.read(1 << 20):
                if not text.isascii() and C1_CONTROLS.search(text):
                    return False
    except UnicodeError:
        return False
    return True
