"""What a measurement gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from bench.contestants import Contestant


@dataclass(frozen=True, slots=True)
class Sample:
    """One measurement of one workload on one contestant."""

    value: float
    cpu_us: float | None = None
    """Microseconds of the server's processor time for each unit of work."""
    besides: Mapping[str, float] = field(default_factory=dict[str, float])
    """Other figures, of all of which less is better, by name and unit."""


Measure = Callable[[Contestant, float], Sample]
"""Takes the contestant and for how many seconds to measure, where the length isn't given by the workload."""
