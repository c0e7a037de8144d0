"""Make what a PDF says fit to be shown and stored."""

from __future__ import annotations

import re

# Control characters but tab and line feed, lone surrogates, noncharacters. pdfium marks the hyphen that breaks a word
# at the end of a line with U+FFFE or U+0002: without it the word is whole again.
UNFIT = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
DATE = re.compile(
    r"(?:D:)?(?P<year>\d{4})(?P<month>\d\d)?(?P<day>\d\d)?(?:(?P<hour>\d\d)(?P<minute>\d\d)(?P<second>\d\d)?"
    r"(?P<zone>Z|[+-]\d\d)?(?:'?(?P<zone_minutes>\d\d))?)?"
)


def clean_line(value: object, limit: int = 1000) -> str:
    """Return ``value`` as one line of at most ``limit`` characters."""
    # bytes come from pypdf where no encoding fits. Cut first: a title of 10 MB need not be walked through.
    text = value[: limit * 4].decode("latin-1") if isinstance(value, bytes) else str(value)[: limit * 4]
    line = " ".join(UNFIT.sub(" ", text).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def clean_page(text: str) -> str:
    """Return a page's text with plain line ends and no control characters, so that a form feed can end the page."""
    return UNFIT.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))


def iso_date(value: object) -> str | None:
    """Turn ``D:20260131120000+01'00'`` into ``2026-01-31T12:00:00+01:00``; None where it is no date."""
    found = DATE.match(clean_line(value, 40))
    if not found:
        return None
    year, month, day, hour, minute, second, zone, zone_minutes = found.groups()
    limits = ((month, 1, 12), (day, 1, 31), (hour, 0, 23), (minute, 0, 59), (second, 0, 59))
    if not all(part is None or low <= int(part) <= high for part, low, high in limits):
        return None
    date = "-".join(part for part in (year, month, day) if part)
    if hour is None:
        return date
    offset = "" if not zone else "+00:00" if zone == "Z" else f"{zone}:{zone_minutes or '00'}"
    return f"{date}T{hour}:{minute}:{second or '00'}{offset}"
