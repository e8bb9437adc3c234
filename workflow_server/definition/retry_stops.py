"""When to give up: conditions over the attempts so far and the time that has passed.

A stop is any callable `(attempts, elapsed_time, *, upcoming_sleep=0.0) -> bool`. Those made here combine with
`|` and `&`, also with plain functions on either side. The names are those of the tenacity library.
"""

from __future__ import annotations

from typing import Protocol

from workflow_server.definition.retry_waits import Duration, seconds


class StopCondition(Protocol):
    """Says whether a failure was the last one."""

    def __call__(self, attempts: int, elapsed_time: float, *, upcoming_sleep: float = 0.0) -> bool:
        """Return whether to give up.

        Args:
            attempts: How often the step has failed, from 1.
            elapsed_time: Seconds from the start of the first attempt to this failure.
            upcoming_sleep: Seconds that would be waited before the next attempt.
        """
        ...


class Stop:
    """What all conditions of this module share: they combine."""

    def __call__(self, attempts: int, elapsed_time: float, *, upcoming_sleep: float = 0.0) -> bool:
        raise NotImplementedError

    def __or__(self, other: StopCondition) -> stop_any:
        return stop_any(self, other)

    def __ror__(self, other: StopCondition) -> stop_any:
        return stop_any(other, self)

    def __and__(self, other: StopCondition) -> stop_all:
        return stop_all(self, other)

    def __rand__(self, other: StopCondition) -> stop_all:
        return stop_all(other, self)


class stop_any(Stop):
    """Give up if one of the conditions says so.

    Args:
        *stops: The conditions; without any, never.
    """

    def __init__(self, *stops: StopCondition) -> None:
        self.stops = stops

    def __call__(self, attempts: int, elapsed_time: float, *, upcoming_sleep: float = 0.0) -> bool:
        return any(stop(attempts, elapsed_time, upcoming_sleep=upcoming_sleep) for stop in self.stops)


class stop_all(Stop):
    """Give up if all of the conditions say so.

    Args:
        *stops: The conditions; without any, at once.
    """

    def __init__(self, *stops: StopCondition) -> None:
        self.stops = stops

    def __call__(self, attempts: int, elapsed_time: float, *, upcoming_sleep: float = 0.0) -> bool:
        return all(stop(attempts, elapsed_time, upcoming_sleep=upcoming_sleep) for stop in self.stops)


class stop_after_attempt(Stop):
    """Give up after so many attempts.

    Args:
        max_attempt_number: How often the step runs at most.
    """

    def __init__(self, max_attempt_number: int) -> None:
        self.max_attempt_number = max_attempt_number

    def __call__(self, attempts: int, elapsed_time: float, *, upcoming_sleep: float = 0.0) -> bool:
        return attempts >= self.max_attempt_number


class stop_after_delay(Stop):
    """Give up at the first failure after so long a time; the next attempt may still begin later than that.

    Args:
        max_delay: The time, from the start of the first attempt.
    """

    def __init__(self, max_delay: Duration) -> None:
        self.max_delay = seconds(max_delay)

    def __call__(self, attempts: int, elapsed_time: float, *, upcoming_sleep: float = 0.0) -> bool:
        return elapsed_time >= self.max_delay


class stop_before_delay(Stop):
    """Give up if the next attempt would begin after so long a time.

    Args:
        max_delay: The time, from the start of the first attempt.
    """

    def __init__(self, max_delay: Duration) -> None:
        self.max_delay = seconds(max_delay)

    def __call__(self, attempts: int, elapsed_time: float, *, upcoming_sleep: float = 0.0) -> bool:
        return elapsed_time + upcoming_sleep >= self.max_delay


class stop_never(Stop):
    """Never give up."""

    def __call__(self, attempts: int, elapsed_time: float, *, upcoming_sleep: float = 0.0) -> bool:
        return False
