"""Load over HTTP: blocking sockets on keep-alive connections, a thread each, bounded in time; loopback alone."""

from __future__ import annotations

import json
import socket
import threading
import time
from dataclasses import dataclass, field
from typing import Any

CONNECTIONS = 8
BOUNDARY = "picasso-benchmark"


class Client:
    """One connection, opened again where the server closes it."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._socket: socket.socket | None = None

    def ask(self, request: bytes) -> bytes:
        """Send a whole request and return the body of the answer. Raises ``OSError`` if that is no success."""
        if self._socket is None:
            self._socket = socket.create_connection(("127.0.0.1", self.port), timeout=60)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.sendall(request)
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += self._receive()
        head, _, body = answer.partition(b"\r\n\r\n")
        status, *lines = head.decode("latin-1").lower().split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines)
        while len(body) < int(headers["content-length"]):
            body += self._receive()
        if headers.get("connection") == "close":
            self.close()
        if status.split()[1] not in ("200", "201"):
            raise OSError(f"{status}: {body[:300]!r}")
        return body

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _receive(self) -> bytes:
        assert self._socket is not None
        received = self._socket.recv(1 << 16)
        if not received:
            raise OSError("The server hung up.")
        return received


def upload_head(name: str, size: int) -> bytes:
    """Everything of an upload that comes before its ``size`` bytes; ``upload_tail`` comes after."""
    form = (
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    )
    length = len(form) + size + len(upload_tail())
    return (
        f"POST /upload/ HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: multipart/form-data; boundary={BOUNDARY}\r\n"
        f"Content-Length: {length}\r\n\r\n{form}"
    ).encode()


def upload_tail() -> bytes:
    return f"\r\n--{BOUNDARY}--\r\n".encode()


def upload(name: str, content: bytes) -> bytes:
    return upload_head(name, len(content)) + content + upload_tail()


def page(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()


def fetch(port: int, path: str) -> Any:
    client = Client(port)
    try:
        return json.loads(client.ask(page(path)))
    finally:
        client.close()


@dataclass
class Load:
    """What came of it."""

    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        return len(self.latencies) / self.seconds


def load(port: int, request: bytes, *, seconds: float, connections: int = CONNECTIONS) -> Load:
    """Send ``request`` over and over on each connection until the time is up. The first failure is raised."""
    result, failures = Load(), list[BaseException]()
    start = time.perf_counter()

    def send() -> None:
        client = Client(port)
        try:
            while (sent := time.perf_counter()) < start + seconds and not failures:
                client.ask(request)
                result.latencies.append(time.perf_counter() - sent)
        except Exception as error:
            failures.append(error)
        finally:
            client.close()

    threads = [threading.Thread(target=send) for _ in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    result.seconds = time.perf_counter() - start
    return result
