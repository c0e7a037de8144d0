"""The endpoints of deliveries: what was sent to a webhook, sending it again, and trying it."""

from __future__ import annotations

import uuid
from typing import Any

from django.http import Http404
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from ..models import Delivery
from . import parameters
from .bodies import Body, Text
from .events_view import AFTER, position_of
from .webhooks_view import ID, WebhookSerializer, find

DELIVERY = OpenApiParameter("delivery", uuid.UUID, "path", description="The id of the delivery.")
REPLAY = {"type": "object", "required": ["after"], "properties": {"after": AFTER}, "additionalProperties": False}
PAGE = [
    ID,
    OpenApiParameter("state", {"type": "string", "enum": Delivery.State.values}, description="Those in this state."),
    OpenApiParameter("before", uuid.UUID, description="Those made before this one; take it from `next`."),
    parameters.LIMIT,
]


class DeliverySerializer(serializers.ModelSerializer[Delivery]):
    """A message to a webhook."""

    body = serializers.CharField(help_text="What is sent, to the byte.")

    class Meta:
        model = Delivery
        fields = read_only_fields = (
            "id", "kind", "state", "attempts", "status", "error", "due_at", "created_at", "attempted_at", "ended_at",
            "body",
        )  # fmt: skip


class DeliveryPage(serializers.Serializer[Any]):
    """Some of the deliveries."""

    next = serializers.URLField(allow_null=True, help_text="The URL of those made before; null where there is none.")
    results = DeliverySerializer(many=True)


class ReplayBody(Body):
    """From where to send again."""

    after = Text(max_length=40)


class DeliveryList(APIView):
    """What was sent to a webhook."""

    errors = {"GET": (404,)}

    @extend_schema(
        operation_id="list_deliveries",
        summary="List what was sent to a webhook",
        description="Newest first, in pages: follow `next` until it is null. They are kept as long as the events.",
        parameters=PAGE,
        responses={200: OpenApiResponse(DeliveryPage, "A page.")},
        tags=["events"],
    )
    def get(self, request: Request, pk: uuid.UUID) -> Response:
        """Answer with a page."""
        parameters.check(request, ("state", "before", "limit"))
        state = parameters.one_of(request, "state", Delivery.State.values)
        deliveries = Delivery.objects.filter(webhook=find(pk))
        page, url = parameters.newest(request, deliveries.filter(state=state) if state else deliveries)
        return Response({"next": url, "results": DeliverySerializer(page, many=True).data})


class DeliveryReplay(APIView):
    """One message once more."""

    errors = {"POST": (404,)}

    @extend_schema(
        operation_id="replay_delivery",
        summary="Send one message again",
        description="The same, with the same `webhook-id`, whatever became of it, and with all its tries. It goes out "
        "once the webhook is on. It takes no body.",
        parameters=[ID, DELIVERY],
        request=None,
        responses={202: OpenApiResponse(DeliverySerializer, "The delivery, pending.")},
        tags=["events"],
    )
    def post(self, request: Request, pk: uuid.UUID, delivery: uuid.UUID) -> Response:
        """Have it sent."""
        found = Delivery.objects.filter(webhook=pk, pk=delivery).first()
        if found is None:
            raise Http404("There is no delivery with this id at this webhook.")
        found.again()
        found.refresh_from_db()
        return Response(DeliverySerializer(found).data, status=202)


class WebhookReplay(APIView):
    """Everything since a position once more."""

    errors = {"POST": (404, 409, 415)}

    @extend_schema(
        operation_id="replay_webhook",
        summary="Send everything since a position again",
        description="It goes on after this position of the log. An event that was sent before is sent again with the "
        "same `webhook-id`; one later than where it was is left out.",
        parameters=[ID],
        request={"application/json": REPLAY},
        responses={202: OpenApiResponse(WebhookSerializer, "The webhook at that position.")},
        tags=["events"],
    )
    def post(self, request: Request, pk: uuid.UUID) -> Response:
        """Go there."""
        webhook = find(pk)
        asked = ReplayBody(data=request.data)
        asked.is_valid(raise_exception=True)
        webhook.replay(position_of(asked.validated_data["after"], "after"))
        return Response(WebhookSerializer(find(pk)).data, status=202)


class WebhookTest(APIView):
    """A message that tells of nothing."""

    errors = {"POST": (404,)}

    @extend_schema(
        operation_id="test_webhook",
        summary="Send a message to try a webhook",
        description="Of the type `webhook.test`; its delivery shows what came of it. It goes out once the webhook is "
        "on. It takes no body.",
        parameters=[ID],
        request=None,
        responses={202: OpenApiResponse(DeliverySerializer, "The delivery.")},
        tags=["events"],
    )
    def post(self, request: Request, pk: uuid.UUID) -> Response:
        """Have it sent."""
        delivery = find(pk).test()
        delivery.refresh_from_db()
        return Response(DeliverySerializer(delivery).data, status=202)
