"""What the search knows of a File: its name and the text that its processors found."""

from __future__ import annotations

from django.contrib.postgres.search import SearchVectorField
from django.db import models

from .files import File


class Entry(models.Model):
    """One File in the index. On SQLite the words are in an FTS5 table beside it, under the same id."""

    file = models.OneToOneField(File, models.CASCADE, related_name="entry")
    texts = models.JSONField(default=dict, help_text="Each text by who found it; the name by nobody.")
    words = SearchVectorField(null=True)

    def __str__(self) -> str:
        return f"the words of {self.file_id}"
