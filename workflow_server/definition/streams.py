"""Where events come to be: at the top, or in the stream of a step that returns a list.

A step that returns a list opens a *stream* each time. Whatever its members set off stays in that stream, until a
collect step takes it out: what that one returns belongs to where the list was returned. So the *level* of an event
class is the name of the innermost step whose list it stems from; `None` is the top. A class may have several.

    go: StartEvent -> list[Page]      Page comes to be in the stream of `go`
    read: Page -> Text                so does Text
    gather: list[Text] -> StopEvent   is bound to `go`; StopEvent comes to be at the top

A collect step is *bound* to each step in whose streams something that it takes can come to be. When such a stream
closes, the step is given what arrived, which may be nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from workflow_server.definition.compiled import Definition, StepDefinition
from workflow_server.errors import WorkflowValidationError
from workflow_server.events import Event, HumanResponseEvent
from workflow_server.valueclass import dataclass

Level = str | None
"""The step whose list opened the stream, or `None` for the top."""


@dataclass(frozen=True)
class Levels:
    """What is known of a workflow's streams."""

    made: Mapping[type[Event], frozenset[Level]]
    """Where each event class comes to be."""
    bindings: Mapping[str, tuple[str, ...]]
    """For each step that returns a list, the collect steps bound to its streams, in routing order."""


def levels_of(definition: Definition) -> Levels:
    """Find out where a workflow's events come to be."""
    made: defaultdict[type[Event], set[Level]] = defaultdict(set)
    runs: defaultdict[str, set[Level]] = defaultdict(set)
    made[definition.start_event_class].add(None)
    for event in definition.event_classes:
        if issubclass(event, HumanResponseEvent):
            made[event].add(None)
    size = -1
    while (grown := sum(map(len, (*made.values(), *runs.values())))) > size:
        size = grown
        for step in definition.steps.values():
            runs[step.name] |= _runs_at(definition, step, made, runs)
            for event in step.config.bare_events:
                made[event] |= runs[step.name]
            for event in step.config.listed_events:
                made[event].add(step.name)
    bindings = {
        producer.name: tuple(
            step.name
            for step in definition.steps.values()
            if step.config.collect is not None and producer.name in _taken_at(step, made)
        )
        for producer in definition.steps.values()
        if producer.config.listed_events
    }
    return Levels({event: frozenset(levels) for event, levels in made.items()}, bindings)


def _runs_at(
    definition: Definition,
    step: StepDefinition,
    made: Mapping[type[Event], set[Level]],
    runs: defaultdict[str, set[Level]],
) -> set[Level]:
    """Return the levels to which what `step` returns belongs, as far as they are known."""
    if step.config.catches is not None:
        # It stands in for the step that failed.
        return {level for name, handler in definition.handlers.items() if handler == step.name for level in runs[name]}
    taken = _taken_at(step, made)
    if step.config.collect is None:
        return taken
    return {level for producer in taken if producer is not None for level in runs[producer]}


def _taken_at(step: StepDefinition, made: Mapping[type[Event], set[Level]]) -> set[Level]:
    """Return the levels at which something that `step` takes comes to be."""
    return {level for event, levels in made.items() if step.config.accepts(event) for level in levels}


def check_levels(definition: Definition) -> None:
    """Refuse collect steps that no list can feed, and joins whose events never meet.

    Raises:
        WorkflowValidationError: There is one; the message names it.
    """
    levels = levels_of(definition)
    for step in definition.steps.values():
        if step.config.collect is not None:
            _check_is_fed(step, levels)
    for step in definition.steps.values():
        if step.config.joined:
            _check_meets(step, levels)


def _made_at(step: StepDefinition, wanted: type[Event], levels: Levels) -> frozenset[Level]:
    """Return where events come to be that `step` takes as `wanted`."""
    subclasses = step.config.accept_event_subclasses
    found = (at for event, at in levels.made.items() if event is wanted or (subclasses and issubclass(event, wanted)))
    return frozenset[Level]().union(*found)


def _check_is_fed(step: StepDefinition, levels: Levels) -> None:
    for wanted in step.config.accepted_events:
        if not _made_at(step, wanted, levels) - {None}:
            raise WorkflowValidationError(
                f"Step {step.name!r} collects list[{wanted.__name__}], but there is no returned-list producer for it: "
                f"no step that is annotated as returning list[…] leads to {wanted.__name__}. "
                "Events that are sent with ctx.send_event are gathered with ctx.collect_events."
            )


def _check_meets(step: StepDefinition, levels: Levels) -> None:
    places = {name: _made_at(step, wanted, levels) for name, wanted in step.config.joined}
    first, *others = places.values()
    if first.intersection(*others):
        return
    found = "; ".join(f"{name!r} {_describe(at)}" for name, at in places.items())
    raise WorkflowValidationError(
        f"Step {step.name!r} joins events that never come to be at a common stream level: {found}. "
        "A step that needs something from another level can wait for it with ctx.wait_for_event."
    )


def _describe(levels: frozenset[Level]) -> str:
    if not levels:
        return "comes to be nowhere"
    names = ("at the top" if level is None else f"in the stream of step {level!r}" for level in levels)
    return f"comes to be {' and '.join(sorted(names))}"
