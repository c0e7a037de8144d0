"""Measure Picasso's floor on real services: ``python tests/services.py python benchmarks/bench.py [part ...]``.

Prints a table with the spread of the rounds. Exit status 1 if something that must hold does not, saying which.
"""

from __future__ import annotations

import importlib
import os
import platform
import signal
import sys
import tempfile
import time
from pathlib import Path

import psycopg
from measure import HEADER, Line
from servers import CORES, Stage, without_queues

PARTS = ("uploads", "jobs", "files", "memory", "pages")


def main(parts: list[str]) -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # by way of every clean-up
    start, lines = time.monotonic(), list[Line]()
    with tempfile.TemporaryDirectory(prefix="picasso-bench-") as folder:
        stage = Stage(Path(folder))
        # Before Django's settings are read: parts that work on the rows themselves share them with the servers.
        os.environ.update(stage.environment("picasso", stage.database))
        print(conditions(stage), flush=True)
        with without_queues(stage, "picasso", "plain"):
            for part in parts or PARTS:
                lines += importlib.import_module(part).measure(stage)
                print(f"{part} done after {time.monotonic() - start:.0f} s", file=sys.stderr, flush=True)
    print(table(lines))
    missed = [line for line in lines if line.missed]
    for line in missed:
        bound = f"at least {line.at_least:g}" if line.at_least else f"at most {line.at_most:g}"
        print(f"MISSED: {line.name}: {line.value:.2f}, {bound} is wanted")
    print(f"{time.monotonic() - start:.0f} seconds; load average now {os.getloadavg()[0]:.1f}")
    return 1 if missed else 0


def conditions(stage: Stage) -> str:
    with psycopg.connect(stage.database) as connection:
        row = connection.execute("SELECT current_setting('server_version'), current_setting('fsync')").fetchone()
    assert row is not None
    return (
        f"Python {platform.python_version()}, {CORES} cores, load average {os.getloadavg()[0]:.1f}; "
        f"PostgreSQL {row[0]} with fsync {row[1]}; everything on this one machine"
    )


def table(lines: list[Line]) -> str:
    rows = [HEADER, *(line.cells() for line in lines)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADER))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
