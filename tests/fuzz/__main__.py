"""``make fuzz``: hostile files through the sandbox and over HTTP; what may not be ends it with exit status 1."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path

from picasso_core.sandbox.client import SandboxUnavailable, Zygote
from tests.chaos.processes import adopt_orphans, descendants

from . import web
from .bombs import bombs
from .book import Book, Case
from .lanes import Cases, Lane, Meter
from .mutations import mutant
from .seeds import Format, formats

LANES = 2
GOOD = ("logo.png", "photo.jpg", "almanac.pdf", "lighthouse.txt", "hello.echo")
BOMB_SECONDS = 10.0
SHARE_OF_WEB = 0.2
SETTLE_SECONDS = 2.0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=5, help="how long; a run under way is waited for")
    parser.add_argument("--seed", type=int, default=1, help="the same seed, the same files in the same order")
    parser.add_argument("--mutants", type=int, default=10**9, help="of each format, at the most")
    parser.add_argument("--uploads", type=int, default=300, help="files that go over HTTP, at the most; 0 for none")
    parser.add_argument("--formats", default="", help="only these, by the names in the table: PNG,PDF")
    parser.add_argument("--folder", type=Path, help="where findings are kept; else one below the temporary folder")
    parser.add_argument(
        "--replay", type=Path, nargs="+", help="files that were kept: only these, and all that is known"
    )
    return parser.parse_args()


def main() -> int:
    options = arguments()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(143))
    adopt_orphans()
    mode = os.environ.get("PICASSO_SANDBOX") or strictest()
    findings = options.folder or Path(tempfile.gettempdir()) / f"picasso-fuzz-{os.getpid()}"
    book, begun = Book(findings, options.seed), time.monotonic()
    if options.replay:
        through_sandbox(iter([kept(path) for path in options.replay]), [], book, mode, float("inf"), lanes=1, loud=True)
    else:
        deadline = begun + options.minutes * 60
        wanted = [each for each in formats() if each.name in options.formats.split(",") or not options.formats]
        if options.uploads:
            sample = mutants(wanted, options.seed + 1_000_000, options.mutants)
            seconds = SHARE_OF_WEB * options.minutes * 60
            sent = web.upload(sample, options.uploads, seconds, book, mode)
            print(f"{sent} files over HTTP: {time.monotonic() - begun:.0f} s", flush=True)
        cases = everything(wanted, options)
        through_sandbox(cases, good_files(), book, mode, deadline)
    print(f"Seed {options.seed}, {time.monotonic() - begun:.0f} s\n", *book.table(), *book.lists(), sep="\n")
    if not book.broken:
        print("\nEvery promise was kept.")
    return int(bool(book.broken))


def strictest() -> str:
    """Return ``require`` where the kernel can enforce all of it; else say what it cannot."""
    zygote = Zygote("require")
    try:
        zygote.start()
    except SandboxUnavailable as error:
        print(error, "The files are run with what is left.")
        return "best-effort"
    zygote.stop()
    return "require"


def everything(wanted: list[Format], options: argparse.Namespace) -> Iterator[Case]:
    """Yield the good files, the bombs, the shortest files, then mutants without end."""
    for format in wanted:
        for seed in format.seeds:
            yield Case("good files", seed.name, seed.content, "as it is", _forced(format))
    if not options.formats:
        for bomb in bombs():
            forced = ((bomb.processor, bomb.media_type),) if bomb.processor else ()
            yield Case("bombs", bomb.name, bomb.make(), "a bomb", forced, bomb.ends, BOMB_SECONDS)
        everybody = (("image", "image/png"), ("pdf", "application/pdf"), ("text", "text/plain"))
        for content in (b"", *(bytes([code]) for code in range(256))):
            yield Case("short files", f"short-{content.hex()}.bin", content, "by hand", everybody)
    yield from mutants(wanted, options.seed, options.mutants)


def mutants(wanted: list[Format], seed: int, most: int) -> Iterator[Case]:
    """Yield one of each format, then the next of each."""
    for number in count():
        if number >= most:
            return
        for format in wanted:
            made = mutant(format, number, seed)
            yield Case(format.name, made.name, made.content, f"{made.made} (mutant {number})", _forced(format))


def _forced(format: Format) -> tuple[tuple[str, str], ...]:
    return ((format.processor, format.media_type),)


def good_files() -> list[Case]:
    """Return a file for each plugin that has to be processed rightly at any time."""
    seeds = {seed.name: seed for format in formats() for seed in format.seeds}
    return [Case("good files", name, seeds[name].content, "as it is") for name in GOOD]


def kept(path: Path) -> Case:
    """Return what was found once; the facts lie beside it."""
    facts = json.loads(path.with_name(f"{path.name}.json").read_text())
    forced = tuple((processor, media_type) for processor, media_type in facts["forced"])
    return Case(facts["format"], facts["name"], path.read_bytes(), facts["made"], forced)


def through_sandbox(
    cases: Iterator[Case], good: list[Case], book: Book, mode: str, deadline: float, *, lanes: int = LANES,
    loud: bool = False,
) -> None:  # fmt: skip
    """Have lanes take the cases, then look what they left behind."""
    before = _descriptors()
    with tempfile.TemporaryDirectory(prefix="picasso-fuzz-scratch-") as folder:
        zygote = Zygote(mode)
        zygote.start()
        first = _pid_of(zygote)
        shared = Cases(cases, good, deadline, _resident(first))
        running = [Lane(zygote, Path(folder), shared, book, loud=loud) for _ in range(lanes)]
        meter = Meter(running)
        for thread in (*running, meter):
            thread.start()
        try:
            for lane in running:
                lane.join()
        finally:  # also where somebody interrupts
            for lane in running:
                lane.stop()
            for lane in running:
                lane.join()
            meter.done.set()
            meter.join()
        if _pid_of(zygote) != first or zygote._process is None or zygote._process.poll() is not None:
            book.find(None, "the zygote died")
        zygote.stop()
        for left in Path(folder).iterdir():
            book.find(None, f"left in the scratch folder: {left.name}")
    time.sleep(SETTLE_SECONDS)
    for each in descendants(os.getpid()):
        book.find(None, f"left running: {each.command}")
    if _descriptors() > before:
        book.find(None, f"{_descriptors() - before} descriptors left open")


def _pid_of(zygote: Zygote) -> int:
    return zygote._process.pid if zygote._process else 0


def _resident(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


if __name__ == "__main__":
    sys.exit(main())
