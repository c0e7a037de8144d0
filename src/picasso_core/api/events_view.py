"""The log of events, to be read in order and gone on with."""

from __future__ import annotations

import uuid
from typing import Any

from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from ..models import Event, Position
from ..models.events import POSITION, START
from ..models.webhooks import told
from . import parameters
from .errors import Ahead

FILTERS = ("after", "limit", "file", "kind")
AFTER = {"type": "string", "pattern": f"^{POSITION}$"}
PARAMETERS = [
    OpenApiParameter("after", AFTER, description="Those after this position; take it from `next`. Without it, all."),
    parameters.LIMIT,
    OpenApiParameter("file", uuid.UUID, description="Those of this file, which may be gone."),
    OpenApiParameter("kind", {"type": "string", "enum": Event.Kind.values}, description="Those of this kind."),
]
EXAMPLE = {
    "position": "731-42",
    "kind": "job.succeeded",
    "at": "2026-11-24T12:00:00.123456Z",
    "file": "019e1b6c-2f6a-7cc3-98c4-dc0c0c07398f",
    "job": "019e1b6c-2f6a-7cc3-98c4-dc0c0c073990",
    "processor": "text",
    "version": "1",
    "data": {"lane": "interactive"},
}


class EventSerializer(serializers.Serializer[Event]):
    """Something that happened to a File."""

    position = serializers.CharField(help_text="Its place in the log.")
    kind = serializers.ChoiceField(Event.Kind.choices)
    at = serializers.DateTimeField(help_text="When; of two events the later one may have the earlier time.")
    file = serializers.UUIDField(help_text="The File, which may be gone.")
    job = serializers.UUIDField(allow_null=True, help_text="The Job, if it is about one.")
    processor = serializers.CharField(help_text="The processor of the Job.")
    version = serializers.CharField(help_text="Its version.")
    data: Any = serializers.DictField(help_text="What one wants to know without asking again.")


class EventPage(serializers.Serializer[Any]):
    """The next events."""

    results = EventSerializer(many=True)
    next = serializers.CharField(help_text="The position to go on after, also where there is nothing now.")


class EventList(APIView):
    """What happened, in order."""

    errors = {"GET": (409,)}

    @extend_schema(
        operation_id="list_events",
        summary="Read the log of events",
        description="The oldest first. Ask again with `after` set to `next`, at once or later: no event is left out "
        "and none comes twice, however late it was written. An event is shown once every transaction that began before "
        "its own has ended. Events are kept for as many days as the operator has said.",
        parameters=PARAMETERS,
        responses={200: OpenApiResponse(EventPage, "The next events.")},
        examples=[OpenApiExample("A page", {"results": [EXAMPLE], "next": "731-42"}, response_only=True)],
        tags=["events"],
    )
    def get(self, request: Request) -> Response:
        """Answer with a page."""
        parameters.check(request, FILTERS)
        asked = {
            "file": parameters.identifier(request, "file"),
            "kind": parameters.one_of(request, "kind", Event.Kind.values),
        }
        limit, after = parameters.limit(request), START
        if "after" in request.query_params:
            after = position_of(request.query_params["after"], "after")
        log = Event.objects.filter(**{name: value for name, value in asked.items() if value is not None})
        events, position = log.page(after, limit)
        return Response({"results": [told(event) for event in events], "next": str(position)})


def position_of(text: str, name: str) -> Position:
    """Read a position of the log. Raises ``ValidationError``, or ``Ahead`` where the log has not come so far."""
    try:
        position = Position.read(text)
    except ValueError:
        parameters.refuse(name, "Write a position such as 731-42, from next or from an event.")
    if Event.objects.is_ahead(position):
        raise Ahead
    return position
