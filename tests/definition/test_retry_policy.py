"""The parts of retry policies, and how they combine."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from workflow_server.definition import retry_policy as rp
from workflow_server.definition.retry import next_delay


def caused_by(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


BOOM = ValueError("boom")
DEEP = caused_by(ValueError("oops"), caused_by(RuntimeError("between"), KeyError("x")))


@pytest.mark.parametrize(
    ("predicate", "boom", "deep"),
    [
        (rp.retry_if_exception(lambda error: "b" in str(error)), True, False),
        (rp.retry_if_exception_type(), True, True),
        (rp.retry_if_exception_type(KeyError), False, False),
        (rp.retry_if_exception_type((KeyError, ValueError)), True, True),
        (rp.retry_if_not_exception_type(ValueError), False, False),
        (rp.retry_unless_exception_type(KeyError), True, True),
        (rp.retry_if_exception_message("boom"), True, False),
        (rp.retry_if_exception_message(message="boo"), False, False),
        (rp.retry_if_exception_message(match="oo"), True, True),
        (rp.retry_if_exception_message(match=re.compile("^oo")), False, True),
        (rp.retry_if_not_exception_message("boom"), False, True),
        (rp.retry_if_not_exception_message(match="^oo"), True, False),
        (rp.retry_if_exception_cause_type(KeyError), False, True),
        (rp.retry_if_exception_cause_type(ValueError), False, False),
        (rp.retry_always(), True, True),
        (rp.retry_never(), False, False),
        (rp.retry_any(), False, False),
        (rp.retry_all(), True, True),
        (rp.retry_if_exception_type(KeyError) | rp.retry_if_exception_message("boom"), True, False),
        (rp.retry_if_exception_type(ValueError) & rp.retry_if_exception_cause_type(KeyError), False, True),
        (rp.retry_never() | (lambda error: "b" in str(error)), True, False),
        ((lambda error: "b" in str(error)) | rp.retry_never(), True, False),
        (rp.retry_always() & (lambda error: "b" in str(error)), True, False),
        ((lambda error: "b" in str(error)) & rp.retry_always(), True, False),
    ],
)
def test_predicates(predicate: Callable[[BaseException], bool], boom: bool, deep: bool) -> None:
    assert (predicate(BOOM), predicate(DEEP)) == (boom, deep)


def test_exceptions_that_cause_each_other_are_looked_at_once() -> None:
    one, other = ValueError("one"), KeyError("other")
    one.__cause__, other.__cause__ = other, one
    assert not rp.retry_if_exception_cause_type(TypeError)(one)


@pytest.mark.parametrize("kind", [rp.retry_if_exception_message, rp.retry_if_not_exception_message])
def test_a_predicate_of_text_takes_one_of_two_descriptions(kind: Any) -> None:
    with pytest.raises(TypeError, match="message' or 'match'"):
        kind()
    with pytest.raises(TypeError, match="either 'message' or 'match'"):
        kind("a", "b")
    assert rp.retry_if_exception_message("")(ValueError(""))


# What the tenacity library (9.1) gives for the waits before attempts 2, 3, … 10.
TENACITY: list[tuple[Callable[..., float], list[float]]] = [
    (rp.wait_fixed(2.5), [2.5] * 9),
    (rp.wait_none(), [0.0] * 9),
    (rp.wait_exponential(), [1, 2, 4, 8, 16, 32, 60, 60, 60]),
    (rp.wait_exponential(0.5, 3, max=100, min=2), [2, 2, 4.5, 13.5, 40.5, 100, 100, 100, 100]),
    (rp.wait_incrementing(), [0, 100, 200, 300, 400, 500, 600, 700, 800]),
    (rp.wait_incrementing(10, -3, max=8), [8, 7, 4, 1, 0, 0, 0, 0, 0]),
    (rp.wait_chain(rp.wait_fixed(1), rp.wait_fixed(4)), [1, 4, 4, 4, 4, 4, 4, 4, 4]),
    (rp.wait_fixed(1) + rp.wait_exponential(max=1000), [2, 3, 5, 9, 17, 33, 65, 129, 257]),
    (rp.wait_exponential_jitter(2, 3, max=50, jitter=0), [2, 6, 18, 50, 50, 50, 50, 50, 50]),
]


@pytest.mark.parametrize(("wait", "expected"), TENACITY)
def test_waits_are_those_of_tenacity(wait: Callable[..., float], expected: list[float]) -> None:
    assert [wait(attempts) for attempts in range(9)] == expected


@pytest.mark.parametrize(
    ("wait", "limits"),
    [
        (rp.wait_random(1, 3), [(1, 3)] * 3),
        (rp.wait_exponential_jitter(1, 2, max=4.5, jitter=2), [(1, 3), (2, 4), (4, 4.5)]),
        (rp.wait_random_exponential(1, 2, max=3, min=0.5), [(0.5, 1), (0.5, 2), (0.5, 3)]),
        (rp.wait_full_jitter(max=3), [(0, 1), (0, 2), (0, 3)]),
    ],
)
def test_random_waits_keep_within_their_limits_and_follow_from_the_seed(
    wait: Callable[..., float], limits: list[tuple[float, float]]
) -> None:
    for attempts, (low, high) in enumerate(limits):
        drawn = [wait(attempts, seed=seed) for seed in range(50)]
        assert all(low <= one <= high for one in drawn)
        assert len(set(drawn)) > 10
        assert drawn == [wait(attempts, seed=seed) for seed in range(50)]
        assert len({wait(attempts) for _ in range(50)}) > 10, "without a seed no two draws are alike"


def test_waits_add_up() -> None:
    def plain(attempts: int, *, seed: int | None = None) -> float:
        return 0.5

    assert (rp.wait_fixed(1) + plain)(0) == (plain + rp.wait_fixed(1))(0) == 1.5
    assert sum([rp.wait_fixed(1), rp.wait_fixed(2), rp.wait_none()])(3) == 3
    assert rp.wait_combine()(0) == 0
    assert rp.wait_combine(rp.wait_random(), rp.wait_random())(0, seed=3) == 2 * rp.wait_random()(0, seed=3)


def test_durations_are_numbers_or_timedeltas() -> None:
    assert rp.wait_fixed(timedelta(minutes=1))(0) == 60
    assert rp.wait_incrementing(timedelta(seconds=3), timedelta(minutes=1), timedelta(hours=1))(5) == 303
    assert rp.stop_after_delay(timedelta(seconds=2))(1, 2.0)
    with pytest.raises(ValueError, match="soon"):
        rp.wait_fixed("soon")  # type: ignore[arg-type]


def test_a_wait_that_grows_beyond_all_numbers_is_the_longest() -> None:
    assert rp.wait_exponential()(100_000) == 60
    assert rp.wait_exponential_jitter()(100_000) == 60


def test_a_chain_of_no_waits_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        rp.wait_chain()


def plain_stop(attempts: int, elapsed_time: float, *, upcoming_sleep: float = 0.0) -> bool:
    return attempts == 1


@pytest.mark.parametrize(
    ("stop", "expected"),
    [
        # for (attempts, elapsed, upcoming): (1, 0, 0), (3, 0, 0), (1, 5, 0), (1, 4, 1), (3, 5, 0)
        (rp.stop_after_attempt(3), "-x--x"),
        (rp.stop_after_delay(5), "--x-x"),
        (rp.stop_before_delay(5), "--xxx"),
        (rp.stop_never(), "-----"),
        (rp.stop_any(), "-----"),
        (rp.stop_all(), "xxxxx"),
        (rp.stop_after_attempt(3) | rp.stop_after_delay(5), "-xx-x"),
        (rp.stop_after_attempt(3) & rp.stop_after_delay(5), "----x"),
        (rp.stop_never() | plain_stop, "x-xx-"),
        (plain_stop | rp.stop_never(), "x-xx-"),
        (rp.stop_after_delay(5) & plain_stop, "--x--"),
        (plain_stop & rp.stop_after_delay(5), "--x--"),
    ],
)
def test_stops(stop: Callable[..., bool], expected: str) -> None:
    situations = [(1, 0.0, 0.0), (3, 0.0, 0.0), (1, 5.0, 0.0), (1, 4.0, 1.0), (3, 5.0, 0.0)]
    given = [stop(attempts, elapsed, upcoming_sleep=upcoming) for attempts, elapsed, upcoming in situations]
    assert "".join("x" if one else "-" for one in given) == expected


def delays(policy: rp.RetryPolicy, error: Exception = BOOM) -> list[float | None]:
    return [next_delay(policy, 0.0, attempts, error, seed=7) for attempts in range(1, 6)]


def test_a_policy_asks_the_predicate_then_the_wait_then_the_stop() -> None:
    assert delays(rp.retry_policy()) == [5, 5, None, None, None]
    growing = rp.retry_policy(wait=rp.wait_exponential(), stop=rp.stop_after_attempt(4))
    assert delays(growing) == [1, 2, 4, None, None]
    choosy = rp.retry_policy(retry=rp.retry_if_exception_type(KeyError))
    assert delays(choosy) == [None] * 5
    assert delays(choosy, KeyError("x"))[0] == 5
    in_time = rp.retry_policy(stop=rp.stop_before_delay(7))
    assert [in_time.next(elapsed, 1, BOOM) for elapsed in (1.0, 2.0)] == [5, None], "the coming wait counts"
    assert isinstance(growing, rp.RetryPolicy)


def test_a_policy_of_old_warns_and_works() -> None:
    with pytest.warns(DeprecationWarning, match="ConstantDelayRetryPolicy is deprecated"):
        constant = rp.ConstantDelayRetryPolicy(maximum_attempts=2, delay=1)
    assert delays(constant) == [1, None, None, None, None]
    with pytest.warns(DeprecationWarning, match="ExponentialBackoffRetryPolicy is deprecated"):
        growing = rp.ExponentialBackoffRetryPolicy(jitter=False, max_delay=3)
    assert delays(growing) == [1, 2, 3, 3, None]
    with pytest.warns(DeprecationWarning, match="is deprecated"):
        jittery = rp.ExponentialBackoffRetryPolicy()
    first, *_ = delays(jittery)
    assert first is not None
    assert 0 <= first < 1


@pytest.mark.parametrize("verdict", ["soon", True, float("nan"), float("inf")])
def test_a_verdict_that_is_no_time_is_an_error_of_the_policy(verdict: Any) -> None:
    class Wrong:
        def next(self, elapsed_time: float, attempts: int, error: Exception) -> Any:
            return verdict

    with pytest.raises((TypeError, ValueError), match="must return"):
        next_delay(Wrong(), 0.0, 1, BOOM, seed=0)
