"""What the commands that run until they are stopped share."""

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from ..processes import die_with_parent


class LongRunningCommand(BaseCommand):
    """A command that ends with the process that started it, if it is told which one that is."""

    def add_arguments(self, parser: CommandParser) -> None:
        """Add ``--parent``."""
        parser.add_argument("--parent", type=int, help="Process id of the parent, with which this process ends.")

    def execute(self, *args: Any, **options: Any) -> str | None:
        """Bind this process to its parent before anything else."""
        if options["parent"]:
            die_with_parent(options["parent"])
        return super().execute(*args, **options)
