"""What the tests share: storage in a temporary folder, rows, a worker's slot with the real sandbox."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from picasso_core.execution import Slot
from picasso_core.sandbox.client import Zygote
from picasso_core.sandbox.runner import Runner
from tests.live import Instance


@pytest.fixture(autouse=True)
def folders(settings, tmp_path) -> Path:
    """Keep bytes and scratch files of each test apart."""
    storage = {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": tmp_path / "storage"}}
    settings.STORAGES = {**settings.STORAGES, "default": storage}
    settings.PICASSO_SCRATCH = tmp_path / "scratch"
    settings.PICASSO_QUEUE = "picasso.v1"
    return tmp_path


@pytest.fixture(autouse=True)
def silent_doorbell(monkeypatch) -> list[tuple[str, str]]:
    """Note what would be published; tests of the real broker use a live instance."""
    rung: list[tuple[str, str]] = []
    monkeypatch.setattr("picasso_core.uploads.publish_soon", lambda file_id, queue: rung.append((str(file_id), queue)))
    return rung


@pytest.fixture(scope="session")
def zygote() -> Iterator[Zygote]:
    """Have the real zygote with the plugins that are installed."""
    zygote = Zygote("off" if os.environ.get("PICASSO_SANDBOX") == "off" else "require")
    zygote.start()
    yield zygote
    zygote.stop()


@pytest.fixture
def slot(zygote, folders) -> Iterator[Slot]:
    """Be one thread of a worker that offers whatever is installed."""
    runner = Runner(zygote, folders / "scratch")
    offered = {(each["name"], each["version"]): each["limits"] for each in zygote.plugins if not each["error"]}
    yield Slot(runner=runner, queue="picasso.v1", offered=offered, stopping=lambda: False)
    runner.close()


@pytest.fixture(scope="session")
def instance(tmp_path_factory) -> Iterator[Instance]:
    """Have a whole Picasso running, shared by the tests that leave it as it was."""
    with Instance(tmp_path_factory.mktemp("live") / "data") as instance, instance.running():
        yield instance
