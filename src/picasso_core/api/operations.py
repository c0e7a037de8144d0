"""Each operation of the REST interface as the contract describes it."""

from __future__ import annotations

import uuid
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema

from .search_pages import FoundFile
from .serializers import FileSerializer, FileWhole

UPLOAD = (
    "The bytes are kept whatever they are and processed afterwards; `Location` is where to look. A file of a type that "
    "no processor knows is no error: its `status` becomes `unsupported`. Any other field of the form is ignored."
)
LIST = (
    "Newest first, in pages: follow `next` until it is null. Pages keep the filters and neither skip nor repeat a file "
    "while others come in. There is no count."
)
DOWNLOAD = (
    "As an attachment. One range of bytes is answered with 206, several with everything; the `ETag` says whether what "
    "a client has kept is still right."
)
ID = OpenApiParameter("id", uuid.UUID, "path", description="The id of the file.")
CONDITIONS = [
    OpenApiParameter(name, str, "header", description=description)
    for name, description in {
        "Range": "Which bytes to send: `bytes=0-499`, `bytes=500-` or the last, `bytes=-500`.",
        "If-Range": "Send the range only if the `ETag` is still this one, else everything.",
        "If-None-Match": "Send nothing, 304, if the `ETag` is one of these.",
    }.items()
]
HEADERS = [
    OpenApiParameter(name, str, "header", description=description, response=statuses)
    for name, description, statuses in (
        ("ETag", "Changes with the bytes.", [200, 206, 304]),
        ("Last-Modified", "When it was uploaded or made.", [200, 206, 304]),
        ("Accept-Ranges", "`bytes`", [200, 206]),
        ("Content-Disposition", "The name of the file.", [200, 206]),
        ("Content-Range", "Which bytes these are, of how many.", [206]),
    )
]
UPLOAD_HEADERS = [
    OpenApiParameter("Location", str, "header", description="The URL of the File.", response=[201]),
    *(
        OpenApiParameter(name, {"type": "string", "pattern": pattern}, "header", description=description)
        for name, pattern, description in (
            (
                "Idempotency-Key",
                "^[!-~]{1,255}$",
                "Makes it safe to send this request again: while the File exists, the same file with the same key gets "
                "the first answer, another file 409. A UUID is a good one.",
            ),
            (
                "Content-Digest",
                "^sha-256=:[A-Za-z0-9+/]{43}=:$",
                "The digest of the whole body, as in RFC 9530; sha-512 is known too. Another body gets 400.",
            ),
            (
                "X-Checksum-Sha256",
                "^[0-9A-Fa-f]{64}$",
                "The SHA-256 of the file itself, in hexadecimal. Another file gets 400.",
            ),
        )
    ),
]
FORM = {
    "type": "object",
    "required": ["file"],
    "properties": {
        "file": {"type": "string", "format": "binary", "minLength": 1, "description": "The bytes, with a file name."}
    },
}


def _strings(*names: str, form: str | None = None) -> dict[str, Any]:
    each = {"type": "string", "format": form} if form else {"type": "string"}
    return {"type": "object", "required": list(names), "properties": dict.fromkeys(names, each)}


BYTES: dict[Any, Any] = {
    (200, "*/*"): OpenApiResponse(OpenApiTypes.BINARY, "Everything, as its media type."),
    (206, "*/*"): OpenApiResponse(OpenApiTypes.BINARY, "The range."),
    304: OpenApiResponse(description="The client has it already."),
}

ROOT = ("upload", "files", "processors", "backfills", "events", "webhooks", "status", "schema", "docs")
root = extend_schema(
    operation_id="root",
    summary="Where everything is",
    description="The URLs of the other endpoints.",
    responses={200: OpenApiResponse(_strings(*ROOT, form="uri"), "The URLs.")},
    tags=["service"],
)
upload_file = extend_schema(
    operation_id="upload_file",
    summary="Upload a file",
    description=UPLOAD,
    parameters=UPLOAD_HEADERS,
    request={"multipart/form-data": FORM},
    responses={201: OpenApiResponse(FileSerializer, "It is safe; here is the File.")},
    tags=["files"],
)
list_files = extend_schema(
    operation_id="list_files",
    summary="List the files",
    description=LIST,
    responses={200: OpenApiResponse(FoundFile(many=True), "A page.")},
    tags=["files"],
)
get_file = extend_schema(
    operation_id="get_file",
    summary="Look at a file",
    description="With what each processor found and, in `history`, what earlier versions did. Ask again while `status` "
    "is `queued` or `processing`.",
    parameters=[ID],
    responses={200: OpenApiResponse(FileWhole, "The File.")},
    tags=["files"],
)
delete_file = extend_schema(
    operation_id="delete_file",
    summary="Delete a file",
    description="With its bytes, jobs and artifacts, also while a job runs, whose result is then thrown away.",
    parameters=[ID],
    responses={204: OpenApiResponse(description="It is gone.")},
    tags=["files"],
)
download_file = extend_schema(
    operation_id="download_file",
    summary="Download a file",
    parameters=[ID, *CONDITIONS, *HEADERS],
    responses=BYTES,
    description=DOWNLOAD,
    tags=["files"],
)
download_artifact = extend_schema(
    operation_id="download_artifact",
    summary="Download an artifact",
    parameters=[
        ID,
        OpenApiParameter("processor", str, "path", description="The name of the processor."),
        OpenApiParameter("name", str, "path", description="The name of the artifact."),
        OpenApiParameter("job", uuid.UUID, description="Of this Job; without it, of the one that the file shows."),
        *CONDITIONS,
        *HEADERS,
    ],
    responses=BYTES,
    description=f"A file that a processor made, from the result that the file shows. {DOWNLOAD}",
    tags=["files"],
)
live = extend_schema(
    operation_id="live",
    summary="Whether this process answers",
    description="It touches nothing else, so that an outage elsewhere does not restart it.",
    responses={200: OpenApiResponse(_strings("status"), "It does.")},
    tags=["service"],
)
ready = extend_schema(
    operation_id="ready",
    summary="Whether uploads would be taken",
    description="It asks the database and the storage; neither broker nor worker is needed to take an upload.",
    responses={
        200: OpenApiResponse(_strings("database", "storage"), "Database and storage are there."),
        503: OpenApiResponse(_strings("database", "storage"), "Which of them is away."),
    },
    parameters=[OpenApiParameter("Retry-After", str, "header", description="In seconds.", response=[503])],
    tags=["service"],
)
