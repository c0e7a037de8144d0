"""The contract: OpenAPI, what it says of errors, and the page to read it on."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import drf_spectacular_sidecar
from django.http import HttpResponse, HttpResponseBase
from django.views.static import serve
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.renderers import OpenApiJsonRenderer, OpenApiYamlRenderer
from drf_spectacular.utils import Direction
from rest_framework.request import Request
from rest_framework.views import APIView

from .authentication import SHOW_A_TOKEN

CONFLICT = "It does not go with how things are; `code` and `detail` say why."
ERRORS = {
    400: (
        "bad_request",
        "The request cannot be read: its form has too many fields.",
        "The request is wrong; why is in it.",
    ),
    401: ("not_authenticated", SHOW_A_TOKEN, "No token, or one that is not valid."),
    404: ("not_found", "There is no file with this id.", "There is no such thing."),
    405: ("method_not_allowed", 'Method "PUT" not allowed.', "Another method than those described here."),
    409: ("nothing_to_retry", "No job of this file has failed, so there is nothing to do again.", CONFLICT),
    411: ("length_required", "Send a Content-Length; a chunked body without one is not accepted.", "No length."),
    412: (
        "precondition_failed",
        "These are not the bytes that If-Match or If-Unmodified-Since asks for.",
        "The bytes are others than the client expects.",
    ),
    413: (
        "too_large",
        "The file is too large: at most 2147483648 bytes are accepted.",
        "The file, or the JSON, is larger than the limit, which `detail` names; it is refused before it is read.",
    ),
    415: (
        "unsupported_media_type",
        "'application/json' is no form. Send multipart/form-data with one part named 'file' that has a file name.",
        "The body is of another type than is described here.",
    ),
    416: (
        "range_not_satisfiable",
        "There are 5 bytes; the range begins after them.",
        "The range begins after the last byte.",
    ),
    429: (
        "too_many_requests",
        "At most 60 uploads in 60 seconds are taken from you. Try again in 12 seconds.",
        "More than the operator's rate, if there is one.",
    ),
    500: (
        "error",
        "Picasso failed on this request; its operator finds why in the log.",
        "A bug in Picasso, which its operator finds in the log.",
    ),
    503: (
        "unavailable",
        "Picasso's database or storage is away for the moment. Try again in a few seconds.",
        "Database or storage is away for the moment.",
    ),
    507: ("disk_full", "There is no room left for this file. Nothing of it was kept.", "No room is left."),
}
HEADERS = {
    401: {"WWW-Authenticate": "The scheme: `Bearer`."},
    405: {"Allow": "The methods that there are."},
    416: {"Content-Range": "How many bytes there are: `bytes */5`."},
    429: {"Retry-After": "After how many seconds to try again."},
    503: {"Retry-After": "After how many seconds to try again."},
}
ERROR = {
    "type": "object",
    "description": "What went wrong; every error of every path has this shape.",
    "required": ["type", "errors"],
    "properties": {
        "type": {
            "type": "string",
            "enum": ["client_error", "validation_error", "server_error"],
            "description": "Whose fault it is; a `validation_error` names the parameters.",
        },
        "errors": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "required": ["code", "detail", "attr"],
                "properties": {
                    "code": {"type": "string", "description": "For programs."},
                    "detail": {"type": "string", "description": "A sentence for people."},
                    "attr": {"type": ["string", "null"], "description": "The parameter that is wrong."},
                },
            },
        },
    },
}


def header(description: str) -> dict[str, Any]:
    """Describe a header of an answer."""
    return {"description": description, "schema": {"type": "string"}}


class Schema(AutoSchema):
    """Adds the errors that every operation has, and those that a view names in ``errors`` for its method."""

    def get_auth(self) -> list[dict[str, Any]]:
        """Ask for a token, which only is needed where the operator has set one."""
        auth: list[dict[str, Any]] = super().get_auth()
        return [*auth, {}] if auth and {} not in auth else auth

    def _get_request_body(self, direction: Direction = "request") -> dict[str, Any] | None:
        body: dict[str, Any] | None = super()._get_request_body(direction)  # type: ignore[no-untyped-call]
        return body and {**body, "required": not getattr(self.view, "body_is_optional", False)}

    def _get_response_bodies(self, direction: Direction = "response") -> dict[str, Any]:
        answers: dict[str, Any] = super()._get_response_bodies(direction)
        named = getattr(self.view, "errors", {}).get(self.method, ())
        always = (400, 401, 405, 429, 500, 503) if self.view.authentication_classes else (400, 405, 500)
        # Whoever reads JSON reads so much of it.
        size = (413,) if 415 in named else ()
        for status in sorted({*always, *named, *size}):
            answers.setdefault(str(status), {"$ref": f"#/components/responses/{_name(status)}"})
        return dict(sorted(answers.items()))

    def get_paginated_name(self, serializer_name: str) -> str:
        """Name the component of a page."""
        return f"{serializer_name}Page"


def _name(status: int) -> str:
    return ERRORS[status][0].title().replace("_", "")


def with_errors(result: dict[str, Any], **options: Any) -> dict[str, Any]:
    """Describe the errors once, for all operations; drf-spectacular calls this when it has the rest."""
    components = result["components"]
    components["schemas"] = dict(sorted({**components["schemas"], "Error": ERROR}.items()))
    components["responses"] = {
        _name(status): {
            "description": description,
            "headers": {name: header(text) for name, text in HEADERS.get(status, {}).items()},
            "content": {
                "application/json": {
                    "schema": {"$ref": "#/components/schemas/Error"},
                    "example": {
                        "type": "server_error" if status >= 500 else "client_error",
                        "errors": [{"code": code, "detail": detail, "attr": None}],
                    },
                }
            },
        }
        for status, (code, detail, description) in ERRORS.items()
    }
    return result


class Bearer(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """How to show a token."""

    target_class = "picasso_core.api.authentication.BearerToken"
    name = "bearer"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, str]:
        """Describe the scheme."""
        return {"type": "http", "scheme": "bearer", "description": "One of the operator's tokens, if there are any."}


@cache
def document(form: str) -> bytes:
    """Return the contract as ``json`` or ``yaml``; it depends on nothing but the code."""
    described = SchemaGenerator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]
    renderer = OpenApiJsonRenderer() if form == "json" else OpenApiYamlRenderer()
    rendered: bytes = renderer.render(described, renderer_context={})
    return rendered


class Contract(APIView):
    """This contract; not part of itself."""

    authentication_classes = ()
    permission_classes = ()
    throttle_classes = ()
    schema = None

    def get(self, request: Request) -> HttpResponse:
        """Send it as YAML, or as JSON where the client asks for that."""
        asks = "json" in request.headers.get("Accept", "") or request.query_params.get("format") == "json"
        if asks:
            return HttpResponse(document("json"), content_type="application/vnd.oai.openapi+json")
        return HttpResponse(document("yaml"), content_type="application/yaml")


PAGE = """<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Picasso</title>
<link rel="icon" href="favicon-32x32.png">
<link rel="stylesheet" href="swagger-ui.css">
<div id="docs"></div>
<script src="swagger-ui-bundle.js"></script>
<script src="start.js"></script>
</html>
"""
START = 'SwaggerUIBundle({url: "../schema/?format=json", dom_id: "#docs", deepLinking: true});'
ASSETS = Path(drf_spectacular_sidecar.__file__).parent / "static/drf_spectacular_sidecar/swagger-ui-dist"
POLICY = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'"


class Docs(APIView):
    """The contract to read and try, with nothing from anywhere else."""

    authentication_classes = ()
    permission_classes = ()
    throttle_classes = ()
    schema = None

    def get(self, request: Request, asset: str = "") -> HttpResponseBase:
        """Send the page or what it is made of."""
        if asset == "start.js":
            return HttpResponse(START, content_type="text/javascript")
        if asset:
            return serve(request._request, asset, document_root=str(ASSETS))
        return HttpResponse(PAGE, headers={"Content-Security-Policy": POLICY})
