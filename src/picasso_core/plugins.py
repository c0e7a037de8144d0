"""Find the installed plugins through the entry-point group ``picasso.processors`` and hold each against the contract.

Standard library only. The worker never calls this: it runs in the sandbox's zygote, where no secret is in reach.
"""

from __future__ import annotations

import importlib
import re
import traceback
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from .processors import Limits, Processor

GROUP = "picasso.processors"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
MEDIA_TYPE = re.compile(r"(\*/\*|[a-z0-9][a-z0-9!#$&^_.+-]*/(\*|[a-z0-9][a-z0-9!#$&^_.+-]*))", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True, slots=True)
class Plugin:
    """One entry point: its processor, or the sentence that says why it cannot run."""

    name: str
    distribution: str
    """Name and version, with a space between."""
    processor: Processor | None = None
    error: str = ""
    detail: str = ""
    """The traceback behind ``error``, for the operator."""

    def describe(self) -> dict[str, Any]:
        """Say as JSON what a worker needs to know, so that it need not import the plugin."""
        description: dict[str, Any] = {
            "name": self.name,
            "distribution": self.distribution,
            "error": self.error,
            "detail": self.detail,
            "version": "",
            "media_types": [],
            "limits": asdict(Limits()),
            "signatures": [],
            "samples": "",
        }
        if self.processor is not None:
            description |= {
                "version": self.processor.version,
                "media_types": sorted(self.processor.media_types),
                "limits": asdict(self.processor.limits),
                "signatures": [[offset, mark.hex(), taught] for offset, mark, taught in self.processor.signatures],
                "samples": str(self.processor.samples or ""),
            }
        return description


def installed(
    *, skip: dict[str, str] | None = None, about_to_import: Callable[[str], None] = lambda name: None
) -> list[Plugin]:
    """Load every installed processor, sorted by name; a broken one does not stop the others.

    ``skip`` maps names that are not to be imported to the reason; ``about_to_import`` hears each name before its
    import, so that an import that ends the process can be blamed.
    """
    claims: dict[str, dict[str, EntryPoint]] = defaultdict(dict)
    for entry in entry_points(group=GROUP):
        claims[entry.name].setdefault(_distribution(entry), entry)
    plugins = []
    for name, entries in sorted(claims.items()):
        distributions = " and ".join(sorted(entries))
        if len(entries) > 1:
            error = f"{distributions} both claim the name {name!r}: uninstall one of them."
            plugins.append(Plugin(name=name, distribution=distributions, error=error))
        elif skip and name in skip:
            plugins.append(Plugin(name=name, distribution=distributions, error=skip[name]))
        else:
            about_to_import(name)
            plugins.append(_load(*entries.values()))
    return plugins


def _distribution(entry: EntryPoint) -> str:
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist else "an unknown distribution"


def _load(entry: EntryPoint) -> Plugin:
    distribution = _distribution(entry)
    try:
        if not NAME.fullmatch(entry.name):
            raise ValueError("a processor's name is at most 64 letters, digits, '.', '_' and '-'")
        processor = entry.load()()
        for problem in problems(processor):
            raise TypeError(problem)
        for module in processor.preload:
            importlib.import_module(module)
    except (Exception, SystemExit) as error:
        message = f"{distribution} cannot be used: {type(error).__name__}: {error}"
        return Plugin(name=entry.name, distribution=distribution, error=message, detail=traceback.format_exc())
    return Plugin(name=entry.name, distribution=distribution, processor=processor)


def problems(processor: object) -> Iterable[str]:
    """Yield a sentence for each way in which ``processor`` breaks the contract."""
    if not isinstance(processor, Processor):
        yield f"{type(processor).__name__} is not a subclass of picasso_core.processors.Processor"
        return
    media_types = getattr(processor, "media_types", None)
    if not media_types or isinstance(media_types, str):
        yield "media_types must be a set of media types such as {'image/png'}"
    else:
        for media_type in media_types:
            if not isinstance(media_type, str) or not MEDIA_TYPE.fullmatch(media_type):
                yield f"media_types has {media_type!r}: write 'image/png', 'image/*' or '*/*'"
    if not isinstance(processor.version, str) or not 0 < len(processor.version) <= 64:
        yield "version must be a string of at most 64 characters, such as '1'"
    if not isinstance(processor.limits, Limits):
        yield "limits must be a picasso_core.processors.Limits"
    for signature in processor.signatures:
        match signature:
            case (int(offset), bytes(magic), str(media_type)) if offset >= 0 and magic and "/" in media_type:
                continue
            case _:
                yield f"signatures has {signature!r}: write (offset, b'bytes', 'media/type')"
