"""The endpoints of backfills: what they are to do, how far they are, and starting, pausing and stopping them."""

from __future__ import annotations

import uuid

from django.http import Http404
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse
from rest_framework.views import APIView

from ..backfills import asking
from ..models import Backfill
from . import parameters
from .backfill_serializers import BODY, NAME, BackfillSerializer, BackfillWhole, Order, Page

ID = OpenApiParameter("id", uuid.UUID, "path", description="The id of the backfill.")
LOCATION = OpenApiParameter("Location", str, "header", description="The URL of the backfill.", response=[201, 202])
FILTERS = ("state", "kind", "processor", "before", "limit")
PARAMETERS = [
    OpenApiParameter("state", {"type": "string", "enum": Backfill.State.values}, description="Those in this state."),
    OpenApiParameter("kind", {"type": "string", "enum": Backfill.Kind.values}, description="Those of this kind."),
    OpenApiParameter("processor", NAME, description="Those of this processor."),
    OpenApiParameter("before", uuid.UUID, description="Those planned before this one; take it from `next`."),
    parameters.LIMIT,
]


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
        }
        found = Backfill.objects.filter(**{name: value for name, value in asked.items() if value is not None})
        page, url = parameters.newest(request, found)
        return Response({"next": url, "results": BackfillSerializer(page, many=True).data})

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
