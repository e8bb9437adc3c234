"""How long to wait before another attempt: strategies from the number of the wait to seconds.

A strategy is any callable `(attempts, *, seed=None) -> seconds`; `attempts` counts from 0. Those made here
add up, with `+` and with `sum`. The names and the values are those of the tenacity library.

Draws follow from the seed alone: whoever asks again with the same seed gets the same delay. The engine gives
one for each failure. Without a seed, as from a policy that does not pass its own on, each draw takes the next
number of a sequence: no two of a process are alike, but all processes draw alike, as nothing here asks for randomness.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import timedelta
from itertools import count
from random import Random
from typing import Protocol

Duration = int | float | timedelta
"""A length of time; numbers are seconds."""

_unseeded = count()


class WaitStrategy(Protocol):
    """Says how long to wait before the next attempt."""

    def __call__(self, attempts: int, *, seed: int | None = None) -> float:
        """Return seconds.

        Args:
            attempts: How many waits there were before, from 0.
            seed: For strategies that draw random numbers.
        """
        ...


def seconds(duration: Duration) -> float:
    """Return a length of time in seconds.

    Raises:
        ValueError: It is none.
    """
    return duration.total_seconds() if isinstance(duration, timedelta) else float(duration)


def _draw(low: float, high: float, seed: int | None) -> float:
    generator = Random(next(_unseeded) if seed is None else seed)  # noqa: S311  # jitter is no secret
    return generator.uniform(low, high)


class Wait:
    """What all strategies of this module share: they add up."""

    def __call__(self, attempts: int, *, seed: int | None = None) -> float:
        raise NotImplementedError

    def __add__(self, other: WaitStrategy) -> Wait:
        return wait_combine(self, other)

    def __radd__(self, other: WaitStrategy | int) -> Wait:
        # `sum` begins with 0.
        return self if isinstance(other, int) else wait_combine(other, self)


class wait_fixed(Wait):
    """Always the same.

    Args:
        wait: How long.
    """

    def __init__(self, wait: Duration) -> None:
        self.wait = seconds(wait)

    def __call__(self, attempts: int, *, seed: int | None = None) -> float:
        return self.wait


class wait_none(wait_fixed):
    """No wait at all."""

    def __init__(self) -> None:
        super().__init__(0)


class wait_random(Wait):
    """A random length.

    Args:
        min: The shortest.
        max: The longest.
    """

    def __init__(self, min: Duration = 0.0, max: Duration = 1.0) -> None:
        self.min, self.max = seconds(min), seconds(max)

    def __call__(self, attempts: int, *, seed: int | None = None) -> float:
        return _draw(self.min, self.max, seed)


class wait_incrementing(Wait):
    """Each time longer by the same amount.

    Args:
        start: The first wait.
        increment: What each further one is longer by; may be negative.
        max: The longest.
    """

    def __init__(self, start: Duration = 0.0, increment: Duration = 100.0, max: Duration = math.inf) -> None:
        self.start, self.increment, self.max = seconds(start), seconds(increment), seconds(max)

    def __call__(self, attempts: int, *, seed: int | None = None) -> float:
        return max(0.0, min(self.start + self.increment * attempts, self.max))


class wait_exponential(Wait):
    """Each time longer by the same factor: `multiplier * exp_base ** attempts`, within limits.

    Args:
        multiplier: The first wait, in seconds.
        exp_base: The factor.
        max: The longest.
        min: The shortest.
    """

    def __init__(
        self, multiplier: float = 1.0, exp_base: float = 2.0, max: Duration = 60.0, min: Duration = 0.0
    ) -> None:
        self.multiplier, self.exp_base = multiplier, exp_base
        self.max, self.min = seconds(max), seconds(min)

    def __call__(self, attempts: int, *, seed: int | None = None) -> float:
        return max(0.0, self.min, min(_grown(self.multiplier, self.exp_base, attempts), self.max))


class wait_random_exponential(wait_exponential):
    """A random length between `min` and what `wait_exponential` waits ("full jitter"); takes the same arguments."""

    def __call__(self, attempts: int, *, seed: int | None = None) -> float:
        return _draw(self.min, super().__call__(attempts), seed)


def wait_full_jitter(
    multiplier: float = 1.0, exp_base: float = 2.0, max: Duration = 60.0, min: Duration = 0.0
) -> wait_random_exponential:
    """Return a `wait_random_exponential`, by the name that the literature gives it."""
    return wait_random_exponential(multiplier, exp_base, max, min)


@dataclass(frozen=True)
class wait_exponential_jitter(Wait):
    """Each time longer by the same factor, and a random length on top: `initial * exp_base ** attempts + jitter`.

    Args:
        initial: The first wait without jitter, in seconds.
        exp_base: The factor.
        max: The longest, jitter included, in seconds.
        jitter: The most that is added, in seconds.
    """

    initial: float = 1.0
    exp_base: float = 2.0
    max: float = 60.0
    jitter: float = 1.0

    def __call__(self, attempts: int, *, seed: int | None = None) -> float:
        total = _grown(self.initial, self.exp_base, attempts) + _draw(0.0, self.jitter, seed)
        return max(0.0, min(total, self.max))


def _grown(first: float, factor: float, times: int) -> float:
    try:
        return float(first * factor**times)
    except OverflowError:
        return math.inf


class wait_chain(Wait):
    """One strategy for each wait, in order; the last one stays.

    Args:
        *strategies: The strategies.

    Raises:
        ValueError: None is given.
    """

    def __init__(self, *strategies: WaitStrategy) -> None:
        if not strategies:
            raise ValueError("wait_chain() requires at least one strategy")
        self.strategies = strategies

    def __call__(self, attempts: int, *, seed: int | None = None) -> float:
        return self.strategies[min(attempts, len(self.strategies) - 1)](attempts, seed=seed)


class wait_combine(Wait):
    """The sum of several strategies.

    Args:
        *strategies: The strategies.
    """

    def __init__(self, *strategies: WaitStrategy) -> None:
        self.strategies = strategies

    def __call__(self, attempts: int, *, seed: int | None = None) -> float:
        return sum(strategy(attempts, seed=seed) for strategy in self.strategies)
