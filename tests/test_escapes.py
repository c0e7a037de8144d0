"""A processor that tries to escape gets nowhere, its end has a code, and the next file is processed."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from picasso_core.processors import Bounds
from picasso_core.sandbox.client import Zygote
from picasso_core.sandbox.limits import Ceilings
from picasso_core.sandbox.outcome import Outcome
from picasso_core.sandbox.runner import Runner
from tests import escape_artist
from tests.elsewhere import Elsewhere
from tests.live import Instance, alive
from tests.test_plugins import distribution

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or os.environ.get("PICASSO_SANDBOX") == "off", reason="nothing is confined here"
)

MiB = 1 << 20
CEILINGS = Ceilings(seconds=20, cpu_seconds=0.4, memory=256 * MiB, output=4 * MiB)
IMPATIENT = replace(CEILINGS, seconds=0.5)
REFUSED = {"EPERM", "EACCES", "ENOSYS", "EXDEV"}

# Numbers of system calls on x86-64 and aarch64, and arguments that do no harm should the call be made.
BY_NUMBER = {
    "bpf": (321, 280, 0, 0, 0),
    "io_uring_setup": (425, 425, 1, 0),
    "keyctl": (250, 219, 0, -3, 0),
    "add_key": (248, 217, 0, 0, 0, 0, -3),
    "perf_event_open": (298, 241, 0, 0, -1, -1, 0),
    "userfaultfd": (323, 282, 0),
    "unshare": (272, 97, 0x10000000),
    "setns": (308, 268, -1, 0),
    "mount": (165, 40, 0, 0, 0, 0, 0),
    "open_tree": (428, 428, -1, 0, 0),
    "chroot": (161, 51, 0),
    "ptrace": (101, 117, 0, 0, 0, 0),
    "memfd_create": (319, 279, 0, 0),
    "shmget": (29, 194, 0, 4096, 0o1600),
    "personality": (135, 92, 0xFFFFFFFF),
    "seccomp": (317, 277, 2, 0, 0),
    "landlock_create_ruleset": (444, 444, 0, 0, 1),
    "capset": (126, 91, 0, 0),
    "init_module": (175, 105, 0, 0, 0),
    "clone3": (435, 435, 0, 0),
    "openat2": (437, 437, -1, 0, 0, 0),
    "pidfd_getfd": (438, 438, -1, 0, 0),
    "process_vm_writev": (311, 271, 1, 0, 0, 0, 0, 0),
    "open_by_handle_at": (304, 265, -1, 0, 0),
    "fanotify_init": (300, 262, 0, 0),
    "splice": (275, 76, -1, 0, -1, 0, 0, 0),
}
FAMILIES = {"unix": 1, "inet": 2, "inet6": 10, "netlink": 16, "packet": 17, "alg": 38, "vsock": 40, "xdp": 44}
KINDS = {"netlink": socket.SOCK_RAW, "packet": socket.SOCK_RAW, "alg": socket.SOCK_SEQPACKET, "xdp": socket.SOCK_RAW}


def order(name: str, *arguments: object) -> bytes:
    """Write a file that has the escape artist try ``name``."""
    return escape_artist.MAGIC + json.dumps({"attempt": name, "arguments": arguments}).encode()


class World:
    """What there is to be stolen, and a worker's slot that runs attempts."""

    def __init__(self, folder: Path, runner: Runner, zygote: Zygote) -> None:
        self.folder = folder
        self.runner = runner
        self.zygote_pid = zygote._process.pid
        self.upload = folder / "storage" / "upload"
        self.database = folder / "picasso.sqlite3"
        self.stored = folder / "storage" / "mine"
        self.upload.parent.mkdir()
        for path in (self.upload, self.database):
            path.write_bytes(b"secret")
        self.broker = socket.create_server(("127.0.0.1", 0))
        self.unix, self.abstract = (socket.socket(socket.AF_UNIX) for _ in range(2))
        self.abstract_name = f"@picasso-{folder.name}-{os.getpid()}"
        self.unix.bind(str(folder / "socket"))
        self.abstract.bind(self.abstract_name.replace("@", "\0"))
        for each in (self.unix, self.abstract):
            each.listen()

    def close(self) -> None:
        for each in (self.broker, self.unix, self.abstract):
            each.close()

    def attempt(self, name: str, *arguments: object, owner: object = None, **limits: float) -> Outcome:
        """Upload an order to try ``name`` and have it processed; the stored bytes must not have changed."""
        content = order(name, *arguments)
        self.stored.unlink(missing_ok=True)
        self.stored.write_bytes(content)
        before = self.stored.stat()
        found = self._run("escape", limits, owner)
        after = self.stored.stat()
        assert self.stored.read_bytes() == content
        same = ("st_mode", "st_uid", "st_gid", "st_size", "st_mtime_ns", "st_ino", "st_nlink")
        assert [getattr(after, field) for field in same] == [getattr(before, field) for field in same]
        assert os.listxattr(self.stored) == []
        return found

    def is_still_served(self) -> bool:
        """Whether the next file in this slot is processed."""
        self.stored.unlink(missing_ok=True)
        self.stored.write_bytes(b"picasso-echo\nhello")
        return self._run("echo", {}).data == {"text": "hello"}

    def _run(self, processor: str, limits: dict[str, float], owner: object = None) -> Outcome:
        file = {"name": "n", "media_type": "application/x-escape", "size": 1, "sha256": "0" * 64}
        with self.runner.input(self.stored) as path:
            return self.runner.process(
                path, processor=processor, file=file, limits=limits, owner=owner, beat=lambda: True
            )


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Elsewhere:
    """Have the escape artist installed."""
    elsewhere = Elsewhere(tmp_path_factory.mktemp("elsewhere") / "venv")
    code = Path(escape_artist.__file__).read_text()
    distribution(elsewhere.site, "escape-artist", code, "escape = escape_artist:Escape")
    return elsewhere


