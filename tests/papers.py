"""The snippets of the papers: fenced blocks, and the commands in the running text."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.live import ROOT

PAPERS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`((?:manage\.py |make |python -m |openssl |set -a|\.venv/bin/|PICASSO_\w+=)[^`]*)`")


@dataclass(frozen=True)
class Snippet:
    """A block, or a command of one line, whose ``kind`` is then ``command``."""

    paper: str
    kind: str
    text: str

    def __str__(self) -> str:
        return f"{self.paper}: {self.text.splitlines()[0][:60]}"


@cache
def snippets() -> list[Snippet]:
    """Return all, in the order of the papers; each line of a console block is a command of its own."""
    found = []
    for paper in PAPERS:
        name, text = str(paper.relative_to(ROOT)), paper.read_text()
        for kind, block in FENCED.findall(text):
            if kind == "console":
                whole = block.replace("\\\n", " ")
                lines = [" ".join(line[2:].split()) for line in whole.splitlines() if line.startswith("$ ")]
                found += [Snippet(name, "command", line) for line in lines]
            else:
                found.append(Snippet(name, kind, block))
        found += [Snippet(name, "command", " ".join(each.split())) for each in INLINE.findall(FENCED.sub("", text))]
    return found


def of_kind(kind: str) -> list[Snippet]:
    """Return the snippets of one kind, each text once."""
    return list({each.text: each for each in snippets() if each.kind == kind}.values())


def in_paper(name: str, kind: str) -> list[str]:
    """Return the texts of one kind in one paper."""
    return [each.text for each in snippets() if (each.paper, each.kind) == (name, kind)]


def links(paper: Path) -> list[str]:
    """Return what the paper links to in this clone."""
    return re.findall(r"\]\((?!https?:)([^)]+)", paper.read_text())
