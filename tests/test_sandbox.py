"""The sandbox by itself: zygote, warm children and the protocol between them."""

import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from picasso_core.sandbox import outcome, protocol
from picasso_core.sandbox.client import Zygote
from picasso_core.sandbox.limits import Ceilings, RunLimits
from picasso_core.sandbox.outcome import Unacceptable, clean, validate
from picasso_core.sandbox.runner import Runner
from tests.live import alive

LIMITS = {"seconds": 5, "cpu_seconds": 3, "memory": 2**28, "output": 2**20}


@pytest.fixture
def runner(zygote, tmp_path):
    runner = Runner(zygote, tmp_path / "scratch")
    yield runner
    runner.close()


def run(runner: Runner, tmp_path: Path, content: bytes, beat=lambda: True, owner=None) -> outcome.Outcome:
    source = tmp_path / "source"
    source.write_bytes(content)
    file = {"name": "n", "media_type": "application/vnd.picasso.echo", "size": len(content), "sha256": "0" * 64}
    with runner.input(source) as path:
        return runner.process(path, processor="echo", file=file, limits=LIMITS, owner=owner, beat=beat)


def test_a_child_stays_warm_for_the_next_file(runner, tmp_path):
    assert run(runner, tmp_path, b"picasso-echo\none").data == {"text": "one"}
    child = runner._child.pid
    assert run(runner, tmp_path, b"picasso-echo\ntwo").data == {"text": "two"}
    assert runner._child.pid == child


@pytest.mark.skipif(sys.platform != "linux", reason="Linux has batches")
def test_a_child_leaves_the_processor_to_the_worker_first(runner, tmp_path):
    run(runner, tmp_path, b"picasso-echo\none")
    child = runner._child.pid
    assert os.getpriority(os.PRIO_PROCESS, child) == min(os.getpriority(os.PRIO_PROCESS, 0) + 5, 19)
    assert os.sched_getscheduler(child) == os.SCHED_BATCH


@pytest.mark.parametrize("end", ["raise InvalidFile", "raise ValueError", "exit 0", "signal SIGABRT"])
def test_a_child_is_replaced_after_a_failure(runner, tmp_path, end):
    run(runner, tmp_path, b"picasso-echo\none")
    child = runner._child.pid
    assert run(runner, tmp_path, f"picasso-echo\n{end}".encode()).state == "failed"
    assert run(runner, tmp_path, b"picasso-echo\ntwo").state == "succeeded"
    assert runner._child.pid != child
    assert alive([child]) == []


def test_a_child_serves_one_owner(runner, tmp_path):
    run(runner, tmp_path, b"picasso-echo\none", owner=1)
    child = runner._child.pid
    run(runner, tmp_path, b"picasso-echo\none", owner=2)
    assert runner._child.pid != child


def test_the_process_for_the_next_owner_is_there_before_its_file(runner, tmp_path):
    run(runner, tmp_path, b"picasso-echo\none", owner=1)
    spare = runner._spare.pid
    run(runner, tmp_path, b"picasso-echo\none", owner=2)
    assert runner._child.pid == spare != runner._spare.pid


def test_a_zygote_that_ends_between_two_files_costs_neither(tmp_path):
    zygote = Zygote()
    zygote.start()
    runner = Runner(zygote, tmp_path / "scratch")
    run(runner, tmp_path, b"picasso-echo\none")
    zygote._process.kill()
    zygote._process.wait()
    assert run(runner, tmp_path, b"picasso-echo\ntwo").data == {"text": "two"}
    runner.close()
    zygote.stop()


def test_what_a_service_manager_sends_to_all_processes_ends_only_the_worker(tmp_path):
    zygote = Zygote()
    zygote.start()
    runner = Runner(zygote, tmp_path / "scratch")
    run(runner, tmp_path, b"picasso-echo\none")
    child = runner._child.pid
    for pid in (zygote._process.pid, child):
        os.kill(pid, signal.SIGTERM)
    assert run(runner, tmp_path, b"picasso-echo\ntwo").state == "succeeded"
    assert runner._child.pid == child
    runner.close()
    zygote.stop()


def test_a_child_is_replaced_after_as_many_files_as_is_set(zygote, tmp_path):
    runner = Runner(zygote, tmp_path / "scratch", Ceilings(reuse=2))
    children = []
    for _ in range(4):
        run(runner, tmp_path, b"picasso-echo\none")
        children.append(runner._child.pid)
    runner.close()
    assert children[0] == children[1] != children[2] == children[3]


def test_a_crash_comes_with_what_the_process_printed_last(runner, tmp_path):
    found = run(runner, tmp_path, b"picasso-echo\nsignal SIGSEGV")
    assert (found.code, found.again) == ("crashed", True)
    assert "Fatal Python error: Segmentation fault" in found.detail


def test_a_lost_claim_ends_the_run(runner, tmp_path, monkeypatch):
    monkeypatch.setattr("picasso_core.sandbox.vigil.BEAT_SECONDS", 0.05)
    started = time.monotonic()
    assert run(runner, tmp_path, b"picasso-echo\nsleep 4", beat=lambda: False).state == "aborted"
    assert time.monotonic() - started < 3


@pytest.mark.skipif(os.environ.get("PICASSO_SANDBOX") == "off", reason="the sandbox is off, to measure coverage")
def test_the_environment_of_the_child_is_empty(runner, tmp_path, monkeypatch):
    monkeypatch.setenv("PICASSO_SECRET_KEY", "secret")
    run(runner, tmp_path, b"picasso-echo\none")
    environment = Path(f"/proc/{runner._child.pid}/environ").read_bytes()
    assert b"PICASSO" not in environment
    assert b"PATH" not in environment


