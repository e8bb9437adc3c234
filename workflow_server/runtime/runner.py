"""The runner: one run alive in memory.

It turns what happens (a step returns, an event is sent, an alarm rings) into inputs, has the engine reduce each,
hands the reaction to the journal, and performs the effects when the journal says so. Steps are executed by workers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextvars import copy_context
from typing import Any, assert_never

import anyio

from workflow_server.engine.effects import Effect, EndRun, LogIgnored, ResumeStep, StartStep
from workflow_server.engine.inputs import (
    CancelRequested,
    ClockReached,
    Failed,
    Input,
    Reloaded,
    Started,
)
from workflow_server.engine.message import Message, message_of
from workflow_server.engine.reduce import reduce
from workflow_server.engine.state import Run
from workflow_server.events import Event
from workflow_server.observation import observers
from workflow_server.runtime import failures, watching
from workflow_server.runtime.alarms import Alarm
from workflow_server.runtime.execution import StepExecution, Worker, current_execution
from workflow_server.runtime.host import Host
from workflow_server.runtime.journal import Journal
from workflow_server.runtime.loop import uninterruptible
from workflow_server.runtime.plan import Plan
from workflow_server.runtime.publications import encode_event
from workflow_server.runtime.returns import input_of
from workflow_server.runtime.snapshot import RunImage, image_of
from workflow_server.runtime.state_store import InMemoryStateStore
from workflow_server.runtime.stir import Stir
from workflow_server.runtime.timers import RunTimers
from workflow_server.runtime.verbose import tell, warn_ignored
from workflow_server.runtime.workers import Workers

UNWINDING_SECONDS = 5.0
"""How long a step of a run that is over is asked to stop before it is left to itself."""


class Runner:
    """One run alive in memory.

    Args:
        host: The loop's shared means.
        plan: What to run.
        store: The run's state.
        run: The run, if it was loaded; else it is a new one.
    """

    def __init__(self, host: Host, plan: Plan, store: InMemoryStateStore[Any], run: Run | None = None) -> None:
        self.host = host
        self.plan = plan
        self.store = store
        self.run = run or Run(plan.shape)
        self.timers = RunTimers(host, plan.time_limit, self.run, self.apply)
        self.start: Message | None = None
        """What it begins with. To be set for a run that has not begun, as `timers.rested` for one that has."""
        self.published: dict[int, tuple[tuple[str, str], ...]] = {}
        """What each interrupted item of a stored run has published since its last state write."""
        self._left: RunImage | None = None  # what a run without a store was when it was cancelled
        self.journal: Journal
        """Set by whoever makes the runner, before `begin`."""
        self.dropped = False
        """Whether the store refused it or the server let go of it."""
        self.ended = host.new_event()
        """Set when the end of the run is committed, or the run was dropped."""
        self.on_end: list[Callable[[], None]] = []
        self.executions: dict[int, StepExecution] = {}
        """What executes now, by item; past executions that still unwind are in `_unwinding`."""
        self._unwinding: set[StepExecution] = set()
        self._held = False
        self.queued = False
        """Whether it waits for its turn among the runs of its workflow."""
        self._stir = Stir()
        self.variables = copy_context()
        self._workers = Workers(host)
        self._mercy_alarm: Alarm | None = None

    # Inputs

    def begin(self) -> None:
        """Begin the run, or go on with one that had begun before it was loaded: what was interrupted executes again."""
        self.timers.begin()
        now = self.host.clock()
        if self.run.started:
            self.apply(Reloaded(now, self.published))
            self.apply(ClockReached(now))
        else:
            assert self.start is not None
            self.apply(Started(now, self.start))

    @uninterruptible
    def apply(self, input: Input) -> Any:
        """Have the engine reduce `input`, hand the reaction to the journal, and return the verdict."""
        if self.dropped:
            return None
        reaction = reduce(self.run, input)
        self._stir.ring()
        something = reaction.effects or reaction.publications or reaction.changed or reaction.keys
        if something or isinstance(input, Reloaded):  # if nothing else, the phase of a run that is back has changed
            if self.plan.say is not None:
                tell(reaction.publications, self.plan.say)
            self.journal.take(reaction)
            self.timers.follow()
        return reaction.verdict

    def message(self, event: Event) -> Message:
        """Wrap `event` as it enters the run; in a stored run it is encoded now.

        Raises:
            SerializationError: It can't be encoded.
        """
        return message_of(event, encode_event(event) if self.journal.encodes else None)

    async def cancel(self, within: float) -> tuple[str, ...]:
        """End the run and stop its steps; return the names of those that did not stop, and are left to themselves.

        Args:
            within: Seconds to wait for the commit at most, and then again for steps to stop.

        Raises:
            StoreError, TimeoutError: The run was dropped, or the store has not written its end yet.
        """
        self.request_cancel()
        with anyio.fail_after(within):
            await self.journal.settled()
        return await self.stop_steps(within)

    def request_cancel(self) -> None:
        """End the run, without waiting for its steps."""
        if not self.journal.encodes:
            self._left = self.image()
        self.apply(CancelRequested(self.host.clock()))

    def image(self) -> RunImage | None:
        """Return what the run is now, or was when it was cancelled; `None` if it is over for another reason."""
        return self._left if self.run.ending else image_of(self.run, self.timers.alive, self.start)

    async def stop_steps(self, within: float) -> tuple[str, ...]:
        """Wait until no step executes, at most `within` seconds; return the names of those that still do."""
        with anyio.move_on_after(within):
            while self.executions or self._unwinding:
                await self._stir.wait()
        self._abandon()
        return tuple(sorted({execution.step.name for execution in self._unwinding}))

    def hold(self) -> None:
        """Start no further step."""
        self._held = True
        self._workers.clear()

    async def wind_down(self) -> None:
        """Wait until no step executes but such as wait for events."""
        while any(not execution.suspended for execution in self.executions.values()):
            await self._stir.wait()

    # Effects

    def perform(self, effects: Iterable[Effect]) -> None:
        """Do what the engine wants, now that it is committed."""
        for effect in effects:
            match effect:
                case StartStep() if self._held or self.queued:
                    pass  # a queued run was loaded, and starts whatever has work when it is its turn
                case StartStep():
                    self._workers.add(effect, self)
                case ResumeStep():
                    execution = self.executions.get(effect.execution.item)
                    if execution is not None and execution.id == effect.execution:
                        execution.resume(effect.wait, effect.answer)
                case EndRun():
                    self._end()
                case LogIgnored():
                    warn_ignored(effect)
                case _:
                    assert_never(effect)
        self._workers.wake()

    def _end(self) -> None:
        self.silence()
        self.ended.set()
        while self.on_end:
            self.on_end.pop()()

    def drop(self) -> None:
        """Leave the run as it is: whatever it still does is not heard, and whoever awaits it goes on."""
        self.dropped = True
        self._end()

    def silence(self) -> None:
        """Stop all steps and alarms; nothing more comes from this runner."""
        self._workers.clear()
        self.timers.cancel()
        stopped, self.executions = self.executions, {}
        self._unwinding.update(stopped.values())
        for execution in stopped.values():
            execution.stop()
        if self._unwinding and self._mercy_alarm is None:
            self._mercy_alarm = self.host.alarms.set(self.host.port.now() + UNWINDING_SECONDS, self._abandon)

    def _abandon(self) -> None:
        for execution in self._unwinding:
            execution.abandon()

    # Steps

    def more_may_follow(self) -> bool:
        """Tell whether something is being committed that steps may follow from."""
        return self.journal.pending and not self.ended.is_set()

    async def execute(self, start: StartStep, worker: Worker) -> bool:
        """Execute a step and tell the engine how it ended; return whether this task is fit for another step."""
        execution = StepExecution(start, self.plan.definition.steps[start.step], self, worker)
        self.executions[start.execution.item] = execution
        variables = self.variables
        ended: Input | None = None
        if observers:
            variables = watching.step_began(variables, self.plan, self.host.clock(), execution)
        try:
            value = await execution.call(self.host.threads, variables, self.plan)
            ended = input_of(self.host.clock(), execution.id, execution.step, value, self.message)
        except BaseException as error:
            if failures.closes_loop(error, worker.stopped):
                raise
            if failures.is_interrupt(error):
                self.host.port.interrupt()
            else:
                ended = self._failed(execution, failures.as_failure(execution.step.name, error))
        finally:
            self._leave(execution)
        if worker.stopped:
            ended = None
        if observers:
            watching.step_ended(variables, self.plan, self.host.clock(), execution, ended)
        if ended is not None:
            self._workers.coming += 1  # this one
            self.apply(ended)
            self._workers.coming -= 1
        return not (worker.stopped or self.host.port.cancellation_left())

    def wrote_state(self) -> None:
        """Note that a step has a state write committed: if its run is held, it goes on to its next suspension only."""
        execution = current_execution()
        if self._held and execution is not None:
            execution.stop_when_suspended()

    def context_for(self, execution: StepExecution) -> Any:
        """Make the `Context` that a step is given."""
        return self.plan.make_context(self, execution)

    def _leave(self, execution: StepExecution) -> None:
        execution.forget_context()
        if self.executions.get(execution.id.item) is execution:
            del self.executions[execution.id.item]
        self._unwinding.discard(execution)
        if self._mercy_alarm is not None and not self._unwinding:
            self._mercy_alarm.cancel()
            self._mercy_alarm = None
        self._stir.ring()

    def _failed(self, execution: StepExecution, error: BaseException) -> Input:
        at, item, delay = self.host.clock(), self.run.live(execution.id), None
        if item is not None:
            policy = execution.step.config.retry_policy
            error, delay = failures.ask_policy(policy, item, at, self.plan.run_id, error)
        return Failed(at, execution.id, failures.failure_of(error), delay)
