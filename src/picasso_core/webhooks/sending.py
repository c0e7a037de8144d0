"""One POST to a URL of a stranger's choice: to a public address alone, without redirects, within bounds.

The name is looked up once and the connection goes to an address that was looked at: a second look-up might say another.
"""

from __future__ import annotations

import http.client
import ipaddress
import re
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass

SECONDS = 10.0
"""For connecting, sending and the answer together."""
CONNECT_SECONDS = 4.0
"""For one of the addresses of a name."""
ADDRESSES = 4
"""So many of a name's addresses are tried."""
ANSWER = 64 * 1024
"""Bytes of the answer's body that are read at the most; nothing of it is kept."""
_LABEL = "[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_PORT = "6553[0-5]|655[0-2][0-9]|65[0-4][0-9]{2}|6[0-4][0-9]{3}|[1-5][0-9]{4}|[1-9][0-9]{0,3}"
URL = rf"^(https?)://({_LABEL}(\.{_LABEL})*|\[[0-9A-Fa-f:.]{{2,45}}\])(:({_PORT}))?([/?][!$-~]*)?$"
"""What is taken for a URL: no user, no password, no fragment."""

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
LOCAL_NAT64 = ipaddress.IPv6Network("64:ff9b:1::/48")
COMPATIBLE = ipaddress.IPv6Network("::/96")


class Refused(Exception):
    """Nothing is sent there."""


@dataclass(frozen=True)
class Answer:
    """What came of a message: an HTTP status, or none and why."""

    status: int | None
    error: str = ""

    @property
    def taken(self) -> bool:
        """Whether the receiver has it."""
        return self.status is not None and 200 <= self.status < 300


@dataclass(frozen=True)
class Target:
    """The parts of a URL."""

    secure: bool
    host: str
    port: int
    path: str

    @classmethod
    def read(cls, url: str) -> Target:
        """Take a URL apart. Raises ``Refused``."""
        found = re.fullmatch(URL, url, re.ASCII)
        if found is None:
            raise Refused("It is no URL such as https://example.org/path.")
        secure, path = found[1] == "https", found[8] or "/"
        port = int(found[7] or (443 if secure else 80))
        return cls(secure, found[2].strip("[]"), port, path if path.startswith("/") else f"/{path}")


def send(url: str, body: bytes, headers: Mapping[str, str], private: bool) -> Answer:
    """Post ``body`` and say what came of it, whatever that is; ``private`` allows any address."""
    try:
        target = Target.read(url)
        return Answer(_post(target, addresses(target, private), body, headers))
    except Refused as refused:
        return Answer(None, str(refused))
    except ssl.SSLCertVerificationError as error:
        return Answer(None, _shown(f"Its certificate is not good: {error.verify_message}."))
    except (OSError, http.client.HTTPException) as error:
        return Answer(None, _shown(f"It did not answer: {str(error) or type(error).__name__}."))


def _shown(text: str) -> str:
    """Leave out what no database stores: the error of a broken answer has its bytes."""
    return "".join(char if char.isprintable() else "\ufffd" for char in text)


def addresses(target: Target, private: bool) -> list[str]:
    """Look the host up. Raises ``Refused`` if nobody knows it, or if any of its addresses is not public."""
    try:
        found = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise Refused(f"Nobody knows the host {target.host}.") from None
    known = list(dict.fromkeys(str(each[4][0]) for each in found))
    if not private and not all(is_public(ipaddress.ip_address(each)) for each in known):
        # Which one it is would tell a stranger what names there are in this network.
        raise Refused(f"The host {target.host} is at no public address, and PICASSO_WEBHOOK_PRIVATE is not true.")
    return known


def is_public(address: Address) -> bool:
    """Whether an address is one of the Internet's, and so is an IPv4 address that is written inside it."""
    mapped = getattr(address, "ipv4_mapped", None)
    if mapped is not None:
        return is_public(mapped)
    # Python calls these global, some versions of it at least.
    if address.is_multicast or getattr(address, "is_site_local", False) or address in LOCAL_NAT64:
        return False
    return address.is_global and all(is_public(inner) for inner in _inside(address))


def _inside(address: Address) -> Iterator[Address]:
    if isinstance(address, ipaddress.IPv6Address):
        for inner in (address.sixtofour, *(address.teredo or ())):
            if inner is not None:
                yield inner
        if address in NAT64 or address in COMPATIBLE:
            yield ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)


def _post(target: Target, known: list[str], body: bytes, headers: Mapping[str, str]) -> int:
    deadline = time.monotonic() + SECONDS
    stream = _connect(known[:ADDRESSES], target.port, deadline)
    kind: type[http.client.HTTPConnection] = http.client.HTTPConnection
    if target.secure:
        kind = http.client.HTTPSConnection
        context = ssl.create_default_context()
        stream = context.wrap_socket(stream, server_hostname=target.host, do_handshake_on_connect=False)
    connection = kind(target.host, target.port)
    # Connected already: http.client makes a connection only where there is none.
    connection.sock = stream
    try:
        with _cut_off(stream, deadline):
            if isinstance(stream, ssl.SSLSocket):
                stream.do_handshake()
            connection.request("POST", target.path, body, {**headers, "Connection": "close"})
            answer = connection.getresponse()
            with suppress(OSError, http.client.HTTPException):
                answer.read(ANSWER)
            return answer.status
    except (OSError, http.client.HTTPException):
        if time.monotonic() < deadline:
            raise
        raise TimeoutError(f"it took longer than {SECONDS:.0f} seconds") from None
    finally:
        connection.close()


def _connect(known: list[str], port: int, deadline: float) -> socket.socket:
    failure: OSError = TimeoutError(f"it took longer than {SECONDS:.0f} seconds")
    for each in known:
        left = deadline - time.monotonic()
        if left <= 0:
            break
        try:
            return socket.create_connection((each, port), min(CONNECT_SECONDS, left))
        except OSError as error:
            failure = error
    raise failure


@contextmanager
def _cut_off(stream: socket.socket, deadline: float) -> Iterator[None]:
    """End the connection at ``deadline``: a time limit of the socket begins anew with each byte."""
    left = max(deadline - time.monotonic(), 0.1)
    stream.settimeout(left)
    timer = threading.Timer(left, _shut, [stream])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _shut(stream: socket.socket) -> None:
    with suppress(OSError):
        # Not that of TLS, which would take its state away from the thread that reads.
        socket.socket.shutdown(stream, socket.SHUT_RDWR)
