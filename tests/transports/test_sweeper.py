"""Deadlines as attributes, watched by one task with a clock of its own."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime

import anyio

from workflow_server.http.limits import Limits
from workflow_server.transports.sweeper import Sweeper


@dataclass(eq=False)
class Watched:
    deadline: float = math.inf
    expired: int = 0
    news: anyio.Event = field(default_factory=anyio.Event)

    def expire(self) -> None:
        self.expired += 1
        self.deadline = math.inf
        self.news.set()


def test_a_deadline_is_met_late_by_two_intervals_at_most_and_never_early() -> None:
    sweeper = Sweeper(Limits())
    for phase in range(5):  # how much of the current interval has gone by, unseen, when the deadline is set
        unseen = phase / 5 * sweeper.interval
        watched = Watched(sweeper.after(10))
        sweeper.add(watched)
        awake = -unseen
        while not watched.expired:
            sweeper.tick(sweeper.interval)
            awake += sweeper.interval
        assert 10 <= awake <= 10 + 2 * sweeper.interval


def test_what_is_not_late_or_was_discarded_is_left_alone() -> None:
    sweeper = Sweeper(Limits())
    early, never, gone = Watched(sweeper.after(1)), Watched(), Watched(sweeper.after(1))
    for watched in (early, never, gone):
        sweeper.add(watched)
    sweeper.discard(gone)
    sweeper.discard(gone)
    for _ in range(10):
        sweeper.tick(sweeper.interval)
    assert (early.expired, never.expired, gone.expired) == (1, 0, 0)


def test_time_in_which_the_loop_was_held_does_not_count() -> None:
    sweeper = Sweeper(Limits())
    watched = Watched(sweeper.after(10))
    sweeper.add(watched)
    sweeper.tick(3600)
    assert not watched.expired


def test_short_limits_are_looked_at_more_often() -> None:
    assert Sweeper(Limits()).interval == 0.5
    assert Sweeper(Limits(write_stall_seconds=0.4)).interval == 0.1


async def test_the_running_sweeper_expires_and_knows_the_date() -> None:
    sweeper = Sweeper(Limits(head_seconds=0.02))
    sweeper.date = ""
    watched = Watched(sweeper.after(0.02))
    sweeper.add(watched)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(sweeper.run)
        with anyio.fail_after(5):
            await watched.news.wait()
        tasks.cancel_scope.cancel()
    assert parsedate_to_datetime(sweeper.date).tzinfo is not None
    assert sweeper.date.endswith(" GMT")
