"""RabbitMQ away, silent or emptied: uploads are taken at their usual speed, and processed once it is back."""

import os
import time
from urllib.parse import urlsplit

import pytest

from tests.live import Instance, delete_queue
from tests.proxy import Proxy

BROKER = os.environ.get("PICASSO_BROKER_URL", "")
pytestmark = pytest.mark.skipif(not BROKER.startswith("amqp"), reason="needs RabbitMQ: runs in make test-services")


@pytest.fixture
def proxy():
    """A way to RabbitMQ that can be cut."""
    address = urlsplit(BROKER)
    proxy = Proxy((address.hostname, address.port or 5672))
    yield proxy
    proxy.close()


@pytest.fixture
def instance(tmp_path, proxy):
    """An instance that reaches RabbitMQ through the proxy."""
    address = urlsplit(BROKER)
    user = f"{address.username}:{address.password}@" if address.username else ""
    broker = f"amqp://{user}127.0.0.1:{proxy.port}{address.path}"
    with Instance(tmp_path / "data", PICASSO_BROKER_URL=broker) as instance, instance.running():
        yield instance


def timed_upload(instance: Instance) -> tuple[dict, float]:
    started = time.monotonic()
    file = instance.upload(b"picasso-echo\nhello\n")
    return file, time.monotonic() - started


def slowest_and_files(instance: Instance, count: int) -> tuple[float, list[dict]]:
    timed = [timed_upload(instance) for _ in range(count)]
    return max(seconds for _, seconds in timed), [file for file, _ in timed]


@pytest.mark.parametrize("trouble", ["go_away", "freeze"])
def test_uploads_do_not_wait_for_the_broker_and_are_processed_once_it_is_back(instance, proxy, trouble):
    instance.ended(instance.upload(b"picasso-echo\nwarm\n"))
    getattr(proxy, trouble)()
    slowest, files = slowest_and_files(instance, 40)
    assert slowest < 1
    assert {instance.get(f"/files/{file['id']}/")["status"] for file in files[5:]} == {"queued"}
    time.sleep(6)
    slowest, late = slowest_and_files(instance, 10)
    assert slowest < 1
    proxy.thaw()
    proxy.come_back()
    assert {instance.ended(file, seconds=90)["status"] for file in files + late} == {"processed"}


def test_messages_that_are_lost_with_their_queue_are_published_again(instance):
    instance.ended(instance.upload(b"picasso-echo\nwarm\n"))
    files = [instance.upload(b"picasso-echo\nsleep 1\n") for _ in range(8)]
    delete_queue(BROKER, instance.queue)
    files.append(instance.upload(b"picasso-echo\nafter\n"))
    assert {instance.ended(file, seconds=90)["status"] for file in files} == {"processed"}
