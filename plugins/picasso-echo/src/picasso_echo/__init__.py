"""The smallest Picasso processor: it gives back what it reads. Its first line may also steer it, for tests.

An echo file starts with the line ``picasso-echo``. The second line is a command or any text.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import ClassVar

from picasso_core.exceptions import Declined, InvalidFile, MissingDependency, TemporaryFailure
from picasso_core.processors import Artifact, Limits, MiB, Processor, Result, SourceFile

MAGIC = b"picasso-echo\n"
MEDIA_TYPE = "application/vnd.picasso.echo"


class EchoProcessor(Processor):
    """Give back the text of an echo file, as data and as an artifact."""

    media_types: ClassVar = {MEDIA_TYPE}
    signatures: ClassVar = [(0, MAGIC, MEDIA_TYPE)]
    limits = Limits(seconds=5, cpu_seconds=3, memory=256 * MiB, output=16 * MiB)
    samples = Path(__file__).parent / "samples"

    def process(self, file: SourceFile) -> Result:
        with file.open() as stream:
            text = stream.read(MiB).removeprefix(MAGIC).decode("utf-8", "replace")
        obey(*text.splitlines()[0:1])
        copy = file.workdir / "echo.txt"
        copy.write_text(text)
        return Result(data={"text": text}, artifacts=[Artifact(name="echo.txt", path=copy, media_type="text/plain")])


def obey(command: str = "") -> None:
    """End as ``command`` asks: ``raise NAME``, ``sleep SECONDS``, ``spin``, ``eat``, ``exit`` or ``signal NAME``."""
    verb, _, argument = command.partition(" ")
    match verb:
        case "raise":
            errors = (InvalidFile, Declined, TemporaryFailure, MissingDependency, ValueError, MemoryError, SystemExit)
            raise next(error for error in errors if error.__name__ == argument)("The echo file asked for it.")
        case "sleep":
            time.sleep(float(argument))
        case "spin":
            while True:
                pass
        case "eat":
            hoard = []
            while True:
                hoard.append(bytearray(16 * MiB))
        case "exit":
            os._exit(int(argument or 0))
        case "signal":
            os.kill(os.getpid(), signal.Signals[argument])
