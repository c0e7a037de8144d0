"""What one run may use: a processor asks, the operator's ceilings cap it, an error names whose limit it was."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from ..processors import Bounds, MiB

SETTINGS = {
    "seconds": "PICASSO_MAX_SECONDS",
    "cpu_seconds": "PICASSO_MAX_CPU_SECONDS",
    "memory": "PICASSO_MAX_MEMORY",
    "output": "PICASSO_MAX_OUTPUT",
    "result": "PICASSO_MAX_RESULT",
    "artifacts": "PICASSO_MAX_ARTIFACTS",
    "silence": "PICASSO_MAX_SILENCE",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Ceilings:
    """What the operator allows; sizes in bytes, times in seconds."""

    seconds: float = 60
    cpu_seconds: float = 30
    memory: int = 768 * MiB
    """Address space on top of what the warm process has."""
    output: int = 256 * MiB
    """On disk in the scratch directory at any time, and in each file."""
    result: int = 1 * MiB
    """Of the answer, as JSON."""
    artifacts: int = 100
    silence: float = 60
    """Without a progress message."""
    bounds: Bounds = field(default_factory=Bounds)
    """Of what is in a file; processors watch over them."""
    reuse: int = 500
    """Files that one process serves before it is replaced."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RunLimits:
    """What holds for one run."""

    seconds: float
    cpu_seconds: float
    memory: int
    output: int
    result: int
    artifacts: int
    silence: float
    own: frozenset[str]
    """Those that the processor set lower than the operator's ceilings."""
    switched: frozenset[str] = frozenset()
    """Those that the operator set lower still, for this processor."""

    @classmethod
    def lower_of(
        cls, ceilings: Ceilings, asked: Mapping[str, Any], switched: Mapping[str, Any] = MappingProxyType({})
    ) -> RunLimits:
        """Take the lowest of what a processor asks, what is allowed, and what is allowed to this processor."""
        most = {name: getattr(ceilings, name) for name in SETTINGS}
        own = _lower(asked, most)
        most |= own
        lower = _lower(switched, most)
        return cls(**{**most, **lower}, own=frozenset(own), switched=frozenset(lower))

    def say(self, name: str) -> str:
        """Say a limit as a person reads it."""
        value = getattr(self, name)
        if name in ("memory", "output", "result"):
            return f"{value / MiB:g} MiB" if value >= MiB else f"{value} bytes"
        return f"{value:g} artifacts" if name == "artifacts" else f"{value:g} seconds"

    def whose(self, name: str) -> str:
        """Say who set it."""
        if name in self.switched:
            return "the operator's limit for this processor"
        return "the processor's own limit" if name in self.own else SETTINGS[name]


def _lower(limits: Mapping[str, Any], than: Mapping[str, Any]) -> dict[str, Any]:
    return {name: limits[name] for name in than if name in limits and limits[name] < than[name]}
