"""The processors: what the workers can run, what keeps the others from it, and what an operator decides about them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db.models.functions import Now
from django.http import Http404
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse, extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail, ParseError, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from .. import standing, switching
from ..models import Offer, Switch
from ..standing import Standing
from .errors import DoesNotFit

LISTED = timedelta(days=30)
"""For so long an absent processor is listed, unless an operator has it forgotten."""
PATTERN = r"^([A-Za-z0-9][A-Za-z0-9!#$&^_.+-]*)/(\*|[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]*)$"
PATTERNS = {
    "type": "array",
    "maxItems": switching.MOST_PATTERNS,
    "items": {"type": "string", "maxLength": 255, "pattern": PATTERN},
}
LIMITS: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        name: {"type": "integer", "minimum": least, "maximum": switching.LARGEST}
        for name, least in switching.LEAST.items()
    },
}
BODY = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "enabled": {"type": "boolean"},
        "excluded": PATTERNS,
        "limits": {**LIMITS, "description": "All that there are to be; `{}` for none."},
        "pinned": {"type": ["string", "null"], "minLength": 1, "maxLength": 64, "pattern": r"^[^\u0000]*$"},
        "upgrades": {"type": ["string", "null"], "enum": [*Switch.Upgrades.values, None]},
    },
}
NAME = OpenApiParameter("name", str, "path", description="The name of the processor.")


@extend_schema_field({"type": "array", "items": {"type": "string"}})
class Texts(serializers.ListField):
    """A list of strings."""


@extend_schema_field({"type": "object", "additionalProperties": {"type": ["number", "null"]}})
class OwnLimits(serializers.DictField):
    """What a run may use, by the processor's own word."""


@extend_schema_field(LIMITS)
class LowerLimits(serializers.DictField):
    """What a run may use, by an operator's."""


class SwitchSerializer(serializers.Serializer[Switch]):
    """What an operator has decided about a processor, in whatever version and on whatever queue."""

    enabled = serializers.BooleanField(help_text="Off: its Jobs wait, and no new ones are made.")
    excluded = Texts(help_text="Media types that it is not given, such as `image/*`.")
    limits = LowerLimits(
        help_text="Limits lower than its own and those of the settings; larger files than `max_bytes` get no Job."
    )
    pinned = serializers.CharField(
        allow_null=True,
        help_text="This version stays in force while a worker has it, whatever is newer; null for the newest.",
    )
    upgrades = serializers.ChoiceField(
        Switch.Upgrades.values,
        allow_null=True,
        help_text="What a new version does with the files that are there; null for what the settings say.",
    )

    def to_representation(self, switch: Switch) -> dict[str, Any]:
        """Show what has not been decided as null."""
        return super().to_representation(switch) | {
            "pinned": switch.pinned or None,
            "upgrades": switch.upgrades or None,
        }


class OfferSerializer(serializers.Serializer[Standing]):
    """One version of a processor on one queue."""

    processor = serializers.CharField(source="offer.processor")
    version = serializers.CharField(source="offer.version", help_text="Empty for one that cannot be imported.")
    distribution = serializers.CharField(source="offer.distribution")
    media_types = Texts(source="offer.media_types", help_text="What it accepts; `image/*` is all images.")
    limits = OwnLimits(source="offer.limits", help_text="What its process may use: seconds, bytes.")
    queue = serializers.CharField(source="offer.queue")
    state = serializers.ChoiceField(
        standing.STATES,
        help_text="`ready`: files reach it; `arriving`: not every worker of its queue has it yet; `superseded`: "
        "another version is in force; `absent`: no worker has it any more.",
    )
    reason = serializers.CharField(help_text="Why its state is what it is; empty where there is nothing to say.")
    active = serializers.BooleanField(help_text="Whether files that it takes get a Job for it.")
    workers = serializers.IntegerField(help_text="How many live workers have it.")
    slots = serializers.IntegerField(help_text="How many files those work on at a time.")
    error = serializers.CharField(source="offer.error", help_text="Why it is broken.")
    first_seen = serializers.DateTimeField(source="offer.first_seen")
    last_seen = serializers.DateTimeField(source="offer.last_seen")


