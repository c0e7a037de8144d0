"""The worker's side of the zygote: start it, learn what it can run, have children forked and reaped."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from .protocol import HEADER, encode, read_frame, readable

START_SECONDS = 60.0
REPLY_SECONDS = 10.0
LAST_SECONDS = 1.0


class SandboxUnavailable(Exception):
    """The zygote cannot be started or no longer answers; the message is for the operator."""


class Zygote:
    """One clean process that has the plugins imported; restarted by itself when it is found dead."""

    def __init__(self, mode: str = "best-effort", private: Iterable[Path] = ()) -> None:
        """``mode`` is ``require``, ``best-effort`` or ``off``, which passes this process's environment on.

        ``private`` are folders that no child may read.
        """
        self.plugins: list[dict[str, Any]] = []
        self.missing: list[str] = []
        """Sentences: what this machine cannot enforce."""
        self._mode = mode
        self._private = [str(folder) for folder in private]
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._broken: dict[str, str] = {}

    def start(self) -> None:
        """Import the plugins in a new process; one whose import ends or stalls that process is set aside.

        Raises ``SandboxUnavailable``.
        """
        with self._lock:
            self._start()

    def is_running(self) -> bool:
        """Whether it lives, and with it the children that it forked."""
        process = self._process
        return process is not None and process.poll() is None

    def fork(self, folder: Path, log: int) -> tuple[int, int, int]:
        """Fork a child that works in ``folder``; return its pid, where to write requests and where to read answers.

        Raises ``SandboxUnavailable``.
        """
        child_in, requests = os.pipe()
        answers, child_out = os.pipe()
        try:
            with self._lock:
                if not self.is_running():
                    self._start()
                reply = self._ask({"op": "fork", "folder": str(folder)}, [child_in, child_out, log])
        except BaseException:
            os.close(requests)
            os.close(answers)
            raise
        finally:
            os.close(child_in)
            os.close(child_out)
        return reply["pid"], requests, answers

    def reap(self, pid: int, seconds: float) -> int | None:
        """Collect a child that ends within ``seconds``: its exit status, negative for a signal; None if it does not."""
        try:
            with self._lock:
                status = self._ask({"op": "reap", "pid": pid, "seconds": seconds}, [])["status"]
        except SandboxUnavailable:
            return None
        return status if isinstance(status, int) else None

    def stop(self) -> None:
        """End the zygote and with it every child."""
        with self._lock:
            self._stop()

    def _start(self) -> None:
        while True:
            self._stop()
            ours, theirs = socket.socketpair()
            command = [
                sys.executable,
                "-I",
                "-m",
                "picasso_core.sandbox.zygote",
                str(theirs.fileno()),
                str(os.getpid()),
            ]
            self._process = subprocess.Popen(
                command,
                pass_fds=[theirs.fileno()],
                env=os.environ if self._mode == "off" else {},
                cwd="/",
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
            theirs.close()
            self._control = ours
            ours.sendall(encode({"op": "start", "skip": self._broken, "mode": self._mode, "private": self._private}))
            culprit = self._hear_plugins(time.monotonic() + START_SECONDS)
            if culprit is None:
                if self.missing and self._mode == "require":
                    self._stop()
                    raise SandboxUnavailable(f"PICASSO_SANDBOX is require. {' '.join(self.missing)}")
                return
            name, how = culprit
            if name in self._broken or not name:
                self._stop()
                raise SandboxUnavailable(f"The sandbox did not start: {how}.")
            self._broken[name] = f"Importing {name} {how}; it is left out."

    def _hear_plugins(self, deadline: float) -> tuple[str, str] | None:
        """Wait for the descriptions; else the processor whose import was under way, and what it did."""
        assert self._control is not None and self._process is not None
        importing = ""
        while readable(self._control.fileno(), deadline - time.monotonic()):
            event = read_frame(self._control.fileno())
            if event is None:
                return importing, f"ended the process (exit status {self._process.wait()})"
            if event["event"] == "ready":
                self.plugins, self.missing = event["plugins"], event["missing"]
                return None
            importing = event["name"]
        return importing, f"took longer than {START_SECONDS:.0f} seconds"

    def _stop(self) -> None:
        if self._control is not None:
            self._control.close()
            self._control = None
        if self._process is not None:
            # It ends by itself when the socket is closed, unless an import has it.
            try:
                self._process.wait(LAST_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None

    def _ask(self, request: dict[str, Any], descriptors: list[int]) -> dict[str, Any]:
        if self._control is None:
            raise SandboxUnavailable("The sandbox is not running.")
        frame = encode(request)
        try:
            socket.send_fds(self._control, [frame[: HEADER.size]], descriptors)
            self._control.sendall(frame[HEADER.size :])
            reply = read_frame(self._control.fileno()) if readable(self._control.fileno(), REPLY_SECONDS) else None
        except OSError as error:
            raise SandboxUnavailable(f"The sandbox hung up: {error}.") from None
        if reply is None:
            self._stop()
            raise SandboxUnavailable("The sandbox does not answer; it is started anew.")
        return reply
