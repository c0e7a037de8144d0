"""What an upload's headers say about its bytes, and the key by which a client may safely send it again."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from typing import Any

from rest_framework.exceptions import ParseError
from rest_framework.request import Request

KEY = re.compile(r"[\x21-\x7e]{1,255}")
DIGEST = re.compile(r"\s*([a-z0-9*_.-]+)=:([A-Za-z0-9+/=]*):\s*")  # a dictionary of RFC 9651, 3.2, of byte sequences
ALGORITHMS = {"sha-256": hashlib.sha256, "sha-512": hashlib.sha512}
"""Those that RFC 9530 calls active; others are ignored, as it allows."""


class BodyDigests:
    """The digests of a body that its ``Content-Digest`` announces (RFC 9530), computed while it is read."""

    def __init__(self, header: str | None) -> None:
        """Read the header. Raises ``ParseError`` with a code where it is none."""
        self._announced: dict[str, bytes] = {}
        for member in header.split(",") if header is not None else ():
            match = DIGEST.fullmatch(member)
            if match is None:
                raise ParseError(f"Content-Digest has {member.strip()[:100]!r}: write sha-256=:base64:.", "bad_digest")
            if match[1] in ALGORITHMS:
                self._announced[match[1]] = _decoded(match[2])
        self._hashes: dict[str, Any] = {name: ALGORITHMS[name]() for name in self._announced}

    def update(self, chunk: bytes) -> None:
        """Take the next bytes of the body."""
        for each in self._hashes.values():
            each.update(chunk)

    def check(self) -> None:
        """Compare. Raises ``ParseError`` with a code where these are not the bytes announced."""
        for name, announced in self._announced.items():
            if self._hashes[name].digest() != announced:
                raise ParseError(f"The body is not what Content-Digest says: its {name} differs.", "digest_mismatch")


def check_checksum(request: Request, sha256: str) -> None:
    """Compare the file's bytes with ``X-Checksum-Sha256``. Raises ``ParseError`` with a code where they differ."""
    announced = request.headers.get("X-Checksum-Sha256")
    if announced is None:
        return
    if not re.fullmatch("[0-9A-Fa-f]{64}", announced):
        raise ParseError("X-Checksum-Sha256 is not 64 hexadecimal digits.", "bad_digest")
    if announced.lower() != sha256:
        detail = f"The file is not what X-Checksum-Sha256 says: the bytes that came in have {sha256}."
        raise ParseError(detail, "digest_mismatch")


def idempotency_key(request: Request) -> str | None:
    """Return the ``Idempotency-Key``, if there is one. Raises ``ParseError`` with a code where it cannot be one."""
    key = request.headers.get("Idempotency-Key")
    if key is not None and not KEY.fullmatch(key):
        detail = "An Idempotency-Key has 1 to 255 visible ASCII characters; a UUID is a good one."
        raise ParseError(detail, "bad_idempotency_key")
    return key


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        raise ParseError(f"Content-Digest has {text[:100]!r}, which is no base64.", "bad_digest") from None
