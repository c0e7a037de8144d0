"""Text with a structure of its own: JSON, tables, calendars, keys, scripts and other texts that say what they are."""

from __future__ import annotations

import csv
import json
import re
from itertools import pairwise

from picasso_core.identification.window import LARGEST_READ, Window

_STARTS = (
    ("{\\rtf", "application/rtf"),
    ("%!PS", "application/postscript"),
    ("BEGIN:VCALENDAR", "text/calendar"),
    ("BEGIN:VCARD", "text/vcard"),
    ("WEBVTT", "text/vtt"),
    ("#EXTM3U", "audio/x-mpegurl"),
    ("[playlist]", "audio/x-scpls"),
    ("<?php", "text/x-php"),
    ("-----BEGIN PGP MESSAGE", "application/pgp-encrypted"),
    ("-----BEGIN PGP PUBLIC KEY", "application/pgp-keys"),
    ("-----BEGIN PGP PRIVATE KEY", "application/pgp-keys"),
    ("-----BEGIN PGP SIGNATURE", "application/pgp-signature"),
    ("-----BEGIN PGP SIGNED", "application/pgp-signature"),
    ("-----BEGIN CERTIFICATE REQUEST", "application/pkcs10"),
    ("-----BEGIN NEW CERTIFICATE REQUEST", "application/pkcs10"),
    ("-----BEGIN CERTIFICATE", "application/x-x509-ca-cert"),
    ("-----BEGIN TRUSTED CERTIFICATE", "application/x-x509-ca-cert"),
    ("-----BEGIN X509 CERTIFICATE", "application/x-x509-ca-cert"),
    ("-----BEGIN PKCS7", "application/pkcs7-mime"),
    ("/* XPM */", "image/x-xpixmap"),
    ("! XPM2", "image/x-xpixmap"),
    ("diff --git ", "text/x-diff"),
    ("%YAML ", "application/yaml"),
    ("#?RADIANCE", "image/vnd.radiance"),
    ("WARC/", "application/warc"),
    ("Windows Registry Editor", "text/x-ms-regedit"),
    ("REGEDIT4", "text/x-ms-regedit"),
    ("[InternetShortcut]", "application/x-mswinurl"),
    ("CACHE MANIFEST", "text/cache-manifest"),
    ("[D-BUS Service]", "text/x-dbus-service"),
    ("#VRML ", "model/vrml"),
    ("[Desktop Entry]", "application/x-desktop"),
    ("[Flatpak Ref]", "application/vnd.flatpak.ref"),
    ("[Flatpak Repo]", "application/vnd.flatpak.repo"),
    ("BEGIN:IMELODY", "text/x-imelody"),
    ("d8:announce", "application/x-bittorrent"),
)
_INTERPRETERS = (
    (re.compile(r"python|pypy"), "text/x-python"),
    (re.compile(r"(?:ba|da|z|k|c|tc|a)?sh$|bash|fish"), "text/x-shellscript"),
    (re.compile(r"perl"), "text/x-perl"),
    (re.compile(r"php"), "text/x-php"),
    (re.compile(r"ruby"), "text/x-ruby"),
    (re.compile(r"node|deno|bun$"), "text/javascript"),
    (re.compile(r"lua"), "text/x-lua"),
    (re.compile(r"tcl|wish|expect"), "text/x-tcl"),
    (re.compile(r"awk"), "text/x-awk"),
    (re.compile(r"make"), "text/x-makefile"),
    (re.compile(r"groovy"), "text/x-groovy"),
)
_ARMOUR = re.compile(
    r"(?m)^-----BEGIN ((?:[A-Z0-9]{1,12} ){0,3}(?:CERTIFICATE|PRIVATE KEY|PUBLIC KEY|PARAMETERS))-----"
)
_SUBRIP = re.compile(r"\s{0,20}\d{1,6}[ \t]{0,4}\r?\n\d{1,2}:\d\d:\d\d[,.]\d{1,3}[ \t]{1,4}-->")
_MICRODVD = re.compile(r"\{\d{1,7}\}\{\d{1,7}\}")
_PATCH = re.compile(r"(?m)^--- \S.{0,300}\n\+\+\+ \S.{0,300}\n@@ -\d")
_CATALOG = re.compile(r'(?m)^msgid\s{1,4}"[^\n]{0,2000}\n(?:"[^\n]{0,2000}\n){0,50}msgstr')
_BITMAP = re.compile(r"(?:/\*[^*]{0,500}\*/\s{0,20})?#define\s{1,20}\w{1,80}_width\s{1,20}\d{1,6}")


