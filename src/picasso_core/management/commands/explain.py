"""``manage.py explain``: why a file is as it is."""

import uuid
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from ...explain import explain


class Command(BaseCommand):
    help = "Say how a file's media type was found, and what each processor does with it and why."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("id", type=uuid.UUID, metavar="ID", help="The id of the file.")

    def handle(self, *args: Any, **options: Any) -> None:
        explanation = explain(options["id"])
        if explanation is None:
            raise CommandError("There is no file with this id.")
        self.stdout.write(f"{explanation.file.name} is {explanation.file.status}. {explanation.finding.sentence}")
        for each in explanation.processors:
            self.stdout.write(f"\n{each.processor}: {each.finding.sentence}")
            for told in each.jobs:
                shown = "" if told.job.current else " (not shown)"
                at = told.finding.next_try_at
                again = f" Not before {at:%Y-%m-%d %H:%M:%S} UTC." if at else ""
                self.stdout.write(f"  version {told.job.version}{shown}: {told.finding.sentence}{again}")
