"""The file system that a confined process has left, by ctypes (landlock(7))."""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterable, Mapping
from pathlib import Path

from ..processes import LIBC

CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446  # on every architecture
VERSION = 1
PATH_BENEATH = 1
O_PATH = 0o10000000
ATTRIBUTES, BENEATH = struct.Struct("QQQ"), struct.Struct("=Qi")

Rule = tuple[str, int]
"""A path, and the rights to it and to all below."""

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR, REMOVE_DIR, REMOVE_FILE = (1 << bit for bit in range(6))
MAKE_DIR, MAKE_REG, REFER, TRUNCATE = 1 << 7, 1 << 8, 1 << 13, 1 << 14
READ = READ_FILE | READ_DIR
WRITE = READ | WRITE_FILE | REMOVE_DIR | REMOVE_FILE | MAKE_DIR | MAKE_REG | REFER | TRUNCATE
OF_A_FILE = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE

# What there is to be refused since which version: rights to files, to TCP ports, and reaching others by signals and
# abstract sockets.
FILE_RIGHTS = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 5: (1 << 16) - 1}
NETWORK_SINCE, NETWORK_RIGHTS = 4, 0b11
SCOPES_SINCE, SCOPES = 6, 0b11


def abi() -> int:
    """Ask the kernel which version of Landlock it has; 0 for none."""
    version: int = LIBC.syscall(CREATE_RULESET, None, ctypes.c_size_t(0), VERSION)
    return max(0, version)


def rules(rights: Mapping[str, int]) -> list[Rule]:
    """Return ``rights`` to paths and all below, less what is no right to a file where the path is one."""
    return [(path, allowed if os.path.isdir(path) else allowed & OF_A_FILE) for path, allowed in rights.items()]


def restrict(rules: Iterable[Rule], version: int) -> None:
    """Leave this process what ``rules`` say; for good.

    ``version`` is at most what the kernel has. A path that does not exist gives nothing. Needs no_new_privs.
    """
    handled = FILE_RIGHTS[max(known for known in FILE_RIGHTS if known <= version)]
    network = NETWORK_RIGHTS if version >= NETWORK_SINCE else 0
    scopes = SCOPES if version >= SCOPES_SINCE else 0
    # Older kernels want no more bytes than they know.
    size = 24 if scopes else 16 if network else 8
    ruleset = _call(CREATE_RULESET, ATTRIBUTES.pack(handled, network, scopes), ctypes.c_size_t(size), 0)
    try:
        for path, allowed in rules:
            _allow(ruleset, path, allowed & handled)
        _call(RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)


def _allow(ruleset: int, path: str, allowed: int) -> None:
    try:
        place = os.open(path, O_PATH | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return
    try:
        _call(ADD_RULE, ruleset, PATH_BENEATH, BENEATH.pack(allowed, place), 0)
    finally:
        os.close(place)


def _call(number: int, *arguments: object) -> int:
    result: int = LIBC.syscall(number, *arguments)
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"Landlock: {os.strerror(code)}")
    return result


def outermost(paths: Iterable[Path]) -> list[Path]:
    """Return ``paths`` without links and without those that lie in another of them."""
    found: list[Path] = []
    for path in sorted({path.resolve() for path in paths}):
        if not any(path.is_relative_to(other) for other in found):
            found.append(path)
    return found
