"""The handler manager: executes commands.

    command -> (workflows, runs in memory, store) -> outcome

An outcome is returned only when everything it tells is committed. Cancelling `execute`, as a transport does when
its client goes away, stops the waiting and nothing else: the run goes on.
"""

from __future__ import annotations

import logging
from typing import assert_never

from workflow_server.api.commands import (
    CancelHandler,
    CheckHealth,
    CheckReadiness,
    Command,
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
    SendEvent,
    StartRun,
    StreamEvents,
)
from workflow_server.api.outcomes import (
    Cancelled,
    Deleted,
    EventAccepted,
    HandlerFound,
    HandlersListed,
    Health,
    Outcome,
    Readiness,
    Refusal,
    Refused,
    ResultFound,
    RunAccepted,
    RunFinished,
    WorkflowNames,
)
from workflow_server.errors import SerializationError, StoreError
from workflow_server.manager.description import NO_WORKFLOW, describe
from workflow_server.manager.inspection import Inspect, inspect
from workflow_server.manager.options import ManagerOptions
from workflow_server.manager.revival import Blocked, Revival
from workflow_server.manager.runs import ActiveRun, ActiveRuns
from workflow_server.manager.served import ServedWorkflow, WrongStartEvent
from workflow_server.manager.streams import open_stream
from workflow_server.runtime.feed import HandlerListing, News
from workflow_server.runtime.host import current_host
from workflow_server.runtime.ids import new_id
from workflow_server.stores.base import AbstractWorkflowStore, HandlerQuery, Verdict
from workflow_server.wire.envelopes import EventValidationError

log = logging.getLogger("workflow_server")

