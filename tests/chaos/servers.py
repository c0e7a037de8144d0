"""RabbitMQ and PostgreSQL that can be killed, frozen and started again on the same data."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import kombu
import psycopg
from celery import Celery

from tests.services import START_SECONDS, STOP_SECONDS, Program

from .processes import descendants, signal_to

CTL_SECONDS = 30
AT_NOTHING, USUAL = "0.0000001", "0.4"


class Server:
    """A private server that outlives its process."""

    stop_signal = signal.SIGTERM

    def __init__(self, program: Program, log: Path) -> None:
        self.url = program.url
        self._program = program
        self._log = log
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it on the data that it left and wait until it answers."""
        command, deadline = self._program.command, time.monotonic() + START_SECONDS
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                command, stdout=log, stderr=log, start_new_session=True, cwd="/", **self._program.options
            )
        while not self._program.answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{command[0]} did not start:\n{self._log.read_text(errors='replace')[-4000:]}")
            time.sleep(0.1)

    def signal(self, number: int) -> None:
        """Send a signal to the server and the processes of its group."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, number)

    def end(self, number: int) -> None:
        """End it with a signal and wait until it has ended."""
        self.signal(number)
        if self.process is not None:
            self.process.wait(STOP_SECONDS)

    def close(self) -> None:
        """Stop it in an orderly way, or else at once."""
        if self.process is None or self.process.poll() is not None:
            return
        self.signal(signal.SIGCONT)
        self.process.send_signal(self.stop_signal)
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.end(signal.SIGKILL)


class Broker(Server):
    """RabbitMQ."""

    def __init__(self, program: Program, log: Path, queue: str) -> None:
        super().__init__(program, log)
        self._queue = queue
        self._messages = Celery("chaos").amqp

    def block(self) -> None:
        """Raise the alarm that stops every publisher."""
        self._control("set_vm_memory_high_watermark", AT_NOTHING)

    def unblock(self) -> None:
        """Take the alarm back."""
        self._control("set_vm_memory_high_watermark", USUAL)

    def delete_queue(self) -> None:
        """Remove the queue with the messages in it."""
        with self._channel() as channel:
            channel.queue_delete(self._queue)

    def purge_queue(self) -> None:
        """Remove the messages that wait."""
        with self._channel() as channel:
            channel.queue_purge(self._queue)

    def ring(self, file_ids: Iterable[str]) -> None:
        """Send the message "bring this File up to date" for each of ``file_ids``."""
        with kombu.Connection(self.url) as connection:
            producer = connection.Producer(serializer="json")
            for file_id in file_ids:
                message: Any = self._messages.as_task_v2(str(uuid.uuid4()), "picasso.process_file", (file_id,), {})
                producer.publish(message.body, headers=message.headers, routing_key=self._queue, **message.properties)

    @contextlib.contextmanager
    def _channel(self) -> Any:
        with kombu.Connection(self.url, connect_timeout=5) as connection:
            yield connection.default_channel

    def _control(self, *arguments: str) -> None:
        command = [str(Path(self._program.command[0]).with_name("rabbitmqctl")), *arguments]
        options: dict[str, Any] = {**self._program.options, "timeout": CTL_SECONDS, "stdout": subprocess.DEVNULL}
        subprocess.run(command, check=True, cwd="/", **options)


class Database(Server):
    """PostgreSQL."""

    stop_signal = signal.SIGINT

    def connect(self) -> psycopg.Connection[Any]:
        """Open a connection that commits each statement."""
        return psycopg.connect(self.url, autocommit=True, connect_timeout=5)

    def stop_at_once(self) -> None:
        """Have every server process abort, as ``pg_ctl stop -m immediate`` does."""
        assert self.process is not None
        self.process.send_signal(signal.SIGQUIT)
        self.process.wait(STOP_SECONDS)

    def freeze(self) -> None:
        """Stop every process; each has a group of its own."""
        self._to_all(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let them go on."""
        self._to_all(signal.SIGCONT)

    def _to_all(self, number: int) -> None:
        assert self.process is not None
        for pid in (self.process.pid, *(each.pid for each in descendants(self.process.pid))):
            signal_to(pid, number)

    def cut_connections(self) -> int:
        """End every connection but our own; how many there were."""
        with self.connect() as connection:
            cut = connection.execute(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
                "WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
            ).fetchone()
        return int(cut[0]) if cut else 0
