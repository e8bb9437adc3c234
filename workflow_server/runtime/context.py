"""`Context`: what a step can do besides returning an event, and what a program sees of a run from outside."""

from __future__ import annotations

import warnings
from typing import Any, Generic

from workflow_server.engine.inputs import Misdirected, Sent
from workflow_server.errors import ContextStateError, WorkflowRuntimeError
from workflow_server.events import Event
from workflow_server.runtime.assembly import assembly_of
from workflow_server.runtime.event_stream import EventLog, EventStream
from workflow_server.runtime.execution import StepExecution, current_execution
from workflow_server.runtime.loop import call_on_loop
from workflow_server.runtime.publications import result_of
from workflow_server.runtime.runner import Runner
from workflow_server.runtime.snapshot import Restored, ResumableRun, write_snapshot
from workflow_server.runtime.state_store import InMemoryStateStore
from workflow_server.runtime.states import DictState, S, new_state
from workflow_server.runtime.step_calls import StepCalls
from workflow_server.serializers import BaseSerializer


class Context(StepCalls, Generic[S]):
    """A run as its steps see it, or, before and after, the state that runs share.

    Steps receive one that belongs to their execution. A program makes one from a workflow, to put something
    into `store` before the run, to let several runs share a state, or to go on with a run that `to_dict` has
    told of: `workflow.run(ctx=ctx)`.

    Args:
        workflow: The workflow whose runs it is for.
        previous_context: What `to_dict` returned, perhaps in another process.
        serializer: As for `from_dict`.

    Raises:
        ContextSerdeError: `previous_context` can't be read; the message says why.
    """

    def __init__(
        self,
        workflow: Any,
        previous_context: dict[str, Any] | None = None,
        serializer: BaseSerializer | None = None,
    ) -> None:
        self._workflow = workflow
        self._runner: Runner | None = None
        self._execution: StepExecution | None = None
        self._store: InMemoryStateStore[Any] | None = None
        self._log: EventLog | None = None
        self._resumable: ResumableRun | None = None
        if previous_context is not None:
            self.use_restored(assembly_of(workflow).snapshot_reader(serializer).read(previous_context))

    @classmethod
    def from_dict(cls, workflow: Any, data: dict[str, Any], serializer: BaseSerializer | None = None) -> Context[S]:
        """Return the context that `to_dict` described: `workflow.run(ctx=…)` goes on with its run, if it has one.

        Args:
            workflow: The workflow that it was taken of, or a later version of it.
            data: What `to_dict` returned. It names classes to import, so it must come from a source you trust.
            serializer: The one that `to_dict` was given; the workflow's own by default.

        Raises:
            ContextSerdeError: A newer version wrote it, it is malformed, or it does not fit the workflow.
        """
        return cls(workflow, data, serializer)

    # Everywhere

    def to_dict(self, serializer: BaseSerializer | None = None, *, include_state: bool = True) -> dict[str, Any]:
        """Return a snapshot: the state and what the run has still to do, as a JSON-compatible dictionary.

        It may be taken at any moment and leaves the run alone. A cancelled run is told of as it was when it was
        cancelled, and can be resumed. In a run without a store, a step that is interrupted by a resumption says
        again what it has said before.

        Args:
            serializer: Encodes the state, and events that have no JSON form; the workflow's own by default.
            include_state: Whether the state comes along; `{}` takes its place otherwise.

        Raises:
            ValueError: A value can't be encoded; the message names it. The state key `memory` is left out instead.
        """
        runner, resumable = self._runner, self._resumable

        def write() -> dict[str, Any]:
            image = resumable.image() if resumable is not None else None if runner is None else runner.image()
            store = self._store if include_state else None
            return write_snapshot(store, image, serializer or assembly_of(self._workflow).serializer)

        is_alive = runner is not None and not runner.ended.is_set()
        return call_on_loop(runner.host.port, write) if runner is not None and is_alive else write()

    @property
    def store(self) -> InMemoryStateStore[S]:
        """The state of the run."""
        if self._store is None:
            state_type = assembly_of(self._workflow).definition.state_type or DictState
            self._store = InMemoryStateStore(new_state(state_type))
        return self._store

    @property
    def is_running(self) -> bool:
        """Whether its run is alive, or waits to be resumed; always so within a step, where asking is deprecated."""
        if self._execution is not None:
            warnings.warn("is_running is always true within a step", DeprecationWarning, stacklevel=2)
        return self._resumable is not None or self._has_live_run

    @property
    def _has_live_run(self) -> bool:
        return self._runner is not None and not self._runner.ended.is_set()

    def send_event(self, message: Event, step: str | None = None) -> None:
        """Send an event into the run.

        Args:
            message: The event.
            step: The one step it is for; `None` for all that take it.

        Raises:
            ContextStateError: The context has no run yet.
            WorkflowRuntimeError: The step does not exist, or does not accept such an event.
            SerializationError: The run is stored and the event can't be encoded.
        """
        runner = self._runner
        if runner is None:
            raise ContextStateError("send_event() called before workflow started. Call workflow.run() first.")
        by = None if self._execution is None else self._execution.id

        def send() -> Misdirected | None:
            verdict: Misdirected | None = runner.apply(Sent(runner.host.clock(), runner.message(message), step, by))
            return verdict

        refusal = call_on_loop(runner.host.port, send)
        if isinstance(refusal, Misdirected):
            raise WorkflowRuntimeError(refusal.describe(type(message)))

    async def running_steps(self) -> list[str]:
        """Return the names of the steps that hold a worker.

        Raises:
            ContextStateError: The context has no run yet.
        """
        return list(self._need_runner("running_steps").run.active_steps)

    def stream_events(self, expose_internal: bool = False) -> EventStream:
        """Return an iterator over the run's events; see `WorkflowHandler.stream_events`.

        Raises:
            ContextStateError: The context has no run yet.
        """
        self._need_runner("stream_events")
        if self._log is None:
            raise ContextStateError("stream_events() is not available here: the server keeps the events of this run.")
        refusal = "Event stream already consumed. Events can only be streamed once per workflow run."
        return EventStream(self._log, expose_internal, refusal)

    def get_result(self) -> Any:
        """Return the result of the finished run.

        Raises:
            ContextStateError: The context has no run yet, or its run is not over.
        """
        runner = self._need_runner("get_result")
        if runner.run.result is None:
            raise ContextStateError("get_result() requires a finished run: await the handler first.")
        event = runner.run.result.event
        return result_of(event)

    # In steps only; more of it in `StepCalls`

    @staticmethod
    def get_step_context() -> Context[Any]:
        """Return the context of the step that the caller runs in.

        Raises:
            WorkflowRuntimeError: The caller does not run in a step.
        """
        execution = current_execution()
        if execution is None:
            raise WorkflowRuntimeError("get_step_context() may only be called from within a step")
        context: Context[Any] = execution.context
        return context

    # For the runner's makers

    def attach(self, runner: Runner, log: EventLog) -> None:
        """Make this the context of a run, and `log` what `stream_events` reads.

        Raises:
            ContextStateError: Another run that uses it is alive.
        """
        if self._has_live_run:
            raise ContextStateError(
                "Cannot start a new run while context is already running. Wait for completion or use a new Context."
            )
        self._runner, self._log, self._resumable = runner, log, None

    @property
    def resumable(self) -> ResumableRun | None:
        """The run that a snapshot told of, until it is resumed."""
        return self._resumable

    def use_restored(self, restored: Restored) -> None:
        """Take what a snapshot told of."""
        self._store, self._resumable = restored.store, restored.run

    @classmethod
    def for_step(cls, runner: Runner, execution: StepExecution) -> Context[Any]:
        """Return the context that one execution of a step is given."""
        context: Context[Any] = cls(runner.plan.workflow)
        context._runner, context._execution, context._store = runner, execution, runner.store
        return context
