"""The pages through pypdf, for the few files that pdfium cannot open: slower, and without a picture."""

from __future__ import annotations

from picasso_core.exceptions import InvalidFile
from picasso_core.processors import Result, SourceFile

from .content import check_page_count
from .page_text import PageText
from .paper import page_sizes
from .structure import opened

# pypdf takes up to seconds for one page.
MAX_SLOW_PAGES = 100


def read_content_slowly(file: SourceFile) -> Result:
    """Return the same data as ``read_content`` as far as pypdf has it; raises what pypdf raises."""
    sizes: list[tuple[float, float]] = []
    unread = 0
    with opened(file.path) as reader, PageText(file.workdir) as text:
        pages = check_page_count(len(reader.pages), file.bounds.pages)
        if not pages:
            raise InvalidFile("The PDF has no page that can be found: it is damaged or cut off.")
        some = min(pages, MAX_SLOW_PAGES)
        for index in range(some):
            try:
                page = reader.pages[index]
                sizes.append((float(page.mediabox.width), float(page.mediabox.height)))
                text.add(page.extract_text())
            except Exception:  # pypdf raises anything on a damaged page
                unread += 1
                text.add("")
            file.progress(index + 1, some)
    if unread == some:
        raise InvalidFile("No page of the PDF can be read: it is damaged or cut off.")
    warnings = ["The PDF is damaged: its pages were read the slow way, and page 1 could not be drawn."]
    if unread:
        warnings.append(f"{unread} of {some} pages could not be read.")
    if pages > some:
        warnings.append(f"The text is that of the first {some} of {pages} pages.")
    data = {"pages": pages, "page_sizes": page_sizes(sizes), "outline": [], **text.facts()}
    return Result(data=data, artifacts=text.artifacts(), warnings=[*warnings, *text.warnings()])