_NO_HANDLER = Refused(Refusal.NOT_FOUND, "Handler not found")
_STOPPING = Refused(Refusal.UNAVAILABLE, "The server is stopping; try again soon.", retry_after=1)


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
        self._runs: ActiveRuns | None = None
        self.unstopped: tuple[str, ...] = ()
        """Names of steps that the last stop could not stop."""

    async def start(self) -> None:
        """Make ready for commands, on the running loop."""
        await self._store.start()
        self._runs = ActiveRuns(current_host(), self._store, self._news, self._options.idle_timeout)
        self._revival = Revival(self._workflows, self._store, self._runs)
        self._runs.on_release = self._revival.look_at_timers
        if self._store.keeps_parts:
            self._revival.begin()

    async def halt(self) -> None:
        """Refuse new work, let running steps end within the grace time, and stop the rest; the store stays open."""
        runs, self._runs = self._runs, None
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
            return await self._execute(command)
        except StoreError:
            if self._runs is None:
                return _STOPPING  # what the store could not do any more, the next server's will
            raise

    async def _execute(self, command: Command) -> Outcome:
        match command:
            case CheckHealth():
                return Health(self._runs is not None)
            case CheckReadiness():
                return self._readiness()
            case ListWorkflows():
                return WorkflowNames(tuple(self._workflows))
            case DescribeSchema() | DescribeEvents() | DescribeGraph():
                return describe(command, self._workflows)
            case ListHandlers():
                query = HandlerQuery(workflow_name_in=command.workflow_name, status_in=command.status)
                return HandlersListed(HandlerListing(self._store, query))
            case GetHandler():
                record = await self._store.handler(command.handler_id)
                return _NO_HANDLER if record is None else HandlerFound(record)
            case GetResult():
                record = await self._store.handler(command.handler_id)
                return _NO_HANDLER if record is None else ResultFound(record)
            case GetState() | GetInput() | GetWaiting():
                return await self._inspect(command)
            case StreamEvents():
                opened = await open_stream(command, self._store, self._news, self._options.heartbeat)
                return _NO_HANDLER if opened is None else opened
            case StartRun() | SendEvent() | CancelHandler():
                return _STOPPING if self._runs is None else await self._act(self._runs, command)
            case _:
                assert_never(command)

    async def _act(self, runs: ActiveRuns, command: StartRun | SendEvent | CancelHandler) -> Outcome:
        match command:
            case StartRun():
                return await self._start(runs, command)
            case SendEvent():
                return await self._send(command)
            case CancelHandler():
                return await self._cancel(command)

    def _readiness(self) -> Readiness:
        if self._runs is None:
            return Readiness(False, ("The server has not started, or is stopping.",))
        return Readiness(True)

    async def _inspect(self, command: Inspect) -> Outcome:
        record = await self._store.handler(command.handler_id)
        if record is None:
            return _NO_HANDLER
        live = None if self._runs is None else self._runs.get(command.handler_id)
        return await inspect(command, record, self._store, live, self._workflows.get(record.workflow_name))

    # Starting

    async def _start(self, runs: ActiveRuns, command: StartRun) -> Outcome:
        served = self._workflows.get(command.workflow)
        if served is None:
            return NO_WORKFLOW
        if command.context:
            return _invalid(self._refuse_context())
        try:
            event = served.read_start_event(command.start_event)
        except WrongStartEvent as error:
            return _invalid(str(error))
        except EventValidationError as error:
            return _invalid(f"Validation error for 'start_event': {error}")
        handler_id = command.handler_id or new_id()
        known = await self._store.handler(handler_id) if command.handler_id else None
        if known is not None and known.status == "running":
            return _already_running(handler_id)
        continues = known is not None and known.workflow_name == served.name
        state = dict(await self._store.state(known.run_id)) if known is not None and continues else {}
        if runs.get(handler_id) is not None:
            return _already_running(handler_id)
        try:
            run = runs.start(served, handler_id, event, state)
            accepted = await run.accepted()
        except (SerializationError, ValueError) as error:
            return _invalid(f"Validation error for 'start_event': {error}")
        if accepted is Verdict.CONFLICT:
            return _already_running(handler_id)
        if accepted is Verdict.STALE:
            return _STOPPING  # a stop that gave up a failing store: the run was never written
        return await _finished(run) if command.wait else RunAccepted(run.journal.record)

    def _refuse_context(self) -> str:
        if not self._options.accept_context_api:
            return "Context API is disabled. Set accept_context_api=True on WorkflowServer to enable it."
        return (
            "This version of the server can't start from a context yet; continue a handler by its handler_id instead."
        )

    # Events from outside

    async def _send(self, command: SendEvent) -> Outcome:
        found = await self._running(command.handler_id)
        if isinstance(found, Refused):
            return found
        try:
            event = found.served.read_event(command.event)
            refusal = await found.send(event, command.step)
        except EventValidationError as error:
            return _invalid(str(error))
        except SerializationError as error:
            return _invalid(f"Failed to send event: {error}")
        except StoreError:  # somebody else removed it in this moment, unless this is the stop
            if self._runs is None:
                raise
            return _NO_HANDLER
        if refusal is not None:
            return _invalid(f"Failed to send event: {refusal.describe(type(event))}")
        return EventAccepted()

    async def _running(self, handler_id: str) -> ActiveRun | Refused:
        try:
            run = await self._revival.open(handler_id)
        except Blocked as error:
            return Refused(Refusal.CONFLICT, f"Handler '{handler_id}' can't go on: {error}")
        if run is not None and run.runner.run.ending is None:
            return run
        known = run is not None or await self._store.handler(handler_id) is not None
        return Refused(Refusal.CONFLICT, "Workflow already completed") if known else _NO_HANDLER

    # Cancelling

    async def _cancel(self, command: CancelHandler) -> Outcome:
        record = await self._store.handler(command.handler_id)
        if record is None or (record.status != "running" and not command.purge):
            return _NO_HANDLER
        unstopped: tuple[str, ...] = ()
        try:
            run = await self._revival.open(command.handler_id)
            if run is not None:
                unstopped = await run.runner.cancel(self._options.cancel_within)
        except Blocked:
            await self._revival.cancel_blocked(command.handler_id)
        except StoreError:  # likewise
            if self._runs is None:
                raise
            return _NO_HANDLER
        if not command.purge:
            return Cancelled(unstopped)
        return Deleted(unstopped) if await self._store.delete(command.handler_id) else _NO_HANDLER


async def _finished(run: ActiveRun) -> Outcome:
    record = await run.end()
    if record is None:
        detail = f"The server is stopping before the run has ended; ask for handler {run.handler_id} later."
        return Refused(Refusal.UNAVAILABLE, detail, retry_after=1)
    if record.status != "completed":
        exception = run.runner.run.exception
        where = f"(handler={record.handler_id}, run={record.run_id})"
        log.error("Workflow %s %s raised an exception", record.workflow_name, where, exc_info=exception)
        finished = f"finished with status={record.status}"
        log.error("Workflow %s %s error=%s %s", record.workflow_name, finished, record.error, where)
    return RunFinished(record)


def _invalid(detail: str) -> Refused:
    return Refused(Refusal.INVALID, detail)


def _already_running(handler_id: str) -> Refused:
    return Refused(Refusal.CONFLICT, f"Handler '{handler_id}' is already running")
