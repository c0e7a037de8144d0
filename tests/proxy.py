"""A TCP proxy on 127.0.0.1 that can be away: closed, or open and silent."""

from __future__ import annotations

import contextlib
import socket
import threading


class Proxy:
    """Forwards one port to another until it is told to be away."""

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._sockets: set[socket.socket] = set()
        self._flowing = threading.Event()
        self._open = True
        self._flowing.set()
        threading.Thread(target=self._accept, daemon=True).start()

    def freeze(self) -> None:
        """Let connections stand, and new ones be made, but no byte pass."""
        self._flowing.clear()

    def thaw(self) -> None:
        """Let the bytes pass again."""
        self._flowing.set()

    def go_away(self) -> None:
        """Cut every connection, and every new one as soon as it is made."""
        self._open = False
        for each in list(self._sockets):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def come_back(self) -> None:
        """Forward again."""
        self._open = True

    def close(self) -> None:
        """Stop for good."""
        self.go_away()
        self._flowing.set()
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if not self._open:
                client.close()
                continue
            server = socket.create_connection(self._target)
            self._sockets |= {client, server}
            for source, sink in ((client, server), (server, client)):
                threading.Thread(target=self._pump, args=(source, sink), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                self._flowing.wait()
                sink.sendall(data)
        for each in (source, sink):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
            self._sockets.discard(each)
