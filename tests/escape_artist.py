"""A processor written to escape: each function below tries one way out, and what it returns is its loot.

The tests lay it out as a plugin and run it confined; an attempt that the system refuses raises ``OSError``.
"""

import contextlib
import ctypes
import errno
import fcntl
import json
import mmap
import os
import platform
import resource
import signal
import socket
import stat
import struct
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from picasso_core.processors import Artifact, Processor, Result

MAGIC = b"escape\n"
LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.mmap.restype = ctypes.c_void_p
LIBC.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
O_PATH, AT_EMPTY_PATH, FS_IOC_SETFLAGS, IMMUTABLE = 0o10000000, 0x1000, 0x40086602, 0x10
ARM = platform.machine() == "aarch64"


class Escape(Processor):
    media_types = {"application/x-escape"}
    signatures = [(0, MAGIC, "application/x-escape")]

    def process(self, file):
        order = json.loads(file.path.read_bytes().removeprefix(MAGIC))
        try:
            loot = globals()[order["attempt"]](file, *order["arguments"])
        except OSError as error:
            # What a limit refuses is for Picasso to report.
            if error.errno in (errno.EFBIG, errno.ENOMEM):
                raise
            return Result(data={"refused": errno.errorcode.get(error.errno, str(error))})
        return loot if isinstance(loot, Result) else Result(data={"loot": repr(loot)[:500]})


def system_call(x86_64, aarch64, *arguments):
    result = LIBC.syscall(ctypes.c_long(aarch64 if ARM else x86_64), *(ctypes.c_long(each) for each in arguments))
    if result < 0:
        raise OSError(ctypes.get_errno(), "refused")
    return result


# --- Reading ---


def read(file, path):
    return Path(path).read_bytes()


def list_folder(file, path):
    return os.listdir(path)


def read_memory_of(file, pid):
    here = ctypes.create_string_buffer(8)
    ours = struct.pack("PN", ctypes.addressof(here), 8)
    theirs = struct.pack("PN", id(object), 8)  # the same address in a process that this one was forked from
    got = LIBC.process_vm_readv(pid, ours, 1, theirs, 1, 0)
    if got < 0:
        raise OSError(ctypes.get_errno(), "refused")
    return here.raw


def trace(file, pid):
    return system_call(101, 117, 0x4206, pid, 0, 0)  # PTRACE_SEIZE


def open_process(file, pid):
    return system_call(434, 434, pid, 0)


def open_by_handle(file, path):
    handle = ctypes.create_string_buffer(struct.pack("Ii", 128, 0) + bytes(128))
    mount = ctypes.c_int()
    if LIBC.name_to_handle_at(-100, path.encode(), handle, ctypes.byref(mount), 0):
        raise OSError(ctypes.get_errno(), "refused")
    return handle.raw


# --- Writing ---


def write(file, path):
    return Path(path).write_bytes(b"escaped")


def append(file, path):
    with open(path or file.path, "ab") as stream:
        return stream.write(b"escaped")


def open_input(file, flags):
    return os.open(file.path, flags)


def truncate_input(file):
    return os.truncate(file.path, 0) or "truncated"


def truncate_open_input(file):
    return os.ftruncate(os.open(file.path, os.O_RDONLY), 0) or "truncated"


def write_through_own_descriptor(file):
    return os.open(f"/proc/self/fd/{os.open(file.path, os.O_RDONLY)}", os.O_WRONLY)


def chmod_input(file):
    return os.chmod(file.path, 0) or "changed"


def chmod_open_input(file):
    return os.fchmod(os.open(file.path, os.O_RDONLY), 0) or "changed"


def chown_input(file):
    return os.chown(file.path, 1, 1) or "changed"


def date_input(file):
    return os.utime(file.path, (0, 0)) or "changed"


def date_open_input(file):
    return os.utime(os.open(file.path, os.O_RDONLY), (0, 0)) or "changed"


def mark_input(file):
    return os.setxattr(file.path, "user.escaped", b"yes") or "changed"


def flag_input(file):
    flags = struct.pack("L", IMMUTABLE)
    return fcntl.ioctl(os.open(file.path, os.O_RDONLY), FS_IOC_SETFLAGS, flags)


def remove_input(file):
    return file.path.unlink() or "removed"


def move_input(file):
    return file.path.rename(file.workdir / "mine") or "moved"


def replace_input(file):
    mine = file.workdir / "mine"
    mine.write_bytes(b"escaped")
    return mine.rename(file.path)


def link_input(file):
    os.link(file.path, file.workdir / "mine")
    return os.open(file.workdir / "mine", os.O_RDWR)


def link_open_input(file):
    descriptor = os.open(file.path, O_PATH)
    if LIBC.linkat(descriptor, b"", -100, os.fsencode(file.workdir / "mine"), AT_EMPTY_PATH):
        raise OSError(ctypes.get_errno(), "refused")
    return "linked"


def symbolic_link(file, path):
    return (file.workdir / "mine").symlink_to(path) or "linked"


def make_pipe(file):
    return os.mkfifo(file.workdir / "mine") or "made"


