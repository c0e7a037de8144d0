"""What web needs for an upload of 1 GiB beyond what it has, and what the worker holds at rest."""

from __future__ import annotations

import socket
import time
from pathlib import Path

from archive import announced, put, work_off
from client import load, upload, upload_head, upload_tail
from measure import Line, forget_peaks, peak, resident
from servers import Stage, web, worker

SIZE = 1024**3
CHUNK = bytes(range(256)) * 4096


def measure(stage: Stage) -> list[Line]:
    environment = stage.environment("picasso", stage.database)
    with worker(environment, announced()) as pid:
        path = Path(stage.folder, "sample.echo")
        path.write_bytes(b"picasso-echo\nhello\n")
        work_off(pid, put([path] * 20))  # every sandbox has been used
        time.sleep(1)
        at_rest = resident(pid)
    with web(environment) as (pid, port):
        load(port, upload("bytes.bin", CHUNK), seconds=1.0)
        before = forget_peaks(pid)
        speed = upload_large(port)
        growth = peak(pid) - before
    return [
        Line(name="memory of web for an upload of 1 GiB, more than before", ours=[growth], unit=" MiB", at_most=16),
        Line(name="one upload of 1 GiB, a second", ours=[speed], unit=" MiB"),
        Line(name="memory of the worker at rest, its sandboxes included", ours=[at_rest], unit=" MiB", at_most=250),
    ]


def upload_large(port: int) -> float:
    """Send it piece by piece; return the MiB a second."""
    start = time.perf_counter()
    with socket.create_connection(("127.0.0.1", port), timeout=120) as connection:
        connection.sendall(upload_head("large.bin", SIZE))
        for _ in range(SIZE // len(CHUNK)):
            connection.sendall(CHUNK)
        connection.sendall(upload_tail())
        answer = connection.recv(1 << 16)
    assert answer.startswith(b"HTTP/1.1 201"), answer
    return SIZE / 2**20 / (time.perf_counter() - start)
