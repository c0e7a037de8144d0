"""Clients: they upload at a steady rate, and try again as a sane client does."""

from __future__ import annotations

import http.client
import itertools
import json
import random
import threading
import time
from collections import Counter
from dataclasses import dataclass, field

from . import samples
from .samples import Sample

TIMEOUT_SECONDS = 30
PATIENCE_SECONDS = 90
PAUSE_SECONDS = 0.5
CLIENTS = 24
BOUNDARY = "chaos-7b1c"


@dataclass
class Accepted:
    """An upload that was answered with 201."""

    id: str
    sample: Sample
    at: float
    """By the wall clock."""


@dataclass
class Answer:
    """What came back; status 0 when nothing did."""

    status: int
    seconds: float
    retry_after: str | None = None
    body: bytes = b""


@dataclass
class Ledger:
    """What the clients were told."""

    accepted: dict[str, Accepted] = field(default_factory=dict)
    """By id: a repeated request may get the first answer again."""
    answers: Counter[int] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    """Answers that no client should get."""
    refused: int = 0
    slowest: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)


class Client:
    """Uploads to one Picasso."""

    def __init__(self, port: int, ledger: Ledger) -> None:
        self._port = port
        self.keys = False
        """Whether Picasso knows Idempotency-Key."""
        self.ledger = ledger

    def post(self, sample: Sample, *, note: bool = True) -> Answer:
        """Post a file once."""
        begun = time.monotonic()
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=TIMEOUT_SECONDS)
        try:
            connection.request("POST", "/upload/", *form(sample, self.keys))
            reply = connection.getresponse()
            answer = Answer(reply.status, 0, reply.headers["Retry-After"], reply.read())
        except (OSError, http.client.HTTPException) as error:
            answer = Answer(0, 0, body=repr(error).encode())
        finally:
            connection.close()
        answer.seconds = time.monotonic() - begun
        if note:
            self._note(sample, answer)
        return answer

    def upload(self, sample: Sample, stopping: threading.Event | None = None) -> str | None:
        """Post a file until it is accepted; its id, or None if it never was."""
        give_up = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < give_up:
            answer = self.post(sample)
            if answer.status == 201:
                return str(json.loads(answer.body)["id"])
            pause = min(float(answer.retry_after or PAUSE_SECONDS), 5.0)
            if stopping is not None and stopping.is_set():
                break
            time.sleep(pause)
        self.ledger.refused += 1
        return None

    def fetch(self, file_id: str) -> dict[str, object] | None:
        """Return a File as the interface shows it; None when nothing answers."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=TIMEOUT_SECONDS)
        try:
            connection.request("GET", f"/files/{file_id}/")
            reply = connection.getresponse()
            body = reply.read()
            return dict(json.loads(body)) if reply.status == 200 else None
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()

    def ended(self, file_id: str, seconds: float) -> float | None:
        """Wait until a File has ended; how long that took, None if it did not."""
        begun = time.monotonic()
        while time.monotonic() < begun + seconds:
            file = self.fetch(file_id)
            if file and file["status"] not in ("queued", "processing"):
                return time.monotonic() - begun
            time.sleep(0.1)
        return None

    def _note(self, sample: Sample, answer: Answer) -> None:
        ledger = self.ledger
        with ledger.lock:
            ledger.answers[answer.status] += 1
            ledger.slowest = max(ledger.slowest, answer.seconds)
            if answer.status == 201:
                file_id = json.loads(answer.body)["id"]
                ledger.accepted.setdefault(file_id, Accepted(file_id, sample, time.time()))
            elif answer.status not in (0, 503, 507) or (answer.status == 503 and not answer.retry_after):
                ledger.wrong.append(f"{answer.status} for {sample.name}: {answer.body[:300].decode(errors='replace')}")


def form(sample: Sample, keys: bool) -> tuple[bytes, dict[str, str]]:
    """Return the body and headers of an upload."""
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="{sample.name}"\r\n\r\n'
    body = head.encode() + sample.content + f"\r\n--{BOUNDARY}--\r\n".encode()
    headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
    return body, headers | ({"Idempotency-Key": sample.name} if keys else {})


class Load:
    """A steady mixed stream of uploads from many clients."""

    def __init__(self, client: Client, rate: float, seed: int) -> None:
        self._client = client
        self._rate = rate
        self._choice = random.Random(seed)
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(CLIENTS)]

    def start(self) -> None:
        """Begin."""
        self._begun = time.monotonic()
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Begin no further upload, and wait for those under way."""
        self._stopping.set()
        for thread in self._threads:
            thread.join(TIMEOUT_SECONDS + 10)

    def _run(self) -> None:
        while True:
            with self._lock:
                number = next(self._numbers)
                sample = samples.mixed(number, self._choice)
            if self._stopping.wait(max(0.0, self._begun + number / self._rate - time.monotonic())):
                return
            self._client.upload(sample, self._stopping)
