"""What confinement costs a file: warm and fresh processes, confined and not, taken in turns."""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from pathlib import Path

from picasso_core.sandbox.client import Zygote
from picasso_core.sandbox.limits import Ceilings
from picasso_core.sandbox.runner import Runner

RUNS = 300
CONTENT = b"picasso-echo\nhello"
FILE = {"name": "n", "media_type": "application/vnd.picasso.echo", "size": len(CONTENT), "sha256": "0" * 64}


def main() -> None:
    """Print medians of milliseconds a file, processor time with them, and what confinement adds."""
    zygotes = {"plain": Zygote("off"), "confined": Zygote("require")}
    with tempfile.TemporaryDirectory(prefix="picasso-bench-") as folder:
        source = Path(folder, "source")
        source.write_bytes(CONTENT)
        for name, zygote in zygotes.items():
            began = time.perf_counter()
            zygote.start()
            print(f"start  {name:<8} {(time.perf_counter() - began) * 1000:6.0f} ms")
        warm = _compare("warm", zygotes, Path(folder), source, reuse=10 * RUNS)
        fresh = _compare("fresh", zygotes, Path(folder), source, reuse=1)
        print(f"warm and confined beside warm and plain: {warm['confined'] - warm['plain']:5.2f} ms more")
        print(f"fresh and confined beside warm and plain: {fresh['confined'] - warm['plain']:5.2f} ms more")
        for zygote in zygotes.values():
            zygote.stop()


def _compare(kind: str, zygotes: dict[str, Zygote], folder: Path, source: Path, reuse: int) -> dict[str, float]:
    """Run the same file through each in turns; return the medians."""
    took: dict[str, list[float]] = {name: [] for name in zygotes}
    spent = dict.fromkeys(zygotes, 0.0)
    runners = {name: Runner(each, folder, Ceilings(reuse=reuse)) for name, each in zygotes.items()}
    before = {name: _children(each) for name, each in zygotes.items()}
    for _ in range(RUNS):
        for name, runner in runners.items():
            ours = time.process_time()
            took[name].append(_run(runner, source))
            spent[name] += time.process_time() - ours
    medians = {}
    for name, runner in runners.items():
        runner.close()
        medians[name] = statistics.median(took[name][10:])
        cpu = (spent[name] + _children(zygotes[name]) - before[name]) * 1000 / RUNS
        print(f"{kind:<6} {name:<8} {medians[name]:6.2f} ms, of processor time {cpu:5.2f} ms")
    return medians


def _run(runner: Runner, source: Path) -> float:
    started = time.perf_counter()
    with runner.input(source) as path:
        found = runner.process(path, processor="echo", file=FILE, limits={}, beat=lambda: True)
    assert found.state == "succeeded", found
    return (time.perf_counter() - started) * 1000


def _children(zygote: Zygote) -> float:
    """Return the processor time in seconds of the zygote and of the children that have ended."""
    assert zygote._process is not None
    words = Path(f"/proc/{zygote._process.pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, words[11:15])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