def test_the_child_holds_no_descriptor_but_its_pipes_and_its_log(runner, tmp_path):
    run(runner, tmp_path, b"picasso-echo\none")
    held = [os.readlink(link) for link in Path(f"/proc/{runner._child.pid}/fd").iterdir()]
    strangers = [
        name for name in held if not name.startswith("pipe:") and name not in ("/dev/null", str(runner.folder / "log"))
    ]
    assert strangers == []


def test_the_children_end_with_the_zygote_and_a_new_one_serves(tmp_path):
    zygote = Zygote()
    zygote.start()
    runner = Runner(zygote, tmp_path / "scratch")
    run(runner, tmp_path, b"picasso-echo\none")
    child = runner._child.pid
    threading.Timer(0.2, zygote._process.kill).start()
    assert run(runner, tmp_path, b"picasso-echo\nsleep 4").code == "crashed"
    deadline = time.monotonic() + 5
    while alive([child]) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert alive([child]) == []
    assert run(runner, tmp_path, b"picasso-echo\nthree").data == {"text": "three"}
    runner.close()
    zygote.stop()


def test_frames_longer_than_allowed_are_refused_on_both_sides():
    with pytest.raises(protocol.FrameTooLarge):
        protocol.encode({"text": "x" * 100}, limit=50)
    reading, writing = os.pipe()
    os.write(writing, protocol.HEADER.pack(2**31))
    with pytest.raises(protocol.FrameTooLarge):
        protocol.read_frame(reading)
    os.close(reading)
    os.close(writing)


@pytest.mark.parametrize("body", [b"[1]", b"{", b"\xff", b"[" * 50_000])
def test_a_frame_that_is_no_json_object_is_refused(body):
    reading, writing = os.pipe()
    os.write(writing, protocol.HEADER.pack(len(body)) + body)
    with pytest.raises(ValueError):  # noqa: PT011, whichever it is
        protocol.read_frame(reading, deadline=time.monotonic() + 5)
    os.close(reading)
    os.close(writing)


def test_a_frame_that_trickles_in_is_given_up():
    reading, writing = os.pipe()
    os.write(writing, b"\x00\x00")
    with pytest.raises(protocol.TimedOut):
        protocol.read_frame(reading, deadline=time.monotonic() + 0.05)
    os.close(reading)
    os.close(writing)


WORK = Path("/scratch/work")
GOOD = {"name": "a.txt", "path": "/scratch/work/a.txt", "media_type": "text/plain"}


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"state": "running"},
        {"state": "succeeded", "data": []},
        {"state": "succeeded", "warnings": [1]},
        {"state": "failed", "message": 1},
        {"state": "succeeded", "data": {"deep": [[]] * 2, "x": None}, "artifacts": {}},
        {"state": "succeeded", "artifacts": [GOOD] * 2},
        {"state": "succeeded", "artifacts": [{**GOOD, "name": "../a"}]},
        {"state": "succeeded", "artifacts": [{**GOOD, "name": ".a"}]},
        {"state": "succeeded", "artifacts": [{**GOOD, "name": ""}]},
        {"state": "succeeded", "artifacts": [{**GOOD, "path": "/etc/passwd"}]},
        {"state": "succeeded", "artifacts": [{**GOOD, "path": "/scratch/work/../../etc/passwd"}]},
        {"state": "succeeded", "artifacts": [{**GOOD, "path": "/scratch/work/sub/a.txt"}]},
        {"state": "succeeded", "artifacts": [{**GOOD, "media_type": "text/html\r\nX: y"}]},
    ],
)
def test_an_answer_that_breaks_the_protocol_is_refused(answer):
    with pytest.raises(Unacceptable):
        validate(answer, WORK, RunLimits.lower_of(Ceilings(), {}))


SAID = {"by": "text", "says": "text/plain", "why": "every byte is text"}


@pytest.mark.parametrize(
    "data",
    [
        {"media_type": "text/plain", "evidence": [1]},
        {"media_type": "text/plain", "evidence": [{**SAID, "why": None}]},
        {"media_type": "text/plain", "evidence": [{**SAID, "more": "x"}]},
        {"media_type": ["text/plain"], "evidence": [SAID]},
        {"media_type": "text/plain\n", "evidence": [SAID]},
        {"evidence": [SAID]},
    ],
)
def test_an_identification_that_breaks_the_protocol_is_refused(data):
    assert outcome.identification(outcome.Outcome(state="succeeded", data=data)).code == "invalid_answer"


def test_a_good_answer_is_taken():
    found = validate(
        {"state": "succeeded", "data": {"a": 1}, "artifacts": [GOOD], "warnings": ["w"]},
        WORK,
        RunLimits.lower_of(Ceilings(), {}),
    )
    assert (found.data, found.warnings, found.artifacts[0].path) == ({"a": 1}, ("w",), WORK / "a.txt")


def test_strings_that_postgresql_cannot_store_are_cleaned():
    assert clean({"a\x00": ["\ud800b", "x" * 200_000]}) == {"a\ufffd": ["\ufffdb", "x" * 100_000]}


@pytest.mark.parametrize("value", [float("inf"), float("nan")])
def test_numbers_that_are_not_finite_are_refused(value):
    with pytest.raises(Unacceptable):
        clean({"a": value})


def test_data_nested_too_deeply_is_refused():
    deep: list = []
    for _ in range(40):
        deep = [deep]
    with pytest.raises(Unacceptable):
        clean(deep)
