"""A small disk of our own, to be filled: a tmpfs in a mount namespace that ends with this process."""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import subprocess
import sys
from pathlib import Path

INSIDE = "PICASSO_CHAOS_MOUNTS"
MNT_DETACH = 2
MiB = 1024 * 1024
TRIES = 10


def enter_own_mounts(arguments: list[str]) -> None:
    """Start this program anew where it may mount: needs root, or a kernel that lets anybody have a user namespace.

    Returns where neither is given; then the disk is not filled.
    """
    if INSIDE in os.environ or shutil.which("unshare") is None:
        return
    unshare = ["unshare", "--mount"]
    if os.geteuid() != 0:
        unshare += ["--user", "--map-current-user", "--keep-caps"]
    if subprocess.run([*unshare, "true"], stderr=subprocess.DEVNULL).returncode == 0:
        os.environ[INSIDE] = "yes"
        os.execvp(unshare[0], [*unshare, sys.executable, "-m", "tests.chaos", *arguments])


class Disk:
    """The file system on which Picasso keeps everything."""

    def __init__(self, path: Path, size: int) -> None:
        self.path = path
        self._ballast = path / "ballast"
        path.mkdir()
        libc = ctypes.CDLL(None, use_errno=True)
        options = f"size={size},mode=700".encode()
        mounted = INSIDE in os.environ and libc.mount(b"tmpfs", bytes(path), b"tmpfs", 0, options) == 0
        self.can_be_filled = mounted

    def fill(self, leave: int) -> None:
        """Leave about ``leave`` bytes free, whatever others write meanwhile."""
        with self._ballast.open("wb") as stream:
            for _ in range(TRIES):
                free = os.statvfs(self.path)
                size = free.f_bavail * free.f_frsize - leave
                # All or nothing: it fails if somebody has written since the look.
                with contextlib.suppress(OSError):
                    os.posix_fallocate(stream.fileno(), 0, max(size, 1))
                    return

    def free(self) -> None:
        """Make room again."""
        self._ballast.unlink(missing_ok=True)

    def close(self) -> None:
        """Let go of it, with all that is there."""
        if self.can_be_filled:
            ctypes.CDLL(None).umount2(bytes(self.path), MNT_DETACH)
