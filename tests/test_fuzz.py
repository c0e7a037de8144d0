"""``make fuzz`` by itself: it spoils every format, the same way each time, and sees what may not be."""

import subprocess
import sys

import pytest

from picasso_core.sandbox.outcome import Outcome
from picasso_image.formats import FORMATS
from tests.fuzz.book import Book, Case
from tests.fuzz.mutations import mutant
from tests.fuzz.seeds import Seed, formats
from tests.fuzz.verdict import problems
from tests.live import ROOT


@pytest.fixture(scope="module")
def known():
    return formats()


def test_every_format_that_the_image_plugin_reads_is_spoilt(known):
    assert set(FORMATS) <= {format.name for format in known if format.processor == "image"}


def test_one_seed_and_one_number_make_one_mutant(known):
    first, again = ([mutant(format, number, 7) for format in known for number in range(5)] for _ in range(2))
    assert first == again
    assert first != [mutant(format, number, 8) for format in known for number in range(5)]


def test_hardly_a_mutant_is_the_file_that_it_was(known):
    for format in known:
        good = {seed.content for seed in format.seeds}
        assert sum(mutant(format, number, 1).content in good for number in range(40)) < 20, format.name


@pytest.mark.parametrize("content", [b"", b"\n", b"\x89PNG\r\n\x1a\n", b"%PDF-1.4", b"RIFF", b"\0\0\0\x0cftyp"])
def test_the_shortest_files_are_spoilt_too(known, content):
    known[0].seeds, before = [Seed("short", content)], known[0].seeds
    assert all(isinstance(mutant(known[0], number, 1).content, bytes) for number in range(300))
    known[0].seeds = before


SENTENCE = "The file is damaged."


@pytest.mark.parametrize(
    "outcome",
    [
        Outcome(state="aborted", detail="The sandbox does not answer."),
        Outcome(state="temporary", message=SENTENCE),
        Outcome(state="failed", code="surprise", message=SENTENCE),
        Outcome(state="failed", code="invalid_file", message=""),
        Outcome(state="failed", code="invalid_file", message="KeyError"),
        Outcome(state="failed", code="invalid_file", message="Cannot open /tmp/slot-1/input/file."),
        Outcome(state="failed", code="invalid_file", message='Traceback: File "x.py", line 1.'),
        Outcome(state="succeeded", warnings=["<_io.BufferedReader object at 0x7f2a5c1b2d30> is bad."]),
        Outcome(state="succeeded", data={"title": "a\0b"}),
        Outcome(state="succeeded", data={"title": "\ud800"}),
        Outcome(state="succeeded", data={"size": float("nan")}),
        Outcome(state="succeeded", data={"text": "x" * 2_000_000}),
    ],
)
def test_what_may_not_be_is_seen(outcome):
    assert list(problems(outcome))


@pytest.mark.parametrize(
    "outcome",
    [
        Outcome(state="failed", code="crashed", message="The processor's process crashed on this file (SIGSEGV)."),
        Outcome(state="declined", code="declined", message="The file is not text in any known encoding."),
        Outcome(state="succeeded", data={"title": "an/other path.py"}, warnings=["1 of 2 pages could not be read: 2."]),
    ],
)
def test_what_may_be_is_let_pass(outcome):
    assert not list(problems(outcome))


def test_a_bug_is_broken_and_kept_and_a_crash_is_noted(tmp_path):
    book, case = Book(tmp_path / "found", 1), Case("GIF", "a.gif", b"GIF89a", "by hand", (("image", "image/gif"),))
    bug = Outcome(state="failed", code="processor_bug", message=SENTENCE, detail="Traceback\nKeyError: 'x'")
    crash = Outcome(state="failed", code="crashed", message=SENTENCE)
    for number in range(9):
        book.ran(case, "image", bug, 1.5, number << 20)
        book.ran(case, "image", crash, 0.1, 0)
    assert dict(book.broken) == {"image: processor_bug: KeyError: …": 9}
    assert sum(book.noted.values()) == 9
    assert {path.read_bytes() for path in (tmp_path / "found").glob("*.gif")} == {b"GIF89a"}
    assert len(list((tmp_path / "found").glob("*.gif"))) == 6
    assert "1.50 s" in list(book.table())[-1]
    assert "8 MiB" in list(book.table())[-1]


def test_a_short_round_keeps_every_promise(tmp_path):
    command = [sys.executable, "-m", "tests.fuzz", "--minutes", "0.5", "--uploads", "0", "--mutants", "3"]
    command += ["--formats", "GIF,PDF,plain,echo", "--folder", str(tmp_path / "found")]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100)
    assert (ended.returncode, ended.stderr) == (0, ""), ended.stdout
    assert "Every promise was kept." in ended.stdout
    assert not (tmp_path / "found").exists()
