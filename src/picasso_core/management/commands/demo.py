"""``manage.py demo``: upload a sample of each file type that the installed processors accept, show what comes back."""

import json
import signal
import sys
import tempfile
import time
import urllib.request
import uuid
from datetime import datetime
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from ...sandbox.client import Zygote
from ...supervisor import StartFailed, Supervisor, free_port

OPEN = ("queued", "processing")


class Command(BaseCommand):
    help = (
        "Start everything, upload a sample of each file type, print what was found, stop. Exit status 1 on any failure."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--seconds", type=float, default=120, help="How long to wait for the results.")

    def handle(self, *args: Any, **options: Any) -> None:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
        samples = find_samples()
        if not samples:
            raise CommandError("No installed processor brings samples. Install one with pip.")
        with tempfile.TemporaryDirectory(prefix="picasso-demo-") as data:
            supervisor = Supervisor(Path(data), free_port())
            try:
                with supervisor.running():
                    wait_for_worker(supervisor.url, options["seconds"])
                    self.stdout.write(f"Picasso runs on {supervisor.url}; uploading {len(samples)} samples.\n\n")
                    uploaded = [upload(supervisor.url, sample) for sample in samples]
                    files = wait(supervisor.url, uploaded, options["seconds"])
            except StartFailed as error:
                raise CommandError(str(error)) from None
        for line in table(files):
            self.stdout.write(line)
        bad = [file for file in files if file["status"] != "processed"]
        if bad:
            raise CommandError(f"{len(bad)} of {len(files)} samples did not end as processed.")
        self.stdout.write(self.style.SUCCESS(f"\nAll {len(files)} samples were processed. Next: make run"))


def find_samples() -> list[Path]:
    """Return the samples that the working plugins bring along, in a stable order."""
    zygote = Zygote()
    zygote.start()
    zygote.stop()
    folders = sorted({plugin["samples"] for plugin in zygote.plugins if plugin["samples"] and not plugin["error"]})
    return [path for folder in folders for path in sorted(Path(folder).iterdir()) if path.is_file()]


def wait_for_worker(url: str, seconds: float) -> None:
    """Wait until a worker has announced what it can run, so that its start does not count as processing time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with urllib.request.urlopen(f"{url}/processors/", timeout=30) as answer:
            if json.load(answer):
                return
        time.sleep(0.1)


def upload(url: str, path: Path) -> str:
    """Post one file and return its URL."""
    boundary = uuid.uuid4().hex
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{path.name}"\r\n\r\n'
    body = head.encode() + path.read_bytes() + f"\r\n--{boundary}--\r\n".encode()
    headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
    with urllib.request.urlopen(urllib.request.Request(f"{url}/upload/", body, headers), timeout=30) as answer:
        return f"{url}/files/{json.load(answer)['id']}/"


def wait(url: str, uploaded: list[str], seconds: float) -> list[dict[str, Any]]:
    """Fetch each File once it has ended, or as it is when the time is up."""
    deadline = time.monotonic() + seconds
    files = []
    for location in uploaded:
        while True:
            with urllib.request.urlopen(location, timeout=30) as answer:
                file = json.load(answer)
            if file["status"] not in OPEN or time.monotonic() > deadline:
                break
            time.sleep(0.05)
        files.append(file)
    return files


def table(files: list[dict[str, Any]]) -> list[str]:
    """Lay the results out in columns."""
    rows = [("file", "media type", "status", "processor", "what it found", "ms")]
    for file in files:
        jobs = file["jobs"] or [None]
        for job in jobs:
            found = summary(job["data"]) if job and job["state"] == "succeeded" else file["reason"]
            took = milliseconds(file["uploaded_at"], job["finished_at"]) if job else ""
            rows.append(
                (file["name"], file["media_type"] or "", file["status"], job["processor"] if job else "", found, took)
            )
    widths = [max(len(row[column]) for row in rows) for column in range(6)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def summary(data: dict[str, Any], width: int = 64) -> str:
    """Say the first few plain values of a result in one line."""
    plain = (f"{key} {value}" for key, value in data.items() if isinstance(value, str | int | float) and value != "")
    text = " ".join(", ".join(plain).split())
    return text if len(text) <= width else text[: width - 1] + "…"


def milliseconds(start: str, end: str | None) -> str:
    """Say how long it took from the upload to the end of a Job."""
    if end is None:
        return ""
    return f"{(datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds() * 1000:.0f}"