def media_type_of_structure(text: str, window: Window) -> str:
    """The type that the text itself states, or nothing."""
    start = text.lstrip("\ufeff \t\r\n")
    for mark, media_type in _STARTS:
        if start.startswith(mark):
            return media_type
    if start.startswith("-----BEGIN ") and "PRIVATE KEY-----" in start[:80]:
        return "application/x-pem-key"
    if start.startswith(("Bag Attributes", "Certificate:")) or window.extension in ("pem", "crt", "cer"):
        found = _ARMOUR.search(text[: 16 * 1024])
        if found:
            return "application/x-x509-ca-cert" if found[1].endswith("CERTIFICATE") else "application/x-pem-key"
    if start.startswith("#!"):
        return _script(start.partition("\n")[0][:200])
    if _SUBRIP.match(start):
        return "application/x-subrip"
    if _MICRODVD.match(start):
        return "text/x-microdvd"
    if _BITMAP.match(start):
        return "image/x-xbitmap"
    if start.startswith(("--- ", "Index: ", "diff ", "*** ", "From ")) and _PATCH.search(text[:8192]):
        return "text/x-diff"
    if start[:1] in ("#", "m", '"') and _CATALOG.search(text[:8192]):
        return "text/x-gettext-translation"
    return _json(start, window) if start[:1] in ("{", "[") else ""


def _script(line: str) -> str:
    """The type of a script from its first line."""
    words = line[2:].split()
    if words and words[0].endswith("/env"):
        words = [word for word in words[1:] if not word.startswith("-") and "=" not in word]
    program = words[0].rpartition("/")[2].lower() if words else ""
    for pattern, media_type in _INTERPRETERS:
        if pattern.match(program):
            return media_type
    return ""


def _json(start: str, window: Window) -> str:
    """JSON when it parses; of a file too large to parse, when its beginning does."""
    if window.size > len(window.head) and window.size <= LARGEST_READ // 4:
        start = window.read(0, window.size).decode("utf-8", "replace").lstrip("\ufeff \t\r\n")
    try:
        value, end = json.JSONDecoder(strict=False).raw_decode(start)
    except ValueError:
        return "application/json" if window.size > len(start) and _begins_json(start) else ""
    except RecursionError:
        return "application/json"
    rest = start[end:].strip()
    if rest:
        return "application/x-ndjson" if "\n" in start[end : end + 3] and _is_json(rest.partition("\n")[0]) else ""
    return _json_dialect(value)


def _json_dialect(value: object) -> str:
    if isinstance(value, dict):
        if "nbformat" in value and "cells" in value:
            return "application/x-ipynb+json"
        if value.get("type") in ("FeatureCollection", "Feature") and ("features" in value or "geometry" in value):
            return "application/geo+json"
    return "application/json"


def _is_json(line: str) -> bool:
    try:
        return isinstance(json.loads(line), dict | list)
    except (ValueError, RecursionError):
        return False


def _begins_json(start: str) -> bool:
    """Whether a cut text begins like JSON: an opening bracket, then a key, a value or another bracket."""
    return bool(re.match(r'\{\s{0,200}"[^"\n]{0,200}"\s{0,20}:|\[\s{0,200}(?:[\[{"\d-]|true|false|null)', start))


def media_type_of_table(text: str) -> str:
    """``text/csv`` or tab-separated values when every line has the same number of cells, else nothing."""
    lines = text[: 16 * 1024].splitlines()[:50]
    if len(text) > 16 * 1024:
        lines = lines[:-1]
    if len([line for line in lines if line.strip()]) < 3:
        return ""
    for separator, media_type in (("\t", "text/tab-separated-values"), (",", "text/csv"), (";", "text/csv")):
        try:
            widths = [len(row) for row in csv.reader(lines, delimiter=separator) if row]
        except csv.Error:
            continue
        if (
            len(widths) >= 3
            and widths[0] >= (2 if separator == "\t" else 3)
            and all(a == b for a, b in pairwise(widths))
        ):
            return media_type
    return ""
