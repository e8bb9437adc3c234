"""What the engine asks of a retry policy.

A policy is any object with `next`; it is asked once per failure, its verdict is recorded in
the run and never recomputed. Randomness arrives as a seed, so that a policy stays a function.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, Protocol, runtime_checkable


@runtime_checkable
class RetryPolicy(Protocol):
    """Decides whether a failed step runs again, and when."""

    def next(self, elapsed_time: float, attempts: int, error: Exception) -> float | None:
        """Return the delay in seconds before the next attempt, or `None` to give up.

        Args:
            elapsed_time: Seconds from the start of the first attempt to this failure.
            attempts: How often the step has failed, from 1.
            error: What the last attempt raised.

        A policy whose `next` also has a parameter `seed` is given a number that differs from
        failure to failure and is the same whenever that failure is looked at again.
        """
        ...


@dataclass(frozen=True, slots=True)
class RetryInfo:
    """What a step can ask about the attempts before the one that is running."""

    retry_number: int = 0
    """How many attempts failed before this one."""
    elapsed_seconds: float = 0.0
    """From the start of the first attempt to the last failure."""
    last_exception: Exception | None = None
    last_failed_at: datetime | None = None
    """When the last attempt failed (UTC)."""


@lru_cache(maxsize=1024)
def _takes_seed(function: Callable[..., Any]) -> bool:
    parameters = inspect.signature(function).parameters.values()
    return any(one.name == "seed" or one.kind is inspect.Parameter.VAR_KEYWORD for one in parameters)


def next_delay(policy: RetryPolicy, elapsed: float, attempts: int, error: Exception, seed: int) -> float | None:
    """Ask `policy` for its verdict on one failure.

    Args:
        policy: The step's policy.
        elapsed: Seconds from the start of the first attempt to this failure.
        attempts: How often the step has failed, from 1.
        error: What the attempt raised.
        seed: Passed on only if the policy's `next` takes it.

    Returns:
        Seconds to wait before the next attempt, or `None` to give up.

    Raises:
        TypeError: The verdict is no number.
        ValueError: It is not finite.
        Exception: Whatever the policy raises.
    """
    ask: Callable[..., Any] = policy.next
    delay: object
    if _takes_seed(getattr(ask, "__func__", ask)):
        delay = ask(elapsed, attempts, error, seed=seed)
    else:
        delay = ask(elapsed, attempts, error)
    if delay is None:
        return None
    if isinstance(delay, bool) or not isinstance(delay, (int, float)):
        raise TypeError(f"A retry policy must return seconds or None, not {delay!r}")
    if not math.isfinite(delay):
        raise ValueError(f"A retry policy must return a finite number of seconds, not {delay!r}")
    return float(delay)