class ProcessorSerializer(OfferSerializer):
    """One version of a processor on one queue, with what concerns all its versions."""

    waiting_jobs = serializers.SerializerMethodField(
        help_text="How many Jobs wait for the processor, in whatever version."
    )
    switch = SwitchSerializer()

    def get_waiting_jobs(self, each: Standing) -> int:
        """Look it up."""
        waiting: dict[str, int] = self.context["waiting"]
        return waiting.get(each.offer.processor, 0)


class ProcessorWhole(serializers.Serializer[Any]):
    """A processor with all its versions that there have been."""

    processor = serializers.CharField()
    waiting_jobs = serializers.IntegerField(help_text="How many Jobs wait for it.")
    switch = SwitchSerializer()
    offers = OfferSerializer(many=True, help_text="The newest first.")


class ProcessorList(APIView):
    """What the workers can run, and what is broken and why."""

    @extend_schema(
        operation_id="list_processors",
        summary="What can be run",
        description="What the workers can run; what is broken, absent or switched off, why, and how many Jobs wait.",
        responses={200: OpenApiResponse(ProcessorSerializer(many=True), "All of them.")},
        tags=["service"],
    )
    def get(self, request: Request) -> Response:
        """Answer with all but those that have been absent for long."""
        gone = set(Offer.objects.filter(withdrawn=True, last_seen__lt=Now() - LISTED).values_list("pk", flat=True))
        listed = [each for each in standing.read() if each.offer.pk not in gone]
        context = {"waiting": standing.waiting_jobs()}
        many: Any = listed
        return Response(ProcessorSerializer(many, many=True, context=context).data)


class ProcessorDetail(APIView):
    """One processor, and the switch of it."""

    errors = {"GET": (404,), "PATCH": (404, 409, 415)}

    @extend_schema(
        operation_id="get_processor",
        summary="Look at a processor",
        description="With every version that there has been, on whatever queue.",
        parameters=[NAME],
        responses={200: OpenApiResponse(ProcessorWhole, "The processor.")},
        tags=["service"],
    )
    def get(self, request: Request, name: str) -> Response:
        """Answer with it."""
        try:
            switching.known(name)
        except switching.UnknownProcessor as error:
            raise Http404(str(error)) from None
        return Response(_whole(name))

    @extend_schema(
        operation_id="switch_processor",
        summary="Switch a processor off or on, or bound it",
        description=(
            "What is left out stays as it is. It holds without a restart and from the next claim on; what runs is not "
            "disturbed. Switched off, its Jobs wait until it is on again. Files that are excluded get no Job, and one "
            "that is queued is cancelled when its turn comes."
        ),
        parameters=[NAME],
        request={"application/json": BODY},
        responses={200: OpenApiResponse(ProcessorWhole, "The processor.")},
        examples=[OpenApiExample("off", {"enabled": False}, request_only=True)],
        tags=["service"],
    )
    def patch(self, request: Request, name: str) -> Response:
        """Take the decisions and answer with the processor."""
        if not isinstance(request.data, dict):
            raise ParseError("The body is no JSON object.", "no_object")
        try:
            switching.decide(name, request.data)
        except switching.UnknownProcessor as error:
            raise Http404(str(error)) from None
        except switching.Refused as refused:
            details = {field: ErrorDetail(each.sentence, each.code) for field, each in refused.mistakes.items()}
            raise (DoesNotFit if refused.unfit else ValidationError)(details) from None
        return Response(_whole(name))


def _whole(name: str) -> dict[str, Any]:
    offers = [each for each in standing.read() if each.offer.processor == name]
    whole: Any = {
        "processor": name,
        "waiting_jobs": standing.waiting_jobs().get(name, 0),
        "switch": offers[0].switch if offers else Switch(),
        "offers": offers,
    }
    return dict(ProcessorWhole(whole).data)
