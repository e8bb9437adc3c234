"""Whether a workflow holds together: what is said before its first run, and by `Workflow.validate`.

The checks stop at the first rule that is broken, in a fixed order; the graph checks come last and
report all their findings in one error. Each message says which steps it is about.

The outside world is part of the graph: it sends the start event and answers
(`HumanResponseEvent`), the engine sends failures to handlers, and questions
(`InputRequiredEvent`) and the stop event leave through the stream. Those families are therefore
exempt where an event would otherwise need a producer or a consumer.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from typing import get_args

from workflow_server.definition.compiled import Definition, StepDefinition
from workflow_server.definition.step import WorkflowGraphCheck
from workflow_server.definition.step_checks import is_positive_int
from workflow_server.definition.streams import check_levels
from workflow_server.errors import WorkflowValidationError
from workflow_server.events import Event, HumanResponseEvent, InputRequiredEvent, StepFailedEvent, StopEvent

_GRAPH_CHECKS: tuple[str, ...] = get_args(WorkflowGraphCheck)
_PRODUCED_OUTSIDE = (InputRequiredEvent, HumanResponseEvent, StopEvent, StepFailedEvent)
_CONSUMED_OUTSIDE = (InputRequiredEvent, HumanResponseEvent, StopEvent)
_TERMINAL = (StopEvent, InputRequiredEvent)


def check_num_concurrent_runs(value: int | None) -> None:
    """Refuse a limit of concurrent runs that is no whole number from 1, or `None`.

    Raises:
        WorkflowValidationError: It is something else.
    """
    if value is not None and not is_positive_int(value):
        raise WorkflowValidationError(f"num_concurrent_runs must be an integer greater than 0 or None, got {value!r}")


def check_names_of_graph_checks(names: Iterable[str] | None) -> frozenset[str]:
    """Return the names of graph checks that a workflow skips.

    Args:
        names: The names as given to the workflow; one name may stand alone.

    Raises:
        WorkflowValidationError: There is no such check.
    """
    checks = frozenset([names] if isinstance(names, str) else names or ())
    if unknown := sorted(checks.difference(_GRAPH_CHECKS)):
        raise WorkflowValidationError(
            f"Unknown graph check names: {', '.join(unknown)}. Valid names are: {', '.join(sorted(_GRAPH_CHECKS))}"
        )
    return checks


def validate(definition: Definition, *, skip_graph_checks: Collection[str] = ()) -> bool:
    """Check a workflow beyond what routing needs.

    Args:
        definition: The compiled workflow.
        skip_graph_checks: Names of the graph checks that the workflow opted out of.

    Returns:
        Whether it asks people for input.

    Raises:
        WorkflowValidationError: It breaks a rule; the message says which steps are concerned.
    """
    check_levels(definition)
    _check_nobody_takes_stop(definition)
    _check_consumed_is_produced(definition)
    _check_produced_is_consumed(definition)
    problems = [
        problem
        for check, find in (
            ("reachability", _unreachable),
            ("terminal_event", _unheard),
            ("dead_end", _dead_ends),
        )
        if check not in skip_graph_checks
        for problem in find(definition)
    ]
    if problems:
        raise WorkflowValidationError("\n  - ".join(["Graph validation failed:", *problems]))
    return definition.uses_human_input


def _check_nobody_takes_stop(definition: Definition) -> None:
    for step in definition.steps.values():
        if any(issubclass(one, StopEvent) for one in step.config.accepted_events):
            raise WorkflowValidationError(
                f"Step {step.name!r} cannot accept StopEvent. StopEvent signals the end of the workflow. "
                "Use a different Event type instead."
            )


def _check_consumed_is_produced(definition: Definition) -> None:
    produced = {definition.start_event_class}.union(
        *(step.config.returned_events for step in definition.steps.values())
    )
    missing: defaultdict[str, list[str]] = defaultdict(list)
    for step in definition.steps.values():
        for event in step.config.accepted_events:
            known = event in produced or (
                step.config.accept_event_subclasses and any(issubclass(one, event) for one in produced)
            )
            if not known and not issubclass(event, _PRODUCED_OUTSIDE):
                missing[event.__name__].append(step.name)
    if missing:
        raise WorkflowValidationError(
            f"The following events are consumed but never produced: {_located(missing, 'accepted by')}"
        )


def _check_produced_is_consumed(definition: Definition) -> None:
    missing: defaultdict[str, list[str]] = defaultdict(list)
    for step in definition.steps.values():
        for event in step.config.returned_events:
            if not issubclass(event, _CONSUMED_OUTSIDE) and not _takers(definition, event):
                missing[event.__name__].append(step.name)
        for name in step.config.unroutable_returns:
            missing[name].append(step.name)
    if missing:
        raise WorkflowValidationError(
            f"The following events are produced but never consumed: {_located(missing, 'returned by')}"
        )


def _located(missing: Mapping[str, list[str]], how: str) -> str:
    names = sorted(missing)
    return f"{', '.join(names)} (" + "; ".join(f"{name} is {how} {_names(missing[name])}" for name in names) + ")"


def _names(steps: Iterable[str]) -> str:
    return ", ".join(sorted(steps))


def _takers(definition: Definition, event: type[Event]) -> list[str]:
    """Return the steps that an event of exactly this class goes to; a stop event goes to none."""
    if issubclass(event, StopEvent):
        return []
    return [step.name for step in definition.steps.values() if step.config.accepts(event)]


def _begins(definition: Definition, step: StepDefinition) -> bool:
    """Return whether the step can be the first: by the start event, an answer from outside, or a failure."""
    config = step.config
    return (
        config.catches is not None
        or config.accepts(definition.start_event_class)
        or config.accepts(HumanResponseEvent)
        or any(issubclass(one, HumanResponseEvent) for one in config.accepted_events)
    )


def _unreachable(definition: Definition) -> Iterable[str]:
    reached = {step.name for step in definition.steps.values() if _begins(definition, step)}
    waiting = list(reached)
    while waiting:
        for event in definition.steps[waiting.pop()].config.returned_events:
            new = [name for name in _takers(definition, event) if name not in reached]
            reached.update(new)
            waiting.extend(new)
    lost = [
        step.name
        for step in definition.steps.values()
        if step.name not in reached and "reachability" not in step.config.skip_graph_checks
    ]
    if lost:
        yield (
            f"[reachability] Unreachable steps: {_names(lost)}\n"
            "    Neither the start event nor an answer from outside (HumanResponseEvent) leads to them."
        )


def _unheard(definition: Definition) -> Iterable[str]:
    unheard = {
        event.__name__: step.name
        for step in definition.steps.values()
        for event in step.config.returned_events
        if not issubclass(event, _TERMINAL) and not _takers(definition, event)
    }
    if unheard:
        yield (
            f"[terminal_event] Events produced but never consumed: {_names(unheard)}\n"
            f"    Steps that return them: {_names(set(unheard.values()))}. "
            "A path may end only in StopEvent or InputRequiredEvent."
        )


def _dead_ends(definition: Definition) -> Iterable[str]:
    """Find steps that return events of which none can ever end the run; a step that returns none is no dead end."""
    producing = {step.name: step.config.returned_events for step in definition.steps.values()}
    ending = {name for name, events in producing.items() if any(issubclass(one, _TERMINAL) for one in events)}
    grown = True
    while grown:
        more = {
            name
            for name, events in producing.items()
            if name not in ending and any(ending.intersection(_takers(definition, one)) for one in events)
        }
        ending |= more
        grown = bool(more)
    stuck = [
        name
        for name, events in producing.items()
        if events and name not in ending and "dead_end" not in definition.steps[name].config.skip_graph_checks
    ]
    if stuck:
        yield (
            f"[dead_end] Dead-end steps: {_names(stuck)}\n"
            "    No chain of events leads from them to StopEvent or InputRequiredEvent."
        )
