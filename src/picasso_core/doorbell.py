"""The doorbell: messages that say "bring this File up to date", published with confirms."""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Sequence
from functools import cache
from typing import Any

import structlog
from celery import current_app
from django.conf import settings
from kombu import Connection, Exchange, Queue

from .outages import broker_trouble

logger = structlog.get_logger(__name__)

TASK = "picasso.process_file"
EMBEDDED = dict.fromkeys(("callbacks", "errbacks", "chain", "chord"))
"""What Celery would do afterwards."""
CONFIRM_SECONDS = 2.0
"""The broker is away if it confirms nothing for so long while it should."""
CONNECTION = {"confirm_publish": False, "read_timeout": 3, "write_timeout": 3, "max_retries": 1}
"""Without confirms of py-amqp's, which waits for each before it sends the next message."""


@cache
def make_queue(name: str) -> Queue:
    """Return the declaration of a queue; the same everywhere, or the broker refuses it."""
    arguments = {"x-queue-type": "quorum", "x-delivery-limit": 20}
    return Queue(name, Exchange("", type="direct"), routing_key=name, queue_arguments=arguments)


class BrokerAway(Exception):
    """The broker did not confirm that it has the message."""


class Doorbell:
    """Publishes over a connection of its own, so that a broken one is never shared."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._connection: Connection | None = None
        self._channel: Any = None
        self._declared: set[str] = set()
        self._sent = 0
        self._unconfirmed: set[int] = set()

    def ring(self, file_id: uuid.UUID, queue: str) -> None:
        """Have some worker of ``queue`` bring the File up to date. Raises ``BrokerAway`` within seconds."""
        self.ring_all([(file_id, queue)])

    def ring_all(self, rings: Sequence[tuple[uuid.UUID, str]]) -> None:
        """Do so for many Files, each with its queue, and wait for the broker once.

        Raises ``BrokerAway`` within seconds; any of the messages may have arrived then.
        """
        with self._lock:
            for fresh in (self._connection is None, True):
                try:
                    return self._publish(rings)
                except Exception as error:
                    self._hang_up()
                    # The connection may just have grown stale: once more over a new one.
                    if fresh:
                        raise BrokerAway(broker_trouble(error)) from error

    def waiting(self, queue: str) -> int:
        """Say how many messages wait in ``queue``. Raises ``BrokerAway`` within seconds."""
        with self._lock:
            try:
                declared: Any = make_queue(queue)(self._open()).queue_declare()
                return int(declared.message_count)
            except Exception as error:
                self._hang_up()
                raise BrokerAway(broker_trouble(error)) from error

    def close(self) -> None:
        """Let the connection go."""
        with self._lock:
            self._hang_up()

    def _publish(self, rings: Sequence[tuple[uuid.UUID, str]]) -> None:
        channel = self._open()
        for queue in {queue for _, queue in rings} - self._declared:
            make_queue(queue)(channel).declare()
            self._declared.add(queue)
        for file_id, queue in rings:
            if settings.PICASSO_BROKER_IS_AMQP:
                self._sent += 1
                self._unconfirmed.add(self._sent)
            # Without mandatory a message for a queue that has gone is confirmed and dropped.
            channel.basic_publish(_message(channel, file_id), exchange="", routing_key=queue, mandatory=True)
        while self._unconfirmed:
            assert self._connection is not None
            self._connection.drain_events(timeout=CONFIRM_SECONDS)

    def _open(self) -> Any:
        if self._channel is None:
            options = CONNECTION if settings.PICASSO_BROKER_IS_AMQP else {}
            self._connection = current_app.connection_for_write(heartbeat=0, transport_options=options)
            self._channel = self._connection.default_channel
            if settings.PICASSO_BROKER_IS_AMQP:
                self._channel.confirm_select()
                self._channel.events["basic_ack"].add(self._confirmed)
                self._channel.events["basic_nack"].add(self._refused)
        return self._channel

    def _confirmed(self, number: int, all_before: bool) -> None:
        self._unconfirmed -= {each for each in self._unconfirmed if each <= number} if all_before else {number}

    def _refused(self, number: int, all_before: bool) -> None:
        raise BrokerAway("RabbitMQ refused a message")

    def _hang_up(self) -> None:
        connection, self._connection, self._channel = self._connection, None, None
        self._sent = 0
        self._declared.clear()
        self._unconfirmed.clear()
        if connection is not None:
            try:
                connection.close()
            except Exception as error:
                logger.debug("closing a broken connection failed too", error=str(error))


def _message(channel: Any, file_id: uuid.UUID) -> Any:
    """Make a message for Celery (its message protocol, version 2) without what may be left out of it.

    What apply_async does on the way to it takes as long as all the rest of an upload; the headers of its empty options,
    which publisher, broker and worker encode, keep and decode, as long as a statement.
    """
    number = str(uuid.uuid4())
    return channel.prepare_message(
        json.dumps([[str(file_id)], {}, EMBEDDED]),
        content_type="application/json",
        content_encoding="utf-8",
        headers={"lang": "py", "task": TASK, "id": number},
        properties={"correlation_id": number, "delivery_mode": 2},
    )


doorbell = Doorbell()
