"""How a retry policy is asked."""

from typing import Any

import pytest

from workflow_server.definition.retry import RetryInfo, RetryPolicy, next_delay


class Plain:
    def next(self, elapsed_time: float, attempts: int, error: Exception) -> float | None:
        return elapsed_time + attempts


class Seeded:
    def next(self, elapsed_time: float, attempts: int, error: Exception, *, seed: int | None = None) -> float | None:
        return float(seed or 0)


class Anything:
    def next(self, *args: Any, **kwargs: Any) -> float | None:
        return None if kwargs == {"seed": 7} else 1.0


class Attribute:
    """Its `next` is no method of the class."""

    def __init__(self) -> None:
        self.next = lambda elapsed_time, attempts, error: 3.0


@pytest.mark.parametrize(("policy", "delay"), [(Plain(), 2.5), (Seeded(), 7.0), (Anything(), None), (Attribute(), 3.0)])
def test_the_seed_goes_only_to_policies_that_take_it(policy: Any, delay: float | None) -> None:
    assert isinstance(policy, RetryPolicy)
    assert next_delay(policy, 0.5, 2, ValueError("x"), 7) == delay


def test_a_policy_gets_the_error_itself() -> None:
    seen: list[Exception] = []

    class Looking:
        def next(self, elapsed_time: float, attempts: int, error: Exception) -> float | None:
            seen.append(error)
            return None

    error = ValueError("x")
    next_delay(Looking(), 0.0, 1, error, 0)
    assert seen == [error]


def test_what_a_policy_raises_is_for_the_caller() -> None:
    class Broken:
        def next(self, elapsed_time: float, attempts: int, error: Exception) -> float | None:
            raise RuntimeError("broken policy") from error

    with pytest.raises(RuntimeError, match="broken policy"):
        next_delay(Broken(), 0.0, 1, ValueError("x"), 0)


def test_the_first_attempt_has_no_past() -> None:
    info = RetryInfo()
    assert (info.retry_number, info.elapsed_seconds, info.last_exception, info.last_failed_at) == (0, 0.0, None, None)
    with pytest.raises(AttributeError):
        info.retry_number = 1  # type: ignore[misc]
