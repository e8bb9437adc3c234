"""Waiting for the end of a run by asking: how long the server may take, and how long to pause between."""

from __future__ import annotations

from typing import Literal

from workflow_server.client.patience import Breaks

Backoff = Literal["constant", "linear", "exponential"]

LONG_POLL = 30.0
"""Seconds that a server may keep a question for; proxies commonly allow 60."""

_HONOURED = 0.9
"""An answer that took this part of the time asked for was waited for; a server that knows no wait answers at once."""


class Polls:
    """One wait.

    Args:
        handler_id: Whose end is waited for.
        timeout: Seconds; `None` for as long as it takes.
        poll_interval: Seconds before the second question, where the server answers at once.
        max_poll_interval: What the pauses grow to.
        backoff: How they grow.
        breaks: How to go on when the server is away.
        now: The time, in seconds.

    Raises:
        ValueError: An argument can't be meant.
    """

    def __init__(
        self,
        handler_id: str,
        timeout: float | None,
        poll_interval: float,
        max_poll_interval: float,
        backoff: Backoff,
        breaks: Breaks,
        now: float,
    ) -> None:
        if timeout is not None and timeout < 0:
            raise ValueError("timeout must be non-negative or None")
        if poll_interval < 0:
            raise ValueError("poll_interval must be non-negative")
        if max_poll_interval < 0:
            raise ValueError("max_poll_interval must be non-negative")
        if max_poll_interval < poll_interval:
            raise ValueError("max_poll_interval must be greater than or equal to poll_interval")
        if backoff not in ("constant", "linear", "exponential"):
            raise ValueError(f"invalid backoff strategy: {backoff}")
        self._handler_id = handler_id
        self._timeout = timeout
        self._end = None if timeout is None else now + timeout
        self._step = poll_interval
        self._pause = poll_interval
        self._longest = max_poll_interval
        self._backoff = backoff
        self._breaks = breaks
        self._asked = now
        self._wait = 0.0

    def ask(self, now: float) -> float:
        """Return how many seconds the server may wait with its answer."""
        self._asked = now
        self._wait = LONG_POLL if self._end is None else max(0.0, min(LONG_POLL, self._end - now))
        return self._wait

    def pause(self, now: float) -> float:
        """Take it that the run was still going on; return the seconds before the next question.

        Raises:
            TimeoutError: The time is over.
        """
        self._breaks.heard()
        if now - self._asked >= _HONOURED * self._wait:
            return self._within(0.0, now)
        pause = self._pause
        if self._backoff == "linear":
            self._pause = min(self._longest, self._pause + self._step)
        elif self._backoff == "exponential":
            self._pause = min(self._longest, self._pause * 2)
        return self._within(pause, now)

    def broken(self, now: float) -> float | None:
        """Take it that the server was away; return the seconds before the next question, `None` after enough of them.

        Raises:
            TimeoutError: The time is over.
        """
        pause = self._breaks.pause(connected=False)
        return None if pause is None else self._within(pause, now)

    def _within(self, pause: float, now: float) -> float:
        if self._end is not None and now >= self._end:
            raise TimeoutError(f"Handler '{self._handler_id}' did not complete within {self._timeout} seconds")
        return pause if self._end is None else min(pause, self._end - now)
