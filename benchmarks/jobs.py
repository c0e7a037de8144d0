"""Jobs that do nothing, a second; and how long after its upload was answered a small file is processed."""

from __future__ import annotations

import json
import os
import statistics
import time
from collections import defaultdict
from pathlib import Path
from uuid import UUID

from archive import announced, finished, percentile, put, work_off
from client import Client, upload
from measure import Line, cpu_seconds
from servers import Stage, web, worker

ECHO = b"picasso-echo\n"
# Declined before anything is written; and what makes an artifact.
KINDS = {"no-op jobs": (b"raise Declined\n", "unsupported"), "echo jobs, an artifact each": (b"hello\n", "processed")}
ROUNDS = 3
JOBS = 100
UPLOADS = 150
PAUSE = 0.04


def measure(stage: Stage) -> list[Line]:
    environment = stage.environment("picasso", stage.database)
    with web(environment) as (_, port), worker(environment, announced()) as pid:
        return [*throughput(stage, pid), *latency(port)]


def throughput(stage: Stage, pid: int) -> list[Line]:
    rates, costs = defaultdict(list), defaultdict(list)
    for number in range(ROUNDS + 1):
        for name, (text, status) in KINDS.items():
            path = Path(stage.folder, "sample.echo")
            path.write_bytes(ECHO + text)
            ids = put([path] * JOBS)
            roots = [pid, *stage.services]
            before = cpu_seconds(roots)
            took = work_off(pid, ids, status)
            if number:  # the first round warms the sandboxes up
                rates[name].append(JOBS / took)
                costs[name].append((cpu_seconds(roots) - before) * 1000 / JOBS)
    return [Line(name=f"{name}, a second", ours=rates[name], cpu=statistics.median(costs[name])) for name in KINDS]


def latency(port: int) -> list[Line]:
    """Uploads one after the other at a steady pace."""
    client, answered = Client(port), dict[UUID, float]()
    for _ in range(UPLOADS):
        file = json.loads(client.ask(upload("hello.echo", ECHO + os.urandom(64).hex().encode())))
        answered[UUID(file["id"])] = time.time()
        time.sleep(PAUSE)
    client.close()
    deadline = time.time() + 30
    while len(ended := finished(answered)) < UPLOADS and time.time() < deadline:
        time.sleep(0.1)
    assert len(ended) == UPLOADS, f"{UPLOADS - len(ended)} uploads are not processed"
    # A Job at a time: both are in the order of the uploads but for neighbours.
    waits = [(finished([pk])[0] - at) * 1000 for pk, at in answered.items()]
    return [
        Line(name=f"upload answered to processed, {label}", ours=[percentile(waits, share)], unit=" ms")
        for label, share in (("p50", 0.50), ("p99", 0.99))
    ]
