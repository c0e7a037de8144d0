"""Small PDFs with what a PDF may hold, and texts in many encodings."""

from __future__ import annotations

import io

from pypdf import PdfWriter
from pypdf.generic import (
    ArrayObject,
    DecodedStreamObject,
    DictionaryObject,
    NameObject,
    NumberObject,
    TextStringObject,
)

WORDS = {
    "greek-utf-8-sig": ("utf-8-sig", "Το πλοίο φεύγει το πρωί.\r\n"),
    "french-utf-16le": ("utf-16-le", "Où est le bateau de minuit, s'il vous plaît ?\n"),
    "emoji-utf-32": ("utf-32", "Ahoy 🚢 matey 🏴‍☠️\n"),
    "japanese-iso-2022-jp": ("iso2022_jp", "船は朝に出ます。お茶をどうぞ。\n"),
    "chinese-hz": ("hz", "船在早上出发。请喝茶。\n"),
    "chinese-gb18030": ("gb18030", "船在早上出发,请喝茶,天气很好。\n"),
    "chinese-big5": ("big5", "船在早上出發,請喝茶,天氣很好。\n"),
    "japanese-euc": ("euc_jp", "船は朝に出ます。お茶をどうぞ。\n"),
    "korean": ("cp949", "배는 아침에 떠납니다. 차 드세요.\n"),
    "russian-koi8": ("koi8_r", "Корабль уходит утром, чай уже готов.\n"),
    "hebrew": ("cp1255", "הספינה יוצאת בבוקר והתה מוכן.\n"),
    "polish": ("cp1250", "Statek odpływa o świcie, herbata już gotowa.\n"),
}


def documents() -> list[tuple[str, str, bytes]]:
    """Return (plugin, name, bytes) of each."""
    texts = [("text", f"{name}.txt", (words * 12).encode(codec)) for name, (codec, words) in WORDS.items()]
    pdfs = {"everything.pdf": _bytes_of(_document()), "plain.pdf": _plain(), "locked.pdf": _locked()}
    return [*texts, *(("pdf", name, content) for name, content in pdfs.items())]


def _bytes_of(writer: PdfWriter) -> bytes:
    buffer = io.BytesIO()
    writer.write(buffer)
    return buffer.getvalue()


def _document() -> PdfWriter:
    """Make two pages with an outline, an attachment, a form, a script and words, nothing of it compressed."""
    writer = PdfWriter()
    for _ in range(2):
        page = writer.add_blank_page(200, 100)
        words = DecodedStreamObject()
        words.set_data(b"BT /F1 12 Tf 10 50 Td (Hello) Tj ET q 1 0 0 1 0 0 cm 0 0 50 50 re f Q")
        font = DictionaryObject(
            {NameObject("/Type"): NameObject("/Font"), NameObject("/Subtype"): NameObject("/Type1")}
            | {NameObject("/BaseFont"): NameObject("/Helvetica")}
        )
        fonts = DictionaryObject({NameObject("/F1"): font})
        page[NameObject("/Resources")] = DictionaryObject({NameObject("/Font"): fonts})
        page[NameObject("/Contents")] = writer._add_object(words)
    chapter = writer.add_outline_item(title="Chapter", page_number=0)
    writer.add_outline_item(title="Section", page_number=1, parent=chapter)
    writer.add_attachment("notes.txt", b"attached")
    script = {NameObject("/S"): NameObject("/JavaScript"), NameObject("/JS"): TextStringObject("app.alert('hello');")}
    writer.root_object[NameObject("/OpenAction")] = DictionaryObject(script)
    writer.add_metadata({"/Title": "Everything", "/CreationDate": "D:20260131120000+01'00'"})
    field = DictionaryObject(
        {NameObject("/FT"): NameObject("/Tx"), NameObject("/T"): TextStringObject("name")}
        | {NameObject("/Rect"): ArrayObject(map(NumberObject, (0, 0, 50, 10)))}
    )
    fields = ArrayObject([writer._add_object(field)])
    writer.root_object[NameObject("/AcroForm")] = DictionaryObject({NameObject("/Fields"): fields})
    return writer


def _plain() -> bytes:
    """Write one by hand, with a picture among the operators and an outline."""
    picture = b"q 20 0 0 20 9 9 cm BI /W 2 /H 2 /CS /G /BPC 8 ID \x00\x7f\xff\x10 EI Q 0 0 m 9 9 l S"
    return by_hand(
        b"<</Type/Catalog/Pages 2 0 R/Outlines 5 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 200 100]/Contents 4 0 R/Rotate 90>>",
        b"<</Length %d>>\nstream\n%s\nendstream" % (len(picture), picture),
        b"<</Type/Outlines/First 6 0 R/Last 6 0 R/Count 1>>",
        b"<</Title(One)/Parent 5 0 R/Dest[3 0 R/Fit]>>",
    )


def _locked() -> bytes:
    """Write one whose password nobody knows."""
    words = b"<%s>" % (b"5a" * 32)
    return by_hand(
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 200 100]>>",
        b"<</Filter/Standard/V 2/R 3/Length 128/P -44/O %s/U %s>>" % (words, words),
        trailer=b"/Encrypt 4 0 R /ID[<00><00>]",
    )


def by_hand(*objects: bytes, trailer: bytes = b"") -> bytes:
    """Return a PDF of ``objects``, numbered from 1; the first is the catalog."""
    body, places = b"%PDF-1.4\n", []
    for number, content in enumerate(objects, 1):
        places.append(len(body))
        body += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    size = len(objects) + 1
    end = b"trailer\n<</Size %d /Root 1 0 R %s>>\nstartxref\n%d\n%%%%EOF\n" % (size, trailer, len(body))
    return body + b"xref\n0 %d\n0000000000 65535 f \n" % size + table + end
