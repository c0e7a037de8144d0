"""Times, as they are written for others to read."""

from __future__ import annotations

from datetime import datetime


def written(moment: datetime) -> str:
    """Write a time in UTC down as Django REST framework does, whose serializers write the others."""
    return moment.isoformat().replace("+00:00", "Z")
