"""What a context offers to the step that it was given to: collecting, waiting, publishing, looking back at retries."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar, cast

from workflow_server.definition.retry import RetryInfo
from workflow_server.engine.inputs import Answer, Collected, Published, Suspended, WaitAbandoned, WaitBegan
from workflow_server.engine.message import EventKind, Message, kind_of
from workflow_server.errors import ContextStateError, WorkflowRuntimeError
from workflow_server.events import Event
from workflow_server.naming import routing_name
from workflow_server.observation import observers
from workflow_server.runtime import watching
from workflow_server.runtime.execution import StepExecution
from workflow_server.runtime.loop import call_on_loop
from workflow_server.runtime.paths import storable
from workflow_server.runtime.runner import Runner
from workflow_server.serializers import JsonSerializer

E = TypeVar("E", bound=Event)


class StepCalls:
    """The part of `Context` that works within steps only."""

    _runner: Runner | None
    _execution: StepExecution | None

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
            SerializationError: The run is stored and event or buffer id can't be encoded.
        """
        runner, execution = self._need_step("collect_events")
        buffer = buffer_id or "default"
        if runner.journal.encodes:
            storable(buffer, "buffer id")

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
            SerializationError: The run is stored and a required value, or the waiter id, can't be encoded.
            WorkflowRuntimeError: Called inside `edit_state`, which would stop every other writer meanwhile.
        """
        runner, execution = self._need_step("wait_for_event")
        if runner.store.being_edited_here:
            raise WorkflowRuntimeError("wait_for_event() can't be used inside edit_state(): leave the block first.")
        if runner.journal.encodes:  # refused in the step, before it reaches the commit of all runs
            storable(waiter_id or "", "waiter id")
            if requirements:
                JsonSerializer().serialize(requirements)
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
        answer = verdict if isinstance(verdict, Answer) else await self._suspend(runner, execution, verdict.wait, kind)
        if answer.message is None:
            raise TimeoutError(f"Timed out waiting for {event_type.__name__}")
        return cast(E, answer.message.event)

    @staticmethod
    async def _suspend(runner: Runner, execution: StepExecution, wait: str, kind: EventKind) -> Answer:
        answer = None
        if observers:
            watching.wait_began(runner.plan, runner.host.clock(), execution, wait, kind.type)
        try:
            answer = await execution.answer_to(wait)
            return answer
        except BaseException:
            # The step gave up on it, by a deadline of its own for example. If the run was stopped, nobody hears this.
            runner.apply(WaitAbandoned(runner.host.clock(), execution.id, wait))
            raise
        finally:
            if observers:
                watching.wait_ended(runner.plan, runner.host.clock(), execution, wait, answer)

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

    def _need_runner(self, method: str) -> Runner:
        if self._runner is None:
            raise ContextStateError(f"{method} requires a running workflow. Call workflow.run() first.")
        return self._runner

    def _need_step(self, method: str) -> tuple[Runner, StepExecution]:
        runner = self._need_runner(method)
        if self._execution is None:
            raise ContextStateError(f"{method} is only available from within step functions.")
        return runner, self._execution
