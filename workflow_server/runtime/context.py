"""`Context`: what a step can do besides returning an event, and what a program sees of a run from outside."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar, cast

from workflow_server.definition.retry import RetryInfo
from workflow_server.engine.inputs import (
    Answer,
    Collected,
    Misdirected,
    Published,
    Sent,
    Suspended,
    WaitAbandoned,
    WaitBegan,
)
from workflow_server.engine.message import Message, kind_of
from workflow_server.errors import ContextStateError, WorkflowRuntimeError
from workflow_server.events import Event
from workflow_server.naming import routing_name
from workflow_server.runtime.event_stream import EventStream
from workflow_server.runtime.execution import StepExecution, current_execution
from workflow_server.runtime.loop import call_on_loop
from workflow_server.runtime.publications import result_of
from workflow_server.runtime.runner import Runner
from workflow_server.runtime.state_store import DictState, InMemoryStateStore, S, new_state
from workflow_server.serializers import JsonSerializer

E = TypeVar("E", bound=Event)
T = TypeVar("T")


class Context(Generic[S]):
    """A run as its steps see it, or, before and after, the state that runs share.

    Steps receive one that belongs to their execution. A program makes one from a workflow, to put something
    into `store` before the run, or to let several runs share a state: `workflow.run(ctx=ctx)`.

    Args:
        workflow: The workflow whose runs it is for.
    """

    def __init__(self, workflow: Any) -> None:
        self._workflow = workflow
        self._runner: Runner | None = None
        self._execution: StepExecution | None = None
        self._store: InMemoryStateStore[Any] | None = None
        self._reader: Callable[[bool], EventStream] | None = None

    # Everywhere

    @property
    def store(self) -> InMemoryStateStore[S]:
        """The state of the run."""
        if self._store is None:
            state_type = self._workflow.definition.state_type or DictState
            self._store = InMemoryStateStore(new_state(state_type))
        return self._store

    @property
    def is_running(self) -> bool:
        """Whether a run that uses this context is alive; always so inside a step, where asking is deprecated."""
        if self._execution is not None:
            warnings.warn("is_running is always true within a step", DeprecationWarning, stacklevel=2)
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
        if self._reader is None:
            raise ContextStateError("stream_events() is not available here: the server keeps the events of this run.")
        return self._reader(expose_internal)

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

    # In steps only

    def collect_events(self, ev: Event, expected: Sequence[type[E]], buffer_id: str | None = None) -> list[E] | None:
        """Buffer `ev` until one event for each entry of `expected` is there.

        Args:
            ev: The event to add; dropped if the buffer needs no (further) event of its class.
            expected: Event classes; a class may occur several times.
            buffer_id: Tells buffers of one step apart.

        Returns:
            The events in the order of `expected` for the call that completes the set, else `None`.

        Raises:
            ContextStateError: Called outside of a step.
        """
        runner, execution = self._need_step("collect_events")
        buffer = buffer_id or "default"

        def collect() -> list[Message] | None:
            complete: list[Message] | None = runner.apply(
                Collected(
                    at=runner.host.clock(),
                    by=execution.id,
                    ordinal=execution.next_ordinal("collect", buffer),
                    message=runner.message(ev),
                    expected=tuple(routing_name(cls) for cls in expected),
                    buffer=buffer,
                )
            )
            return complete

        collected = call_on_loop(runner.host.port, collect)
        return None if collected is None else [cast(E, message.event) for message in collected]

    async def wait_for_event(
        self,
        event_type: type[E],
        waiter_event: Event | None = None,
        waiter_id: str | None = None,
        requirements: dict[str, Any] | None = None,
        timeout: float | None = 2000,
    ) -> E:
        """Suspend the step until a fitting event arrives; meanwhile its worker is free for other events.

        Args:
            event_type: The class to wait for.
            waiter_event: Published once, to ask for the answer.
            waiter_id: Names the wait; waits of one step with one id are one wait. Without it, each call is its own.
            requirements: Attributes or extras of the event that must have these values.
            timeout: Seconds to wait at most, `None` for no limit.

        Returns:
            The event.

        Raises:
            TimeoutError: Nothing fitting arrived in time.
            ContextStateError: Called outside of a step.
            SerializationError: The run is stored and a required value can't be encoded.
            WorkflowRuntimeError: Called inside `edit_state`, which would stop every other writer meanwhile.
        """
        runner, execution = self._need_step("wait_for_event")
        if self.store.being_edited_here:
            raise WorkflowRuntimeError("wait_for_event() can't be used inside edit_state(): leave the block first.")
        if requirements and runner.journal.encodes:
            JsonSerializer().serialize(requirements)  # refused in the step, before it reaches the commit of all runs
        kind, now = kind_of(event_type), runner.host.clock()
        verdict: Answer | Suspended | None = runner.apply(
            WaitBegan(
                at=now,
                by=execution.id,
                ordinal=execution.next_ordinal("wait", kind.name),
                kind=kind,
                shared_id=waiter_id,
                requirements=requirements or {},
                prompt=None if waiter_event is None else runner.message(waiter_event),
                due=None if timeout is None else now + timeout,
            )
        )
        if verdict is None:
            raise WorkflowRuntimeError("wait_for_event() was called by a step whose execution is over.")
        answer = verdict if isinstance(verdict, Answer) else await self._suspend(runner, execution, verdict.wait)
        if answer.message is None:
            raise TimeoutError(f"Timed out waiting for {event_type.__name__}")
        return cast(E, answer.message.event)

    @staticmethod
    async def _suspend(runner: Runner, execution: StepExecution, wait: str) -> Answer:
        try:
            return await execution.answer_to(wait)
        except BaseException:
            # The step gave up on it, by a deadline of its own for example. If the run was stopped, nobody hears this.
            runner.apply(WaitAbandoned(runner.host.clock(), execution.id, wait))
            raise

    def write_event_to_stream(self, ev: Event | None) -> None:
        """Show an event to whoever reads the run's stream; `None` does nothing.

        Raises:
            ContextStateError: Called outside of a step.
            SerializationError: The run is stored and the event can't be encoded.
        """
        runner, execution = self._need_step("write_event_to_stream")
        if ev is not None:
            call_on_loop(
                runner.host.port,
                lambda: runner.apply(Published(runner.host.clock(), runner.message(ev), execution.id)),
            )

    def retry_info(self) -> RetryInfo:
        """Return what is known of the failed attempts before this one.

        Raises:
            ContextStateError: Called outside of a step.
        """
        runner, execution = self._need_step("retry_info")
        item = runner.run.live(execution.id)
        if item is None or item.last_failure is None or item.last_failed_at is None:
            return RetryInfo()
        exception = item.last_failure.exception
        return RetryInfo(
            retry_number=item.failures,
            elapsed_seconds=item.last_failed_at - (item.first_started or item.last_failed_at),
            last_exception=exception if isinstance(exception, Exception) else None,
            last_failed_at=datetime.fromtimestamp(item.last_failed_at, UTC),
        )

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

    def attach(self, runner: Runner, reader: Callable[[bool], EventStream] | None = None) -> None:
        """Make this the context of a run.

        Raises:
            ContextStateError: Another run that uses it is alive.
        """
        if self.is_running:
            raise ContextStateError(
                "Cannot start a new run while context is already running. Wait for completion or use a new Context."
            )
        self._runner, self._reader = runner, reader

    def use_store(self, store: InMemoryStateStore[S]) -> None:
        """Take `store` for the state."""
        self._store = store

    def for_step(self, runner: Runner, execution: StepExecution | None) -> Context[S]:
        """Return the context that one execution of a step is given."""
        context: Context[S] = Context(self._workflow)
        context._runner, context._execution, context._store = runner, execution, self.store
        return context

    def _need_runner(self, method: str) -> Runner:
        if self._runner is None:
            raise ContextStateError(f"{method} requires a running workflow. Call workflow.run() first.")
        return self._runner

    def _need_step(self, method: str) -> tuple[Runner, StepExecution]:
        runner = self._need_runner(method)
        if self._execution is None:
            raise ContextStateError(f"{method} is only available from within step functions.")
        return runner, self._execution
