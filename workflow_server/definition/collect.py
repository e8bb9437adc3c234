"""The markers of fan-in: how many members of a stream a `list[E]` parameter waits for.

A step that returns a list opens a *stream*; a step with a `list[E]` parameter collects what comes of its members:

    async def gather(self, found: list[Page]) -> StopEvent                                    all of them
    async def first(self, found: Annotated[list[Page], Collect(Take(3))]) -> StopEvent        the first three
"""

from __future__ import annotations

from dataclasses import dataclass, field

from workflow_server.definition.step_checks import is_positive_int


@dataclass(frozen=True)
class Cardinality:
    """How many members a collect step waits for: `All()` or `Take(n)`."""


@dataclass(frozen=True)
class All(Cardinality):
    """Every member, in order of arrival, once no more can come."""


@dataclass(frozen=True)
class Take(Cardinality):
    """The first `n` members, as soon as they are there; fewer if no more can come. The others go unheard.

    Raises:
        ValueError: `n` is no whole number from 1.
    """

    n: int

    def __post_init__(self) -> None:
        """Refuse what is no number of members."""
        if not is_positive_int(self.n):
            raise ValueError(f"Take(n) needs an int n >= 1, got {self.n!r}")


@dataclass(frozen=True)
class Collect:
    """Marks a parameter: `Annotated[list[E], Collect(Take(3))]`.

    Args:
        cardinality: How many members the step waits for.
    """

    cardinality: Cardinality = field(default_factory=All)
