"""Faults one after the other, and after each the time until a new upload is processed."""

from __future__ import annotations

import itertools
import random
import signal
import threading
import time
from dataclasses import dataclass, replace

from . import samples
from .faults import FAULTS, PAST_THE_LEASE, Impossible, Scene, freeze_worker
from .processes import signal_to

RECOVERY_SECONDS = 45.0
FROZEN = "a worker frozen past its lease"
CALM_SECONDS = 0.5


@dataclass
class Strike:
    """One fault that was made."""

    fault: str
    begun: float
    """By the wall clock."""
    ended: float = 0.0
    recovery: float | None = None
    """Seconds from the end of the fault until an upload made then was processed; None if it was not in time."""


class Storm:
    """A seeded series of faults."""

    def __init__(self, scene: Scene, seed: int) -> None:
        self.strikes: list[Strike] = []
        self.impossible: dict[str, str] = {}
        self._scene = scene
        self._seed = seed
        self._numbers = itertools.count(6_000_000)
        self._one_at_a_time = threading.Lock()

    def rage(self, seconds: float) -> None:
        """Make every fault once, then again in another order, until the time is over."""
        end = time.monotonic() + seconds
        for number in itertools.count():
            if time.monotonic() >= end:
                break
            # It takes longer than all the others: they go on meanwhile.
            frozen = threading.Thread(target=self._freeze_a_worker, args=(number,), daemon=True)
            frozen.start()
            names = list(FAULTS)
            random.Random(f"{self._seed} {number}").shuffle(names)
            for name in names:
                if time.monotonic() < end:
                    with self._one_at_a_time:
                        self._strike(name, number)
                    time.sleep(CALM_SECONDS)
            frozen.join()

    @property
    def last_ended(self) -> float:
        """When the last fault was over, by the wall clock."""
        return max((strike.ended for strike in self.strikes), default=time.time())

    def _strike(self, name: str, number: int) -> None:
        strike = Strike(name, time.time())
        try:
            FAULTS[name](self._seeded(name, number))
        except Impossible as error:
            self.impossible[name] = str(error)
            return
        self._recover(strike)

    def _seeded(self, name: str, number: int) -> Scene:
        # What is drawn for one fault does not depend on how often another one drew.
        return replace(self._scene, random=random.Random(f"{self._seed} {number} {name}"))

    def _freeze_a_worker(self, number: int) -> None:
        strike = Strike(FROZEN, time.time())
        try:
            pid = freeze_worker(self._seeded(FROZEN, number))
        except Impossible as error:
            self.impossible[FROZEN] = str(error)
            return
        time.sleep(PAST_THE_LEASE)
        with self._one_at_a_time:
            signal_to(pid, signal.SIGCONT)
            self._recover(strike)

    def _recover(self, strike: Strike) -> None:
        client, begun = self._scene.client, time.monotonic()
        strike.ended = time.time()
        file_id = client.upload(samples.make("text", next(self._numbers)))
        if file_id and client.ended(file_id, RECOVERY_SECONDS * 2) is not None:
            strike.recovery = time.monotonic() - begun
        self.strikes.append(strike)
        took = "not in time" if strike.recovery is None else f"{strike.recovery:.1f} s"
        print(f"{time.strftime('%H:%M:%S')}  {strike.fault:32}  recovered after {took}", flush=True)
