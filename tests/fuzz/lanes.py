"""Files through the sandbox, one after the other in each of a few threads, watched closely."""

from __future__ import annotations

import hashlib
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from picasso_core.processors import accepts
from picasso_core.sandbox.client import Zygote
from picasso_core.sandbox.limits import Ceilings, RunLimits
from picasso_core.sandbox.outcome import Outcome
from picasso_core.sandbox.runner import Runner

from .book import Book, Case
from .verdict import GRACE_SECONDS, problems

PAGE = 4096
GOOD_EVERY = 50
LOOK_SECONDS = 0.01


class Meter(threading.Thread):
    """Looks a hundred times a second how much memory the children have."""

    def __init__(self, lanes: list[Lane]) -> None:
        super().__init__(daemon=True)
        self.done = threading.Event()
        self._lanes = lanes

    def run(self) -> None:
        while not self.done.wait(LOOK_SECONDS):
            for lane in self._lanes:
                lane.most = max(lane.most, lane.resident())


class Lane(threading.Thread):
    """One thread with a runner, as a worker has them."""

    def __init__(self, zygote: Zygote, folder: Path, cases: Cases, book: Book, *, loud: bool = False) -> None:
        """``loud`` prints all that is known about each run."""
        super().__init__()
        self.most = 0
        """Bytes of memory in the run under way."""
        self._cases = cases
        self._book = book
        self._loud = loud
        self._source = folder / f"{id(self)}.bin"
        self._runner = Runner(zygote, folder)
        self._expected: dict[str, list[Any]] = {}
        self._offers = [each for each in zygote.plugins if not each["error"]]

    def run(self) -> None:
        """Take files until there are none; see every now and then that a good one is still read rightly."""
        try:
            for number, case in enumerate(self._cases):
                if self._cases.good and number % GOOD_EVERY == 0:
                    self.check_good(number // GOOD_EVERY)
                self.put(case)
        except BaseException:
            self._book.find(None, f"the calling process raised: {traceback.format_exc()[-600:]}")
        finally:
            self._source.unlink(missing_ok=True)
            self._runner.close()

    def stop(self) -> None:
        """End the run under way and take no more files; to be called from any thread."""
        self._cases.close()
        self._runner.stop()

    def put(self, case: Case) -> list[tuple[str, str, Outcome]]:
        """Have a file identified, and processed by whoever accepts it and whoever is forced to."""
        self._source.write_bytes(case.content)
        file = {"name": case.name, "size": len(case.content), "sha256": hashlib.sha256(case.content).hexdigest()}
        with self._runner.input(self._source) as path:
            identify = partial(self._runner.identify, path, name=case.name, declared="", beat=_go_on)
            found = self._watched(case, "identification", {}, identify)
            media_type = str(found.data.get("media_type", ""))
            if found.state != "succeeded":
                self._book.find(case, f"identification: {found.code}", found)
            ends = [("identification", media_type, found)]
            told_by_name = dict(case.forced) | {
                each["name"]: media_type for each in self._offers if accepts(each["media_types"], media_type)
            }
            for processor, told in told_by_name.items():
                limits = next(each["limits"] for each in self._offers if each["name"] == processor)
                whole = {**file, "media_type": told}
                process = partial(self._runner.process, processor=processor, file=whole, limits=limits, beat=_go_on)
                end = self._watched(case, processor, limits, partial(process, path))
                if case.ends and processor in dict(case.forced) and end.code not in case.ends:
                    self._book.find(case, f"{case.name}: {end.code or end.state}, not {' or '.join(case.ends)}", end)
                ends.append((processor, told, end))
        self._book.count(case)
        return ends

    def check_good(self, number: int) -> None:
        """Have a good file processed; it must come to what it came to at first."""
        case = self._cases.good[number % len(self._cases.good)]
        ends = [(who, end.state, end.data) for who, _, end in self.put(case)]
        if ends != self._expected.setdefault(case.name, ends) or any(state != "succeeded" for _, state, _ in ends):
            self._book.find(case, f"the good file {case.name} comes to something else after hostile ones")

    def resident(self) -> int:
        """Return the bytes of memory that the child has now."""
        child = self._runner._child
        try:
            return int(Path(f"/proc/{child.pid}/statm").read_text().split()[1]) * PAGE if child else 0
        except (OSError, IndexError):
            return 0

    def _watched(self, case: Case, processor: str, asked: dict[str, Any], run: Callable[[], Outcome]) -> Outcome:
        """Do one run and hold it against every promise."""
        limits = RunLimits.lower_of(Ceilings(), asked)
        before, started = self.resident(), time.monotonic()
        self.most = before
        outcome = run()
        seconds = time.monotonic() - started
        # What it has before a run comes on top of what a run may use; a new child has what the zygote has.
        self.most = max(self.most, self.resident())
        room = limits.memory + max(before, self._cases.at_rest)
        if self._loud:
            print(f"{case.name}, {processor}: {seconds:.2f} s, {self.most >> 20} MiB, {outcome}\n{outcome.detail}")
        if processor != "identification" or outcome.state != "succeeded":
            self._book.ran(case, processor, outcome, seconds, self.most)
        for problem in problems(outcome):
            self._book.find(case, f"{processor}: {problem}", outcome)
        if seconds > limits.seconds + GRACE_SECONDS:
            self._book.find(
                case, f"{processor}: a run of {seconds:.0f} seconds; the limit is {limits.seconds:g}", outcome
            )
        if self.most > room:
            self._book.find(case, f"{processor}: {self.most >> 20} MiB; the limit is {room >> 20}", outcome)
        if case.seconds and seconds > case.seconds:
            self._book.find(case, f"{case.name}: {seconds:.1f} seconds; {case.seconds:g} are allowed", outcome)
        return outcome


class Cases:
    """The files to come, for several threads, until the time is up."""

    def __init__(self, cases: Iterator[Case], good: list[Case], deadline: float, at_rest: int) -> None:
        self.good = good
        self.at_rest = at_rest
        """Bytes of memory that the zygote has."""
        self._cases = cases
        self._deadline = deadline
        self._lock = threading.Lock()

    def close(self) -> None:
        """Give out no more."""
        self._deadline = 0.0

    def __iter__(self) -> Cases:
        return self

    def __next__(self) -> Case:
        """Return the next; the end is also where the time is up."""
        with self._lock:
            if time.monotonic() >= self._deadline:
                raise StopIteration
            return next(self._cases)


def _go_on() -> bool:
    return True
