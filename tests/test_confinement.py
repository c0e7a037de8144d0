"""The confinement by itself: what the kernel is asked for, on old kernels too, and that nothing is left behind."""

from __future__ import annotations

import json
import os
import platform
import re
import signal
import struct
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from picasso_core.sandbox import landlock, scratch, seccomp
from picasso_core.sandbox.client import SandboxUnavailable, Zygote
from picasso_core.sandbox.confinement import Confinement
from picasso_core.sandbox.runner import Runner
from picasso_core.sandbox.syscalls import ARCHITECTURES
from tests import test_escapes
from tests.live import ROOT, alive
from tests.test_sandbox import run
from tests.test_settings import GOOD, manage

linux = pytest.mark.skipif(sys.platform != "linux", reason="Landlock and seccomp are Linux's")
ALLOWED, REFUSED, UNKNOWN = seccomp.ALLOW, seccomp.NOT_PERMITTED, seccomp.NOT_KNOWN
SELF = 1234


def verdict(machine: str, number: int, *arguments: int, audit: int | None = None) -> int:
    """Run the filter as the kernel does."""
    known = ARCHITECTURES[machine]
    words = [number, known.audit if audit is None else audit, 0, 0]
    for argument in (*arguments, *[0] * (6 - len(arguments))):
        words += [argument & 0xFFFFFFFF, argument >> 32]
    program, at, value = seccomp.filter_for(known, SELF), 0, 0
    while True:
        code, then, otherwise, operand = program[at]
        at += 1
        match code:
            case seccomp.LOAD:
                value = words[operand // 4]
            case seccomp.AND:
                value &= operand
            case seccomp.JUMP_EQUAL:
                at += then if value == operand else otherwise
            case seccomp.JUMP_FROM:
                at += then if value >= operand else otherwise
            case seccomp.JUMP_ABOVE:
                at += then if value > operand else otherwise
            case seccomp.RETURN:
                return operand


@pytest.mark.parametrize("machine", ARCHITECTURES)
def test_the_filter_allows_what_is_listed_and_nothing_else(machine):
    numbers = ARCHITECTURES[machine].numbers
    conditional = {"kill", "tgkill", "clone", "prctl", "fcntl", "ioctl", "prlimit64", "open", "openat"}
    plain = {number for name, number in numbers.items() if name not in conditional}
    for number in range(600):
        if number not in numbers.values():
            assert verdict(machine, number) == (UNKNOWN if number >= 424 else REFUSED), number
        elif number in plain:
            assert verdict(machine, number) == ALLOWED, number


@pytest.mark.parametrize("machine", ARCHITECTURES)
@pytest.mark.parametrize(
    ("name", "arguments", "expected"),
    [
        ("kill", (SELF, 6), ALLOWED),
        ("kill", (SELF + 1, 6), REFUSED),
        ("kill", (0, 6), REFUSED),
        ("kill", (SELF, 18), REFUSED),
        ("tgkill", (SELF, 99, 6), ALLOWED),
        ("tgkill", (1, 1, 6), REFUSED),
        ("tgkill", (SELF, 99, 18), REFUSED),
        ("clone", (0x3D0F00,), ALLOWED),  # what glibc asks for a thread
        ("clone", (0x1200011,), REFUSED),  # and for a fork
        ("clone", (0x3D0F00 | 0x10000000,), REFUSED),
        ("prctl", (15,), ALLOWED),
        ("prctl", (1, 0), REFUSED),
        ("fcntl", (3, 1), ALLOWED),
        ("fcntl", (3, 8, 1), REFUSED),
        ("ioctl", (3, 0x5401), ALLOWED),
        ("ioctl", (3, 0x40086602), REFUSED),
        ("prlimit64", (0, 7, 0, 4096), ALLOWED),
        ("prlimit64", (0, 7, 4096, 0), REFUSED),
        ("prlimit64", (0, 7, 1 << 32, 0), REFUSED),
        ("prlimit64", (1, 7, 0, 4096), REFUSED),
        ("openat", (-100 & 0xFFFFFFFF, 0, os.O_RDONLY), ALLOWED),
        ("openat", (-100 & 0xFFFFFFFF, 0, os.O_WRONLY | os.O_TRUNC), ALLOWED),
        ("openat", (-100 & 0xFFFFFFFF, 0, os.O_RDONLY | os.O_TRUNC), REFUSED),
        ("openat", (-100 & 0xFFFFFFFF, 0, os.O_ACCMODE | os.O_TRUNC), REFUSED),
    ],
)
def test_the_filter_looks_at_arguments(machine, name, arguments, expected):
    assert verdict(machine, ARCHITECTURES[machine].numbers[name], *arguments) == expected


@pytest.mark.parametrize("machine", ARCHITECTURES)
def test_calls_made_in_another_way_end_the_process(machine):
    read = ARCHITECTURES[machine].numbers["read"]
    assert verdict(machine, read, audit=0x40000003) == seccomp.KILL  # as on i386
    assert verdict(machine, read | 0x40000000) == seccomp.KILL  # as on x32


HEADERS = {
    "x86_64": Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"),
    # The table of all newer architectures, aarch64 among them: its own header only includes this one.
    "aarch64": Path("/usr/include/asm-generic/unistd.h"),
}


@pytest.mark.parametrize("machine", ARCHITECTURES)
def test_the_numbers_are_the_kernels(machine):
    if not HEADERS[machine].exists():
        pytest.skip("no kernel headers are installed")
    # 3264 marks what is called otherwise on machines of 32 bits.
    defined = re.findall(r"^#define __NR(?:3264)?_(\w+)\s+(\d+)$", HEADERS[machine].read_text(), re.MULTILINE)
    numbers = {{"fstatat": "newfstatat"}.get(name, name): int(number) for name, number in defined}
    known, which = ARCHITECTURES[machine], list(ARCHITECTURES).index(machine)
    listed = known.numbers | {name: call[which] for name, call in test_escapes.BY_NUMBER.items()}
    assert listed == {name: numbers.get(name) for name in listed}
    assert known.seccomp == numbers["seccomp"]


CONFINED = """
import ctypes, json, os, sys
from pathlib import Path
from picasso_core.sandbox.confinement import Confinement, readable

folder, version, filtered = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3] == "True"
found = {}

def attempt(name, act):
    try:
        act()
        found[name] = "done"
    except OSError as error:
        found[name] = "refused"

Confinement(landlock=version, seccomp=filtered, readable=readable()).apply(folder, os.getppid())
given = folder / "input" / "file"
attempt("read the input", given.read_bytes)
attempt("write to work", lambda: (folder / "work" / "a").write_text("x"))
attempt("rename in work", lambda: os.rename(folder / "work" / "a", folder / "work" / "b"))
attempt("read another", (folder / "secret").read_bytes)
attempt("write to the input", lambda: os.open(given, os.O_WRONLY))
attempt("cut the input", lambda: os.open(given, os.O_RDONLY | os.O_TRUNC))
attempt("truncate the input", lambda: os.truncate(given, 0))
attempt("link the input", lambda: os.link(given, folder / "work" / "c"))
attempt("remove the input", lambda: os.unlink(given))
libc = ctypes.CDLL(None, use_errno=True)
if filtered:
    listed = set(__import__("picasso_core.sandbox.syscalls").sandbox.syscalls.architecture().numbers.values())
    for number in range(500):
        # 335 and 336, uretprobe and uprobe, pass every filter and end whoever makes them.
        if number not in listed and number not in (335, 336):
            made = libc.syscall(number, -1, -1, -1, -1, -1, -1)
            if made != -1 or ctypes.get_errno() not in (1, 38):
                found[f"system call {number}"] = "done"
print(json.dumps(found))
"""


def confined(folder: Path, version: int, filtered: bool = True) -> dict[str, str]:
    for name in ("input", "work"):
        (folder / name).mkdir()
    for path in (folder / "input" / "file", folder / "secret"):
        path.write_bytes(b"bytes")
    command = [sys.executable, "-I", "-c", textwrap.dedent(CONFINED), str(folder), str(version), str(filtered)]
    done = subprocess.run(command, capture_output=True, text=True, env={}, timeout=30)
    assert done.returncode == 0, done.stderr
    found: dict[str, str] = json.loads(done.stdout)
    return found


@linux
@pytest.mark.parametrize("version", range(1, 7))
def test_with_each_version_of_landlock_nothing_but_work_can_be_changed(tmp_path, version):
    if landlock.abi() < version:
        pytest.skip(f"this kernel has no Landlock {version}")
    found = confined(tmp_path, version)
    done = {what for what, how in found.items() if how == "done"}
    assert done == {"read the input", "write to work", "rename in work"}
    assert (tmp_path / "input" / "file").read_bytes() == b"bytes"


@linux
def test_without_landlock_system_calls_are_still_filtered(tmp_path):
    found = confined(tmp_path, 0)
    assert found["truncate the input"] == found["link the input"] == found["cut the input"] == "refused"
    assert found["read another"] == "done"


@linux
def test_what_a_kernel_cannot_enforce_is_said(tmp_path):
    assert Confinement.of("require").missing() == []
    nothing, no_files = (Confinement(seccomp=filtered).missing() for filtered in (False, True))
    assert len(nothing) == 2
    (sentence,) = no_files
    assert sentence.startswith("The kernel has no Landlock (or a container forbids it), so processors can read other")
    assert "use Linux 5.13 or" in sentence


@linux
def test_a_folder_of_secrets_that_plugins_are_loaded_from_is_said():
    private = Path(sys.prefix) / "data"
    (sentence,) = Confinement.of("require").missing([private])
    assert sentence.startswith(f"{private} lies below ")
    assert sentence.endswith(", which processors can read: move it elsewhere.")


@linux
def test_require_starts_on_nothing_less():
    zygote = Zygote("require", private=[Path(sys.prefix) / "data"])
    with pytest.raises(SandboxUnavailable, match=r"PICASSO_SANDBOX is require\. .* lies below"):
        zygote.start()
    assert zygote._process is None


@linux
def test_a_worker_that_requires_more_than_there_is_ends_with_a_sentence(tmp_path):
    settings = {**GOOD, "PICASSO_SCRATCH": f"{sys.prefix}/scratch-{os.getpid()}"}
    try:
        done = manage("worker", "--concurrency", "1", tmp_path=tmp_path, **settings)
    finally:
        scratch.remove(Path(settings["PICASSO_SCRATCH"]))
    assert done.returncode == 1, done.stderr
    assert "PICASSO_SANDBOX is require." in done.stderr
    assert "Traceback" not in done.stderr


REFUSING = """
import ctypes, struct, sys
from picasso_core.sandbox.client import Zygote
from picasso_core.processes import LIBC
from picasso_core.sandbox.seccomp import PR_SET_SECCOMP, SECCOMP_MODE_FILTER
packed = bytes.fromhex(sys.argv[1])
header = struct.pack("HxxxxxxP", len(packed) // 8, ctypes.addressof(program := ctypes.create_string_buffer(packed)))
assert LIBC.prctl(38, 1, 0, 0, 0) == 0
assert LIBC.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.c_char_p(header), 0, 0) == 0
zygote = Zygote(sys.argv[2])
try:
    zygote.start()
    print(*zygote.missing)
    zygote.stop()
except Exception as error:
    print(type(error).__name__, error)
"""
NUMBERS = ARCHITECTURES[platform.machine()].numbers if platform.machine() in ARCHITECTURES else {"prctl": 0}
CAPSET = 91 if platform.machine() == "aarch64" else 126
SAYS = {
    "landlock": (landlock.RESTRICT_SELF, seccomp.NOT_PERMITTED, "The kernel has no Landlock (or a container"),
    # A call that succeeds and does nothing: only the attempts after it show that nothing is taken away.
    "landlock, with a lie": (landlock.RESTRICT_SELF, seccomp.REFUSE, "use Linux 5.13 or"),
    "seccomp": (NUMBERS["prctl"], seccomp.NOT_PERMITTED, "System calls cannot be filtered"),
    "seccomp, with a lie": (NUMBERS["prctl"], seccomp.REFUSE, "System calls cannot be filtered"),
    "privileges": (CAPSET, seccomp.NOT_PERMITTED, "A container forbids capset or prctl"),
}


@linux
@pytest.mark.parametrize("mode", ["require", "best-effort"])
@pytest.mark.parametrize("part", SAYS)
def test_what_a_container_refuses_although_the_kernel_has_it_is_said_at_the_start(part, mode):
    refused, how, sentence = SAYS[part]
    of_seccomp = [
        (seccomp.LOAD, 0, 0, seccomp.ARGUMENTS),
        (seccomp.JUMP_EQUAL, 0, 1, seccomp.PR_SET_SECCOMP),
    ]
    is_seccomp = refused == NUMBERS["prctl"]
    program = [
        (seccomp.LOAD, 0, 0, seccomp.NUMBER),
        (seccomp.JUMP_EQUAL, 0, 3 if is_seccomp else 1, refused),
        *(of_seccomp if is_seccomp else []),
        (seccomp.RETURN, 0, 0, how),
        (seccomp.RETURN, 0, 0, seccomp.ALLOW),
    ]
    packed = b"".join(struct.pack("HBBI", *each) for each in program)
    command = [sys.executable, "-c", REFUSING, packed.hex(), mode]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert sentence in done.stdout, done.stderr
    assert done.stdout.startswith("SandboxUnavailable PICASSO_SANDBOX is require. ") == (mode == "require")
    assert done.stdout.count(". ") == (mode == "require")


@linux
def test_best_effort_starts_and_says_what_is_missing():
    zygote = Zygote("best-effort", private=[Path(sys.prefix) / "data"])
    zygote.start()
    zygote.stop()
    assert len(zygote.missing) == 1


OFF = os.environ.get("PICASSO_SANDBOX") == "off"


@pytest.mark.skipif(OFF, reason="nothing is confined, to measure coverage")
@linux
def test_the_kernel_reports_the_child_as_confined(zygote, tmp_path):
    runner = Runner(zygote, tmp_path / "scratch")
    run(runner, tmp_path, b"picasso-echo\none")
    status = dict(line.split(":\t", 1) for line in Path(f"/proc/{runner._child.pid}/status").read_text().splitlines())
    assert (status["Seccomp"], status["NoNewPrivs"], int(status["CapEff"], 16)) == ("2", "1", 0)
    limits = Path(f"/proc/{runner._child.pid}/limits").read_text()
    assert "Max core file size        0                    0" in limits
    assert "Max open files            128                  128" in limits
    assert Path(f"/proc/{runner._child.pid}/oom_score_adj").read_text().strip() == "1000"
    assert os.getsid(runner._child.pid) == runner._child.pid
    runner.close()


def test_a_thousand_runs_leave_no_process_no_descriptor_and_no_file(zygote, tmp_path):
    def held() -> tuple[int, int, int]:
        tasks = Path(f"/proc/{zygote._process.pid}/task/{zygote._process.pid}/children").read_text().split()
        ours, its = (len(os.listdir(f"/proc/{pid}/fd")) for pid in ("self", zygote._process.pid))
        return ours, its, len(tasks)

    before = held()
    runner = Runner(zygote, tmp_path / "scratch")
    ends = (b"raise InvalidFile", b"exit 1", b"signal SIGSEGV", b"raise MemoryError")
    for number in range(1000):
        run(runner, tmp_path, b"picasso-echo\n" + (b"hello" if number % 25 else ends[number // 25 % len(ends)]))
        assert list(runner.workdir.iterdir()) == []
    runner.close()
    assert held() == before
    assert list((tmp_path / "scratch").iterdir()) == []


WORKER = """
import sys, time
from pathlib import Path
from picasso_core.sandbox.client import Zygote
from picasso_core.sandbox.runner import Runner

zygote = Zygote()
zygote.start()
runner = Runner(zygote, Path(sys.argv[1]) / "scratch")
source = Path(sys.argv[1]) / "source"
source.write_bytes(b"picasso-echo\\nsleep 60")

def beat():
    print(zygote._process.pid, runner._child.pid, flush=True)
    return True

import picasso_core.sandbox.vigil as vigil
vigil.BEAT_SECONDS = 0.1
file = {"name": "n", "media_type": "application/vnd.picasso.echo", "size": 1, "sha256": "0" * 64}
with runner.input(source) as path:
    runner.process(path, processor="echo", file=file, limits={}, beat=beat)
"""


@linux
def test_no_child_outlives_a_worker_that_is_killed(tmp_path):
    command = [sys.executable, "-c", WORKER, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as worker:
        pids = [int(pid) for pid in worker.stdout.readline().split()]
        assert alive(pids) == pids
        worker.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 5
    while alive(pids) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert alive(pids) == []


def test_clearing_follows_no_link(tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").touch()
    folder = tmp_path / "work"
    (folder / "a" / "b").mkdir(parents=True)
    (folder / "a" / "b" / "link").symlink_to(outside)
    (folder / "a" / "link").symlink_to(outside)
    scratch.empty(folder)
    assert list(folder.iterdir()) == []
    assert (outside / "kept").exists()


BLIND = """
import sys
from pathlib import Path
from picasso_core.sandbox import confinement, scratch
confinement._give_up_privileges()
try:
    print(scratch.used(Path(sys.argv[1]), 0))
except scratch.TooMuch:
    print("too much")
"""


@linux
def test_a_folder_that_cannot_be_looked_into_hides_nothing(tmp_path):
    (tmp_path / "hidden").mkdir()
    (tmp_path / "hidden" / "large").write_bytes(bytes(1 << 20))
    (tmp_path / "hidden").chmod(0o300)
    command = [sys.executable, "-c", BLIND, str(tmp_path)]
    assert subprocess.run(command, capture_output=True, text=True, timeout=30).stdout == "too much\n"
    (tmp_path / "hidden").chmod(0o700)
    assert int(subprocess.run(command, capture_output=True, text=True, timeout=30).stdout) >= 1 << 20


def test_a_stale_input_is_never_written_over(zygote, tmp_path, monkeypatch):
    runner = Runner(zygote, tmp_path / "scratch")
    other, source = tmp_path / "other", tmp_path / "source"
    other.write_bytes(b"another's stored bytes")
    source.write_bytes(b"new")
    os.link(other, runner.folder / "input" / "file")
    monkeypatch.setattr(os, "link", lambda *_: (_ for _ in ()).throw(OSError("another file system")))
    with runner.input(source) as path:
        assert path.read_bytes() == b"new"
    assert other.read_bytes() == b"another's stored bytes"
    runner.close()
