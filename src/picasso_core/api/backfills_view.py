"""The endpoints of backfills: what they are to do, how far they are, and starting, pausing and stopping them."""

from __future__ import annotations

import uuid
from dataclasses import asdict
from typing import Any

from django.http import Http404
from drf_spectacular.utils import (
    OpenApiExample,
    OpenApiParameter,
    OpenApiResponse,
    extend_schema,
    extend_schema_field,
    extend_schema_serializer,
)
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse
from rest_framework.utils.urls import replace_query_param
from rest_framework.views import APIView

from ..backfills import asking, progress
from ..models import Backfill
from . import parameters
from .bodies import Body, Flag, Text, Word

ID = OpenApiParameter("id", uuid.UUID, "path", description="The id of the backfill.")
LOCATION = OpenApiParameter("Location", str, "header", description="The URL of the backfill.", response=[201, 202])
NAME = {"type": "string", "minLength": 1, "maxLength": 64, "pattern": r"^[^\u0000]*$"}
FILTERS = ("state", "kind", "processor", "before", "limit")
PARAMETERS = [
    OpenApiParameter("state", {"type": "string", "enum": Backfill.State.values}, description="Those in this state."),
    OpenApiParameter("kind", {"type": "string", "enum": Backfill.Kind.values}, description="Those of this kind."),
    OpenApiParameter("processor", NAME, description="Those of this processor."),
    OpenApiParameter("before", uuid.UUID, description="Those planned before this one; take it from `next`."),
    OpenApiParameter("limit", parameters.LIMIT, description="How many at the most; more than 1,000 counts as 1,000."),
]
START = {"type": "boolean", "default": False, "description": "Begin at once instead of waiting to be started."}
BODY: dict[str, Any] = {
    "oneOf": [
        {
            "title": "Run a processor on the files that have no Job of its version",
            "type": "object",
            "required": ["processor"],
            "properties": {
                "kind": {"type": "string", "enum": ["process"], "default": "process"},
                "processor": {**NAME, "description": "Its version in force is taken."},
                "start": START,
            },
            "additionalProperties": False,
        },
        {
            "title": "Show the results of one version, where it succeeded",
            "type": "object",
            "required": ["kind", "processor", "version"],
            "properties": {
                "kind": {"type": "string", "enum": ["repoint"]},
                "processor": NAME,
                "version": {**NAME, "description": "Which need not be installed any more."},
                "start": START,
            },
            "additionalProperties": False,
        },
        {
            "title": "Identify again what no format was found for",
            "type": "object",
            "required": ["kind"],
            "properties": {"kind": {"type": "string", "enum": ["identify"]}, "start": START},
            "additionalProperties": False,
        },
    ]
}
EXAMPLE = {
    "id": "019e1b6c-2f6a-7cc3-98c4-dc0c0c07398f",
    "kind": "process",
    "processor": "shout",
    "version": "2",
    "previous": "1",
    "cause": "upgraded",
    "state": "running",
    "plan": {"files": 1000, "bytes": 52428800, "seconds": 40.0},
    "taken_up": 700,
    "counts": {},
    "planned_at": "2026-11-24T12:00:00.123456Z",
    "started_at": "2026-11-24T12:05:00.123456Z",
    "finished_at": None,
}
"""Of a list; one by itself has its progress as well."""
PROGRESS = {
    "taken_up": 700,
    "done": 250,
    "states": {"queued": 448, "running": 2, "succeeded": 249, "failed": 1},
    "failed": 1,
    "remaining": 750,
    "ran_seconds": 10.0,
    "rate": 25.0,
    "eta_seconds": 30.0,
    "waits_for": None,
}


class PlanSerializer(serializers.Serializer[Backfill]):
    """What a backfill was to do when it was planned."""

    files = serializers.IntegerField(help_text="How many files.")
    bytes = serializers.IntegerField(help_text="How large they are together.")
    seconds = serializers.FloatField(
        allow_null=True, help_text="How long that takes at the rate measured so far; null if nothing is known of it."
    )


class ObstacleSerializer(serializers.Serializer[progress.Obstacle]):
    """Why a backfill does not go on."""

    code = serializers.ChoiceField(["start", "resume", "absent", "broken", "off", "worker"], help_text="For programs.")
    sentence = serializers.CharField(help_text="For people.")


