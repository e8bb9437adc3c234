"""What a workflow's code contributes to routing, as data.

A run keeps its shape, so that a program whose code has changed meets its older runs knowingly:
the run goes by the shape it was started with until an input says otherwise.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import field
from functools import cached_property

from workflow_server.definition.collect import Take
from workflow_server.definition.compiled import Definition
from workflow_server.definition.streams import levels_of
from workflow_server.engine.message import EventKind
from workflow_server.naming import routing_name
from workflow_server.valueclass import dataclass


@dataclass(frozen=True, slots=True)
class StepShape:
    """One step, as routing sees it."""

    name: str
    accepts: frozenset[str]
    """Routing names of the event classes it takes."""
    subclasses: bool
    """Whether it takes subclasses of those as well."""
    num_workers: int
    catcher: str | None = None
    """The `catch_error` handler responsible for its failures."""
    max_recoveries: int = 0
    """For a handler: how often it may recover within one lineage of events."""
    collects: bool = False
    """Whether it is given the members of a stream, as a list."""
    take: int | None = None
    """For a collect step: how many members it waits for; `None` for all."""
    slots: tuple[str, ...] = ()
    """For a join: routing name of the class that each of its parameters takes."""
    feeds: tuple[str, ...] = ()
    """For a step that returns lists: the collect steps bound to its streams."""

    def takes(self, kind: EventKind) -> bool:
        """Tell whether an event of `kind` goes to this step."""
        if kind.stops:
            return False
        return kind.name in self.accepts or (self.subclasses and not self.accepts.isdisjoint(kind.lineage))


@dataclass(frozen=True)
class Shape:
    """A workflow's steps in routing order."""

    workflow: str
    steps: Mapping[str, StepShape]
    _takers: dict[str, tuple[StepShape, ...]] = field(default_factory=dict[str, tuple[StepShape, ...]], compare=False)

    def takers(self, kind: EventKind) -> tuple[StepShape, ...]:
        """Return the steps that an untargeted event of `kind` goes to, in routing order."""
        found = self._takers.get(kind.name)
        if found is None:
            found = self._takers[kind.name] = tuple(step for step in self.steps.values() if step.takes(kind))
        return found

    @cached_property
    def as_text(self) -> str:
        """JSON text, to be stored with runs; equal shapes have equal text."""
        steps = {
            name: {
                "accepts": sorted(step.accepts),
                "subclasses": step.subclasses,
                "num_workers": step.num_workers,
                "catcher": step.catcher,
                "max_recoveries": step.max_recoveries,
                "collects": step.collects,
                "take": step.take,
                "slots": step.slots,
                "feeds": step.feeds,
            }
            for name, step in self.steps.items()
        }
        return json.dumps({"workflow": self.workflow, "steps": steps})


def shape_of(definition: Definition) -> Shape:
    """Return the shape of a compiled workflow."""
    steps: dict[str, StepShape] = {}
    bindings = levels_of(definition).bindings
    for name, step in definition.steps.items():
        config = step.config
        steps[name] = StepShape(
            name=name,
            accepts=frozenset(routing_name(cls) for cls in config.accepted_events),
            subclasses=config.accept_event_subclasses,
            num_workers=config.num_workers,
            catcher=definition.handlers.get(name),
            max_recoveries=config.catches.max_recoveries if config.catches else 0,
            collects=config.collect is not None,
            take=config.collect.n if isinstance(config.collect, Take) else None,
            slots=tuple(routing_name(event) for _, event in config.joined),
            feeds=bindings.get(name, ()),
        )
    return Shape(definition.name, steps)
