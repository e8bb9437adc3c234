"""What observers are told of a run. Called only while somebody observes; see `workflow_server.observation`."""

from __future__ import annotations

from contextvars import Context as ContextVars
from typing import Literal

from workflow_server.engine.inputs import Answer, Failed, FannedOut, Input, Returned
from workflow_server.engine.state import Run
from workflow_server.events import Event
from workflow_server.observation import (
    RunBegan,
    RunEnded,
    StepBegan,
    StepEnded,
    StepKey,
    StepRetried,
    WaitBegan,
    WaitEnded,
    tell,
)
from workflow_server.runtime.execution import StepExecution
from workflow_server.runtime.plan import Plan


def run_began(variables: ContextVars, plan: Plan, at: float, start: Event | None, *, resumed: bool) -> None:
    """Tell that a run begins; what observers set in its context variables is there for all its steps."""
    variables.run(tell, RunBegan(at, plan.run_id, plan.handler_id, plan.name, plan.workflow, start, resumed))


def run_ended(variables: ContextVars, plan: Plan, at: float, run: Run) -> None:
    """Tell that a run is over, or leaves this process; one that has never begun has nothing to tell."""
    if run.started:
        result, ending = None if run.result is None else run.result.event, run.ending or "released"
        variables.run(tell, RunEnded(at, plan.run_id, plan.name, ending, result, run.error, run.exception))


def step_began(variables: ContextVars, plan: Plan, at: float, execution: StepExecution) -> ContextVars:
    """Tell that a step begins, and return the context variables it is to begin with."""
    own, step, event = variables.copy(), execution.step, execution.whole_input
    parameter = step.config.event_parameter
    own.run(tell, StepBegan(at, _key(plan, execution), plan.name, step.name, event, parameter, execution.failures))
    return own


def step_ended(variables: ContextVars, plan: Plan, at: float, execution: StepExecution, ended: Input | None) -> None:
    """Tell that a step has stopped executing, with what the engine hears of it (`None` for nothing)."""
    key, name = _key(plan, execution), execution.step.name
    match ended:
        case Returned():
            result = None if ended.message is None else ended.message.event
            variables.run(tell, StepEnded(at, key, plan.name, name, "returned", result, None))
        case FannedOut():
            results = [message.event for message in ended.messages]
            variables.run(tell, StepEnded(at, key, plan.name, name, "returned", results, None))
        case Failed():
            error = ended.failure.exception
            if ended.delay is not None:
                failures = execution.failures + 1
                variables.run(tell, StepRetried(at, key, plan.name, name, failures, ended.delay, error))
            variables.run(tell, StepEnded(at, key, plan.name, name, "failed", None, error))
        case _:
            variables.run(tell, StepEnded(at, key, plan.name, name, "stopped", None, None))


def wait_began(plan: Plan, at: float, execution: StepExecution, wait: str, awaits: str) -> None:
    """Tell that a step is suspended; called within it."""
    tell(WaitBegan(at, _key(plan, execution), plan.name, execution.step.name, wait, awaits))


def wait_ended(plan: Plan, at: float, execution: StepExecution, wait: str, answer: Answer | None) -> None:
    """Tell that a step goes on, with its answer or without; called within it."""
    outcome: Literal["answered", "timed_out", "abandoned"]
    outcome = "abandoned" if answer is None else "timed_out" if answer.message is None else "answered"
    tell(WaitEnded(at, _key(plan, execution), plan.name, execution.step.name, wait, outcome))


def _key(plan: Plan, execution: StepExecution) -> StepKey:
    return StepKey(plan.run_id, execution.id.item, execution.id.incarnation)