class ProgressSerializer(serializers.Serializer[progress.Progress]):
    """How far a backfill is."""

    taken_up = serializers.IntegerField(help_text="How many files it has come to.")
    done = serializers.IntegerField(help_text="How many of them are over.")
    states = serializers.DictField(child=serializers.IntegerField(), help_text="How many Jobs are in each state.")
    failed = serializers.IntegerField(help_text="How many Jobs have failed.")
    remaining = serializers.IntegerField(help_text="How many files are still to be done.")
    ran_seconds = serializers.FloatField(help_text="How long it has run, pauses and waits left out.")
    rate = serializers.FloatField(allow_null=True, help_text="Files a second in that time; null before the first.")
    eta_seconds = serializers.FloatField(
        allow_null=True, help_text="When it will be through; null while it waits, and when it is over."
    )
    waits_for = ObstacleSerializer(allow_null=True, help_text="What has to happen before it goes on; null for nothing.")


@extend_schema_serializer(examples=[OpenApiExample("An upgrade", EXAMPLE)])
class BackfillSerializer(serializers.ModelSerializer[Backfill]):
    """A backfill with its plan."""

    plan = PlanSerializer(source="*", read_only=True)
    counts = serializers.DictField(
        child=serializers.IntegerField(),
        read_only=True,
        help_text="How many Jobs ended in each state, once it is done.",
    )

    class Meta:
        model = Backfill
        fields = read_only_fields = (
            "id", "kind", "processor", "version", "previous", "cause", "state", "plan", "taken_up", "counts",
            "planned_at", "started_at", "finished_at",
        )  # fmt: skip


@extend_schema_serializer(examples=[OpenApiExample("An upgrade", EXAMPLE | {"progress": PROGRESS})])
class BackfillWhole(BackfillSerializer):
    """A backfill with its plan and its progress."""

    progress = serializers.SerializerMethodField(help_text="How far it is.")

    class Meta(BackfillSerializer.Meta):
        fields = read_only_fields = (*BackfillSerializer.Meta.fields, "progress")  # type: ignore[assignment]

    @extend_schema_field(ProgressSerializer)
    def get_progress(self, backfill: Backfill) -> dict[str, Any]:
        """Say how far it is."""
        return asdict(progress.read(backfill))


@extend_schema_serializer(component_name="BackfillPage")
class Page(serializers.Serializer[Any]):
    """Some of the backfills."""

    next = serializers.URLField(allow_null=True, help_text="The URL of those planned before; null where there is none.")
    results = BackfillSerializer(many=True)


