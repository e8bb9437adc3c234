"""A workflow under the name it is served by, and the events that clients may give it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from pydantic import ValidationError

from workflow_server.api.commands import MISSING
from workflow_server.definition.graph import draw
from workflow_server.engine.inputs import Misdirected
from workflow_server.engine.loading import LoadError
from workflow_server.engine.message import Message, kind_of, message_of
from workflow_server.engine.parts import PartReader
from workflow_server.engine.state import Run
from workflow_server.errors import ServerUsageError
from workflow_server.events import (
    Event,
    StartEvent,
    json_schema,
)
from workflow_server.naming import TypeTable, qualified_name, these_first
from workflow_server.runtime.assembly import assembly_of
from workflow_server.runtime.event_types import EventTypes
from workflow_server.runtime.host import Host
from workflow_server.runtime.runner import Runner
from workflow_server.runtime.snapshot import Restored, SnapshotReader
from workflow_server.runtime.state_store import InMemoryStateStore
from workflow_server.runtime.states import DictState, load_state
from workflow_server.runtime.workflow import Workflow
from workflow_server.serializers import JsonSerializer, PickleSerializer, TrustingJsonSerializer
from workflow_server.stores.base import StoredRun
from workflow_server.wire.envelopes import EventValidationError, explain, read_event


class ServedWorkflow:
    """A workflow as clients know it.

    Args:
        name: The name in paths.
        workflow: The workflow.
        additional_events: Classes that clients may send though no step's signature names them.

    Raises:
        WorkflowValidationError: The workflow does not hold together.
    """

    def __init__(self, name: str, workflow: Workflow, additional_events: tuple[type[Event], ...]) -> None:
        self.assembly = assembly_of(workflow)
        self.assembly.validate_once()
        self.name = name
        self.workflow = workflow
        self.additional_events = additional_events
        self._events = TypeTable(self._event_classes)
        self._stored_events = EventTypes(self._event_classes)

    @property
    def _event_classes(self) -> tuple[type[Event], ...]:
        return *self.assembly.definition.event_classes, *self.additional_events

    # What clients send

    def read_start_event(self, given: Any) -> StartEvent:
        """Return the start event that a client's JSON value stands for.

        Args:
            given: An envelope, bare fields, either of them as JSON text, or `MISSING`.

        Raises:
            EventValidationError: It stands for none; the text says why.
            WrongStartEvent: It is another event of the workflow.
        """
        start = self.assembly.definition.start_event_class
        if given is MISSING or given is None:
            given = {}
        event = read_event(_as_bare_fields(given, start), self._events, start)
        if not isinstance(event, start):
            raise WrongStartEvent(f"Start event must be an instance of <class '{qualified_name(start)}'>")
        return event

    def read_event(self, given: Any) -> Event:
        """Return the event that a client's JSON value stands for: an envelope, or its JSON text.

        Raises:
            EventValidationError: It stands for none that this workflow knows; the text says why.
        """
        return read_event(given, self._events)

    def refuses(self, event: Event, step: str | None) -> Misdirected | None:
        """Return why a client's event is not sent to `step`, if the run would fail of it: a program's mistake may
        fail a run, a client's must not.
        """
        shape = None if step is None else self.assembly.shape.steps.get(step)
        if shape is None or not shape.collects or not shape.takes(kind_of(type(event))):
            return None
        return Misdirected(shape.name, exists=True, collects=True)

    def read_context(self, given: dict[str, Any]) -> Restored:
        """Return what a client's snapshot tells of. It may name the workflow's own classes only.

        Raises:
            ContextSerdeError: It can't be read; the text says why.
        """
        values = self.assembly.serializer
        if isinstance(values, (TrustingJsonSerializer, PickleSerializer)) or not isinstance(values, JsonSerializer):
            values = JsonSerializer(allowed_types=self.assembly.definition.type_table)
        known = EventTypes(self._event_classes, undeclared=False)
        return SnapshotReader(self.assembly.shape, known.need, values).read(given)

    # What it is made of

    def schemas(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the JSON schemas of its start and its stop event."""
        definition = self.assembly.definition
        return json_schema(definition.start_event_class), json_schema(definition.stop_event_class)

    def event_schemas(self) -> tuple[dict[str, Any], ...]:
        """Return the JSON schemas of all events: those in signatures, then the additional ones."""
        return tuple(json_schema(cls) for cls in dict.fromkeys(self._event_classes))

    def schema_of(self, name: str) -> dict[str, Any] | None:
        """Return the JSON schema of an event by its routing name, or `None` if it is not declared."""
        found = self._stored_events.find(name)
        return None if found is None else json_schema(found)

    def graph(self) -> dict[str, Any]:
        """Return its drawing."""
        return draw(self.assembly.definition).model_dump(mode="json")

    # Its runs

    def read_run(self, stored: StoredRun) -> Run:
        """Return a run as the store has it.

        Raises:
            LoadError: A part can't be read, or does not fit the workflow any more; the text names it.
        """
        for name, found in (("start event", stored.start), ("shape", stored.shape)):
            if found is None:
                raise LoadError(f"{name}: the store does not have it")
        reader = PartReader(self._read_stored, self.assembly.definition.serializer)
        return reader.load_run(self.assembly.shape, stored.head, stored.parts)

    def read_stored_start(self, stored: StoredRun) -> Message:
        """Return the start event of a run as the store has it.

        Raises:
            LoadError: Its class is gone, or it does not fit its class any more.
        """
        assert stored.start is not None  # `read_run` has looked
        try:
            return self._read_stored(stored.start.qualified_name, stored.start.value)
        except Exception as error:  # validators are the user's code and may raise anything
            raise LoadError(f"start event: {error}") from error

    def _read_stored(self, name: str, value: str) -> Message:
        cls = self._stored_events.need(name)
        try:
            with these_first(self._events):
                return message_of(cls.model_validate_json(value), value)
        except ValidationError as error:
            raise ValueError(explain(cls.__name__, error)) from error

    def load_state(self, state: Mapping[str, str]) -> InMemoryStateStore[Any]:
        """Return `ctx.store` of a run, from what the run or an earlier one of its handler has stored.

        Raises:
            ValueError: The state can't be read, or its type has fields without defaults.
        """
        state_type = self.assembly.definition.state_type or DictState
        return InMemoryStateStore(load_state(state, state_type, self.assembly.serializer))

    def make_runner(
        self, host: Host, run_id: str, handler_id: str, store: InMemoryStateStore[Any], run: Run | None = None
    ) -> Runner:
        """Return a runner that is not begun, and without a journal.

        Args:
            host: The loop's shared means.
            run_id: Its id.
            handler_id: Its handler's.
            store: What the run has in `ctx.store`.
            run: The run, if it was loaded; `None` for a new one.
        """
        return Runner(host, self.assembly.plan(self.workflow, run_id, handler_id), store, run)


