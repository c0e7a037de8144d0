"""Imported before files arrive: chardet reads its language models at its first answer, a tenth of a second."""

from __future__ import annotations

import chardet

chardet.detect("Überall ist es schön.".encode("cp1252"))
