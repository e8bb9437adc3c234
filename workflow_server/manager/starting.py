"""Starting runs: once for each idempotency key, and one at a time for each handler."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from workflow_server.api.commands import StartRun
from workflow_server.api.outcomes import Outcome, Refused, RunAccepted, RunFinished
from workflow_server.errors import ContextSerdeError, SerializationError
from workflow_server.manager.active_run import ActiveRun
from workflow_server.manager.description import NO_WORKFLOW
from workflow_server.manager.ending import Endings, answer_at_end
from workflow_server.manager.once import Once
from workflow_server.manager.options import ManagerOptions
from workflow_server.manager.refusals import (
    NO_HANDLER,
    STOPPING,
    UNSTORABLE,
    already_running,
    invalid,
    still_running,
)
from workflow_server.manager.runs import ActiveRuns
from workflow_server.manager.served import ServedWorkflow, WrongStartEvent
from workflow_server.runtime.ids import new_id
from workflow_server.runtime.snapshot import Restored
from workflow_server.stores.base import AbstractWorkflowStore, KeptKey, Verdict
from workflow_server.wire.envelopes import EventValidationError
from workflow_server.wire.records import HandlerRecord


class Starting:
    """Executes `StartRun`.

    Args:
        workflows: The served workflows by name; read at each command.
        store: Keeps the runs.
        once: Knows which requests were done.
        endings: Waits for runs that were started before.
        options: See `ManagerOptions`.
    """

    def __init__(
        self,
        workflows: Mapping[str, ServedWorkflow],
        store: AbstractWorkflowStore,
        once: Once,
        endings: Endings,
        options: ManagerOptions,
    ) -> None:
        self._workflows = workflows
        self._store = store
        self._once = once
        self._endings = endings
        self._options = options

    async def execute(self, runs: ActiveRuns, command: StartRun) -> Outcome:
        """Start a run, or find the one that was started with the same key, and return what to answer."""
        started = await (self._begin_once(runs, command) if command.keys else self._begin(runs, command))
        match started:
            case Refused():
                return started
            case ActiveRun():
                if command.wait:
                    return answer_at_end(started, await started.end())
                return RunAccepted(_as_accepted(started.journal.record))
            case KeptKey():
                return await self._again(started, command)

    async def _begin_once(self, runs: ActiveRuns, command: StartRun) -> ActiveRun | KeptKey | Refused:
        async with self._once.turn(command.keys):
            live = runs.get(command.handler_id) if command.handler_id else None
            return await self._once.done(command.keys, live) or await self._begin(runs, command)

    async def _again(self, kept: KeptKey, command: StartRun) -> Outcome:
        """Answer as when the run was started."""
        record = await self._store.run(kept.run_id)
        if record is not None and command.wait:
            record = await self._endings.until_over(record, None)
        if record is None:
            return NO_HANDLER  # removed in this moment
        if not command.wait:
            return RunAccepted(_as_accepted(record))
        return still_running(record.handler_id) if record.status == "running" else RunFinished(record)

    async def _begin(self, runs: ActiveRuns, command: StartRun) -> ActiveRun | KeptKey | Refused:
        served = self._workflows.get(command.workflow)
        if served is None:
            return NO_WORKFLOW
        try:
            restored = self._read_context(served, command.context) if command.context else Restored(None, None)
            given = restored.run or served.read_start_event(command.start_event)
        except (ContextSerdeError, WrongStartEvent) as error:
            return invalid(str(error))
        except EventValidationError as error:
            return invalid(f"Validation error for 'start_event': {error}")
        handler_id = command.handler_id or new_id()
        known = await self._store.handler(handler_id) if command.handler_id else None
        if known is not None and known.status == "running":
            return already_running(handler_id)
        continues = known is not None and known.workflow_name == served.name
        state = dict(await self._store.state(known.run_id)) if known is not None and continues else {}
        live = runs.get(handler_id)
        if live is not None and known is not None and live.journal.record.run_id == known.run_id:
            await live.runner.ended.wait()  # the store has its end, and has failed to say so until now
        if runs.get(handler_id) is not None:
            return already_running(handler_id)
        try:
            store = restored.store or served.load_state(state)
            run = runs.start(served, handler_id, store, given, command.keys)
            accepted = await run.accepted(kept=command.wait)
        except (SerializationError, ValueError) as error:
            return invalid(f"Validation error for 'start_event': {error}")
        match accepted:
            case Verdict.DONE:
                return run
            case Verdict.CONFLICT:
                return already_running(handler_id)
            case Verdict.TAKEN:  # whoever asked for it before went away before it was committed
                return await self._once.done(command.keys, None) or NO_HANDLER
            case Verdict.STALE:  # never written: at the stop a failing store was given up, else it can't hold it
                return STOPPING if runs.stopping else UNSTORABLE

    def _read_context(self, served: ServedWorkflow, context: dict[str, Any]) -> Restored:
        if not self._options.accept_context_api:
            raise ContextSerdeError(
                "Context API is disabled. Set accept_context_api=True on WorkflowServer to enable it."
            )
        try:
            return served.read_context(context)
        except ContextSerdeError as error:
            raise ContextSerdeError(f"Error processing request body: {error}") from error


def _as_accepted(record: HandlerRecord) -> HandlerRecord:
    """Return a handler as it was when its run was accepted, whatever has become of it since."""
    begun = replace(record, status="running", phase="queued", updated_at=record.started_at)
    return replace(begun, completed_at=None, error=None, result=None, result_unreadable=False)
