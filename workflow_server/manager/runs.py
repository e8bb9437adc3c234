"""The runs that are alive in this process, by handler."""

from __future__ import annotations

import anyio

from workflow_server.engine.inputs import Misdirected, Sent
from workflow_server.errors import StoreError
from workflow_server.events import Event
from workflow_server.manager.served import ServedWorkflow
from workflow_server.runtime.committer import Committer, StoredJournal
from workflow_server.runtime.feed import News
from workflow_server.runtime.host import Host
from workflow_server.runtime.runner import Runner
from workflow_server.runtime.workflow import new_id
from workflow_server.stores.base import AbstractWorkflowStore, Verdict
from workflow_server.wire.records import HandlerRecord

STOP_WITHIN = 1.0
"""Seconds that cancelled steps get to unwind when the server stops."""
WRITE_WITHIN = 5.0
"""Seconds that a store which fails gets to come back when the server stops."""


class ActiveRun:
    """A run of a handler, alive in memory."""

    def __init__(self, handler_id: str, served: ServedWorkflow, runner: Runner, journal: StoredJournal) -> None:
        self.handler_id = handler_id
        self.served = served
        self.runner = runner
        self.journal = journal

    async def accepted(self) -> Verdict:
        """Wait for the first commit and return what the store said to it."""
        try:
            await self.journal.settled()
        except StoreError:
            assert self.journal.refusal is not None
            return self.journal.refusal
        return Verdict.DONE

    async def send(self, event: Event, step: str | None) -> Misdirected | None:
        """Give the run an event from outside, and return once that is committed.

        Returns:
            What is wrong with the target, if anything; then nothing was sent.

        Raises:
            SerializationError: The event can't be encoded.
            StoreError: The run was dropped.
        """
        runner = self.runner
        refusal: Misdirected | None = runner.apply(Sent(runner.host.clock(), runner.message(event), step))
        await self.journal.settled()
        return refusal

    async def end(self) -> HandlerRecord | None:
        """Wait for the run's end and return its record; `None` if the server lets go of the run before."""
        await self.runner.ended.wait()
        return None if self.journal.record.status == "running" else self.journal.record


class ActiveRuns:
    """All runs of a server that are alive.

    Args:
        host: The loop's shared means.
        store: Keeps them.
        news: Wakes readers of their events.
    """

    def __init__(self, host: Host, store: AbstractWorkflowStore, news: News) -> None:
        self._host = host
        self._committer = Committer(host, store, news)
        self._by_handler: dict[str, ActiveRun] = {}

    def get(self, handler_id: str) -> ActiveRun | None:
        """Return the live run of a handler, or `None`."""
        return self._by_handler.get(handler_id)

    def start(self, served: ServedWorkflow, handler_id: str, event: Event, state: dict[str, str]) -> ActiveRun:
        """Begin a run; it is accepted once its first commit is.

        Args:
            served: The workflow.
            handler_id: Its handler, which has no live run.
            event: Its start event.
            state: What an earlier run of the handler left.

        Raises:
            SerializationError: The start event or the state can't be encoded.
            ValueError: The state can't be read.
            WorkflowRuntimeError: Runs of the same `Workflow` instance are alive on another event loop.
        """
        served.workflow.settle_on(self._host)
        run_id, now = new_id(), self._host.clock()
        runner = served.make_runner(self._host, run_id, state)
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
        start = runner.message(event)  # refused now if it can't be encoded, before anything is written
        image = runner.store.bind(journal, served.workflow.serializer)
        run = self._by_handler[handler_id] = ActiveRun(handler_id, served, runner, journal)
        runner.on_end.append(lambda: self._forget(handler_id))
        journal.prepare(image)
        if not served.workflow.launch(runner, start):
            journal.touch({})
        return run

    def _forget(self, handler_id: str) -> None:
        self._by_handler.pop(handler_id, None)

    async def stop(self, grace: float) -> tuple[str, ...]:
        """Start no further step, let running ones end within `grace` seconds, then stop them all.

        Returns:
            Names of the steps that ignored being cancelled, and are left to themselves.
        """
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
