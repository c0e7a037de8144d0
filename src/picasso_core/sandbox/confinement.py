"""The one place where a child becomes less than its parent: what it gives up before it sees a byte of a file."""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import resource
import signal
import struct
import sys
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from ..processes import die_with_parent
from . import landlock, seccomp

PR_SET_NO_NEW_PRIVS = 38
CAPABILITIES_VERSION_3 = 0x20080522
DESCRIPTORS = 128
THREADS_OF_THE_USER = 4096
"""Of all processes of the same user: the kernel counts no less."""
FOUND_OUTSIDE = ("/usr", "/lib", "/lib64", "/etc/ld.so.cache", "/etc/localtime", "/etc/mime.types")
DEVICES = {
    "/dev/null": landlock.READ_FILE | landlock.WRITE_FILE | landlock.TRUNCATE,
    "/dev/zero": landlock.READ_FILE,
    "/dev/random": landlock.READ_FILE,
    "/dev/urandom": landlock.READ_FILE,
}


@dataclass(frozen=True)
class Confinement:
    """What this kernel can be asked for, and what every child may read; the zygote finds it out once."""

    landlock: int = 0
    """The version to use; 0 for none."""
    seccomp: bool = False
    readable: list[Path] = field(default_factory=list)
    off: bool = False
    """Nothing is asked for."""

    @classmethod
    def of(cls, mode: str) -> Confinement:
        """Ask the kernel what it can do, unless ``mode`` is ``off``."""
        if mode == "off" or sys.platform != "linux":
            return cls(off=mode == "off")
        version = landlock.abi()
        return cls(
            landlock=version if version and _works(lambda: landlock.restrict({}, version)) else 0,
            seccomp=seccomp.available() and _works(seccomp.install),
            readable=readable(),
        )

    @property
    def active(self) -> bool:
        """Whether children are confined at all."""
        return sys.platform == "linux" and not self.off

    def missing(self, private: Iterable[Path] = ()) -> list[str]:
        """Say in sentences what is not enforced, and which of the folders in ``private`` a child can read all the same.

        An empty list: all that docs/sandbox.md promises.
        """
        if self.off:
            return ["PICASSO_SANDBOX is off: processors see this process's environment and may do what it may."]
        if sys.platform != "linux":
            return [f"{platform.system()} is not Linux: processors may do what the worker may, within a wall clock."]
        sentences = []
        if not self.landlock:
            sentences.append("The kernel has no Landlock (or a container forbids it): processors can read other files.")
        if not self.seccomp:
            sentences.append(
                f"System calls cannot be filtered on this {platform.machine()} kernel: processors reach the network."
            )
        for folder in private:
            where = next((path for path in self.readable if folder.resolve().is_relative_to(path)), None)
            if where:
                sentences.append(f"{folder} lies below {where}, which processors can read: move it elsewhere.")
        return sentences

    def apply(self, folder: Path, parent: int) -> None:
        """Confine this process, which has one thread: it reads ``input/`` and writes ``work/`` of ``folder``.

        Raises ``OSError`` where the kernel refuses what it said it could do; the process must then end.
        """
        work = folder / "work"
        leave_parent(parent)
        os.chdir(work)
        if not self.active:
            return
        os.environ["HOME"] = os.environ["TMPDIR"] = tempfile.tempdir = str(work)
        _limit()
        _no_new_privileges()
        if self.landlock:
            rights = dict.fromkeys(self.readable, landlock.READ)
            rights |= {Path(name): allowed for name, allowed in DEVICES.items()}
            landlock.restrict(rights | {folder / "input": landlock.READ, work: landlock.WRITE}, self.landlock)
        if self.seccomp:
            seccomp.install()


def _works(part: Callable[[], None]) -> bool:
    """Try it in a process of its own: some containers let one ask what the kernel can do, and refuse to do it."""
    pid = os.fork()
    if pid == 0:
        with contextlib.suppress(OSError):
            _no_new_privileges()
            part()
            os._exit(0)
        os._exit(1)
    return os.waitpid(pid, 0)[1] == 0


def leave_parent(parent: int) -> None:
    """Have a session of its own, die with the parent, dump no core, and ignore what a terminal sends."""
    os.setsid()
    die_with_parent(parent)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)


def keep_only(*descriptors: int) -> None:
    """Close every descriptor but these and the standard ones."""
    first = 3
    for descriptor in sorted(descriptors):
        os.closerange(first, descriptor)
        first = descriptor + 1
    os.closerange(first, 1 << 20)


def readable() -> list[Path]:
    """Return what the interpreter, its libraries and the plugins are loaded from, now or later."""
    interpreter = (sys.prefix, sys.exec_prefix, sys.base_prefix, sys.base_exec_prefix)
    places = (Path(place) for place in (*FOUND_OUTSIDE, *interpreter, *sys.path) if place)
    return landlock.outermost(place for place in places if place.exists())


def _limit() -> None:
    """Set what is the same for every run; the worker sets the rest from outside."""
    resource.setrlimit(resource.RLIMIT_MEMLOCK, (0, 0))
    for what, most in ((resource.RLIMIT_NOFILE, DESCRIPTORS), (resource.RLIMIT_NPROC, THREADS_OF_THE_USER)):
        hard = resource.getrlimit(what)[1]
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(what, (most, most))
    # When memory runs out, the kernel ends this process and not the worker.
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as score:
        score.write("1000")


def _no_new_privileges() -> None:
    """Give up the capabilities that root has, and the ways to gain any."""
    libc = landlock.LIBC
    header, none = struct.pack("=Ii", CAPABILITIES_VERSION_3, 0), bytes(24)
    if libc.capset(header, none) or libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "giving up privileges failed")