def make_device(file):
    return os.mknod(file.workdir / "mine", 0o60600, os.makedev(254, 0)) or "made"


def make_folder(file, path):
    return os.mkdir(path) or "made"


# --- Speaking ---


def connect(file, host, port):
    return socket.create_connection((host, port), timeout=1)


def connect_unix(file, path):
    with socket.socket(socket.AF_UNIX) as stream:
        return stream.connect(path.replace("@", "\0")) or "connected"


def open_socket(file, family, kind):
    return socket.socket(family, kind)


def pair_of_sockets(file):
    return socket.socketpair()


# --- Other processes ---


def signal_to(file, pid, number):
    return os.kill(pid, number) or "sent"


def signal_to_thread(file, pid):
    return system_call(234, 131, pid, pid, signal.SIGTERM)


def queue_signal(file, pid):
    return system_call(129, 138, pid, signal.SIGTERM, ctypes.addressof(ctypes.create_string_buffer(128)))


def signal_by_descriptor(file, pid):
    reading, writing = os.pipe()
    fcntl.fcntl(reading, fcntl.F_SETOWN, pid)
    fcntl.fcntl(reading, 10, signal.SIGKILL)  # F_SETSIG
    fcntl.fcntl(reading, fcntl.F_SETFL, os.O_ASYNC)
    return os.write(writing, b"x")


def renice(file, pid):
    return os.setpriority(os.PRIO_PROCESS, pid, 19) or "changed"


def pin(file, pid):
    return os.sched_setaffinity(pid, {0}) or "changed"


def limit_other(file, pid):
    return resource.prlimit(pid, resource.RLIMIT_NOFILE, (4, 4))


def fork(file):
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    return pid


def fork_without_end(file):
    while True:
        fork(file)


def fork_by_number(file):
    return system_call(57, 220, signal.SIGCHLD, 0, 0, 0, 0)


def clone_namespace(file):
    return system_call(56, 220, 0x10000000 | signal.SIGCHLD, 0, 0, 0, 0)


def run_program(file):
    return subprocess.run(["/bin/true"], check=True)


def become_program(file):
    return os.execv("/bin/true", ["true"])


# --- Privileges ---


def outlive_parent(file):
    return system_call(157, 167, 1, 0, 0, 0, 0) or "detached"


def new_session(file):
    return os.setsid()


def raise_limit(file, name):
    unlimited = ctypes.c_buffer(b"\xff" * 16)
    return system_call(160, 164, getattr(resource, name), ctypes.addressof(unlimited)) or "raised"


def raise_own_limit(file, name):
    unlimited = ctypes.c_buffer(b"\xff" * 16)
    return system_call(302, 261, 0, getattr(resource, name), ctypes.addressof(unlimited), 0) or "raised"


def become(file, user):
    return os.setuid(user) or "changed"


def by_number(file, x86_64, aarch64, *arguments):
    return system_call(x86_64, aarch64, *arguments)


# --- Excess ---


def write_one_large_file(file):
    with open(file.workdir / "large", "wb") as stream:
        while True:
            stream.write(bytes(1 << 20))


def write_many_files(file):
    for number in range(10_000_000):
        (file.workdir / str(number)).write_bytes(bytes(1 << 16))


def write_many_empty_files(file):
    for number in range(10_000_000):
        (file.workdir / str(number)).touch()


def write_removed_files(file):
    held = []
    while True:
        held.append(tempfile.TemporaryFile(dir=file.workdir))  # noqa: SIM115 - held open is the point
        held[-1].write(bytes(1 << 20))
        held[-1].flush()
        time.sleep(0.01)


def dig_deep(file):
    os.chdir(file.workdir)
    while True:
        os.mkdir("deeper", 0o700)
        os.chdir("deeper")


def dig_deep_and_end(file):
    os.chdir(file.workdir)
    for _ in range(3000):
        os.mkdir("deeper", 0o300)
        os.chdir("deeper")
    return Result()


def reserve_disk(file):
    with open(file.workdir / "large", "wb") as stream:
        return os.posix_fallocate(stream.fileno(), 0, 1 << 40)


def eat_memory(file):
    hoard = []
    while True:
        hoard.append(bytearray(1 << 24))


def eat_mapped_memory(file):
    return [mmap.mmap(-1, 1 << 26) for _ in range(1000)]


def start_threads(file):
    for _ in range(100_000):
        threading.Thread(target=time.sleep, args=(60,), daemon=True).start()


def spin(file):
    while True:
        pass


def spin_deaf(file):
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    while True:
        pass


def sleep(file):
    time.sleep(3600)


def sleep_deaf(file):
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCONT):
        signal.signal(number, signal.SIG_IGN)
    time.sleep(3600)


def sleep_and_report(file, seconds):
    for step in range(int(seconds * 10)):
        file.progress(step, 100)
        time.sleep(0.1)
    return Result(data={"done": True})


def stop_itself(file):
    os.kill(os.getpid(), signal.SIGSTOP)


def print_without_end(file):
    while True:
        print("x" * 100_000)


def report_without_end(file):
    while True:
        file.report._next = 0
        file.progress(1, 2)


# --- Ends and answers ---


def read_null(file):
    return ctypes.string_at(0)


