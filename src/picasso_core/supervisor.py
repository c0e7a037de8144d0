"""Web, worker and sweeper as children of one process, for ``run`` and ``demo``; in production each is by itself."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

START_SECONDS = 60.0
STOP_SECONDS = 32.0
RESTART_SECONDS = 1.0


class StartFailed(Exception):
    """A process ended before it was ready, or nothing answered in time."""


class Supervisor:
    """Starts the processes of one instance, starts again what ends, and stops all of it."""

    def __init__(self, data: Path, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._environment = {**os.environ, "PICASSO_DATA": str(data)}
        self._commands = {
            "web": ["web", "--port", str(port)],
            "worker": ["worker"],
            "sweeper": ["sweeper"],
        }
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    @contextmanager
    def running(self) -> Iterator[None]:
        """Migrate, start, wait until uploads are taken; stop all at the end.

        Raises ``StartFailed``.
        """
        migrated = subprocess.run(
            self._command(["migrate", "--verbosity=0"]), env=self._environment, stdin=subprocess.DEVNULL
        )
        if migrated.returncode:
            raise StartFailed("The database could not be brought up to date; the reason stands above.")
        try:
            for name in self._commands:
                self._start(name)
            self._wait_until_ready()
            yield
        finally:
            self._stop()

    def keep_running(self, stopping: threading.Event) -> None:
        """Start again what ends by itself, until ``stopping`` is set."""
        while not stopping.wait(RESTART_SECONDS):
            for name, process in self._processes.items():
                if process.poll() is not None:
                    print(f"{name} ended (exit status {process.returncode}); starting it again.", file=sys.stderr)
                    self._start(name)

    def _start(self, name: str) -> None:
        # Sessions of their own, so that Ctrl-C reaches only this process, which then stops them in order.
        self._processes[name] = subprocess.Popen(
            self._command([*self._commands[name], "--parent", str(os.getpid())]),
            env=self._environment,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )

    def _command(self, arguments: list[str]) -> list[str]:
        return [sys.executable, sys.argv[0], *arguments]

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            for name, process in self._processes.items():
                if process.poll() is not None:
                    raise StartFailed(f"{name} ended at once (exit status {process.returncode}).")
            with contextlib.suppress(OSError), urllib.request.urlopen(f"{self.url}/readyz", timeout=5):
                return
            time.sleep(0.1)
        raise StartFailed(f"Nothing answers at {self.url} after {START_SECONDS:.0f} seconds.")

    def _stop(self) -> None:
        for process in self._processes.values():
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        for process in self._processes.values():
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def is_free(port: int) -> bool:
    """Whether nobody listens on this port of 127.0.0.1."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0
