"""What encodings are called outside Python."""

from __future__ import annotations

import re

NAMES = {
    "big5hkscs": "big5-hkscs",
    "cp720": "dos-720",
    "cp932": "shift_jis",  # as browsers call the sets that Windows made of these two
    "cp949": "euc-kr",
    "hz": "hz-gb-2312",
    "kz1048": "kz-1048",
    "mac-cyrillic": "x-mac-cyrillic",
    "mac-greek": "x-mac-greek",
    "mac-iceland": "x-mac-icelandic",
    "mac-latin2": "x-mac-ce",
    "mac-roman": "macintosh",
    "mac-turkish": "x-mac-turkish",
}


def common_name(codec: str) -> str:
    """Turn Python's ``cp1251`` into ``windows-1251``, ``iso8859-1`` into ``iso-8859-1`` and so on."""
    name = NAMES.get(codec, codec)
    name = re.sub(r"^cp(?=874|125\d)", "windows-", name)
    name = re.sub(r"^cp(?=\d)", "ibm", name)
    name = re.sub(r"^iso8859[-_]", "iso-8859-", name)
    name = re.sub(r"^iso2022_", "iso-2022-", name)
    name = re.sub(r"^utf-(16|32)-", r"utf-\1", name)
    return name if name in ("shift_jis", "shift_jis_2004") else name.replace("_", "-")
