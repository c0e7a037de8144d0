"""Certificates and keys in DER: ASN.1 sequences without a mark of their own."""

from __future__ import annotations

from picasso_core.identification.window import Window

_KEYS = {
    "crl": "application/pkix-crl",
    "p12": "application/x-pkcs12",
    "pfx": "application/x-pkcs12",
    "p7s": "application/pkcs7-signature",
    "p7b": "application/x-pkcs7-certificates",
    "p7c": "application/x-pkcs7-certificates",
    "p7m": "application/pkcs7-mime",
    "p8": "application/pkcs8",
    "pkipath": "application/pkix-pkipath",
    "csr": "application/pkcs10",
    "p10": "application/pkcs10",
}


def media_type_of_key(window: Window) -> str:
    """The type of a DER sequence as long as the file: a certificate by its shape, its like with the name's help."""
    head = window.head
    if head[:1] != b"\x30":
        return ""
    lengths = head[1] & 0x7F if len(head) > 40 and head[1] > 0x80 else 0
    if lengths > 4 or (lengths and int.from_bytes(head[2 : 2 + lengths], "big") + 2 + lengths != window.size):
        return ""
    inside = head[2 + lengths :]
    if inside[:3] == b"\2\1\3" and inside[3:4] == b"\x30":
        return "application/x-pkcs12"
    if inside[:11] == b"\6\x09\x2a\x86\x48\x86\xf7\x0d\1\7\2":
        return _KEYS.get(window.extension, "application/pkcs7-mime")
    if lengths and window.extension in _KEYS:
        return _KEYS[window.extension]
    if inside[:1] == b"\x30" and b"\xa0\3\2\1" in inside[:12] and b"\x06\x03\x55\x04" in inside[:2048]:
        return "application/pkix-cert"
    return ""
