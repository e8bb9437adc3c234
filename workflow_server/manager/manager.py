"""The handler manager: executes commands.

    command -> (workflows, runs in memory, store) -> outcome

An outcome is returned only when everything it tells is committed. Cancelling `execute`, as a transport does when
its client goes away, stops the waiting and nothing else: the run goes on.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable
from typing import assert_never

from workflow_server.api.commands import (
    Act,
    CancelHandler,
    CheckHealth,
    CheckReadiness,
    Command,
    DescribeApi,
    DescribeEvents,
    DescribeGraph,
    DescribeSchema,
    GetHandler,
    GetInput,
    GetResult,
    GetState,
    GetWaiting,
    ListHandlers,
    ListWorkflows,
    Look,
    SendEvent,
    StartRun,
    StreamEvents,
    StreamSeveral,
)
from workflow_server.api.outcomes import (
    Cancelled,
    Deleted,
    EventAccepted,
    HandlerFound,
    Health,
    Outcome,
    Readiness,
    Refusal,
    Refused,
    ResultFound,
    WorkflowNames,
)
from workflow_server.engine.inputs import Misdirected, Unwanted
from workflow_server.errors import SerializationError, StoreError, StoreUnavailable
from workflow_server.manager.active_run import ActiveRun
from workflow_server.manager.description import describe
from workflow_server.manager.ending import Endings
from workflow_server.manager.inspection import Inspect, inspect, wait_named
from workflow_server.manager.listing import list_handlers
from workflow_server.manager.once import Once
from workflow_server.manager.options import ManagerOptions
from workflow_server.manager.refusals import (
    CANCEL_NOT_STORED,
    CHANGED_MEANWHILE,
    LET_GO,
    NO_HANDLER,
    STOPPING,
    STORE_IS_OUT,
    invalid,
    stale,
)
from workflow_server.manager.revival import Blocked, Revival
from workflow_server.manager.runs import ActiveRuns
from workflow_server.manager.served import ServedWorkflow
from workflow_server.manager.starting import Starting
from workflow_server.manager.streams import open_several, open_stream
from workflow_server.runtime.feed import News
from workflow_server.runtime.host import current_host
from workflow_server.stores.base import AbstractWorkflowStore, KeptKey
from workflow_server.wire.envelopes import EventValidationError

log = logging.getLogger("workflow_server")


class HandlerManager:
    """Executes commands for the served workflows.

    Args:
        workflows: The served workflows by name; read at each command.
        store: Keeps the runs. Started and closed by the manager.
        options: See `ManagerOptions`.
    """

    def __init__(
        self, workflows: dict[str, ServedWorkflow], store: AbstractWorkflowStore, options: ManagerOptions
    ) -> None:
        self._workflows = workflows
        self._store = store
        self._options = options
        self._news = News()
        self._once = Once(store)
        self._endings = Endings(store, self._news, lambda: self._runs)
        self._starting = Starting(workflows, store, self._once, self._endings, options)
        self._runs: ActiveRuns | None = None
        self.unstopped: tuple[str, ...] = ()
        """Names of steps that the last stop could not stop."""

    async def start(self) -> None:
        """Make ready for commands, on the running loop."""
        await self._store.start()
        options = self._options
        self._runs = ActiveRuns(current_host(), self._store, self._news, options.idle_timeout, options.max_active_runs)
        self._revival = Revival(self._workflows, self._store, self._runs)
        self._runs.on_release = self._revival.look_at_timers
        self._runs.on_place = self._revival.load_soon
        if self._store.keeps_parts:
            self._runs.on_refusal = self._revival.note_refusal
            await self._revival.begin()

    async def halt(self) -> None:
        """Refuse new work, let running steps end within the grace time, and stop the rest; the store stays open."""
        runs, self._runs = self._runs, None
        self._news.tell_all()
        if runs is not None:
            if self._store.keeps_parts:
                await self._revival.end()
            self.unstopped = await runs.stop(self._options.shutdown_grace)
            if self.unstopped:
                log.warning("Left behind at the stop, because they ignore cancellation: %s", ", ".join(self.unstopped))

    async def stop(self) -> None:
        """Halt, and close the store; whatever still reads from it is refused."""
        await self.halt()
        await self._store.close()

    async def execute(self, command: Command) -> Outcome:
        """Do what `command` says and return what came of it."""
        try:
            if isinstance(command, Act):
                return STOPPING if self._runs is None else await self._act(self._runs, command)
            return await self._look(command)
        except StoreError as error:
            if self._runs is None:
                return STOPPING  # what the store could not do any more, the next server's will
            if not isinstance(error, StoreUnavailable):
                raise
            log.warning("A request could not be served: %s", error)
            return STORE_IS_OUT

    def _act(self, runs: ActiveRuns, command: Act) -> Awaitable[Outcome]:
        match command:
            case StartRun():
                return self._starting.execute(runs, command)
            case SendEvent():
                return self._send(runs, command)
            case CancelHandler():
                return self._cancel(command)

    async def _look(self, command: Look) -> Outcome:
        match command:
            case CheckHealth():
                return Health(self._runs is not None)
            case CheckReadiness():
                return self._readiness()
            case ListWorkflows():
                return WorkflowNames(tuple(self._workflows))
            case DescribeSchema() | DescribeEvents() | DescribeGraph() | DescribeApi():
                return describe(command, self._workflows)
            case ListHandlers():
                return await list_handlers(command, self._store)
            case GetHandler():
                record = await self._store.handler(command.handler_id)
                if record is not None and command.wait:
                    record = await self._endings.until_over(record, command.wait)
                return NO_HANDLER if record is None else HandlerFound(record, command.outcome_in_body)
            case GetResult():
                record = await self._store.handler(command.handler_id)
                return NO_HANDLER if record is None else ResultFound(record)
            case GetState() | GetInput() | GetWaiting():
                return await self._inspect(command)
            case StreamEvents() | StreamSeveral():
                return await self._stream(command)
            case _:
                assert_never(command)

    async def _stream(self, command: StreamEvents | StreamSeveral) -> Outcome:
        beat = self._options.heartbeat
        if isinstance(command, StreamSeveral):
            now = current_host().clock()
            return await open_several(command, self._store, self._news, beat, now)
        opened = await open_stream(command, self._store, self._news, beat)
        return NO_HANDLER if opened is None else opened

    def _readiness(self) -> Readiness:
        if self._runs is None:
            return Readiness(False, ("The server has not started, or is stopping.",))
        return Readiness(True)

    async def _inspect(self, command: Inspect) -> Outcome:
        record = await self._store.handler(command.handler_id)
        if record is None:
            return NO_HANDLER
        live = None if self._runs is None else self._runs.get(command.handler_id)
        return await inspect(command, record, self._store, live, self._workflows.get(record.workflow_name))

    # Events from outside

    async def _send(self, runs: ActiveRuns, command: SendEvent) -> Outcome:
        if not command.keys:
            return await self._send_now(command)
        async with self._once.turn(command.keys):
            done = await self._once.done(command.keys, runs.get(command.handler_id))
            if isinstance(done, KeptKey):
                return EventAccepted()
            return done or await self._send_now(command)

    async def _send_now(self, command: SendEvent) -> Outcome:
        try:
            found = await self._running(command.handler_id)
            if isinstance(found, Refused):
                return found
            wait = None if command.waiter_id is None else wait_named(command.waiter_id, found.runner.plan.run_id)
            if wait is None and command.waiter_id is not None:
                return stale(command.waiter_id)
            event = found.served.read_event(command.event)
            refusal = found.served.refuses(event, command.step) or await found.send(
                event, command.step, wait, command.keys
            )
        except EventValidationError as error:
            return invalid(str(error))
        except SerializationError as error:
            return invalid(f"Failed to send event: {error}")
        except StoreError as error:
            return await self._let_go(command.handler_id, error)
        match refusal:
            case Misdirected():
                return invalid(f"Failed to send event: {refusal.describe(type(event))}")
            case Unwanted(is_over=True):
                return stale(command.waiter_id or "")
            case Unwanted():
                return invalid(f"Failed to send event: {command.waiter_id!r} waits for something else")
            case None:
                return EventAccepted()

    async def _running(self, handler_id: str) -> ActiveRun | Refused:
        try:
            run = await self._revival.open(handler_id)
        except Blocked as error:
            return Refused(Refusal.CONFLICT, f"Handler '{handler_id}' can't go on: {error}")
        if run is not None:
            if run.runner.run.ending is None:
                return run
            await run.journal.settled()  # nobody may hear of an end that is not committed
        known = run is not None or await self._store.handler(handler_id) is not None
        return Refused(Refusal.CONFLICT, "Workflow already completed") if known else NO_HANDLER

    # Cancelling

    async def _cancel(self, command: CancelHandler) -> Outcome:
        record = await self._store.handler(command.handler_id)
        if record is None or (record.status != "running" and not command.purge):
            return NO_HANDLER
        unstopped: tuple[str, ...] = ()
        cancelled = True
        try:
            run = await self._revival.open(command.handler_id)
            if run is not None:
                unstopped = await run.runner.cancel(self._options.cancel_within)
            cancelled = run is not None and run.runner.run.ending == "cancelled"
        except Blocked:
            if not await self._revival.cancel_blocked(command.handler_id):
                return CHANGED_MEANWHILE
        except TimeoutError:
            return CANCEL_NOT_STORED
        except StoreError as error:
            return await self._let_go(command.handler_id, error)
        if not command.purge:
            return Cancelled(unstopped) if cancelled else NO_HANDLER  # it may have ended by itself meanwhile
        return Deleted(unstopped) if await self._store.delete(command.handler_id) else NO_HANDLER

    async def _let_go(self, handler_id: str, error: StoreError) -> Refused:
        """Answer for a run that the store let go of: somebody removed it, or one of its batches can't be stored."""
        if self._runs is None or isinstance(error, StoreUnavailable):
            raise error
        return NO_HANDLER if await self._store.handler(handler_id) is None else LET_GO
