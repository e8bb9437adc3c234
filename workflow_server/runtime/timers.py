"""The two alarms of a run: its time limit, which counts time alive, and its next due part, by the wall clock."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from workflow_server.engine.inputs import ClockReached, Input, TimeLimitReached
from workflow_server.engine.state import Run
from workflow_server.runtime.alarms import Alarm
from workflow_server.runtime.host import Host


class RunTimers:
    """Tells a run when its time has come.

    Args:
        host: The loop's shared means.
        limit: Seconds the run may be alive; `None` for no limit.
        run: The run.
        apply: Takes the inputs that say so.
    """

    def __init__(self, host: Host, limit: float | None, run: Run, apply: Callable[[Input], Any]) -> None:
        self._host = host
        self._limit = limit
        self._run = run
        self._apply: Callable[[Input], Any] | None = apply
        self._alive_since: float | None = None
        """The loop time at which the run would have begun if it had never left memory."""
        self.rested = 0.0
        """Seconds that the run has been alive before it came back into memory."""
        self._limit_alarm: Alarm | None = None
        self._due_alarm: Alarm | None = None
        self._due_at: float | None = None

    @property
    def alive(self) -> float:
        """Seconds that the run has been alive, over all its times in memory."""
        return self._host.port.now() - self._alive_since if self._alive_since is not None else self.rested

    def begin(self) -> None:
        """Begin to count, or go on."""
        self._alive_since = self._host.port.now() - self.rested
        if self._limit is not None:
            self._limit_alarm = self._host.alarms.set(self._alive_since + self._limit, self._reach_limit)

    def follow(self) -> None:
        """Set the alarm for the part of the run that is due next."""
        due = self._run.next_due()
        at = None if due is None else due[0]
        if at == self._due_at:
            return
        if self._due_alarm is not None:
            self._due_alarm.cancel()
        self._due_at, self._due_alarm = at, None
        if at is not None:
            ahead = max(0.0, at - self._host.clock())
            self._due_alarm = self._host.alarms.set(self._host.port.now() + ahead, self._reach_due)

    def cancel(self) -> None:
        """Tell nothing more, and let go of the run."""
        for alarm in (self._limit_alarm, self._due_alarm):
            if alarm is not None:
                alarm.cancel()
        self._apply = None

    def _reach_limit(self) -> None:
        assert self._limit is not None
        assert self._apply is not None
        self._apply(TimeLimitReached(self._host.clock(), self._limit))

    def _reach_due(self) -> None:
        assert self._apply is not None
        self._due_at = None
        self._apply(ClockReached(self._host.clock()))
        self.follow()
