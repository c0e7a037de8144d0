"""XML dialects and HTML, from the first elements only: nothing is expanded, nothing is loaded."""

from __future__ import annotations

import re

_LOOKED_AT = 16 * 1024
# Every repetition is bounded and starts with a character that the one before cannot take.
_PROLOG = re.compile(
    r"\s{0,4096}(?:<\?[^>]{0,2000}>|<!--|<!DOCTYPE\s{1,100}(?P<doctype>[A-Za-z_][\w:.-]{0,60})[^>\[]{0,1000})"
)
_ROOT = re.compile(r"\s{0,4096}<(?:(?P<prefix>[A-Za-z_][\w.-]{0,60}):)?(?P<name>[A-Za-z_][\w.-]{0,60})(?=[\s/>])")
_HTML_START = re.compile(
    r"<(?:!doctype\s{1,20}html|html|head|body|title|script|style|table|meta|link|div|span|iframe|h[1-6]|font|center|img|"
    r"frameset|ul|ol|form|br|p|a\s{1,20}href|b|pre|base|basefont|isindex|nav|main|section|article|header)[\s/>]",
    re.IGNORECASE,
)
_HTML_ANYWHERE = re.compile(r"<(?:!doctype\s{1,20}html|html|head|body)[\s>]", re.IGNORECASE)

_BY_ROOT = {
    "svg": "image/svg+xml",
    "rss": "application/rss+xml",
    "gpx": "application/gpx+xml",
    "kml": "application/vnd.google-earth.kml+xml",
    "plist": "application/x-plist",
    "stylesheet": "application/xslt+xml",
    "FictionBook": "application/x-fictionbook+xml",
    "opml": "text/x-opml+xml",
    "smil": "application/smil+xml",
    "math": "application/mathml+xml",
    "RDF": "application/rdf+xml",
    "xmpmeta": "application/rdf+xml",
    "xliff": "application/xliff+xml",
    "tmx": "application/x-tmx+xml",
    "ncx": "application/x-dtbncx+xml",
    "COLLADA": "model/vnd.collada+xml",
    "X3D": "model/x3d+xml",
    "playlist": "application/xspf+xml",
    "metalink": "application/metalink+xml",
    "definitions": "application/wsdl+xml",
    "score-partwise": "application/vnd.recordare.musicxml+xml",
    "score-timewise": "application/vnd.recordare.musicxml+xml",
    "TEI": "application/tei+xml",
    "sparql": "application/sparql-results+xml",
    "mods": "application/mods+xml",
    "mets": "application/mets+xml",
    "SAMI": "application/x-sami",
    "ttFont": "application/x-font-ttx",
    "nzb": "application/x-nzb",
    "interface": "application/x-gtk-builder",
    "jnlp": "application/x-java-jnlp-file",
    "abiword": "application/x-abiword",
}
# Roots whose names others use too: the namespace or an attribute must agree.
_NAMESPACES = {
    "feed": ("http://www.w3.org/2005/Atom", "application/atom+xml"),
    "html": ("http://www.w3.org/1999/xhtml", "application/xhtml+xml"),
    "package": ("http://www.idpf.org/2007/opf", "application/oebps-package+xml"),
    "playlist": ("http://xspf.org/ns", "application/xspf+xml"),
    "definitions": ("http://schemas.xmlsoap.org/wsdl", "application/wsdl+xml"),
    "stylesheet": ("http://www.w3.org/1999/XSL/Transform", "application/xslt+xml"),
    "transform": ("http://www.w3.org/1999/XSL/Transform", "application/xslt+xml"),
    "RDF": ("http://www.w3.org/1999/02/22-rdf-syntax-ns#", "application/rdf+xml"),
    "book": ("http://docbook.org/ns/docbook", "application/docbook+xml"),
    "article": ("http://docbook.org/ns/docbook", "application/docbook+xml"),
    "mets": ("http://www.loc.gov/METS", "application/mets+xml"),
    "mods": ("http://www.loc.gov/mods", "application/mods+xml"),
    "rss": ("", "application/rss+xml"),
}
_FLAT_OPEN_DOCUMENT = re.compile(
    r"""mimetype\s{0,9}=\s{0,9}["'](application/vnd\.oasis\.opendocument\.[a-z-]{3,40})["']"""
)


def media_type_of_markup(text: str, extension: str, *, cautious: bool = False) -> str:
    """The type of an XML or HTML text, or nothing; when ``cautious``, a tag at the start is not enough."""
    text = text[:_LOOKED_AT].lstrip("\ufeff")
    start = text.lstrip()
    if not start.startswith("<"):
        return "text/html" if extension in ("html", "htm", "shtml") and _HTML_ANYWHERE.search(text) else ""
    position, doctype, declared = _after_prolog(text)
    root = _ROOT.match(text, position)
    if root and (declared or doctype or _is_known(root["name"])):
        found = _dialect(root["name"], text[root.start() : root.start() + 4000], doctype, declared)
        if found == "application/xhtml+xml" and extension in ("html", "htm", "shtml", "php"):
            return "text/html"
        if found:
            return found
    if cautious and not declared and not _HTML_ANYWHERE.match(start):
        return ""
    if doctype.lower() == "html" or _HTML_START.match(start) or _HTML_START.match(text[position:].lstrip()):
        return "text/html"
    if declared:
        return "application/xml"
    if _HTML_ANYWHERE.search(text[:4096]):
        return "text/html"
    return "application/xml" if root and _closes(text, root["name"]) else ""


def _is_known(name: str) -> bool:
    return name in _BY_ROOT or name in _NAMESPACES


def _closes(text: str, name: str) -> bool:
    """Whether an element without a prolog looks like XML: declares a namespace, or is closed again."""
    return "xmlns" in text[:2000] or f"</{name}>" in text


def _after_prolog(text: str) -> tuple[int, str, bool]:
    """Where the root element should be, the document type's name, and whether an XML declaration was seen."""
    position, doctype, declared = 0, "", False
    for _ in range(40):
        found = _PROLOG.match(text, position)
        if not found:
            break
        piece = found.group().lstrip()
        declared = declared or piece.startswith("<?xml")
        if piece == "<!--":
            end = text.find("-->", found.end())
            position = end + 3 if end >= 0 else len(text)
        elif found["doctype"]:
            doctype = found["doctype"]
            position = _end_of_doctype(text, found.end())
        else:
            position = found.end()
    return position, doctype, declared


def _end_of_doctype(text: str, position: int) -> int:
    """Behind the document type, stepping over the internal subset unread."""
    if text[position : position + 1] == "[":
        position = text.find("]", position)
    end = text.find(">", position) if position >= 0 else -1
    return end + 1 if end >= 0 else len(text)


def _dialect(name: str, start: str, doctype: str, declared: bool) -> str:
    tag = start[: start.find(">") + 1] or start
    if name == "document" and (flat := _FLAT_OPEN_DOCUMENT.search(tag)):
        return f"{flat[1]}-flat-xml"
    if name in _NAMESPACES:
        namespace, media_type = _NAMESPACES[name]
        if namespace in tag:
            return media_type
        if name == "html":
            return "text/html"
        return "application/xml" if declared else ""
    if name in _BY_ROOT:
        return _BY_ROOT[name]
    if name.lower() == "html":
        return "text/html"
    if doctype.lower() == "html":
        return "text/html"
    if doctype in ("svg", "plist"):
        return _BY_ROOT[doctype]
    return "application/xml" if declared else ""
