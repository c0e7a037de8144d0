"""The one place where a child becomes less than its parent: what it gives up before it sees a byte of a file."""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import resource
import struct
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..processes import LIBC, die_with_parent
from . import landlock, seccomp, trial
from .landlock import Rule

PR_SET_NO_NEW_PRIVS = 38
CAPABILITIES, CAPABILITIES_VERSION_3 = struct.Struct("=Ii"), 0x20080522
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
NO_PRIVILEGES = (
    "A container forbids capset or prctl, so nothing can be taken from processors: let its seccomp profile pass both."
)
NO_LANDLOCK = (
    "The kernel has no Landlock (or a container forbids it), so processors can read other files: use Linux 5.13 or "
    "later with landlock in its lsm= list, and a seccomp profile for the container that lets the landlock calls pass."
)
NO_SECCOMP = (
    "System calls cannot be filtered on this {} kernel (or a container forbids it), so processors reach the network: "
    "use x86-64 or aarch64, and a seccomp profile for the container that lets seccomp and prctl pass."
)


@dataclass
class Confinement:
    """What this kernel can be asked for, and what every child may read; the zygote finds it out once."""

    landlock: int = 0
    """The version to use; 0 for none."""
    seccomp: bool = False
    privileges: bool = True
    """Whether privileges can be given up, without which there is neither of the others."""
    readable: list[Path] = field(default_factory=list)
    off: bool = False
    """Nothing is asked for."""

    def __post_init__(self) -> None:
        # Made once, in the zygote: whatever a child touches for itself is copied first, page by page.
        self._rules = landlock.rules(dict.fromkeys(map(str, self.readable), landlock.READ) | DEVICES)
        self._filter = seccomp.program() if self.seccomp else b""

    @classmethod
    def of(cls, mode: str, private: Iterable[Path] = ()) -> Confinement:
        """Ask the kernel what it can do and see that it does it, unless ``mode`` is ``off``.

        ``private`` are folders that nobody may read then.
        """
        if mode == "off" or sys.platform != "linux":
            return cls(off=mode == "off")
        found = cls(landlock=landlock.abi(), seccomp=seccomp.available(), readable=readable())
        outside = trial.of_files(place for place in private if not found.reader(place))
        if not (found.landlock and trial.holds([_give_up_privileges, found.deny_files], outside)):
            found.landlock = 0
        found.seccomp = found.seccomp and trial.holds([_give_up_privileges, found.deny_calls], trial.of_calls())
        found.privileges = trial.holds([_give_up_privileges], trial.of_privileges())
        return found

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
        if not self.privileges:
            return [NO_PRIVILEGES]
        sentences = [] if self.landlock else [NO_LANDLOCK]
        if not self.seccomp:
            sentences.append(NO_SECCOMP.format(platform.machine()))
        for folder in private:
            if where := self.reader(folder):
                sentences.append(f"{folder} lies below {where}, which processors can read: move it elsewhere.")
        return sentences

    def reader(self, folder: Path) -> Path | None:
        """Return what a child may read that ``folder`` is a part of."""
        return next((path for path in self.readable if folder.resolve().is_relative_to(path)), None)

    def apply(self, folder: Path, parent: int) -> None:
        """Confine this process, which has one thread: it reads ``input/`` and writes ``work/`` of ``folder``.

        Raises ``OSError`` where the kernel refuses what it did in the trial; the process must then end.
        """
        work = f"{folder}/work"
        leave_parent(parent)
        os.chdir(work)
        if not self.active:
            return
        os.environ["HOME"] = os.environ["TMPDIR"] = tempfile.tempdir = work
        _limit()
        if self.privileges:
            _give_up_privileges()
        if self.landlock:
            self.deny_files([(f"{folder}/input", landlock.READ), (work, landlock.WRITE)])
        if self.seccomp:
            self.deny_calls()

    def deny_files(self, own: Sequence[Rule] = ()) -> None:
        """Leave this process what every child may reach, and its ``own`` folders. Raises ``OSError``."""
        landlock.restrict([*self._rules, *own], self.landlock)

    def deny_calls(self) -> None:
        """Leave this process the system calls that are listed. Raises ``OSError``."""
        seccomp.install(self._filter)


def leave_parent(parent: int) -> None:
    """Have a session of its own, die with the parent, and dump no core."""
    os.setsid()
    die_with_parent(parent)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


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


def _give_up_privileges() -> None:
    """Give up the capabilities that root has, and the ways to gain any."""
    if LIBC.capset(CAPABILITIES.pack(CAPABILITIES_VERSION_3, 0), bytes(24)) or LIBC.prctl(
        PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0
    ):
        raise OSError(ctypes.get_errno(), "giving up privileges failed")
