"""Picasso as it runs in production, watched over as Docker would: what ends is started again after a second."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Mapping
from pathlib import Path

from .processes import Process, descendants

ROOT = Path(__file__).parents[2]
RESTART_SECONDS = 1.0
START_SECONDS = 90.0
STOP_SECONDS = 32.0
SURVIVAL_SECONDS = 2.0
MASTERS = {
    "web": ["web", "--processes", "2"],
    "worker 1": ["worker", "--concurrency", "2"],
    "worker 2": ["worker", "--concurrency", "2"],
    "sweeper": ["sweeper"],
}
WORKERS = ("worker 1", "worker 2")


class Fleet:
    """Web with two processes, two workers and a sweeper."""

    def __init__(self, environment: Mapping[str, str], logs: Path, port: int) -> None:
        self.port = port
        self.restarts = 0
        self.survivors: list[str] = []
        """What lived on although its parent was killed."""
        self.slowest_stop = 0.0
        self._environment = dict(environment)
        self._logs = logs
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._stopping = threading.Event()
        # One thread starts everything and lives to the end: whatever ends with its parent ends with that thread.
        self._keeper = threading.Thread(target=self._keep, name="keeper", daemon=True)

    def start(self) -> None:
        """Start everything and wait until uploads are taken and a worker has announced what it can run."""
        subprocess.run(self._command("migrate", "--verbosity=0"), env=self._environment, check=True, cwd=ROOT)
        self._keeper.start()
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/processors/", timeout=5) as answer:
                    if len(answer.read()) > 2:
                        return
            except OSError:
                pass
            time.sleep(0.2)
        raise RuntimeError(f"Picasso did not start within {START_SECONDS:.0f} seconds")

    def examine(self) -> list[str]:
        """Return what ``manage.py doctor`` finds wrong."""
        command = self._command("doctor")
        found = subprocess.run(command, env=self._environment, cwd=ROOT, capture_output=True, text=True)
        return found.stdout.splitlines() or [found.stderr[-500:]] if found.returncode else []

    def stop(self) -> None:
        """Stop everything with SIGTERM."""
        self._stopping.set()
        if self._keeper.is_alive():
            self._keeper.join(STOP_SECONDS + 5)

    def pid(self, name: str) -> int | None:
        """Return the process id of web's master, a worker or the sweeper; None while it is down."""
        process = self._processes.get(name)
        return process.pid if process is not None and process.poll() is None else None

    def below(self, name: str, command: str = "") -> list[Process]:
        """Return the living descendants of one of them whose command line has ``command``."""
        pid = self.pid(name)
        return [each for each in descendants(pid) if command in each.command] if pid else []

    def web_processes(self) -> list[int]:
        """Return the processes that answer requests."""
        return [each.pid for each in self.below("web", "manage.py web")]

    def sandboxes(self) -> tuple[list[int], list[int]]:
        """Return the zygotes and their children."""
        found = [each for name in WORKERS for each in self.below(name, "sandbox.zygote")]
        zygotes = {each.pid for each in found if each.parent in [self.pid(name) for name in WORKERS]}
        return sorted(zygotes), [each.pid for each in found if each.parent in zygotes]

    def kill(self, name: str) -> None:
        """Kill one of them; two seconds later it is noted which of its descendants are still there."""
        pid = self.pid(name)
        if pid is None:
            return
        family = {each.pid: each.command for each in descendants(pid)}
        os.kill(pid, signal.SIGKILL)
        look = threading.Timer(SURVIVAL_SECONDS, self._note_survivors, (name, family))
        look.daemon = True
        look.start()

    def _note_survivors(self, name: str, family: Mapping[int, str]) -> None:
        living = {each.pid for each in descendants(os.getpid())}
        self.survivors += [f"{name} was killed, {family[each]} lived on" for each in sorted(living & set(family))]

    def _keep(self) -> None:
        restart_at: dict[str, float] = dict.fromkeys(MASTERS, 0.0)
        while not self._stopping.wait(0.1):
            for name, due in restart_at.items():
                if self.pid(name) is None and name in self._processes and not due:
                    restart_at[name] = time.monotonic() + RESTART_SECONDS
                    self.restarts += 1
                elif self.pid(name) is None and time.monotonic() >= due:
                    restart_at[name] = 0.0
                    self._launch(name)
        self._end_all()

    def _launch(self, name: str) -> None:
        command, *options = MASTERS[name]
        if name == "web":
            options += ["--port", str(self.port)]
        with (self._logs / f"{name.replace(' ', '-')}.log").open("ab") as log:
            self._processes[name] = subprocess.Popen(
                self._command(command, *options, "--parent", str(os.getpid())),
                env=self._environment,
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _end_all(self) -> None:
        begun = time.monotonic()
        for process in self._processes.values():
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                process.send_signal(signal.SIGCONT)
        for name, process in self._processes.items():
            try:
                process.wait(max(0.1, begun + STOP_SECONDS - time.monotonic()))
            except subprocess.TimeoutExpired:
                self.survivors.append(f"{name} had not ended {STOP_SECONDS:.0f} seconds after SIGTERM")
                process.kill()
                process.wait()
        self.slowest_stop = time.monotonic() - begun

    def _command(self, *arguments: str) -> list[str]:
        return [sys.executable, str(ROOT / "manage.py"), *arguments]
