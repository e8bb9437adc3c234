"""`Workflow`: the class that people subclass, and how a run of it begins in process."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any

from workflow_server.definition.compiled import FREE_STEPS, Definition, check_free_step, compile_definition
from workflow_server.definition.step import StepFunction, WorkflowGraphCheck
from workflow_server.definition.validation import check_names_of_graph_checks, check_num_concurrent_runs, validate
from workflow_server.engine.message import message_of
from workflow_server.engine.shape import Shape, shape_of
from workflow_server.errors import ContextStateError, WorkflowConfigurationError, WorkflowRuntimeError
from workflow_server.events import Event, StartEvent, StopEvent
from workflow_server.naming import routing_name
from workflow_server.observation import observers
from workflow_server.observers.llama_index import attach_if_used
from workflow_server.runtime import watching
from workflow_server.runtime.context import Context
from workflow_server.runtime.event_stream import EventLog
from workflow_server.runtime.event_types import EventTypes
from workflow_server.runtime.gate import Gate
from workflow_server.runtime.handler import WorkflowHandler
from workflow_server.runtime.host import Host, current_host
from workflow_server.runtime.ids import new_id
from workflow_server.runtime.journal import LiveJournal
from workflow_server.runtime.plan import Plan
from workflow_server.runtime.resource import ResourceManager, check_configs, check_factories
from workflow_server.runtime.runner import Runner
from workflow_server.runtime.snapshot import SnapshotReader
from workflow_server.runtime.start_event import beginning, start_event_of
from workflow_server.runtime.verbose import teller
from workflow_server.serializers import BaseSerializer

_NONE: Mapping[str, StepFunction[..., Any]] = MappingProxyType({})


class WorkflowMeta(type):
    """A metaclass that programs may derive theirs from; workflows have no need of it themselves."""


class Workflow:
    """A workflow: steps are methods decorated with `step`, each takes an event and returns the next.

    Args:
        timeout: Seconds a run may be alive; `None` for no limit.
        disable_validation: Whether `run` leaves out `validate`.
        verbose: Whether runs print when steps begin and end.
        resource_manager: Makes and keeps the resources of its steps; one of its own by default.
        num_concurrent_runs: How many runs of this instance may be alive at the same time; further ones wait
            their turn. `None` for no limit.
        workflow_name: Its name for people; `module.qualname` of the class by default.
        skip_graph_checks: Checks of the graph to leave out.
        serializer: Encodes state values; JSON by default.

    Raises:
        WorkflowConfigurationError: No step accepts a start event or none returns a stop event, or there are
            several types of one; or an argument names something this version does not have.
        WorkflowValidationError: An argument is wrong, or `catch_error` handlers contradict each other.
    """

    def __init__(
        self,
        timeout: float | None = 45.0,
        disable_validation: bool = False,
        verbose: bool = False,
        resource_manager: ResourceManager | None = None,
        num_concurrent_runs: int | None = None,
        runtime: Any = None,
        workflow_name: str | None = None,
        skip_graph_checks: Iterable[WorkflowGraphCheck] | None = None,
        serializer: BaseSerializer | None = None,
    ) -> None:
        if runtime is not None:
            raise WorkflowConfigurationError("runtime= is not supported by this version of workflow-server")
        check_num_concurrent_runs(num_concurrent_runs)
        self._timeout = timeout
        self._say = teller() if verbose else None
        self._disable_validation = disable_validation
        self._skip_graph_checks = check_names_of_graph_checks(skip_graph_checks)
        self._name = workflow_name or routing_name(type(self))
        self._definition: Definition | None = None
        self._free_steps_seen: Mapping[str, StepFunction[..., Any]] | None = None
        self._shape: Shape | None = None
        self._validated: Definition | None = None
        self._serializer = serializer
        self._resource_manager = resource_manager or ResourceManager()
        self._gate = Gate(num_concurrent_runs)
        self._host: Host | None = None
        self._alive = 0
        self.definition  # noqa: B018  # compiled now, so that its errors point here

    @classmethod
    def add_step(cls, function: StepFunction[..., Any]) -> None:
        """Make a decorated free function a step of exactly this class.

        Raises:
            WorkflowValidationError: It is not decorated, or its name is taken.
        """
        registered = dict(cls.__dict__.get(FREE_STEPS, _NONE))
        check_free_step(cls, registered, function)
        registered[function.__name__] = function
        setattr(cls, FREE_STEPS, registered)

    # What it is made of

    @property
    def workflow_name(self) -> str:
        """Its name for people."""
        return self._name

    @property
    def definition(self) -> Definition:
        """Its steps and events as data."""
        free_steps: Mapping[str, StepFunction[..., Any]] = type(self).__dict__.get(FREE_STEPS, _NONE)
        if self._definition is None or self._free_steps_seen is not free_steps:
            self._definition = compile_definition(type(self), free_steps)
            self._free_steps_seen = free_steps
            self._shape = shape_of(self._definition)
        return self._definition

    @property
    def shape(self) -> Shape:
        """Its routing as data."""
        _ = self.definition
        assert self._shape is not None
        return self._shape

    @property
    def start_event_class(self) -> type[StartEvent]:
        """The class of the event that begins a run."""
        return self.definition.start_event_class

    @property
    def stop_event_class(self) -> type[StopEvent]:
        """The class of the event that ends a run."""
        return self.definition.stop_event_class

    @property
    def events(self) -> list[type[Event]]:
        """All event classes that its steps take or return."""
        return list(self.definition.event_classes)

    @property
    def serializer(self) -> BaseSerializer:
        """What encodes its state values, and reads them where they were kept: it trusts the store."""
        return self._serializer or self.definition.serializer

    def snapshot_reader(self, serializer: BaseSerializer | None = None) -> SnapshotReader:
        """Return what reads snapshots of its runs, with its own serializer or another one."""
        return SnapshotReader(self.shape, EventTypes(self.events).need, serializer or self.serializer)

    @property
    def time_limit(self) -> float | None:
        """Seconds a run may be alive; `None` for no limit."""
        return self._timeout

    def validate(self, *, validate_resource_configs: bool = True, validate_resources: bool = False) -> bool:
        """Check that its steps and events fit together.

        Args:
            validate_resource_configs: Whether to read the configuration files that steps need.
            validate_resources: Whether to make all resources that steps need.

        Returns:
            Whether it asks people for input.

        Raises:
            WorkflowConfigurationError: It has no steps, or lacks a start or a stop.
            WorkflowValidationError: Steps and events don't fit, or a resource can't be made; the message names them.
            WorkflowRuntimeError: `validate_resources` meets a factory that waits, inside a running event loop.
        """
        definition = self.definition
        asks = validate(definition, skip_graph_checks=self._skip_graph_checks)
        if validate_resource_configs:
            check_configs(definition.steps.values())
        if validate_resources:
            check_factories(self._resource_manager, definition.steps.values())
        return asks

    def validate_once(self) -> None:
        """Check as `validate` does, unless that was done for these steps or is switched off."""
        if self._validated is not self.definition and not self._disable_validation:
            self.validate()
            self._validated = self.definition

    # Running

    def run(
        self,
        ctx: Context[Any] | None = None,
        start_event: StartEvent | None = None,
        *,
        run_id: str | None = None,
        **kwargs: Any,
    ) -> WorkflowHandler:
        """Start a run in the running event loop, asyncio's or trio's.

        Args:
            ctx: Gives the run its state, and later runs what this one leaves there. If it came from a snapshot of
                a run that was alive, that run goes on, and no start event is needed.
            start_event: What the run begins with.
            run_id: Its id; ten random letters and digits by default.
            **kwargs: Fields of the start event, if none is given.

        Returns:
            The handler; await it for the result.

        Raises:
            ValueError: `start_event` is not the start event of this workflow.
            WorkflowRuntimeError: No event loop is running, runs of this instance are alive on another one, or
                `kwargs` don't make a start event.
            WorkflowValidationError: The workflow does not hold together.
            ContextStateError: Another run that uses `ctx` is alive, or the run to resume is another workflow's.
            RuntimeError: A run with this id is alive.
        """
        host = current_host()
        self.settle_on(host)
        self.validate_once()
        ctx = ctx or Context(self)
        resumed = ctx.resumable
        if resumed is not None and resumed.run.shape != self.shape:
            raise ContextStateError(f"The context's run can't go on in {self.workflow_name}: it is another workflow's.")
        start = None if resumed is None else resumed.start
        if resumed is None:
            start = message_of(start_event_of(self.start_event_class, start_event, kwargs))
        plan = self.plan(run_id or new_id())
        if plan.run_id in host.alive:
            raise RuntimeError(f"Workflow run with run_id {plan.run_id!r} already exists.")
        runner = Runner(host, plan, ctx.store, None if resumed is None else resumed.run)
        runner.journal = journal = LiveJournal(runner.perform)
        log = EventLog(journal)
        ctx.attach(runner, log)
        runner.on_end.append(journal.close)
        self.launch(runner, beginning(runner, start, resumed))
        return WorkflowHandler(runner, log, ctx)

    def plan(self, run_id: str, handler_id: str | None = None) -> Plan:
        """Return what a runner needs to know to run this workflow."""
        definition = self.definition
        return Plan(
            run_id=run_id,
            handler_id=handler_id,
            workflow=self,
            name=self.workflow_name,
            definition=definition,
            shape=self.shape,
            time_limit=self._timeout,
            say=self._say,
            resources=self._resource_manager,
            make_context=Context.for_step,
        )

    def settle_on(self, host: Host) -> None:
        """Make `host` the one whose loop runs of this instance belong to; to be called before `launch`.

        Raises:
            WorkflowRuntimeError: Runs of this instance are alive on another event loop.
        """
        if self._host is host:
            return
        if self._host is not None and self._alive and not self._host.port.is_over():
            raise WorkflowRuntimeError(
                "Runs of this Workflow instance are alive on another event loop; make one instance for each loop"
            )
        # What was alive on a loop that is over went with it.
        self._host, self._alive, self._gate = host, 0, Gate(self._gate.limit)

    def launch(self, runner: Runner, go: Callable[[], None], since: float = math.inf) -> bool:
        """Have a run alive: call `go` now, or when it is its turn; return whether it was called.

        A run that comes back from a store tells `since` when it has been there (seconds since the epoch).
        """
        attach_if_used()
        host, run_id, gate = runner.host, runner.plan.run_id, self._gate
        runner.queued = True
        self._alive += 1
        host.alive[run_id] = runner

        def begin() -> None:
            runner.queued = False
            runner.on_end.append(gate.leave)
            if observers:
                watching.run_began(runner)
            go()

        def end() -> None:
            if gate is self._gate:
                self._alive -= 1
            host.alive.pop(run_id, None)
            if observers:
                watching.run_ended(runner)
            gate.give_up(begin)

        runner.on_end.append(end)
        return gate.enter(begin, since)
