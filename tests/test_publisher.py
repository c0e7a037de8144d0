"""The doorbell is rung outside the request, once for each File, and never holds a request up."""

import shutil
import time
import uuid

import pytest
from celery import current_app

from picasso_core import publisher
from picasso_core.doorbell import Doorbell, doorbell
from tests.live import wait_until


@pytest.fixture
def queue(settings):
    """A queue of its own on the real broker, RabbitMQ or the folder of messages."""
    name = f"test.{uuid.uuid4().hex[:12]}"
    yield name
    with current_app.connection_for_write() as connection:
        connection.default_channel.queue_delete(name)
    # What the folder of messages leaves of a queue.
    shutil.rmtree(settings.DATA / "broker" / name, ignore_errors=True)


def test_a_file_is_announced_soon_and_without_waiting(queue):
    begun = time.monotonic()
    for _ in range(20):
        publisher.publish_soon(uuid.uuid4(), queue)
    assert time.monotonic() - begun < 1
    wait_until(lambda: doorbell.waiting(queue) == 20)


def test_more_than_can_be_held_is_dropped_for_the_sweeper_to_find(queue, monkeypatch):
    full = publisher.queue.Queue(1)
    full.put((uuid.uuid4(), queue))
    monkeypatch.setattr(publisher, "_waiting", full)
    begun = time.monotonic()
    publisher.publish_soon(uuid.uuid4(), queue)
    assert time.monotonic() - begun < 1
    assert full.qsize() == 1


def test_a_connection_that_has_gone_stale_is_made_anew(queue):
    bell = Doorbell()
    bell.ring(uuid.uuid4(), queue)
    bell._connection.close()
    bell.ring(uuid.uuid4(), queue)
    assert bell.waiting(queue) == 2
    bell.close()


def test_many_are_announced_at_once_in_queues_of_their_own(queue):
    bell, other = Doorbell(), f"{queue}.other"
    bell.ring_all([(uuid.uuid4(), queue if number % 3 else other) for number in range(300)])
    assert (bell.waiting(queue), bell.waiting(other)) == (200, 100)
    bell._channel.queue_delete(other)
    bell.close()


def test_a_queue_that_was_deleted_is_declared_anew_and_no_message_dropped(queue):
    bell = Doorbell()
    bell.ring(uuid.uuid4(), queue)
    with current_app.connection_for_write() as connection:
        connection.default_channel.queue_delete(queue)
    bell.ring_all([(uuid.uuid4(), queue) for _ in range(5)])
    assert bell.waiting(queue) >= 5
    bell.close()