def exit_at_once(file, status):
    os._exit(status)


def signal_itself(file, number):
    os.kill(os.getpid(), number)
    time.sleep(5)


def return_huge(file):
    return Result(data={"text": "x" * (8 << 20)})


def return_deep(file, depth):
    deep = []
    for _ in range(depth):
        deep = [deep]
    return Result(data={"deep": deep})


def return_cyclic(file):
    data = {}
    data["self"] = data
    return Result(data=data)


def return_object(file):
    return Result(data={"object": object()})


def return_infinity(file):
    return Result(data={"number": float("inf")})


def return_list(file):
    return Result(data=[1])


def return_strange_artifacts(file):
    return Result(artifacts=[None])


def return_artifacts(file, number):
    path = file.workdir / "one"
    path.write_bytes(b"x")
    return Result(artifacts=[Artifact(name=f"a{each}", path=path, media_type="a/b") for each in range(number)])


def return_artifact(file, path):
    return Result(artifacts=[Artifact(name="a", path=Path(path), media_type="a/b")])


def return_folder(file):
    (file.workdir / "folder").mkdir()
    return return_artifact(file, file.workdir / "folder")


def write_then_return(file, size):
    (file.workdir / "one").write_bytes(bytes(size))
    (file.workdir / "two").write_bytes(bytes(size))
    artifacts = [Artifact(name=name, path=file.workdir / name, media_type="a/b") for name in ("one", "two")]
    return Result(artifacts=artifacts)


def answers_of(file):
    """Find the pipe to the worker: whoever holds the process holds that too."""
    return next(fd for fd in range(3, 100) if _is_pipe_to_write(fd))


def _is_pipe_to_write(fd):
    try:
        return stat.S_ISFIFO(os.fstat(fd).st_mode) and fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE == os.O_WRONLY
    except OSError:
        return False


def answer_with(file, text):
    os.write(answers_of(file), bytes.fromhex(text))
    time.sleep(3600)


def answer_twice(file):
    frame = json.dumps({"state": "succeeded", "data": {"stale": True}}).encode()
    os.write(answers_of(file), (struct.pack("!I", len(frame)) + frame) * 2)
    time.sleep(3600)


def answer_in_parts(file, text, times):
    """Send the same frame over and over."""
    frame = text.encode()
    frame = struct.pack("!I", len(frame)) + frame
    answers = answers_of(file)
    for _ in range(times):
        os.write(answers, frame)
    time.sleep(3600)


def report_at_length(file, size):
    return answer_in_parts(file, json.dumps({"state": "running", "done": "1" * size}), 1_000_000)


def fill_the_disk_through_mappings(file, size):
    """Hold removed files by one mapped page each: their descriptors are closed, and the rest is not in memory."""
    held = []
    while True:
        path = file.workdir / "large"
        with open(path, "w+b") as stream:
            stream.write(bytes(size))
            stream.flush()
            page = LIBC.mmap(None, 4096, mmap.PROT_READ, mmap.MAP_SHARED, stream.fileno(), 0)
        held.append(page)
        path.unlink()
        time.sleep(0.01)


def leave_the_log_far_away(file):
    """Have whoever writes to the same description of the log next write where no file may reach."""
    fcntl.fcntl(2, fcntl.F_SETFL, 0)
    os.lseek(2, 1 << 40, os.SEEK_SET)
    return Result()


def print_a_line(file):
    print("hello", file=sys.stderr, flush=True)
    return Result(data={"printed": True})


def leave_a_spy(file):
    def work():
        while True:
            with contextlib.suppress(OSError):
                (file.workdir / "stolen").write_bytes(file.path.read_bytes())

    threading.Thread(target=work, daemon=True).start()
    return Result()


def watch_the_work_folder(file):
    seen = set()
    for _ in range(20):
        seen.update(os.listdir(file.workdir))
        time.sleep(0.01)
    return Result(data={"seen": sorted(seen), "threads": threading.active_count()})


def leave_a_thread(file):
    def work():
        number = 0
        while True:
            number += 1
            (file.workdir / f"late{number}").touch()
            with contextlib.suppress(OSError):
                os.kill(os.getpid(), signal.SIGCONT)

    threading.Thread(target=work, daemon=True).start()
    return Result()


# --- What must work ---


def tell_bounds(file):
    return Result(data={"pixels": file.bounds.pixels, "pages": file.bounds.pages})


def work_as_usual(file):
    with tempfile.TemporaryDirectory() as folder:
        inside = Path(folder).is_relative_to(file.workdir)
        Path(folder, "a").write_bytes(b"x")
        Path(folder, "b").mkdir()
        os.rename(Path(folder, "a"), Path(folder, "b", "a"))
    threads = [threading.Thread(target=lambda: None) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    import colorsys  # not loaded before

    return Result(
        data={
            "temporary files in the work directory": inside,
            "random": len(os.urandom(8)),
            "environment": sorted(os.environ),
            "null": Path(os.devnull).write_bytes(b"x"),
            "imported": colorsys.__name__,
            "folder": os.getcwd() == str(file.workdir),
            "python": sys.flags.isolated,
        }
    )