class WrongStartEvent(EventValidationError):
    """An event was given that does not begin this workflow."""


def _as_bare_fields(given: Any, start: type[StartEvent]) -> Any:
    """Take an envelope of the base `StartEvent` as fields of `start`.

    The client sends exactly that when no input is given, whatever the workflow's start event is.
    """
    if start is StartEvent or not isinstance(given, dict):
        return given
    fields = cast("dict[str, Any]", given)
    if not {"value", "data"} & fields.keys():
        return fields
    named = {fields.get("type"), fields.get("qualified_name")} - {None}
    if named and named <= {"StartEvent", qualified_name(StartEvent)}:
        value = fields.get("value", fields.get("data"))
        return {} if value is None else value
    return fields


def check_served(name: str, workflow: object, taken: bool) -> Workflow:
    """Return `workflow` if it can be served as `name`.

    Raises:
        ServerUsageError: It can't; the sentence says what to do.
    """
    if isinstance(workflow, type):
        kind = workflow.__name__
        raise ServerUsageError(f"add_workflow({name!r}, …) needs an instance: write {kind}() instead of {kind}")
    if not isinstance(workflow, Workflow):
        kind = f"{type(workflow).__module__}.{type(workflow).__qualname__}"
        bases = {base.__module__.partition(".")[0] for base in type(workflow).__mro__}
        hint = (
            "it comes from another package called 'workflows'; import Workflow and step from 'workflow_server' instead"
            if "workflows" in bases
            else "it must be an instance of a subclass of Workflow"
        )
        raise ServerUsageError(f"add_workflow({name!r}, …) can't serve a {kind}: {hint}")
    if taken:
        raise ServerUsageError(f"A workflow is served as {name!r} already; choose another name")
    return workflow
