"""E-mails and mailboxes: text whose first lines are header fields."""

from __future__ import annotations

import re

_LOOKED_AT = 32 * 1024
_FIELD = re.compile(rb"([A-Za-z][A-Za-z0-9-]{0,60})[ \t]{0,4}:")
_FROM = re.compile(rb"From \S{1,200}[ \t]{1,9}.{0,80}\d\d:\d\d")
_GIT_PATCH = re.compile(rb"From [0-9a-f]{40} Mon Sep 17 00:00:00 2001")
# Fields that hardly anything but a mail has, and fields that many things have.
_TELLING = {
    b"received", b"return-path", b"delivered-to", b"message-id", b"mime-version", b"x-mailer", b"dkim-signature",
    b"reply-to", b"in-reply-to", b"x-original-to", b"envelope-to", b"x-spam-status", b"content-transfer-encoding",
    b"authentication-results", b"arc-seal", b"x-received", b"x-mozilla-status", b"newsgroups", b"x-uidl",
    b"x-originating-ip", b"thread-topic", b"x-ms-has-attach", b"list-unsubscribe", b"resent-from", b"x-priority",
    b"received-spf", b"x-apparently-to", b"x-account-key", b"x-sender", b"apparently-to", b"x-unsent",
    b"errors-to", b"x-gmail-labels", b"x-mimeole", b"importance", b"x-to", b"x-from",
}  # fmt: skip
_COMMON = {
    b"from", b"to", b"subject", b"date", b"cc", b"bcc", b"sender", b"content-type", b"organization",
    b"content-disposition",
}  # fmt: skip
_EXTENSIONS = ("eml", "emlx", "mht", "mhtml", "email", "mail", "msg", "nws")


def media_type_of_mail(head: bytes, extension: str) -> str:
    """``message/rfc822`` or ``application/mbox`` when the first lines are a mail's, else nothing."""
    data = head[:_LOOKED_AT].removeprefix(b"\xef\xbb\xbf").lstrip(b"\r\n")
    if extension == "emlx" and data[:12].split(b"\n")[0].strip().isdigit():
        data = data.partition(b"\n")[2]
    if _GIT_PATCH.match(data):
        return ""
    is_box = bool(_FROM.match(data))
    if is_box or data.startswith((b"From ", b">From ")):
        data = data.partition(b"\n")[2]
    fields = _fields(data)
    telling, common = len(fields & _TELLING), len(fields & _COMMON)
    if is_box and telling + common >= 1:
        return "message/rfc822" if extension == "eml" and head.count(b"\nFrom ") == 0 else "application/mbox"
    enough = 1 if extension in _EXTENSIONS else 3
    if (telling and telling + common >= min(enough, 2)) or common >= enough:
        return "message/rfc822"
    return ""


def _fields(data: bytes) -> set[bytes]:
    """The names of the header fields up to the first empty line; nothing when the first line is none."""
    names: set[bytes] = set()
    strangers = 0
    for number, line in enumerate(data.splitlines()[:200]):
        if not line.strip():
            break
        if line[:1] in b" \t" and number:
            continue
        field = _FIELD.match(line)
        if field:
            names.add(field[1].lower())
        elif number == 0:
            return set()
        else:
            strangers += 1
            if strangers > 2:
                break
    return names
