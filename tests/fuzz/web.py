"""The same files end to end: uploaded to a whole Picasso over HTTP, and every answer looked at."""

from __future__ import annotations

import re
import tempfile
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

from tests.live import OPEN, Instance

from .book import Book, Case

SENDERS = 4
SETTLE_SECONDS = 90.0
TRACEBACK = re.compile(rb"Traceback \(most|File \\?\"[^\"]+\.py|File &quot;")
ENDED = ("processed", "partial", "failed", "unsupported")


def upload(cases: Iterator[Case], most: int, seconds: float, book: Book, mode: str) -> int:
    """Upload up to ``most`` files for as many seconds, wait until all have ended, and return how many there were."""
    with (
        tempfile.TemporaryDirectory(prefix="picasso-fuzz-web-") as folder,
        Instance(Path(folder) / "data", PICASSO_SANDBOX=mode) as instance,
        instance.running(),
    ):
        return Visit(instance, book).pay(list(islice(cases, most)), time.monotonic() + seconds)


class Visit:
    """One instance, from its first upload to its last answer."""

    def __init__(self, instance: Instance, book: Book) -> None:
        self._instance = instance
        self._book = book

    def pay(self, cases: list[Case], deadline: float) -> int:
        """Upload, wait and look; what breaks a promise is in the book."""
        before = self._processes()
        with ThreadPoolExecutor(SENDERS) as senders:
            sent = [done for done in senders.map(lambda case: self._send(case, deadline), cases) if done]
            settled = time.monotonic() + SETTLE_SECONDS
            list(senders.map(lambda each: self._follow(each[0], each[1], settled), sent))
            pages = ("/", "/files/?limit=100", "/status/", "/processors/")
            list(senders.map(lambda page: self._get(None, page), pages))
        if self._processes() != before:
            self._book.find(None, "web or worker is another process than before the uploads")
        if self._instance.process is None or self._instance.process.poll() is not None:
            self._book.find(None, "Picasso ended under the uploads")
        return len(sent)

    def _processes(self) -> list[int]:
        return sorted(self._instance.pids("manage.py"))

    def _send(self, case: Case, deadline: float) -> tuple[Case, str] | None:
        if time.monotonic() > deadline:
            return None
        boundary = uuid.uuid4().hex
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{case.name}"\r\n\r\n'
        body = head.encode() + case.content + f"\r\n--{boundary}--\r\n".encode()
        headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
        request = urllib.request.Request(f"{self._instance.url}/upload/", body, headers)
        answer = self._ask(case, request)
        found = re.search(rb'"id": ?"([0-9a-f-]{36})"', answer)
        if found is None and case.content:
            self._book.find(case, f"an upload that was not taken: {answer[:200]!r}")
        return (case, found[1].decode()) if found else None

    def _follow(self, case: Case, file: str, settled: float) -> None:
        """Wait until a File has ended, then read all that is said about it and all that was made of it."""
        while True:
            answer = self._get(case, f"/files/{file}/")
            status = re.search(rb'"status": ?"(\w+)"', answer)
            if status is None or status[1].decode() not in OPEN:
                break
            if time.monotonic() > settled:
                self._book.find(case, "a File that does not end")
                return
            time.sleep(0.05)
        if status is None or status[1].decode() not in ENDED:
            self._book.find(case, f"a File in no state that is known: {answer[:200]!r}")
        here = re.escape(self._instance.url.encode())
        for path in re.findall(rb'"' + here + rb'(/files/[^"]+)"', answer):
            self._get(case, path.decode())

    def _get(self, case: Case | None, path: str) -> bytes:
        return self._ask(case, urllib.request.Request(self._instance.url + path))

    def _ask(self, case: Case | None, request: urllib.request.Request) -> bytes:
        """Return the body of an answer, whatever its status; it may not be 5xx, nor show a traceback."""
        body: bytes
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                status, body = answer.status, answer.read()
        except urllib.error.HTTPError as error:
            status, body = error.code, error.read()
        except OSError as error:
            status, body = 599, str(error).encode()
        if status >= 500:
            self._book.find(case, f"{request.get_method()} answered with {status}: {body[:200]!r}")
        if "/content" not in request.full_url and "/artifacts/" not in request.full_url and TRACEBACK.search(body):
            self._book.find(case, f"a traceback in an answer: {TRACEBACK.search(body)!r}")
        return body
