"""``manage.py search``: how the index of the search stands, and making it anew."""

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from ...models import Entry, Event, File, Follower
from ...search.index import FOLLOWER, rebuild


class Command(BaseCommand):
    help = "Say how many files the search knows, or bring every file up to date in it. It is safe while Picasso runs."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--rebuild",
            action="store_true",
            help="Look at every file: for an archive whose first files are older than its log of events.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["rebuild"]:
            self._rebuild()
        else:
            self._tell()

    def _rebuild(self) -> None:
        done, total = 0, File.objects.count()
        for done in rebuild():
            if sys.stderr.isatty():
                self.stderr.write(f"\r{done:,} of {total:,} files\033[K", ending="")
                self.stderr.flush()
        if sys.stderr.isatty():
            self.stderr.write("\r\033[K", ending="")
        self.stdout.write(f"The search knows {done:,} {'file' if done == 1 else 'files'}.")

    def _tell(self) -> None:
        self.stdout.write(f"The search knows {Entry.objects.count():,} of {File.objects.count():,} files.")
        if Event.objects.after(Follower.named(FOLLOWER).position, 1):
            self.stdout.write("There are events that it has not read: a sweeper that runs does so within a second.")