@pytest.fixture(scope="module")
def zygote_with_escape(elsewhere: Elsewhere) -> Iterator[Zygote]:
    zygote = Zygote("require")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "executable", str(elsewhere.python))
        patch.setenv("PICASSO_SECRET_KEY", "secret")
        zygote.start()
    yield zygote
    zygote.stop()


@pytest.fixture(scope="module")
def world(zygote_with_escape: Zygote, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Have one slot of a worker for all attempts."""
    folder = tmp_path_factory.mktemp("world")
    runner = Runner(zygote_with_escape, folder / "scratch", CEILINGS)
    world = World(folder, runner, zygote_with_escape)
    yield world
    world.close()
    runner.close()


ATTEMPTS: dict[str, Callable[[World], tuple[object, ...]]] = {
    "the zygote's environment": lambda world: ("read", f"/proc/{world.zygote_pid}/environ"),
    "the worker's environment": lambda world: ("read", f"/proc/{os.getpid()}/environ"),
    "its own environment": lambda world: ("read", "/proc/self/environ"),
    "the zygote's memory": lambda world: ("read", f"/proc/{world.zygote_pid}/mem"),
    "the worker's memory": lambda world: ("read_memory_of", os.getpid()),
    "another upload": lambda world: ("read", str(world.upload)),
    "the list of uploads": lambda world: ("list_folder", str(world.upload.parent)),
    "the database": lambda world: ("read", str(world.database)),
    "the log of this slot": lambda world: ("read", str(world.runner.folder / "log")),
    "other slots": lambda world: ("list_folder", str(world.runner.folder.parent)),
    "passwords": lambda world: ("read", "/etc/passwd"),
    "the root": lambda world: ("list_folder", "/"),
    "the processes": lambda world: ("list_folder", "/proc"),
    "a file handle": lambda world: ("open_by_handle", str(world.upload)),
    "tracing the zygote": lambda world: ("trace", world.zygote_pid),
    "tracing the worker": lambda world: ("trace", os.getpid()),
    "a descriptor of the worker": lambda world: ("open_process", os.getpid()),
    "writing to another upload": lambda world: ("write", str(world.upload)),
    "appending to the database": lambda world: ("append", str(world.database)),
    "writing beside the work directory": lambda world: ("write", str(world.runner.folder / "more")),
    "writing to /tmp": lambda world: ("write", "/tmp/picasso-escaped"),
    "writing to shared memory": lambda world: ("write", "/dev/shm/picasso-escaped"),
    "writing to the interpreter": lambda world: ("write", f"{sys.prefix}/picasso-escaped"),
    "a folder outside": lambda world: ("make_folder", str(world.folder / "escaped")),
    "writing into the input's folder": lambda world: ("write", str(world.runner.folder / "input" / "more")),
    "appending to the input": lambda world: ("append", ""),
    "opening the input to write": lambda world: ("open_input", os.O_RDWR),
    "opening the input to write and truncate": lambda world: ("open_input", os.O_WRONLY | os.O_TRUNC),
    "opening the input to read and truncate": lambda world: ("open_input", os.O_RDONLY | os.O_TRUNC),
    "opening the input for nothing and truncate": lambda world: ("open_input", os.O_ACCMODE | os.O_TRUNC),
    "truncating the input": lambda world: ("truncate_input",),
    "opening the input by its descriptor": lambda world: ("write_through_own_descriptor",),
    "chmod of the input": lambda world: ("chmod_input",),
    "chmod of the open input": lambda world: ("chmod_open_input",),
    "chown of the input": lambda world: ("chown_input",),
    "dates of the input": lambda world: ("date_input",),
    "dates of the open input": lambda world: ("date_open_input",),
    "an attribute of the input": lambda world: ("mark_input",),
    "flags of the input": lambda world: ("flag_input",),
    "removing the input": lambda world: ("remove_input",),
    "moving the input": lambda world: ("move_input",),
    "replacing the input": lambda world: ("replace_input",),
    "a hard link to the input": lambda world: ("link_input",),
    "a hard link to the open input": lambda world: ("link_open_input",),
    "a link to another upload": lambda world: ("symbolic_link", str(world.upload)),
    "a named pipe": lambda world: ("make_pipe",),
    "a device": lambda world: ("make_device",),
    "the broker": lambda world: ("connect", *world.broker.getsockname()),
    "the internet": lambda world: ("connect", "192.0.2.1", 80),
    "a unix socket": lambda world: ("connect_unix", str(world.folder / "socket")),
    "an abstract socket": lambda world: ("connect_unix", world.abstract_name),
    "a pair of sockets": lambda world: ("pair_of_sockets",),
    "ending the zygote": lambda world: ("signal_to", world.zygote_pid, signal.SIGKILL),
    "ending the worker": lambda world: ("signal_to", os.getpid(), signal.SIGTERM),
    "asking after the worker": lambda world: ("signal_to", os.getpid(), 0),
    "ending everybody": lambda world: ("signal_to", -1, 0),
    "ending the group": lambda world: ("signal_to", 0, signal.SIGTERM),
    "a signal to a thread of the worker": lambda world: ("signal_to_thread", os.getpid()),
    "a queued signal": lambda world: ("queue_signal", os.getpid()),
    "a signal by way of a descriptor": lambda world: ("signal_by_descriptor", os.getpid()),
    "slowing the worker down": lambda world: ("renice", os.getpid()),
    "moving the worker": lambda world: ("pin", os.getpid()),
    "limiting the worker": lambda world: ("limit_other", os.getpid()),
    "a fork": lambda world: ("fork",),
    "forks without end": lambda world: ("fork_without_end",),
    "a fork by its number": lambda world: ("fork_by_number",),
    "a clone with namespaces": lambda world: ("clone_namespace",),
    "another program": lambda world: ("run_program",),
    "becoming another program": lambda world: ("become_program",),
    "outliving the parent": lambda world: ("outlive_parent",),
    "a session": lambda world: ("new_session",),
    "more processor time": lambda world: ("raise_limit", "RLIMIT_CPU"),
    "more memory": lambda world: ("raise_limit", "RLIMIT_AS"),
    "larger files": lambda world: ("raise_limit", "RLIMIT_FSIZE"),
    "more memory by prlimit": lambda world: ("raise_own_limit", "RLIMIT_AS"),
    "more descriptors by prlimit": lambda world: ("raise_own_limit", "RLIMIT_NOFILE"),
    "becoming another user": lambda world: ("become", 65534),
    "reserving the disk": lambda world: ("reserve_disk",),
    **{name: lambda world, call=call: ("by_number", *call) for name, call in BY_NUMBER.items()},
    **{
        f"a socket of family {name}": lambda world, name=name: (
            "open_socket", FAMILIES[name], KINDS.get(name, socket.SOCK_STREAM)
        )
        for name in FAMILIES
    },
}  # fmt: skip


@pytest.mark.parametrize("name", ATTEMPTS)
def test_what_is_out_of_reach_is_refused(world, name):
    found = world.attempt(*ATTEMPTS[name](world))
    assert found.state == "succeeded", found
    assert found.data.get("refused") in REFUSED, found.data
    assert world.is_still_served()
    assert world.upload.read_bytes() == world.database.read_bytes() == b"secret"


def test_the_open_input_cannot_be_cut(world):
    assert world.attempt("truncate_open_input").data == {"refused": "EINVAL"}


ENDS: dict[str, tuple[tuple[object, ...], str, str]] = {
    "one large file": (("write_one_large_file",), "output_limit", "more than 4 MiB"),
    "many files": (("write_many_files",), "output_limit", "more than 4 MiB"),
    "many empty files": (("write_many_empty_files",), "output_limit|cpu_limit", ""),
    "removed files": (("write_removed_files",), "output_limit", "more than 4 MiB"),
    "artifacts above the limit together": (("write_then_return", 3 * MiB), "output_limit", "more than 4 MiB"),
    "folders in folders": (("dig_deep",), "output_limit", ""),
    "print": (("print_without_end",), "output_limit", "more than 4 MiB"),
    "memory": (("eat_memory",), "memory_limit", "more than 256 MiB of memory"),
    "mapped memory": (("eat_mapped_memory",), "memory_limit", "PICASSO_MAX_MEMORY"),
    "threads": (("start_threads",), "processor_bug", ""),
    "spin": (("spin",), "cpu_limit", "more than 0.4 seconds of processor time"),
    "spin with signals blocked": (("spin_deaf",), "cpu_limit", "PICASSO_MAX_CPU_SECONDS"),
    "sleep": (("sleep",), "timeout", "longer than 0.5 seconds"),
    "sleep and ignore SIGTERM": (("sleep_deaf",), "timeout", "PICASSO_MAX_SECONDS"),
    "stop": (("stop_itself",), "timeout", ""),
    "report without end": (("report_without_end",), "timeout|cpu_limit", ""),
    "segfault": (("read_null",), "crashed", "SIGSEGV"),
    "abort": (("signal_itself", signal.SIGABRT), "crashed", "SIGABRT"),
    "kill": (("signal_itself", signal.SIGKILL), "crashed", "SIGKILL"),
    "exit": (("exit_at_once", 0), "crashed", "exit status 0"),
    "exit 3": (("exit_at_once", 3), "crashed", "exit status 3"),
    "huge": (("return_huge",), "output_limit", "The result is larger than 1 MiB"),
    "deep": (("return_deep", 500), "invalid_answer", ""),
    "very deep": (("return_deep", 100_000), "invalid_answer", ""),
    "cyclic": (("return_cyclic",), "invalid_answer", ""),
    "an object": (("return_object",), "invalid_answer", ""),
    "infinity": (("return_infinity",), "invalid_answer", ""),
    "a list": (("return_list",), "invalid_answer", ""),
    "strange artifacts": (("return_strange_artifacts",), "invalid_answer", ""),
    "too many artifacts": (("return_artifacts", 101), "output_limit", "more than 100 artifacts"),
    "a foreign artifact": (("return_artifact", "/etc/passwd"), "invalid_answer", ""),
    "a folder as an artifact": (("return_folder",), "invalid_answer", ""),
    "a frame without end": (("answer_with", "ffffffff"), "output_limit", ""),
    "a frame that is no JSON": (("answer_with", "00000001ff"), "invalid_answer", ""),
    "a frame that is no answer": (("answer_with", "000000027b7d"), "invalid_answer", ""),
    "long progress": (("report_at_length", 1_000_000), "invalid_answer", ""),
    "removed files that are mapped": (("fill_the_disk_through_mappings", 1 * MiB), "output_limit", "more than 4 MiB"),
    **{
        f"an answer with {what}": (("answer_in_parts", text, 1), "invalid_answer", "does not accept")
        for what, text in {
            "a limit that is none": '{"exceeded": ["memory"]}',
            "a state that is none": '{"state": {}}',
            "a long code": json.dumps({"state": "failed", "code": "x" * 65, "message": "m"}),
            "not a number": '{"state": "succeeded", "data": {"a": NaN}}',
            "a number beyond all": '{"state": "succeeded", "data": {"a": -1e999}}',
            "a number of a million digits": '{"state": "succeeded", "data": {"a": ' + "1" * 1_000_000 + "}}",
            "a deep list": '{"state": "succeeded", "data": {"a": ' + "[" * 100_000 + "]" * 100_000 + "}}",
            "a name of no artifact": json.dumps(
                {"state": "succeeded", "artifacts": [{"name": "a/b", "path": "/a", "media_type": "a/b"}]}
            ),
            "a path that is none": json.dumps(
                {"state": "succeeded", "artifacts": [{"name": "a", "path": "\0\ud800", "media_type": "a/b"}]}
            ),
        }.items()
    },
}


@pytest.mark.parametrize("name", ENDS)
def test_excess_ends_with_its_code_and_a_sentence(world, name, monkeypatch):
    attempt, codes, words = ENDS[name]
    if codes.startswith("timeout"):
        monkeypatch.setattr(world.runner, "_ceilings", IMPATIENT)
    if codes == "memory_limit":  # to touch all of it takes long on a busy machine
        monkeypatch.setattr(world.runner, "_ceilings", replace(CEILINGS, cpu_seconds=10))
    found = world.attempt(*attempt)
    assert found.state == "failed", found
    assert found.code in codes.split("|"), found
    assert words in found.message
    assert found.message.endswith(".")
    assert "{" not in found.message
    assert world.is_still_served()


def test_silence_ends_a_run_and_progress_prolongs_it(world, monkeypatch):
    monkeypatch.setattr(world.runner, "_ceilings", Ceilings(seconds=10, silence=0.4))
    assert world.attempt("sleep_and_report", 0.8).data == {"done": True}
    found = world.attempt("sleep")
    assert (found.code, found.message) == (
        "silent", "Processing gave no sign of life for 0.4 seconds and was stopped (PICASSO_MAX_SILENCE)."
    )  # fmt: skip


def test_a_processors_own_lower_limit_is_named_as_its_own(world):
    found = world.attempt("sleep", seconds=0.2)
    assert found.message == "Processing took longer than 0.2 seconds and was stopped (the processor's own limit)."


def test_a_processor_cannot_ask_for_more_than_is_allowed(world, monkeypatch):
    monkeypatch.setattr(world.runner, "_ceilings", IMPATIENT)
    assert "0.5 seconds" in world.attempt("sleep", seconds=1000).message


def test_a_tree_deeper_than_any_recursion_is_cleared(world):
    assert world.attempt("dig_deep_and_end").state in ("succeeded", "failed")
    assert list(world.runner.workdir.iterdir()) == []
    assert world.is_still_served()


def test_threads_that_were_left_behind_do_nothing_between_runs(world):
    # An owner of its own: the process with the thread is not to work on the next test's file.
    assert world.attempt("leave_a_thread", owner=1).state == "succeeded"
    time.sleep(0.05)
    left = sorted(world.runner.workdir.iterdir())
    time.sleep(0.2)
    assert sorted(world.runner.workdir.iterdir()) == left
    assert world.is_still_served()


def test_what_one_owner_leaves_behind_does_not_meet_the_next(world):
    assert world.attempt("leave_a_spy", owner=1).state == "succeeded"
    assert world.attempt("watch_the_work_folder", owner=2).data == {"seen": [], "threads": 1}
    assert world.is_still_served()


def test_what_one_file_does_to_the_log_is_not_done_to_the_next_process(world):
    assert world.attempt("leave_the_log_far_away", owner=1).state == "succeeded"
    assert world.attempt("print_a_line", owner=2).data == {"printed": True}
    assert world.is_still_served()


def test_keys_given_twice_and_numbers_of_thousands_of_digits_are_taken_as_json_has_them(world):
    number = "9" * 4000
    text = '{"state": "succeeded", "data": {"a": 1, "a": ' + number + "}}"
    assert world.attempt("answer_in_parts", text, 1, owner=1).data == {"a": int(number)}
    assert world.is_still_served()


def test_an_answer_given_in_advance_is_nobodys(world):
    assert world.attempt("answer_twice").data == {"stale": True}
    assert world.is_still_served()


def test_what_a_processor_needs_still_works(world):
    assert world.attempt("work_as_usual").data == {
        "temporary files in the work directory": True,
        "random": 8,
        "environment": ["HOME", "LC_CTYPE", "TMPDIR"],
        "null": 1,
        "imported": "colorsys",
        "folder": True,
        "python": 1,
    }


def test_a_processor_is_told_how_much_of_a_file_it_may_take_on(world, monkeypatch):
    monkeypatch.setattr(world.runner, "_ceilings", replace(CEILINGS, bounds=Bounds(pixels=5, pages=7)))
    assert world.attempt("tell_bounds").data == {"pixels": 5, "pages": 7}


def test_a_real_worker_keeps_its_secrets_and_goes_on(elsewhere, tmp_path):
    with Instance(tmp_path / "data", str(elsewhere.python), PICASSO_SANDBOX="require") as instance, instance.running():
        before = instance.pids("manage.py")
        (worker,) = instance.pids("manage.py worker")
        (instance.data / "secret").write_bytes(b"secret")
        orders = [
            ("read", f"/proc/{worker}/environ"),
            ("read_memory_of", worker),
            ("read", str(instance.data / "secret")),
            ("append", str(instance.data / "picasso.sqlite3")),
            ("list_folder", str(instance.data / "storage")),
            ("list_folder", str(instance.data / "scratch")),
            ("connect", "127.0.0.1", int(instance.url.rpartition(":")[2])),
            ("connect", "127.0.0.1", 5672),
            ("signal_to", worker, signal.SIGKILL),
            ("truncate_input",),
        ]
        files = [instance.upload(order(*each), "order.escape") for each in orders]
        found = [(*each, instance.ended(file)["jobs"][0]["data"]) for each, file in zip(orders, files, strict=True)]
        assert [each for each in found if each[-1].get("refused") not in REFUSED] == [], instance.log.read_text()[
            -3000:
        ]
        assert instance.ended(instance.upload(b"picasso-echo\nhello"))["status"] == "processed"
        assert alive(before) == before
