"""The filter of system calls: a short program that the kernel runs at each, by ctypes (seccomp(2))."""

from __future__ import annotations

import ctypes
import errno
import os
import signal
import struct
from collections.abc import Iterable

from ..processes import LIBC
from .syscalls import Architecture, architecture

PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 22, 2
SECCOMP_GET_ACTION_AVAIL = 2
ALLOW, REFUSE, KILL = 0x7FFF0000, 0x00050000, 0x80000000  # SECCOMP_RET_ALLOW, _ERRNO, _KILL_PROCESS
NOT_PERMITTED, NOT_KNOWN = REFUSE | errno.EPERM, REFUSE | errno.ENOSYS
LOAD, JUMP_EQUAL, JUMP_FROM, JUMP_ABOVE, AND, RETURN = 0x20, 0x15, 0x35, 0x25, 0x54, 0x06
NUMBER, ARCH, ARGUMENTS = 0, 4, 16  # offsets in struct seccomp_data
X32 = 0x40000000
FIRST_NEW = 424
"""From here on architectures share numbers; libraries try such calls and fall back when they hear ENOSYS."""

ANYBODY = 0x5EC0FFEE
"""In a program, where the process id belongs: nothing else in it has these bytes."""

CLONE_THREAD = 0x10000
CLONE_OTHER = 0x7E82E000  # namespaces, CLONE_PTRACE, VFORK, PARENT, UNTRACED
THREAD_OR_OTHER = CLONE_THREAD | CLONE_OTHER
O_TRUNC, O_ACCMODE = 0o1000, 0o3
PRCTL = (3, 15, 16, 39, 0x53564D41)  # GET_DUMPABLE, SET_NAME, GET_NAME, GET_NO_NEW_PRIVS, SET_VMA (its name)
# DUPFD, GETFD, SETFD, GETFL, SETFL, GETLK, SETLK, SETLKW, OFD_GETLK to OFD_SETLKW, DUPFD_CLOEXEC, GETPIPE_SZ,
# GET_SEALS. Not SETOWN and SETSIG, which send signals to others.
FCNTL = (0, 1, 2, 3, 4, 5, 6, 7, 36, 37, 38, 1030, 1032, 1034)
# TCGETS, TIOCGWINSZ, FIONREAD, FIONBIO, FIONCLEX, FIOCLEX. Not FS_IOC_SETFLAGS, which changes a file open for reading.
IOCTL = (0x5401, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451)

WORD, INSTRUCTION, PROGRAM = struct.Struct("I"), struct.Struct("HBBI"), struct.Struct("HxxxxxxP")
Instruction = tuple[int, int, int, int]


def available() -> bool:
    """Ask the kernel whether it filters system calls, on a machine whose calls are known."""
    known = architecture()
    if known is None:
        return False
    action = ctypes.c_uint32(KILL)
    return bool(LIBC.syscall(known.seccomp, SECCOMP_GET_ACTION_AVAIL, 0, ctypes.byref(action)) == 0)


def program() -> bytes:
    """Return the filter for any process of this machine, whose calls are known; to be made once."""
    known = architecture()
    assert known is not None
    return b"".join(INSTRUCTION.pack(*each) for each in filter_for(known, ANYBODY))


def install(program: bytes) -> None:
    """Allow this process, and each thread it starts, what ``program`` lists and nothing else; for good."""
    mine = program.replace(WORD.pack(ANYBODY), WORD.pack(os.getpid()))
    where = ctypes.cast(ctypes.c_char_p(mine), ctypes.c_void_p).value
    header = PROGRAM.pack(len(mine) // INSTRUCTION.size, where)
    if LIBC.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.c_char_p(header), 0, 0):
        number = ctypes.get_errno()
        raise OSError(number, f"seccomp: {os.strerror(number)}")


