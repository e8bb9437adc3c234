"""`Workflow`: the class that people subclass, and how a run of it begins in process."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from workflow_server.definition.compiled import FREE_STEPS, check_free_step
from workflow_server.definition.step import StepFunction, WorkflowGraphCheck
from workflow_server.definition.validation import check_names_of_graph_checks, check_num_concurrent_runs
from workflow_server.engine.message import message_of
from workflow_server.errors import ContextStateError, WorkflowConfigurationError
from workflow_server.events import Event, StartEvent, StopEvent
from workflow_server.naming import routing_name
from workflow_server.runtime.assembly import Assembly, assembly_of, keep_assembly
from workflow_server.runtime.context import Context
from workflow_server.runtime.event_stream import EventLog
from workflow_server.runtime.handler import WorkflowHandler
from workflow_server.runtime.host import current_host
from workflow_server.runtime.ids import new_id
from workflow_server.runtime.journal import LiveJournal
from workflow_server.runtime.resource import ResourceManager
from workflow_server.runtime.runner import Runner
from workflow_server.runtime.start_event import start_event_of
from workflow_server.runtime.verbose import teller
from workflow_server.serializers import BaseSerializer

_NONE: Mapping[str, StepFunction[..., Any]] = MappingProxyType({})


class WorkflowMeta(type):
    """A metaclass that programs may derive theirs from; workflows have no need of it themselves."""


class Workflow:
    """A workflow: steps are methods decorated with `step`, each takes an event and returns the next.

    A step may have any name but `run`.

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
        WorkflowValidationError: An argument is wrong, a step is named `run`, or `catch_error` handlers contradict
            each other.
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
        assembly = Assembly(
            workflow_class=type(self),
            name=workflow_name or routing_name(type(self)),
            time_limit=timeout,
            say=teller() if verbose else None,
            validates=not disable_validation,
            skip_graph_checks=check_names_of_graph_checks(skip_graph_checks),
            resources=resource_manager or ResourceManager(),
            own_serializer=serializer,
            make_context=Context.for_step,
            limit=num_concurrent_runs,
        )
        keep_assembly(self, assembly)

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

    # What it is made of, for programs: a step may hide it, so that this package asks the assembly

    @property
    def workflow_name(self) -> str:
        """Its name for people."""
        return assembly_of(self).name

    @property
    def start_event_class(self) -> type[StartEvent]:
        """The class of the event that begins a run."""
        return assembly_of(self).definition.start_event_class

    @property
    def stop_event_class(self) -> type[StopEvent]:
        """The class of the event that ends a run."""
        return assembly_of(self).definition.stop_event_class

    @property
    def events(self) -> list[type[Event]]:
        """All event classes that its steps take or return."""
        return list(assembly_of(self).definition.event_classes)

    @property
    def serializer(self) -> BaseSerializer:
        """What encodes its state values, and reads them where they were kept: it trusts the store."""
        return assembly_of(self).serializer

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
        return assembly_of(self).validate(
            validate_resource_configs=validate_resource_configs, validate_resources=validate_resources
        )

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
        assembly, host = assembly_of(self), current_host()
        assembly.settle_on(host)
        assembly.validate_once()
        plan = assembly.plan(self, run_id or new_id())
        ctx = ctx or Context(self)
        resumed = ctx.resumable
        if resumed is not None and resumed.run.shape != plan.shape:
            raise ContextStateError(f"The context's run can't go on in {plan.name}: it is another workflow's.")
        start = None if resumed is None else resumed.start
        if resumed is None:
            start = message_of(start_event_of(plan.definition.start_event_class, start_event, kwargs))
        if plan.run_id in host.alive:
            raise RuntimeError(f"Workflow run with run_id {plan.run_id!r} already exists.")
        runner = Runner(host, plan, ctx.store, None if resumed is None else resumed.run)
        runner.journal = journal = LiveJournal(runner.perform)
        log = EventLog(journal)
        ctx.attach(runner, log)
        runner.on_end.append(journal.close)
        runner.start = start
        if resumed is not None:
            runner.timers.rested = resumed.alive
        assembly.launch(runner)
        return WorkflowHandler(runner, log, ctx)
