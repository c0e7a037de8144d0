"""The whole service through its public door: HTTP in front, a real worker and the real broker behind."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from picasso_core.management.commands.demo import find_samples
from tests.live import ROOT, Instance, alive


def test_every_sample_of_every_plugin_is_processed(instance):
    uploaded = {sample.name: instance.upload(sample.read_bytes(), sample.name) for sample in find_samples()}
    ended = {name: instance.ended(file, seconds=60) for name, file in uploaded.items()}
    assert {name: file["reason"] for name, file in ended.items() if file["status"] != "processed"} == {}
    assert {job["processor"] for file in ended.values() for job in file["jobs"]} >= {"echo", "image", "pdf", "text"}


def test_what_a_user_uploads_comes_back_with_its_results(instance):
    file = instance.upload(b"picasso-echo\nhello\n")
    assert (file["status"], file["processed"], file["media_type"], file["jobs"]) == ("queued", False, None, [])
    file = instance.ended(file)
    assert (file["status"], file["processed"], file["pending"]) == ("processed", True, 0)
    assert file["jobs"][0]["data"] == {"text": "hello\n"}
    assert instance.get("/files/")["results"][0]["id"] == file["id"]


def test_an_upload_is_processed_at_once_and_not_by_the_sweeper(instance):
    instance.ended(instance.upload(b"picasso-echo\nwarm\n"))
    started = time.monotonic()
    instance.ended(instance.upload(b"picasso-echo\nquick\n"))
    assert time.monotonic() - started < 5


def test_a_hostile_file_does_not_stop_the_next_one(instance):
    bad = [instance.upload(f"picasso-echo\n{verb}\n".encode()) for verb in ("signal SIGSEGV", "exit 9", "eat")]
    good = instance.upload(b"picasso-echo\nhello\n")
    assert instance.ended(good)["status"] == "processed"
    codes = [instance.ended(file)["jobs"][0]["error"]["code"] for file in bad]
    assert codes == ["crashed", "crashed", "memory_limit"]


def test_files_survive_the_kill_of_worker_sandbox_and_sweeper(tmp_path):
    with Instance(tmp_path / "data") as instance, instance.running():
        files = [instance.upload(f"picasso-echo\nsleep {pause}\n".encode()) for pause in (3, 3, 0, 1, 0, 1)]
        instance.wait_until(lambda: instance.get(f"/files/{files[0]['id']}/")["jobs"], seconds=20)
        for words in (("manage.py sweeper",), ("picasso_core.sandbox.zygote",), ("manage.py worker",)):
            for pid in instance.pids(*words):
                os.kill(pid, signal.SIGKILL)
        files.append(instance.upload(b"picasso-echo\nafter\n"))
        ended = [instance.ended(file, seconds=75) for file in files]
        assert [file["status"] for file in ended] == ["processed"] * len(files)
        assert all(len(file["jobs"]) == 1 for file in ended)


def test_a_terminated_worker_gives_its_claims_back(tmp_path):
    with Instance(tmp_path / "data") as instance, instance.running():
        files = [instance.upload(b"picasso-echo\nsleep 2\n") for _ in range(4)]
        instance.wait_until(lambda: instance.get(f"/files/{files[0]['id']}/")["jobs"], seconds=20)
        (worker,) = instance.pids("manage.py worker")
        os.kill(worker, signal.SIGTERM)
        # Well before the 30 seconds after which a lease would expire.
        ended = [instance.ended(file, seconds=25) for file in files]
        assert [file["status"] for file in ended] == ["processed"] * 4


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_however_run_ends_no_process_stays_behind(tmp_path, number):
    with Instance(tmp_path / "data") as instance, instance.running():
        instance.ended(instance.upload(b"picasso-echo\nhello\n"))
        family = instance.pids()
        assert len(family) >= 6
        instance.process.send_signal(number)
        instance.process.wait(30)
        instance.wait_until(lambda: not alive(family), seconds=3)


def test_run_says_which_port_is_taken(instance):
    port = instance.url.rpartition(":")[2]
    command = [sys.executable, ROOT / "manage.py", "run", "--port", port]
    run = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert run.returncode == 1
    assert run.stderr.strip().endswith(
        f"Something listens on port {port} already: choose another, as in make run PORT=8123."
    )


def test_the_demo_shows_a_table_and_stops(tmp_path):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PICASSO_")}
    command = [sys.executable, ROOT / "manage.py", "demo"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=110, env=environment)
    assert run.returncode == 0, run.stdout + run.stderr
    assert [line for line in run.stdout.splitlines() if line.split()[:3] == ["file", "media", "type"]]
    assert "shutdown" not in run.stdout
    assert any(
        line.split()[:4] == ["hello.echo", "application/vnd.picasso.echo", "processed", "echo"]
        for line in run.stdout.splitlines()
    )
    assert not [pid for pid in Path("/proc").glob("[0-9]*") if _belongs_to_demo(pid)]


def _belongs_to_demo(folder: Path) -> bool:
    try:
        return b"picasso-demo-" in (folder / "environ").read_bytes()
    except OSError:
        return False
