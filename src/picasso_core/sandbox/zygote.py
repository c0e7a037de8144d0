"""The process that imports the plugins once and forks a warm child per worker thread.

Run as ``python -I -m picasso_core.sandbox.zygote FD PARENT`` with an empty environment, before any secret is in reach.
FD is a Unix socket to the worker; when the worker goes away it closes, and the zygote and its children end.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import socket
import struct
import sys
import time
from pathlib import Path
from typing import Any

from .. import plugins
from ..identification.aliases import normalise
from ..processes import die_with_parent
from ..processors import Processor
from . import child
from .confinement import Confinement
from .protocol import HEADER, encode


def main() -> None:
    """Import, describe, then fork and reap at the worker's request until it hangs up."""
    die_with_parent(int(sys.argv[2]))
    # A terminal and a service manager signal every process; it is the worker that ends what it started.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    control = socket.socket(fileno=int(sys.argv[1]))
    request, _ = _receive(control)
    found = plugins.installed(
        skip=request["skip"], about_to_import=lambda name: _send(control, {"event": "importing", "name": name})
    )
    private = [Path(folder) for folder in request["private"]]
    confinement = Confinement.of(request["mode"], private)
    missing = confinement.missing(private)
    _send(control, {"event": "ready", "plugins": [_describe(plugin) for plugin in found], "missing": missing})
    processors = {plugin.name: plugin.processor for plugin in found if plugin.processor is not None}
    gc.collect()
    gc.freeze()
    while True:
        request, descriptors = _receive(control)
        if request["op"] == "fork":
            pid = _fork(control, processors, descriptors, Path(request["folder"]), confinement)
            _send(control, {"pid": pid})
        else:
            _send(control, {"status": _reap(request["pid"], request["seconds"])})


def _describe(plugin: plugins.Plugin) -> dict[str, Any]:
    """Describe a plugin, with the names that the identification uses: ``audio/x-wav`` is ``audio/wav`` there."""
    description = plugin.describe()
    names = (normalise(media_type) or media_type for media_type in description["media_types"])
    return description | {"media_types": sorted(set(names))}


def _fork(
    control: socket.socket,
    processors: dict[str, Processor],
    descriptors: list[int],
    folder: Path,
    confinement: Confinement,
) -> int:
    requests, answers, log = descriptors
    zygote = os.getpid()
    pid = os.fork()
    if pid == 0:
        try:
            control.close()
            child.serve(processors, (requests, answers, log), folder, zygote, confinement)
        finally:
            os._exit(0)
    for descriptor in descriptors:
        os.close(descriptor)
    return pid


def _reap(pid: int, seconds: float) -> int | None:
    """Wait for a child that the worker killed or saw ending; None if it lives on."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            done, status = os.waitpid(pid, os.WNOHANG)
        except ChildProcessError:  # forked by a zygote before this one
            return None
        if done:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() >= deadline:
            return None
        time.sleep(0.0002)


def _receive(control: socket.socket) -> tuple[dict[str, Any], list[int]]:
    """Read one request and the descriptors that came with it; the end of the stream ends the zygote."""
    header, descriptors, _, _ = socket.recv_fds(control, HEADER.size, 3)
    if len(header) < HEADER.size:
        os._exit(0)
    (length,) = struct.unpack("!I", header)
    body = b""
    while len(body) < length:
        body += control.recv(length - len(body)) or os._exit(0)
    return json.loads(body), descriptors


def _send(control: socket.socket, message: dict[str, Any]) -> None:
    control.sendall(encode(message))


if __name__ == "__main__":
    main()
