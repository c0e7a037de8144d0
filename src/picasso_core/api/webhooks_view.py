"""The endpoints of webhooks: who is told of events."""

from __future__ import annotations

import re
import uuid
from typing import Any

from django.http import Http404
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse
from rest_framework.views import APIView

from ..models import Event, Webhook
from ..webhooks.sending import URL
from . import parameters
from .bodies import Body, Flag, List, Text, Word
from .errors import TooManyWebhooks

MOST = 100
ID = OpenApiParameter("id", uuid.UUID, "path", description="The id of the webhook.")
LOCATION = OpenApiParameter("Location", str, "header", description="The URL of the webhook.", response=[201])
MEMBERS: dict[str, Any] = {
    "url": {
        "type": "string",
        "maxLength": 2000,
        "pattern": URL,
        "description": "Where to send events to. Nothing is sent to private addresses unless the operator allows it.",
    },
    "kinds": {
        "type": "array",
        "maxItems": len(Event.Kind.values),
        "items": {"type": "string", "enum": Event.Kind.values},
        "description": "Which kinds of events; none, or left out, is all.",
    },
    "enabled": {"type": "boolean", "description": "Off: nothing is sent, and it goes on where it was when on again."},
}
NEW = {"type": "object", "required": ["url"], "properties": MEMBERS, "additionalProperties": False}
CHANGES = {"type": "object", "properties": MEMBERS, "additionalProperties": False}


class WebhookSerializer(serializers.ModelSerializer[Webhook]):
    """Who is told of events."""

    kinds = serializers.ListField(
        child=serializers.ChoiceField(Event.Kind.choices), help_text="The kinds of events it is told of; [] is all."
    )
    position = serializers.CharField(help_text="How far it has come in the log: deliveries are made up to there.")

    class Meta:
        model = Webhook
        fields = read_only_fields = (
            "id", "url", "kinds", "enabled", "reason", "failing_since", "position", "created_at",
        )  # fmt: skip


class WebhookWithSecret(WebhookSerializer):
    """A new webhook."""

    class Meta(WebhookSerializer.Meta):
        fields = read_only_fields = (*WebhookSerializer.Meta.fields, "secret")  # type: ignore[assignment]
        extra_kwargs = {"secret": {"help_text": "What its messages are signed with; shown here and never again."}}


class WebhookBody(Body):
    """What somebody asks for."""

    url = Text(max_length=2000)
    kinds = List(child=Word(Event.Kind.values), max_length=len(Event.Kind.values), required=False)
    enabled = Flag(required=False)

    def validate_url(self, url: str) -> str:
        """Hold it against what is sent to. Raises ``ValidationError``."""
        return matching(URL, url, "Write a URL such as https://example.org/path, without a user and a fragment.")

    def validate_kinds(self, kinds: list[str]) -> list[str]:
        """Have each once."""
        return sorted(set(kinds))


def matching(pattern: str, text: str, sentence: str) -> str:
    """Return a text that matches wholly. Raises ``ValidationError``."""
    if not re.fullmatch(pattern, text, re.ASCII):
        raise serializers.ValidationError(sentence, "invalid")
    return text


class WebhookList(APIView):
    """All webhooks."""

    errors = {"POST": (409, 415)}

    @extend_schema(
        operation_id="list_webhooks",
        summary="List the webhooks",
        description=f"Without their secrets; there are {MOST} at the most.",
        responses={200: OpenApiResponse(WebhookSerializer(many=True), "All of them, the oldest first.")},
        tags=["events"],
    )
    def get(self, request: Request) -> Response:
        """Answer with all."""
        parameters.check(request, ())
        return Response(WebhookSerializer(Webhook.objects.order_by("pk"), many=True).data)

    @extend_schema(
        operation_id="make_webhook",
        summary="Have events sent to a URL",
        description="From now on, each as a POST that is signed as Standard Webhooks has it. The secret to verify it "
        "with is in the answer, and nowhere else. A webhook that has failed for three days is switched off.",
        parameters=[LOCATION],
        request={"application/json": NEW},
        responses={201: OpenApiResponse(WebhookWithSecret, "The webhook with its secret.")},
        tags=["events"],
    )
    def post(self, request: Request) -> Response:
        """Make one."""
        asked = WebhookBody(data=request.data)
        asked.is_valid(raise_exception=True)
        if Webhook.objects.count() >= MOST:
            raise TooManyWebhooks(f"There are {MOST} webhooks, and no more are taken.")
        here = Event.objects.horizon()
        webhook = Webhook(**asked.validated_data, xid=here.xid, event=here.id)
        webhook.save(force_insert=True)
        webhook.refresh_from_db()
        location = reverse("webhook", args=[webhook.pk], request=request)
        return Response(WebhookWithSecret(webhook).data, status=201, headers={"Location": location})


class WebhookDetail(APIView):
    """One webhook."""

    errors = {"GET": (404,), "PATCH": (404, 415), "DELETE": (404,)}

    @extend_schema(
        operation_id="get_webhook",
        summary="Look at a webhook",
        description="Without its secret.",
        parameters=[ID],
        responses={200: OpenApiResponse(WebhookSerializer, "The webhook.")},
        tags=["events"],
    )
    def get(self, request: Request, pk: uuid.UUID) -> Response:
        """Answer with it."""
        return Response(WebhookSerializer(find(pk)).data)

    @extend_schema(
        operation_id="change_webhook",
        summary="Change a webhook, switch it off or on",
        description="What is left out stays as it is. Switched on, it goes on where it was.",
        parameters=[ID],
        request={"application/json": CHANGES},
        responses={200: OpenApiResponse(WebhookSerializer, "The webhook.")},
        tags=["events"],
    )
    def patch(self, request: Request, pk: uuid.UUID) -> Response:
        """Change it."""
        webhook = find(pk)
        asked = WebhookBody(data=request.data, partial=True)
        asked.is_valid(raise_exception=True)
        changes = asked.validated_data
        if "enabled" in changes:
            webhook.switch(changes.pop("enabled"))
        if changes:
            Webhook.objects.filter(pk=pk).update(**changes)
        return Response(WebhookSerializer(find(pk)).data)

    @extend_schema(
        operation_id="delete_webhook",
        summary="Delete a webhook",
        description="With its deliveries, also those that have not been sent.",
        parameters=[ID],
        responses={204: OpenApiResponse(description="It is gone.")},
        tags=["events"],
    )
    def delete(self, request: Request, pk: uuid.UUID) -> Response:
        """Remove it."""
        find(pk).delete()
        return Response(status=204)


def find(pk: uuid.UUID) -> Webhook:
    """Return a webhook. Raises ``Http404``."""
    webhook = Webhook.objects.filter(pk=pk).first()
    if webhook is None:
        raise Http404("There is no webhook with this id.")
    return webhook
