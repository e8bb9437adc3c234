"""What runs need of a workflow instance, kept where no step can hide it.

A workflow's steps are its attributes and may have any name but `run`, so the rest of the package never asks an
instance for `plan`, `events` or `serializer`: each of them may be a step. It asks the instance's `Assembly`, which
lies in the instance's dictionary under a name that no program uses, and is read from there, past all classes.

An assembly does not know the instance: that holds the assembly, and is freed without a garbage collection.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import field
from types import MappingProxyType
from typing import Any

from workflow_server.definition.compiled import FREE_STEPS, Definition, compile_definition
from workflow_server.definition.step import StepFunction
from workflow_server.definition.validation import validate
from workflow_server.engine.shape import Shape, shape_of
from workflow_server.errors import WorkflowConfigurationError, WorkflowRuntimeError
from workflow_server.observation import observers
from workflow_server.observers.llama_index import attach_if_used
from workflow_server.runtime import watching
from workflow_server.runtime.event_types import EventTypes
from workflow_server.runtime.host import Host
from workflow_server.runtime.places import Places
from workflow_server.runtime.plan import Plan
from workflow_server.runtime.resource import ResourceManager, check_configs, check_factories
from workflow_server.runtime.runner import Runner
from workflow_server.runtime.snapshot import SnapshotReader
from workflow_server.serializers import BaseSerializer
from workflow_server.valueclass import dataclass

_KEY = "__workflow_server_assembly__"
_NONE: Mapping[str, StepFunction[..., Any]] = MappingProxyType({})


@dataclass(eq=False, slots=True)
class Assembly:
    """What runs need of a workflow instance."""

    workflow_class: type
    name: str
    """The workflow's name, for people."""
    time_limit: float | None
    """Seconds a run may be alive; `None` for no limit."""
    say: Callable[[str], None] | None
    """Takes a line when a step begins or ends; `None` if nobody wants to know."""
    validates: bool
    """Whether it is validated before it runs."""
    skip_graph_checks: frozenset[str]
    resources: ResourceManager
    own_serializer: BaseSerializer | None
    """The one that the program chose."""
    make_context: Callable[..., Any]
    """Makes the `Context` of an execution from the runner and the execution."""
    limit: int | None
    """How many of its runs may go on at once; `None` for any number."""

    _free_steps: Mapping[str, StepFunction[..., Any]] | None = field(default=None, init=False)
    """Those that `_definition` and `_shape` were made with."""
    _definition: Definition = field(init=False)
    _shape: Shape = field(init=False)
    _validated: Definition | None = field(default=None, init=False)
    _host: Host | None = field(default=None, init=False)
    _places: Places = field(init=False)
    """Of the runs on `_host`, by id."""
    _queued: dict[str, Runner] = field(init=False)
    """Those that wait for a place, by id."""
    _alive: int = field(default=0, init=False)

    # What the workflow is made of

    @property
    def definition(self) -> Definition:
        """Its steps and events as data; made again when a step was added to the class.

        Raises:
            WorkflowConfigurationError: It lacks a start or a stop, or has two kinds of one.
            WorkflowValidationError: A step is named `run` or can't be called, or `catch_error` handlers contradict
                each other.
        """
        free_steps: Mapping[str, StepFunction[..., Any]] = self.workflow_class.__dict__.get(FREE_STEPS, _NONE)
        if self._free_steps is not free_steps:
            self._definition = compile_definition(self.workflow_class, free_steps)
            self._shape = shape_of(self._definition)
            self._free_steps = free_steps
        return self._definition

    @property
    def shape(self) -> Shape:
        """Its routing as data."""
        _ = self.definition
        return self._shape

    @property
    def serializer(self) -> BaseSerializer:
        """What encodes its state values, and reads them where they were kept: it trusts the store."""
        return self.own_serializer or self.definition.serializer

    def snapshot_reader(self, serializer: BaseSerializer | None = None) -> SnapshotReader:
        """Return what reads snapshots of its runs, with its own serializer or another one."""
        known = EventTypes(self.definition.event_classes)
        return SnapshotReader(self.shape, known.need, serializer or self.serializer)

    def validate(self, *, validate_resource_configs: bool = True, validate_resources: bool = False) -> bool:
        """Check the workflow; see `Workflow.validate`."""
        definition = self.definition
        asks = validate(definition, skip_graph_checks=self.skip_graph_checks)
        if validate_resource_configs:
            check_configs(definition.steps.values())
        if validate_resources:
            check_factories(self.resources, definition.steps.values())
        return asks

    def validate_once(self) -> None:
        """Check as `validate` does, unless that was done for these steps or is switched off."""
        if self.validates and self._validated is not self.definition:
            self.validate()
            self._validated = self._definition

    # Its runs

    def plan(self, workflow: object, run_id: str, handler_id: str | None = None) -> Plan:
        """Return what a runner needs to know to run `workflow`, the instance that this was made for."""
        definition = self.definition
        return Plan(
            run_id=run_id,
            handler_id=handler_id,
            workflow=workflow,
            name=self.name,
            definition=definition,
            shape=self._shape,
            time_limit=self.time_limit,
            say=self.say,
            resources=self.resources,
            make_context=self.make_context,
        )

    def settle_on(self, host: Host) -> None:
        """Make `host` the one whose loop runs of the instance belong to; to be called before `launch`.

        Raises:
            WorkflowRuntimeError: Runs of the instance are alive on another event loop.
        """
        if self._host is host:
            return
        if self._host is not None and self._alive and not self._host.port.is_over():
            raise WorkflowRuntimeError(
                "Runs of this Workflow instance are alive on another event loop; make one instance for each loop"
            )
        # What was alive on a loop that is over went with it.
        self._host, self._alive, self._places, self._queued = host, 0, Places(self.limit), {}

    def launch(self, runner: Runner, since: float = math.inf) -> bool:
        """Have a run alive: it begins or goes on now, or when it is its turn; return whether it does so now.

        A run that comes back from a store tells `since` when it has been there (seconds since the epoch).
        """
        attach_if_used()
        run_id = runner.plan.run_id
        self._alive += 1
        runner.host.alive[run_id] = runner
        runner.on_end.append(lambda: self._note_end(runner))
        if self._places.take(run_id, (since,)):
            _begin(runner)
            return True
        self._queued[run_id] = runner
        runner.queued = True
        return False

    def _note_end(self, runner: Runner) -> None:
        run_id = runner.plan.run_id
        runner.host.alive.pop(run_id, None)
        if observers:
            watching.run_ended(runner.variables, runner.plan, runner.host.clock(), runner.run)
        if runner.host is self._host:
            self._alive -= 1
            self._queued.pop(run_id, None)
            self._places.leave(run_id)
            while (next_id := self._places.next()) is not None:
                _begin(self._queued.pop(next_id))


def _begin(runner: Runner) -> None:
    runner.queued = False
    if observers:
        start = None if runner.start is None else runner.start.event
        watching.run_began(runner.variables, runner.plan, runner.host.clock(), start, resumed=runner.run.started)
    runner.begin()


def keep_assembly(workflow: object, assembly: Assembly) -> None:
    """Make `assembly` the one of a workflow instance.

    Raises:
        WorkflowConfigurationError: The workflow lacks a start or a stop, or has two kinds of one.
        WorkflowValidationError: A step is named `run` or can't be called, or `catch_error` handlers contradict each
            other.
    """
    _ = assembly.definition  # compiled now, so that its errors point to where the workflow is made
    workflow.__dict__[_KEY] = assembly


def assembly_of(workflow: object) -> Assembly:
    """Return what runs need of a workflow instance.

    Raises:
        WorkflowConfigurationError: Its class has an `__init__` that has not called that of `Workflow`.
    """
    try:
        assembly: Assembly = workflow.__dict__[_KEY]
    except KeyError:
        name = type(workflow).__qualname__
        raise WorkflowConfigurationError(f"{name}.__init__ must call super().__init__() before runs begin") from None
    return assembly
