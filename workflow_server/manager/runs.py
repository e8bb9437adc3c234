"""The runs that are alive in this process, by handler: how they begin, leave memory and stop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anyio

from workflow_server.engine.state import Run
from workflow_server.errors import StoreError
from workflow_server.events import Event
from workflow_server.manager.active_run import ActiveRun
from workflow_server.manager.served import ServedWorkflow
from workflow_server.runtime.committer import Committer
from workflow_server.runtime.feed import News
from workflow_server.runtime.host import Host
from workflow_server.runtime.ids import new_id
from workflow_server.runtime.places import Places, Turn
from workflow_server.runtime.snapshot import ResumableRun
from workflow_server.runtime.state_store import InMemoryStateStore
from workflow_server.runtime.stored_journal import StoredJournal
from workflow_server.stores.base import AbstractWorkflowStore, StoredRun
from workflow_server.wire.records import HandlerRecord, IdempotencyKey

STOP_WITHIN = 1.0
"""Seconds that cancelled steps get to unwind when the server stops."""
WRITE_WITHIN = 5.0
"""Seconds that a store which fails gets to come back when the server stops."""


class ActiveRuns:
    """All runs of a server that are alive in memory.

    Args:
        host: The loop's shared means.
        store: Keeps them.
        news: Wakes readers of their events.
        idle_timeout: Seconds after which a run that only waits leaves memory; `None` for never.
        limit: How many may be in memory; further ones queue. `None` for any number.
    """

    def __init__(
        self,
        host: Host,
        store: AbstractWorkflowStore,
        news: News,
        idle_timeout: float | None = None,
        limit: int | None = None,
    ) -> None:
        self.host = host
        self._committer = Committer(host, store, news)
        self._by_handler: dict[str, ActiveRun] = {}
        self._places = Places(limit)
        # A run that can't be loaded again must stay.
        self._may_leave = store.keeps_parts
        self._idle_timeout = idle_timeout
        self.on_release: Callable[[], None] | None = None
        """Called when a run has left memory."""
        self.on_refusal: Callable[[str, str], None] | None = None
        """Called with handler and run when a run was dropped because the store refused a batch."""
        self.stopping = False
        """Whether no run begins or goes on any more."""
        self.on_place: Callable[[str], None] | None = None
        """Called when a handler has a place whose run is not in memory: it must be loaded."""

    def get(self, handler_id: str) -> ActiveRun | None:
        """Return the live run of a handler, or `None`."""
        return self._by_handler.get(handler_id)

    def start(
        self,
        served: ServedWorkflow,
        handler_id: str,
        store: InMemoryStateStore[Any],
        given: Event | ResumableRun,
        keys: tuple[IdempotencyKey, ...] = (),
    ) -> ActiveRun:
        """Begin a run, or go on with one that a snapshot told of; it is accepted once its first commit is.

        Args:
            served: The workflow.
            handler_id: Its handler, which has no live run.
            store: The state that it begins with.
            given: Its start event, or the run to go on with.
            keys: Committed with the start.

        Raises:
            SerializationError: The start event or the state can't be encoded.
            StoreError: The runs are being stopped.
            WorkflowRuntimeError: Runs of the same `Workflow` instance are alive on another event loop.
        """
        self._check_open()
        served.assembly.settle_on(self.host)
        # In whole microseconds, as it is shown, so that filters by what was shown are exact.
        run_id, now = new_id(), round(self.host.clock(), 6)
        resumed = given if isinstance(given, ResumableRun) else None
        runner = served.make_runner(self.host, run_id, handler_id, store, None if resumed is None else resumed.run)
        record = HandlerRecord(
            handler_id=handler_id,
            workflow_name=served.name,
            run_id=run_id,
            status="running",
            phase="queued",
            started_at=now,
            updated_at=now,
        )
        runner.journal = journal = StoredJournal(self._committer, runner, record)
        # Refused now if it can't be encoded, before anything is written.
        runner.start = given.start if isinstance(given, ResumableRun) else runner.message(given)
        image = runner.store.bind(journal, served.assembly.serializer)
        if resumed is not None:
            runner.timers.rested = resumed.alive
        run = self._add(ActiveRun(handler_id, served, runner, journal))
        journal.prepare(image, () if resumed is None else resumed.run.parts(), keys)
        self._launch_in_turn(run, (1, now))
        return run

    def revive(
        self,
        served: ServedWorkflow,
        stored: StoredRun,
        loaded: Run,
        published: dict[int, tuple[tuple[str, str], ...]],
    ) -> ActiveRun:
        """Go on with a run that was loaded.

        Args:
            served: The workflow.
            stored: What the store has of the run.
            loaded: The run.
            published: What each interrupted item has published since its last state write.

        Raises:
            LookupError: A class is gone.
            StoreError: The runs are being stopped.
            ValueError: The state or the start event can't be read.
            WorkflowRuntimeError: Runs of the same `Workflow` instance are alive on another event loop.
        """
        self._check_open()
        served.assembly.settle_on(self.host)
        record = stored.record
        runner = served.make_runner(
            self.host, record.run_id, record.handler_id, served.load_state(stored.state), loaded
        )
        runner.start = None if loaded.started else served.read_stored_start(stored)
        runner.published = published
        runner.journal = journal = StoredJournal(self._committer, runner, record, stored)
        runner.store.bind(journal, served.assembly.serializer)
        runner.timers.rested = stored.alive
        run = self._add(ActiveRun(record.handler_id, served, runner, journal, record.started_at))
        self._launch_in_turn(run, (1, record.started_at))
        return run

    def _check_open(self) -> None:
        if self.stopping:
            raise StoreError("The server is stopping: no run begins or goes on")

    def _add(self, run: ActiveRun) -> ActiveRun:
        self._by_handler[run.handler_id] = run
        run.runner.on_end.append(lambda: self._forget(run))
        if self._may_leave:
            run.journal.on_commit = lambda: self._look_whether_it_leaves(run)
        return run

    def _forget(self, run: ActiveRun) -> None:
        if self._by_handler.get(run.handler_id) is run:
            del self._by_handler[run.handler_id]
        run.journal.let_go()
        if run.idle_alarm is not None:
            run.idle_alarm.cancel()
        if run.journal.refusal is not None and self.on_refusal is not None and not self.stopping:
            self.on_refusal(run.handler_id, run.runner.plan.run_id)
        if run.placed or run.is_over:
            self.leave(run.handler_id)

    # Places in memory

    def _launch_in_turn(self, run: ActiveRun, turn: Turn) -> None:
        if self._places.take(run.handler_id, turn):
            run.launch()
        else:
            run.runner.queued = True
            run.journal.touch({})

    def expect_earlier_ones(self) -> None:
        """Let newcomers queue until `expect_no_more`: runs of an earlier process come first."""
        self._places.until = (1,)

    def expect_no_more(self) -> None:
        """All runs of an earlier process that are to come first have queued."""
        self._places.until = None
        self._fill()

    def queue(self, handler_id: str, turn: Turn) -> None:
        """Have a run that is not in memory wait for its place there."""
        self._places.wait(handler_id, turn)
        self._fill()

    def leave(self, handler_id: str) -> None:
        """Give a handler's place to the next one."""
        self._places.leave(handler_id)
        self._fill()

    def _fill(self) -> None:
        while not self.stopping and (handler_id := self._places.next()) is not None:
            run = self._by_handler.get(handler_id)
            if run is not None:
                run.launch()
            elif self.on_place is not None:
                self.on_place(handler_id)

    # Leaving memory

    def _look_whether_it_leaves(self, run: ActiveRun) -> None:
        phase = run.journal.record.phase
        if run.only_queues:
            self.host.port.spawn(self._leave_queued, run)
        elif phase == "idle" and run.journal.leaving and run.only_waits:
            run.runner.drop()
            if self.on_release is not None:
                self.on_release()
        elif phase == "waiting":
            if run.idle_alarm is None and self._idle_timeout is not None:
                self._set_idle_alarm(run)
        elif run.idle_alarm is not None:
            run.idle_alarm.cancel()
            run.idle_alarm = None

    async def _leave_queued(self, run: ActiveRun) -> None:
        """Let go of a run without a place; later, because somebody may be about to tell it something."""
        if run.only_queues and not self.stopping:
            run.runner.drop()

    def _set_idle_alarm(self, run: ActiveRun) -> None:
        assert self._idle_timeout is not None
        at = self.host.port.now() + self._idle_timeout
        run.idle_alarm = self.host.alarms.set(at, lambda: self._release(run))

    def _release(self, run: ActiveRun) -> None:
        run.idle_alarm = None
        if self.stopping or run.runner.dropped:
            return
        if not run.only_waits:
            self._set_idle_alarm(run)
            return
        # It leaves when the store knows that it has left, unless something happens meanwhile.
        run.journal.leaving = True
        run.journal.touch({})

    async def stop(self, grace: float) -> tuple[str, ...]:
        """Start no further step, let running ones end within `grace` seconds, then stop them all.

        Returns:
            Names of the steps that ignored being cancelled, and are left to themselves.
        """
        self.stopping = True
        runners = [run.runner for run in self._by_handler.values()]
        for runner in runners:
            runner.hold()
        with anyio.move_on_after(grace):
            for runner in runners:
                await runner.wind_down()
        await self._committer.finish(WRITE_WITHIN)
        for runner in runners:
            runner.drop()
        last = anyio.current_time() + STOP_WITHIN
        left: set[str] = set()
        for runner in runners:
            left.update(await runner.stop_steps(max(0.0, last - anyio.current_time())))
        return tuple(sorted(left))
