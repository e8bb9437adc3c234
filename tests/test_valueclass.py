"""Our dataclasses behave as those of the standard library do."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from workflow_server.valueclass import dataclass

OPTIONS = [
    {},
    {"frozen": True},
    {"slots": True},
    {"frozen": True, "slots": True},
    {"eq": False},
    {"eq": False, "slots": True},
]


def made(by: Callable[..., Any], options: dict[str, bool]) -> list[type[Any]]:
    """Make some dataclasses by a decorator."""

    @by(**options)
    class Empty:
        """Nothing."""

    @by(**options)
    class Plain:
        """Two fields, one of them hidden."""

        a: int
        b: list[int] = dataclasses.field(default_factory=list[int], repr=False, compare=False)

    @by(**options)
    class Longer(Plain):
        """One more."""

        c: str = "c"

    @by(**options)
    class Own:
        """Its own methods."""

        a: int

        def __repr__(self) -> str:
            return "own"

        def __eq__(self, other: object) -> bool:
            return True

        def __hash__(self) -> int:
            return 5

    return [Empty, Plain, Longer, Own]


def told(classes: list[type[Any]]) -> list[object]:
    """Return what can be seen of instances of the classes of `made`."""
    empty, plain, longer, own = classes
    ours = [
        *(empty(), empty()),
        *(plain(1), plain(1, [2]), plain(a=2)),
        *(longer(1), longer(1, [3], "d"), longer(1, c="d")),
        *(own(1), own(2)),
    ]
    facts: list[object] = [repr(one).rpartition("<locals>.")[2] for one in ours if " at 0x" not in repr(one)]
    facts += [[one == other for other in [*ours, 1]] for one in ours]
    for one in ours:
        try:
            facts.append({hash(one) == hash(other) for other in ours if type(one) is type(other) and one == other})
        except TypeError as error:
            facts.append(str(error).rpartition(".")[2])
    facts.append([hasattr(one, "__dict__") for one in ours])
    facts.append([type(one).__match_args__ for one in ours])
    facts.append(dataclasses.replace(longer(1), a=2).a)
    return facts


@pytest.mark.parametrize("options", OPTIONS, ids=lambda options: " ".join(options) or "plain")
def test_they_look_compare_and_hash_alike(options: dict[str, bool]) -> None:
    assert told(made(dataclass, options)) == told(made(dataclasses.dataclass, options))


def test_a_frozen_one_may_be_a_key() -> None:
    first, second = (made(dataclass, {"frozen": True})[1](1) for _ in range(2))
    assert first != second, "of different classes"
    kind = type(first)
    assert {kind(1): "found"}[kind(1, [5])] == "found"
    assert kind(1) != kind(2)
