"""Limits as a value, and the budget that connections share."""

from __future__ import annotations

import math

import pytest

from workflow_server.errors import ServerUsageError
from workflow_server.http.limits import BodyBudget, Limits


def test_the_defaults_are_those_of_the_documentation() -> None:
    assert Limits() == Limits(
        head_bytes=65_536,
        body_bytes=10_485_760,
        bodies_bytes=268_435_456,
        head_seconds=10,
        body_seconds=60,
        keep_alive_seconds=75,
        write_stall_seconds=30,
        connections=10_000,
        drain_seconds=10,
    )


@pytest.mark.parametrize("value", [0, -1, math.inf, math.nan])
def test_a_limit_that_is_none_is_refused_by_name(value: float) -> None:
    with pytest.raises(ServerUsageError, match="body_seconds must be a positive number"):
        Limits(body_seconds=value)


def test_a_budget_gives_what_it_has_and_takes_it_back() -> None:
    budget = BodyBudget(10)
    assert budget.take(6)
    assert not budget.take(5)
    assert budget.used == 6
    assert budget.take(4)
    budget.give_back(10)
    assert budget.used == 0