def filter_for(known: Architecture, pid: int) -> list[Instruction]:
    """Write the filter for the process ``pid``: listed calls, some of them with certain arguments alone."""
    program = [
        (LOAD, 0, 0, ARCH),
        (JUMP_EQUAL, 1, 0, known.audit),
        (RETURN, 0, 0, KILL),
        (LOAD, 0, 0, NUMBER),
        # The x32 calls of x86-64 are others under the same architecture.
        (JUMP_FROM, 0, 1, X32),
        (RETURN, 0, 0, KILL),
    ]
    conditions = _conditions(pid)
    for name, condition in conditions.items():
        if name in known.numbers:
            program += [(JUMP_EQUAL, 0, len(condition), known.numbers[name]), *condition]
    plain = sorted(number for name, number in known.numbers.items() if name not in conditions)
    for first, last in _ranges(plain):
        program += [(JUMP_FROM, 0, 2, first), (JUMP_ABOVE, 1, 0, last), (RETURN, 0, 0, ALLOW)]
    program += [(JUMP_FROM, 1, 0, FIRST_NEW), (RETURN, 0, 0, NOT_PERMITTED), (RETURN, 0, 0, NOT_KNOWN)]
    return program


def _conditions(pid: int) -> dict[str, list[Instruction]]:
    opening = [O_TRUNC, O_TRUNC | O_ACCMODE]  # truncates without the right to write, which old Landlocks let pass
    return {
        # A thread that woke its process over and over would undo the stop between two runs: no SIGCONT, not even here.
        "kill": [*_unless(1, signal.SIGCONT), *_only(0, [pid])],
        "tgkill": [*_unless(2, signal.SIGCONT), *_only(0, [pid])],
        # Threads alone, in this process and its namespaces.
        "clone": [(LOAD, 0, 0, _argument(0)), (AND, 0, 0, THREAD_OR_OTHER), *_verdict([CLONE_THREAD])],
        "prctl": _only(0, PRCTL),
        "fcntl": _only(1, FCNTL),
        "ioctl": _only(1, IOCTL),
        # A question about itself: the new limits, a pointer of two words, are null.
        "prlimit64": [
            (LOAD, 0, 0, _argument(2) + 4),
            (JUMP_EQUAL, 1, 0, 0),
            (RETURN, 0, 0, NOT_PERMITTED),
            (LOAD, 0, 0, _argument(2)),
            (JUMP_EQUAL, 1, 0, 0),
            (RETURN, 0, 0, NOT_PERMITTED),
            *_only(0, [0, pid]),
        ],
        "open": [(LOAD, 0, 0, _argument(1)), (AND, 0, 0, O_TRUNC | O_ACCMODE), *_verdict(opening, refuse=True)],
        "openat": [(LOAD, 0, 0, _argument(2)), (AND, 0, 0, O_TRUNC | O_ACCMODE), *_verdict(opening, refuse=True)],
    }


def _only(argument: int, values: Iterable[int]) -> list[Instruction]:
    return [(LOAD, 0, 0, _argument(argument)), *_verdict(list(values))]


def _unless(argument: int, value: int) -> list[Instruction]:
    return [(LOAD, 0, 0, _argument(argument)), (JUMP_EQUAL, 0, 1, value), (RETURN, 0, 0, NOT_PERMITTED)]


def _verdict(values: list[int], *, refuse: bool = False) -> list[Instruction]:
    """Allow the loaded value if it is among ``values``, or refuse it then."""
    compared = [(JUMP_EQUAL, len(values) - at, 0, value) for at, value in enumerate(values)]
    otherwise, then = (ALLOW, NOT_PERMITTED) if refuse else (NOT_PERMITTED, ALLOW)
    return [*compared, (RETURN, 0, 0, otherwise), (RETURN, 0, 0, then)]


def _argument(number: int) -> int:
    """Return where the low word of an argument lies; both architectures are little-endian."""
    return ARGUMENTS + 8 * number


def _ranges(numbers: list[int]) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    for number in numbers:
        if found and found[-1][1] == number - 1:
            found[-1] = (found[-1][0], number)
        else:
            found.append((number, number))
    return found
