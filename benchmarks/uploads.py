"""How many uploads a second web takes, beside the plain service; nobody works on what comes in."""

from __future__ import annotations

import os
import statistics
import time
from collections import defaultdict

from client import load, upload
from measure import Line, cpu_seconds
from servers import Stage, database, plain, web

SIZES = {"10 KiB": 10 * 1024, "1 MiB": 1024 * 1024}
ROUNDS = 3
SECONDS = 2.0
FACTOR = 4.0


def measure(stage: Stage) -> list[Line]:
    rates, costs = defaultdict(list), defaultdict(list)
    with (
        database(stage, "plain") as plain_database,
        web(stage.environment("picasso", stage.database)) as picasso,
        plain(stage.environment("plain", plain_database)) as reference,
    ):
        variants = {"picasso": picasso, "plain": reference}
        requests = {name: upload("bytes.bin", os.urandom(size)) for name, size in SIZES.items()}
        for _, port in variants.values():
            load(port, requests["10 KiB"], seconds=1.0)
        for number in range(ROUNDS):
            for size, request in requests.items():
                # In turns: what disturbs the machine disturbs both.
                for name in sorted(variants, reverse=bool(number % 2)):
                    pid, port = variants[name]
                    roots = [pid, *stage.services]
                    before = cpu_seconds(roots)
                    loaded = load(port, request, seconds=SECONDS)
                    time.sleep(0.2)  # what is still to be published belongs to it
                    rates[name, size].append(loaded.rate)
                    costs[name, size].append((cpu_seconds(roots) - before) * 1000 / len(loaded.latencies))
    return [
        Line(
            name=f"uploads of {size}, a second (plain DRF, gunicorn)",
            ours=rates["picasso", size],
            theirs=rates["plain", size],
            cpu=statistics.median(costs["picasso", size]),
            their_cpu=statistics.median(costs["plain", size]),
            at_least=FACTOR,
        )
        for size in SIZES
    ]
