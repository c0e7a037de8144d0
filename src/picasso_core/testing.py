"""A kit for the tests of processors: no Django, no Celery, no sandbox."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .exceptions import ProcessorError
from .plugins import problems
from .processors import ARTIFACT_NAME, Bounds, Processor, Result, SourceFile, accepts


@contextmanager
def source_file(
    content: bytes | Path, *, name: str = "sample", media_type: str, bounds: Bounds | None = None
) -> Iterator[SourceFile]:
    """Make the ``SourceFile`` that a processor would get for ``content``: bytes, or the path of a file."""
    with tempfile.TemporaryDirectory(prefix="picasso-test-") as folder:
        path = content if isinstance(content, Path) else Path(folder, "input")
        if isinstance(content, bytes):
            path.write_bytes(content)
        body = path.read_bytes()
        workdir = Path(folder, "work")
        workdir.mkdir()
        yield SourceFile(
            path=path,
            name=name,
            media_type=media_type,
            size=len(body),
            sha256=hashlib.sha256(body).hexdigest(),
            workdir=workdir,
            bounds=bounds or Bounds(),
        )


def check_processor(processor: Processor, samples: dict[str, bytes | Path]) -> None:
    """Hold ``processor`` against the contract with ``samples``, a mapping of media type to a good file of it.

    Each sample gives a result that is JSON and the same twice; nothing, half of it and noise give a result or a
    ``ProcessorError``, never a crash. Raises ``AssertionError`` with a sentence.
    """
    for problem in problems(processor):
        raise AssertionError(problem)
    assert samples, "there are no samples: give at least one good file"
    for media_type, sample in samples.items():
        assert accepts(processor.media_types, media_type), f"{media_type} is not among the media_types"
        first, second = (_run(processor, sample, media_type) for _ in range(2))
        assert first == second, f"two runs on the same {media_type} sample differ: {first!r} and {second!r}"
        body = sample.read_bytes() if isinstance(sample, Path) else sample
        for broken in (b"", body[: len(body) // 2], bytes(reversed(body))):
            try:
                _run(processor, broken, media_type)
            except ProcessorError as error:
                assert str(error), f"{type(error).__name__} without a sentence for its reader"


def _run(processor: Processor, content: bytes | Path, media_type: str) -> tuple[str, list[tuple[str, str, bytes]]]:
    """Run once and return the data as JSON and the artifacts with their bytes, so that two runs can be compared."""
    with source_file(content, media_type=media_type) as file:
        result = processor.process(file)
        assert isinstance(result, Result), f"process() returned {type(result).__name__}, not Result"
        artifacts = []
        for artifact in result.artifacts:
            assert ARTIFACT_NAME.fullmatch(artifact.name), f"{artifact.name!r} is no artifact name"
            inside = artifact.path.parent == file.workdir
            assert inside, f"artifact {artifact.name!r} does not lie directly in the workdir"
            artifacts.append((artifact.name, artifact.media_type, artifact.path.read_bytes()))
        try:
            return json.dumps(result.data, sort_keys=True, allow_nan=False), artifacts
        except (TypeError, ValueError) as error:
            raise AssertionError(f"the data is not JSON: {error}") from error
