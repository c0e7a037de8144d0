"""The text processor: which encoding, how much text, and the same text in UTF-8."""

from __future__ import annotations

from pathlib import Path

from picasso_core.exceptions import Declined
from picasso_core.processors import Artifact, Limits, MiB, Processor, Result, SourceFile

from .counting import TextCounter
from .decoding import Decoder
from .encoding import Encoding, find_encoding
from .media_types import TEXT_TYPES

MAX_TEXT = 200 * MiB
# Logs hold stray control characters; every tenth byte of compressed or random data is one.
MAX_CONTROLS = 0.05


class TextProcessor(Processor):
    """Find a text's encoding, count its lines and words, and keep it in UTF-8."""

    media_types = TEXT_TYPES
    limits = Limits(seconds=120, cpu_seconds=60)
    preload = ("picasso_text.warm_up",)
    samples = Path(__file__).parent / "samples"

    def process(self, file: SourceFile) -> Result:
        """Read ``file`` once for its encoding and once for its text."""
        encoding = find_encoding(file.path)
        decoder = Decoder(file.path, encoding.codec)
        counter = TextCounter()
        path = file.workdir / "text.txt"
        cut = _write(path, file, decoder, counter)
        if counter.controls > counter.characters * MAX_CONTROLS:
            raise Declined("The file holds so many control characters that it is not text.")
        artifacts = [Artifact(name="text.txt", path=path, media_type="text/plain")] if counter.characters else []
        data = {
            "encoding": encoding.name,
            "confidence": encoding.confidence,
            "detected_as": encoding.detected_as,
            "bom": encoding.bom,
            **counter.facts(),
        }
        return Result(data=data, artifacts=artifacts, warnings=_warnings(encoding, decoder, cut))


def _write(path: Path, file: SourceFile, decoder: Decoder, counter: TextCounter) -> bool:
    """Write the text in UTF-8 and count it; True where it went on after the file was full."""
    written, cut = 0, False
    with path.open("wb") as output:
        for text in decoder:
            encoded = text.encode("utf-8", "replace")
            counter.add(text, encoded)
            cut = cut or written + len(encoded) > MAX_TEXT
            if not cut:
                written += output.write(encoded)
            file.progress(decoder.done, file.size)
    counter.finish()
    return cut


def _warnings(encoding: Encoding, decoder: Decoder, cut: bool) -> list[str]:
    """Tell the uploader what was lost."""
    warnings = []
    if decoder.undecodable:
        warnings.append(f"Bytes that do not fit {encoding.name} were replaced: {decoder.undecodable:,}.")
    if cut:
        warnings.append(f"text.txt ends after {MAX_TEXT // MiB} MiB; the text is longer and was counted to its end.")
    return warnings
