"""The files that Jobs leave."""

from __future__ import annotations

from functools import cache

from django.db import models

from .statements import Parameter, Statement


class Artifact(models.Model):
    """A file that a Job made, such as a thumbnail."""

    job = models.ForeignKey("Job", models.CASCADE, related_name="artifacts")
    name = models.CharField(max_length=100)
    media_type = models.CharField(max_length=255)
    size = models.PositiveBigIntegerField()
    key = models.CharField(max_length=255)

    class Meta:
        ordering = ("name",)
        constraints = (models.UniqueConstraint(fields=("job", "name"), name="one_artifact_each"),)

    def __str__(self) -> str:
        return f"{self.name} of {self.job_id}"

    def insert(self) -> None:
        """Add the row."""
        fields = {"name": self.name, "media_type": self.media_type, "size": self.size, "key": self.key}
        _insertion().rows(job=self.job_id, **fields)


@cache
def _insertion() -> Statement:
    given = {name: Parameter(Artifact, name) for name in ("job", "name", "media_type", "size", "key")}
    return Statement.insert(Artifact, given, returning=["id"])
