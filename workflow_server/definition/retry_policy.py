"""Retry policies put together from three parts: which failures, how long to wait, when to give up.

    @step(retry_policy=retry_policy(
        retry=retry_if_exception_type(ConnectionError),
        wait=wait_exponential(multiplier=0.5, max=30) + wait_random(0, 1),
        stop=stop_after_attempt(5) | stop_before_delay(timedelta(minutes=2)),
    ))

The parts live in `retry_predicates`, `retry_waits` and `retry_stops`; all names are handed on from here. A policy
of your own is any object with the method of `RetryPolicy`.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

from workflow_server.definition.retry import RetryInfo, RetryPolicy
from workflow_server.definition.retry_predicates import (
    Predicate,
    retry_all,
    retry_always,
    retry_any,
    retry_if_exception,
    retry_if_exception_cause_type,
    retry_if_exception_message,
    retry_if_exception_type,
    retry_if_not_exception_message,
    retry_if_not_exception_type,
    retry_never,
    retry_unless_exception_type,
)
from workflow_server.definition.retry_stops import (
    StopCondition,
    stop_after_attempt,
    stop_after_delay,
    stop_all,
    stop_any,
    stop_before_delay,
    stop_never,
)
from workflow_server.definition.retry_waits import (
    Duration,
    WaitStrategy,
    wait_chain,
    wait_combine,
    wait_exponential,
    wait_exponential_jitter,
    wait_fixed,
    wait_full_jitter,
    wait_incrementing,
    wait_none,
    wait_random,
    wait_random_exponential,
)

__all__ = [
    "ConstantDelayRetryPolicy",
    "ExponentialBackoffRetryPolicy",
    "RetryInfo",
    "RetryPolicy",
    "StopCondition",
    "WaitStrategy",
    "retry_all",
    "retry_always",
    "retry_any",
    "retry_if_exception",
    "retry_if_exception_cause_type",
    "retry_if_exception_message",
    "retry_if_exception_type",
    "retry_if_not_exception_message",
    "retry_if_not_exception_type",
    "retry_never",
    "retry_policy",
    "retry_unless_exception_type",
    "stop_after_attempt",
    "stop_after_delay",
    "stop_all",
    "stop_any",
    "stop_before_delay",
    "stop_never",
    "wait_chain",
    "wait_combine",
    "wait_exponential",
    "wait_exponential_jitter",
    "wait_fixed",
    "wait_full_jitter",
    "wait_incrementing",
    "wait_none",
    "wait_random",
    "wait_random_exponential",
]


@dataclass(frozen=True)
class _Composed:
    retry: Predicate | None
    wait: WaitStrategy
    stop: StopCondition

    def next(self, elapsed_time: float, attempts: int, error: Exception, *, seed: int | None = None) -> float | None:
        if self.retry is not None and not self.retry(error):
            return None
        delay = self.wait(max(attempts - 1, 0), seed=seed)
        return None if self.stop(attempts, elapsed_time, upcoming_sleep=delay) else delay


def retry_policy(
    retry: Predicate | None = None,
    wait: WaitStrategy = wait_fixed(5),  # noqa: B008  # an immutable value
    stop: StopCondition = stop_after_attempt(3),  # noqa: B008  # an immutable value
) -> RetryPolicy:
    """Return a retry policy made of its three parts.

    Args:
        retry: Tells which exceptions are worth another attempt; `None` for all.
        wait: Tells how many seconds to wait before it.
        stop: Tells when to give up; it has the last word.
    """
    return _Composed(retry, wait, stop)


def ConstantDelayRetryPolicy(maximum_attempts: int = 3, delay: Duration = 5) -> RetryPolicy:
    """Return a policy that always waits the same time.

    Deprecated: use `retry_policy` with `wait_fixed`.

    Args:
        maximum_attempts: How often the step runs at most.
        delay: How long to wait, in seconds.
    """
    warnings.warn(
        "ConstantDelayRetryPolicy is deprecated: use retry_policy(wait=wait_fixed(…), stop=stop_after_attempt(…))",
        DeprecationWarning,
        stacklevel=2,
    )
    return retry_policy(wait=wait_fixed(delay), stop=stop_after_attempt(maximum_attempts))


def ExponentialBackoffRetryPolicy(
    maximum_attempts: int = 5,
    initial_delay: float = 1.0,
    multiplier: float = 2.0,
    max_delay: Duration = 60.0,
    jitter: bool = True,
) -> RetryPolicy:
    """Return a policy that waits longer each time.

    Deprecated: use `retry_policy` with `wait_exponential` or `wait_full_jitter`.

    Args:
        maximum_attempts: How often the step runs at most.
        initial_delay: The first wait, in seconds.
        multiplier: What each further one is longer by.
        max_delay: The longest, in seconds.
        jitter: Whether to wait a random part of that time instead of all of it.
    """
    warnings.warn(
        "ExponentialBackoffRetryPolicy is deprecated: use "
        "retry_policy(wait=wait_exponential(…), stop=stop_after_attempt(…))",
        DeprecationWarning,
        stacklevel=2,
    )
    wait = (wait_full_jitter if jitter else wait_exponential)(initial_delay, multiplier, max_delay)
    return retry_policy(wait=wait, stop=stop_after_attempt(maximum_attempts))
