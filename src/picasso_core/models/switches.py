"""What an operator has decided about a processor; without a row everything is as its plugin says."""

from __future__ import annotations

from functools import cache
from typing import Any, ClassVar

from django.db import models

from ..processors import accepts
from .statements import Statement


class Switches(models.QuerySet["Switch"]):
    """The decisions about all processors."""

    def by_processor(self) -> dict[str, Switch]:
        """Return all of them; there are as many as processors at the most."""
        return {switch.processor: switch for switch in _all().objects(Switch)}


@cache
def _all() -> Statement:
    return Statement.select(Switch.objects.order_by("processor"))


class Switch(models.Model):
    """What an operator has decided about one processor, in whatever version and on whatever queue."""

    class Upgrades(models.TextChoices):
        AUTO = "auto", "run on the files that are there"
        ASK = "ask", "planned, and started by a person"
        OFF = "off", "new files alone"

    processor = models.CharField(max_length=64, primary_key=True)
    enabled = models.BooleanField(default=True, help_text="Off: its Jobs wait, and no new ones are made.")
    excluded = models.JSONField(default=list, help_text="Media types that it is not given, such as image/*.")
    limits = models.JSONField(default=dict, help_text="Limits lower than its own.")
    pinned = models.CharField(max_length=64, blank=True, help_text="This version stays in force, whatever is newer.")
    upgrades = models.CharField(
        max_length=8, choices=Upgrades, blank=True, help_text="What a new version does with the files that are there."
    )

    objects: ClassVar[Any] = Switches.as_manager()

    def __str__(self) -> str:
        return f"{self.processor} {'on' if self.enabled else 'off'}"

    def excludes(self, media_type: str) -> bool:
        """Whether files of this type are kept from the processor."""
        return bool(self.excluded) and accepts(self.excluded, media_type)

    def takes(self, media_type: str, size: int) -> bool:
        """Whether a file of this type and size in bytes may be given to the processor."""
        return not self.excludes(media_type) and size <= (self.limits.get("max_bytes") or size)
