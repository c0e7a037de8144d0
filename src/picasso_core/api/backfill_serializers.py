"""Backfills as JSON: with their plan, with how far they are, and as they are asked for."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from drf_spectacular.utils import OpenApiExample, extend_schema_field, extend_schema_serializer
from rest_framework import serializers

from ..backfills import progress
from ..models import Backfill
from .bodies import Body, Flag, Text, Word

NAME = {"type": "string", "minLength": 1, "maxLength": 64, "pattern": r"^[^\u0000]*$"}
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
