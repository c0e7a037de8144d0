"""Real mixed files a second: Picasso's worker beside ``multiprocessing.Pool(2)``.

The Pool runs the same processors on the same files and pickles the results back; it identifies nothing, stores
nothing, records nothing, and no file can harm it less.
"""

from __future__ import annotations

import multiprocessing
import statistics
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

import pool
import samples
from archive import announced, put, work_off
from measure import Line, cpu_seconds
from servers import Stage, worker

ROUNDS = 3
PROCESSES = 2
WARM_UP = 20
SHARE = 0.8

Sample = tuple[Path, str]


def measure(stage: Stage) -> list[Line]:
    folder = stage.folder / "samples"
    folder.mkdir()
    files = samples.make(folder)
    rates, costs = defaultdict(list), defaultdict(list)
    # Spawned: a fork of this process would have its threads' locks and its connections.
    with (
        multiprocessing.get_context("spawn").Pool(PROCESSES, pool.load_processors, (str(folder),)) as processes,
        worker(stage.environment("picasso", stage.database), announced()) as pid,
    ):
        variants: dict[str, tuple[Callable[[Sequence[Sample]], float], Callable[[], list[int]]]] = {
            "picasso": (lambda some: work_off(pid, put(path for path, _ in some)), lambda: [pid, *stage.services]),
            "pool": (lambda some: pool.run(processes, some), pool_pids),
        }
        for run, _ in variants.values():
            run(files[:WARM_UP])
        for number in range(ROUNDS):
            for name in sorted(variants, reverse=bool(number % 2)):
                run, roots = variants[name]
                before = cpu_seconds(roots())
                took = run(files)
                rates[name].append(len(files) / took)
                costs[name].append((cpu_seconds(roots()) - before) * 1000 / len(files))
    return [
        Line(
            name="real mixed files, a second (Pool(2))",
            ours=rates["picasso"],
            theirs=rates["pool"],
            cpu=statistics.median(costs["picasso"]),
            their_cpu=statistics.median(costs["pool"]),
            at_least=SHARE,
        )
    ]


def pool_pids() -> list[int]:
    return [child.pid for child in multiprocessing.active_children() if child.pid]
