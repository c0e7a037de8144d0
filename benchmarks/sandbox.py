"""What confinement costs a file: warm and fresh processes, confined and not, taken in turns."""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path

from picasso_core.sandbox.client import Zygote
from picasso_core.sandbox.limits import Ceilings
from picasso_core.sandbox.runner import Runner

RUNS = 200
CONTENT = b"picasso-echo\nhello"
FILE = {"name": "n", "media_type": "application/vnd.picasso.echo", "size": len(CONTENT), "sha256": "0" * 64}


def main() -> None:
    """Print medians of milliseconds a file, and what confinement adds."""
    zygotes = {"plain": Zygote("off"), "confined": Zygote("require")}
    with tempfile.TemporaryDirectory(prefix="picasso-bench-") as folder:
        source = Path(folder, "source")
        source.write_bytes(CONTENT)
        for zygote in zygotes.values():
            zygote.start()
        for kind, reuse in (("warm", 10 * RUNS), ("fresh", 1)):
            took: dict[str, list[float]] = {name: [] for name in zygotes}
            runners = {name: Runner(each, Path(folder), Ceilings(reuse=reuse)) for name, each in zygotes.items()}
            for _ in range(RUNS):
                for name, runner in runners.items():
                    took[name].append(_run(runner, source))
            for runner in runners.values():
                runner.close()
            plain, confined = (statistics.median(took[name][10:]) for name in ("plain", "confined"))
            print(f"{kind:<6} plain {plain:6.2f} ms   confined {confined:6.2f} ms   more {confined - plain:5.2f} ms")
        for zygote in zygotes.values():
            zygote.stop()


def _run(runner: Runner, source: Path) -> float:
    started = time.perf_counter()
    with runner.input(source) as path:
        found = runner.process(path, processor="echo", file=FILE, limits={}, beat=lambda: True)
    assert found.state == "succeeded", found
    return (time.perf_counter() - started) * 1000


if __name__ == "__main__":
    main()
