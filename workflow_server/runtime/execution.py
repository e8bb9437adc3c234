"""One execution of a step: calling the function, and telling how it ended."""

from __future__ import annotations

import math
import weakref
from contextvars import Context as ContextVars
from contextvars import ContextVar
from typing import Any, Protocol

import anyio

from workflow_server.definition.compiled import StepDefinition
from workflow_server.engine.effects import StartStep
from workflow_server.engine.inputs import Answer, Execution
from workflow_server.engine.message import whole_input
from workflow_server.events import Event
from workflow_server.runtime.drive import drive
from workflow_server.runtime.plan import Plan
from workflow_server.runtime.threads import StepThreads

# Weak, because a timer that a step leaves behind keeps its context variables, and must not keep the run.
_current: ContextVar[weakref.ref[StepExecution] | None] = ContextVar("workflow_server_step", default=None)


def current_execution() -> StepExecution | None:
    """Return the execution that the caller belongs to, or `None` outside of steps."""
    reference = _current.get()
    return None if reference is None else reference()


class Owner(Protocol):
    """The run that an execution belongs to."""

    def context_for(self, execution: StepExecution) -> Any:
        """Make the `Context` that the step is given."""
        ...


class _Pending:
    __slots__ = ("answer", "answered", "is_all")

    def __init__(self) -> None:
        self.answered = anyio.Event()
        self.answer: Answer | None = None
        self.is_all = False
        """Whether the step itself stands still in it, with no deadline of its own: nothing else is to come from it."""


class Worker:
    """What can stop a task that executes steps one after the other. A task that was stopped executes no further one."""

    __slots__ = ("mercy", "scope")

    def __init__(self, new_scope: type[anyio.CancelScope]) -> None:
        self.scope = new_scope()
        self.mercy = new_scope()
        """Inside `scope`; shielded at last if a step ignores its cancellation, so that it stops fighting for time."""

    @property
    def stopped(self) -> bool:
        """Whether the step that it executes was cancelled by its run."""
        return self.scope.cancel_called


class StepExecution:
    """One execution of a work item by its step.

    Args:
        start: What the engine wants executed.
        step: The step's definition.
        owner: The run.
        worker: The task that executes it.
    """

    def __init__(self, start: StartStep, step: StepDefinition, owner: Owner, worker: Worker) -> None:
        self.id: Execution = start.execution
        self.step = step
        self._start = start
        self.failures = start.attempts
        self._owner = owner
        self._worker = worker
        self._context: Any = None
        self._leaving = False
        self._ordinals: dict[tuple[str, str], int] = {}
        self._pending: dict[str, list[_Pending]] = {}
        self._entered: tuple[int, _Pending] | None = None
        """The task that has just begun to wait, if that has no deadline."""

    @property
    def context(self) -> Any:
        """The `Context` that the step is given; made when somebody asks for it."""
        if self._context is None:
            self._context = self._owner.context_for(self)
        return self._context

    def forget_context(self) -> None:
        """Let go of the context, which holds this execution: only a garbage collection would part them."""
        self._context = None

    async def call(self, threads: StepThreads, base: ContextVars, plan: Plan) -> Any:
        """Return what the step's function returns; it runs with context variables of its own.

        Args:
            threads: For steps that are plain functions.
            base: The context variables that the run was started with.
            plan: Says whose method it is, and makes what it needs besides the event; a failure of that is the step's.
        """
        config = self.step.config
        arguments = self._events()
        if config.context_parameter is not None:
            arguments[config.context_parameter] = self.context
        variables = base.copy()
        variables.run(_current.set, weakref.ref(self))
        function: Any = self.step.function
        owner = () if self.step.free else (plan.workflow,)
        if config.resources:
            making = plan.resources.provide(config.resources)
            arguments.update(await drive(making, variables, self._note_suspension))
        if config.is_async:
            steps = variables.run(function, *owner, **arguments)
            return await drive(steps, variables, self._note_suspension)
        return await threads.call(lambda: function(*owner, **arguments), variables)

    def _events(self) -> dict[str, Any]:
        """Return what the step's event parameters are given."""
        config = self.step.config
        if config.collect is not None:
            return {config.event_parameter: [message.event for message in self._start.given]}
        if config.joined:
            return {name: message.event for (name, _), message in zip(config.joined, self._start.given, strict=True)}
        return {config.event_parameter: self._start.message.event}

    @property
    def whole_input(self) -> Event:
        """What it works on, as one event."""
        return whole_input(self._start.message, self._start.given)

    def next_ordinal(self, family: str, name: str) -> int:
        """Return how many calls of this kind the execution made before this one."""
        ordinal = self._ordinals.get((family, name), 0)
        self._ordinals[family, name] = ordinal + 1
        return ordinal

    async def answer_to(self, wait: str) -> Answer:
        """Suspend until the wait called `wait` is answered."""
        pending = _Pending()
        self._pending.setdefault(wait, []).append(pending)
        if anyio.current_effective_deadline() == math.inf:
            self._entered = anyio.get_current_task().id, pending
        try:
            await pending.answered.wait()
        except BaseException:
            self._forget(wait, pending)
            raise
        assert pending.answer is not None
        return pending.answer

    def resume(self, wait: str, answer: Answer) -> None:
        """Hand over the answer to a wait."""
        for pending in self._pending.pop(wait, ()):
            pending.answer = answer
            pending.answered.set()

    def _forget(self, wait: str, pending: _Pending) -> None:
        others = [other for other in self._pending.pop(wait, ()) if other is not pending]
        if others:
            self._pending[wait] = others

    @property
    def suspended(self) -> bool:
        """Whether it waits for an event."""
        return bool(self._pending)

    @property
    def only_waits(self) -> bool:
        """Whether it waits for an event, and nothing else that is seen here would be lost if it were not in memory.

        A deadline of its own (anyio's or trio's) or other tasks that it awaits would; asyncio's deadlines are not seen.
        """
        return self.suspended and all(one.is_all for pending in self._pending.values() for one in pending)

    def stop_when_suspended(self) -> None:
        """Cancel it as soon as it waits for something."""
        self._leaving = True

    def _note_suspension(self) -> None:
        if self._entered is not None:
            (task, pending), self._entered = self._entered, None
            # Other tasks that the step has begun call `answer_to`, too, but don't suspend here.
            pending.is_all = task == anyio.get_current_task().id
        if self._leaving:
            self._leaving = False
            self.stop()

    def stop(self) -> None:
        """Cancel it; what it still says or returns is not heard."""
        self._worker.scope.cancel()

    def abandon(self) -> None:
        """Leave it to itself, after it ignored being cancelled."""
        self._worker.mercy.shield = True