class Order(Body):
    """What somebody asks for."""

    kind = Word(Backfill.Kind.values, default=Backfill.Kind.PROCESS)
    processor = Text(max_length=64, required=False)
    version = Text(max_length=64, required=False)
    start = Flag(default=False)

    NEEDED = {Backfill.Kind.PROCESS: ("processor",), Backfill.Kind.REPOINT: ("processor", "version")}

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Hold it against its kind. Raises ``ValidationError``."""
        needed = self.NEEDED.get(attrs["kind"], ())
        errors = {
            name: serializers.ErrorDetail(f"A backfill of the kind {attrs['kind']} {what}.", code)
            for name in ("processor", "version")
            for what, code, wrong in (
                ("needs it", "required", name in needed and name not in attrs),
                ("takes none", "unknown_member", name in attrs and name not in needed),
            )
            if wrong
        }
        if errors:
            raise serializers.ValidationError(errors)
        return attrs


class BackfillList(APIView):
    """All backfills."""

    errors = {"POST": (404, 409, 415)}

    @extend_schema(
        operation_id="list_backfills",
        summary="List the backfills",
        description="Newest first, in pages: follow `next` until it is null.",
        parameters=PARAMETERS,
        responses={200: OpenApiResponse(Page, "A page.")},
        tags=["backfills"],
    )
    def get(self, request: Request) -> Response:
        """Answer with a page."""
        parameters.check(request, FILTERS)
        asked = {
            "state": parameters.one_of(request, "state", Backfill.State.values),
            "kind": parameters.one_of(request, "kind", Backfill.Kind.values),
            "processor": parameters.text(request, "processor", 64),
            "pk__lt": parameters.identifier(request, "before"),
        }
        limit = parameters.limit(request)
        found = Backfill.objects.filter(**{name: value for name, value in asked.items() if value is not None})
        page = list(found.order_by("-pk")[: limit + 1])
        url = None
        if len(page) > limit:
            url = replace_query_param(request.build_absolute_uri(), "before", str(page[limit - 1].pk))
        return Response({"next": url, "results": BackfillSerializer(page[:limit], many=True).data})

    @extend_schema(
        operation_id="plan_backfill",
        summary="Plan a backfill",
        description="It counts what there is to do, and waits to be started unless `start` is true; with nothing to "
        "do it is over at once. To go forward to a version again, take its pin back and plan a `repoint`.",
        parameters=[LOCATION],
        request={"application/json": BODY},
        responses={201: OpenApiResponse(BackfillWhole, "The backfill with its plan.")},
        tags=["backfills"],
    )
    def post(self, request: Request) -> Response:
        """Plan one."""
        order = Order(data=request.data)
        order.is_valid(raise_exception=True)
        return answer(asking.plan(**order.validated_data), request, status=201)


class BackfillDetail(APIView):
    """One backfill."""

    errors = {"GET": (404,)}

    @extend_schema(
        operation_id="get_backfill",
        summary="Look at a backfill",
        description="With its plan and how far it is, how fast, and what it waits for.",
        parameters=[ID],
        responses={200: OpenApiResponse(BackfillWhole, "The backfill.")},
        tags=["backfills"],
    )
    def get(self, request: Request, pk: uuid.UUID) -> Response:
        """Answer with it."""
        return Response(BackfillWhole(find(pk)).data)


def _door(verb: str, status: int, summary: str, description: str) -> type[APIView]:
    """Make the view that does one thing to a backfill."""

    class Door(APIView):
        errors = {"POST": (404, 409)}

        @extend_schema(
            operation_id=f"{verb}_backfill",
            summary=summary,
            description=f"{description} It takes no body.",
            parameters=[ID],
            request=None,
            responses={status: OpenApiResponse(BackfillWhole, "The backfill as it is now.")},
            tags=["backfills"],
        )
        def post(self, request: Request, pk: uuid.UUID) -> Response:
            backfill = find(pk)
            asking.act(backfill, verb)
            return Response(BackfillWhole(backfill).data, status=status)

    Door.__doc__ = summary
    return Door


Start = _door("start", 202, "Start a backfill", "What was planned begins.")
Pause = _door(
    "pause", 200, "Pause a backfill", "It takes no more files up, and what it has taken up and not begun waits."
)
Resume = _door("resume", 202, "Resume a backfill", "It goes on where it was paused.")
Cancel = _door(
    "cancel",
    200,
    "Cancel a backfill",
    "What it has done stays; what it has not begun is as if it had not been planned.",
)


class Rollback(APIView):
    """Back to the earlier version."""

    errors = {"POST": (404, 409)}

    @extend_schema(
        operation_id="roll_back_backfill",
        summary="Roll a new version back",
        description="Pins the version that was in force before, gives up what is left of this backfill, and starts a "
        "backfill after which every file shows what the earlier version found, where it found something. New files "
        "get the earlier version where a worker still has it. Asked again meanwhile, it answers the same. It takes no "
        "body.",
        parameters=[ID, LOCATION],
        request=None,
        responses={202: OpenApiResponse(BackfillWhole, "The backfill that goes back.")},
        tags=["backfills"],
    )
    def post(self, request: Request, pk: uuid.UUID) -> Response:
        """Begin to go back."""
        return answer(asking.roll_back(find(pk)), request, status=202)


def find(pk: uuid.UUID) -> Backfill:
    """Return a backfill. Raises ``Http404``."""
    backfill: Backfill | None = Backfill.objects.filter(pk=pk).first()
    if backfill is None:
        raise Http404("There is no backfill with this id.")
    return backfill


def answer(backfill: Backfill, request: Request, status: int) -> Response:
    """Answer with a backfill and where it is."""
    backfill.refresh_from_db()
    headers = {"Location": reverse("backfill", kwargs={"pk": backfill.pk}, request=request)}
    return Response(BackfillWhole(backfill).data, status=status, headers=headers)
