"""``manage.py doctor``: say what is wrong, and mend it."""

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.db import Error as DatabaseError

from ... import doctor
from ...outages import database_trouble


class Command(BaseCommand):
    help = (
        "Check every part, every row, and every row against its bytes. Exit status 0 if all is well, 1 if something is "
        "wrong or, with --repair, is left wrong. It is safe while Picasso runs."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--repair", action="store_true", help="Mend what can be mended; no File is ever deleted.")
        parser.add_argument("--quick", action="store_true", help="Look at sizes alone, without reading the files.")

    def handle(self, *args: Any, **options: Any) -> None:
        wrong = mended = 0
        try:
            for finding in doctor.examine(repair=options["repair"], quick=options["quick"], progress=self._progress):
                self._clear()
                self.stdout.write(f"{'mended' if finding.mended else 'wrong '}  {finding.sentence}")
                mended += finding.mended
                wrong += not finding.mended
        except DatabaseError as error:
            self._clear()
            self.stdout.write(f"wrong   {database_trouble(error)} The examination ends here.")
            wrong += 1
        except KeyboardInterrupt:
            raise SystemExit(130) from None
        self._clear()
        if wrong or mended:
            self.stdout.write(f"{wrong} wrong, {mended} mended.")
        else:
            self.stdout.write("All is well.")
        if wrong:
            raise SystemExit(1)

    def _progress(self, what: str, done: int, total: int) -> None:
        if sys.stderr.isatty():
            self.stderr.write(f"\r{done:,} of {total:,} {what}\033[K", ending="")
            self.stderr.flush()

    def _clear(self) -> None:
        if sys.stderr.isatty():
            self.stderr.write("\r\033[K", ending="")
