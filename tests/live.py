"""A whole Picasso as its users have it: ``manage.py run`` on a free port, spoken to over HTTP."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from kombu import Connection

from picasso_core.supervisor import free_port
from tests.services import own_database

ROOT = Path(__file__).parent.parent
OPEN = ("queued", "processing")


class Instance:
    """One running instance."""

    def __init__(self, data: Path, python: str = sys.executable, **environment: str) -> None:
        self.url = f"http://127.0.0.1:{free_port()}"
        self.data = data
        self.log = data.parent / f"{data.name}.log"
        self.queue = f"test.{uuid.uuid4().hex[:12]}"
        self._environment = {**os.environ, "PICASSO_QUEUE": self.queue, **environment}
        self._server = self._environment.get("PICASSO_DATABASE_URL", "")
        self._stack = ExitStack()
        self._command = [python, str(ROOT / "manage.py"), "run"]
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Instance:
        """Give it a database of its own where the tests run on PostgreSQL: two instances do not share one."""
        if self._server.startswith("postgres"):
            self._environment["PICASSO_DATABASE_URL"] = self._stack.enter_context(own_database(self._server))
        broker = os.environ.get("PICASSO_BROKER_URL", "")
        if broker.startswith("amqp"):
            self._stack.callback(delete_queue, broker, self.queue)
        return self

    def __exit__(self, *error: object) -> None:
        """Remove the database and the queue."""
        self._stack.close()

    @contextmanager
    def running(self) -> Iterator[Instance]:
        """Start it, wait until it takes uploads and has a worker, and stop it in the end."""
        arguments = ["--port", self.url.rpartition(":")[2], "--data", str(self.data)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*self._command, *arguments], env=self._environment, stdout=log, stderr=log, start_new_session=True
            )
        try:
            self.wait_until(lambda: self.get("/processors/"), seconds=60)
            yield self
        finally:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(40)

    def manage(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run another command on its data."""
        environment = {**self._environment, "PICASSO_DATA": str(self.data)}
        command = [*self._command[:-1], *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)

    def get(self, path: str) -> Any:
        """Return the JSON at ``path``, or None where nothing answers."""
        try:
            with urllib.request.urlopen(self.url + path, timeout=10) as answer:
                return json.load(answer)
        except (OSError, urllib.error.URLError):
            return None

    def upload(self, content: bytes, name: str = "hello.echo") -> dict[str, Any]:
        """Post a file and return the File."""
        boundary = uuid.uuid4().hex
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'
        body = head.encode() + content + f"\r\n--{boundary}--\r\n".encode()
        headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
        request = urllib.request.Request(f"{self.url}/upload/", body, headers)
        with urllib.request.urlopen(request, timeout=30) as answer:
            file: dict[str, Any] = json.load(answer)
            return file

    def ended(self, file: dict[str, Any], seconds: float = 30) -> dict[str, Any]:
        """Wait until a File has ended and return it."""

        def look() -> dict[str, Any] | None:
            found: dict[str, Any] | None = self.get(f"/files/{file['id']}/")
            return found if found and found["status"] not in OPEN else None

        return self.wait_until(look, seconds)

    def wait_until(self, look: Callable[[], Any], seconds: float) -> Any:
        """Return the first true thing that ``look`` returns."""
        return wait_until(look, seconds, self.log)

    def pids(self, *words: str) -> list[int]:
        """Return the processes of this instance whose command line has all of ``words``."""
        assert self.process is not None
        family, found = {self.process.pid}, []
        for pid, parent, command in sorted(_processes()):
            if parent in family:
                family.add(pid)
                if all(word in command for word in words):
                    found.append(pid)
        return found


def wait_until(look: Callable[[], Any], seconds: float = 20, log: Path | None = None) -> Any:
    """Return the first true thing that ``look`` returns; if there is none, fail with the end of ``log``."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := look():
            return found
        time.sleep(0.02)
    said = f"; the log says:\n{log.read_text()[-4000:]}" if log else ""
    raise AssertionError(f"nothing after {seconds} seconds{said}")


def _processes() -> Iterator[tuple[int, int, str]]:
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = (folder / "stat").read_text().rpartition(")")[2].split()[1]
            yield int(folder.name), int(parent), (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except (FileNotFoundError, ProcessLookupError):
            continue


def alive(pids: list[int]) -> list[int]:
    """Return those of ``pids`` that still run; one that waits to be collected does not."""
    running = []
    for pid in pids:
        try:
            if (Path("/proc", str(pid), "stat")).read_text().rpartition(")")[2].split()[0] != "Z":
                running.append(pid)
        except (FileNotFoundError, ProcessLookupError):
            continue
    return running


def delete_queue(broker: str, name: str) -> None:
    """Remove a queue of RabbitMQ with the messages in it."""
    with Connection(broker) as connection:
        connection.default_channel.queue_delete(name)
