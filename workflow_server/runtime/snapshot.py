"""Snapshots: what a context holds as a JSON-compatible dictionary, and back.

    {"version": 1, "is_running": true, "state": {…}, "run": {"head": {…}, "parts": {…}, "alive": 1.5, "start": {…}}}

The state is told as `InMemoryStateStore.to_dict` tells it; `{}` stands for one that nobody has touched. The run is
told by the very parts that a store keeps of it (`engine.parts`), and comes back as a stored run does: what was
executing executes again from its top, what waits goes on waiting, delays keep their due time. Its stream begins
anew, because a snapshot belongs to no reader. `run` is absent unless `is_running`.

Every later version reads what an earlier one has written: keys may be added, with a meaning for their absence;
`VERSION` rises only if older readers would misunderstand. Unknown keys are ignored.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Literal, cast

from pydantic import BaseModel, Field, ValidationError

from workflow_server.engine.loading import LoadError
from workflow_server.engine.message import Message, message_of
from workflow_server.engine.parts import PartReader, encode_head, encode_message, encode_part
from workflow_server.engine.shape import Shape
from workflow_server.engine.state import Part, Run
from workflow_server.errors import ContextSerdeError, SerializationError
from workflow_server.events import Event
from workflow_server.runtime.publications import encode_event
from workflow_server.runtime.state_store import InMemoryStateStore
from workflow_server.serializers import BaseSerializer, JsonSerializer
from workflow_server.valueclass import dataclass

VERSION = 1

FindEvent = Callable[[str], type[Event]]
"""Finds an event class by its routing name, or raises `LookupError`."""


@dataclass(frozen=True, slots=True)
class RunImage:
    """A run at one moment. Its parts are the run's own: they are to be encoded before it goes on, if it does."""

    head: str
    parts: Mapping[str, Part]
    alive: float
    """Seconds that it has been alive."""
    start: Message | None


@dataclass(frozen=True, slots=True)
class ResumableRun:
    """A run that came out of a snapshot, ready to go on."""

    run: Run
    alive: float
    """Seconds that it has been alive before."""
    start: Message | None
    """What it began with; a run that has not begun yet, because it queued for its turn, begins with it."""

    def image(self) -> RunImage:
        """Return it as it stands."""
        return image_of(self.run, self.alive, self.start)


@dataclass(frozen=True, slots=True)
class Restored:
    """What was read from a snapshot."""

    store: InMemoryStateStore[Any] | None
    run: ResumableRun | None


class _RunShape(BaseModel, defer_build=True):
    head: dict[str, Any]
    parts: dict[str, dict[str, Any]]
    alive: float = Field(default=0.0, ge=0.0)
    start: dict[str, Any] | None = None


class _SnapshotShape(BaseModel, defer_build=True):
    version: Literal[1] = 1
    is_running: bool = False
    state: dict[str, Any] = {}
    run: _RunShape | None = None


def image_of(run: Run, alive: float, start: Message | None) -> RunImage:
    """Return what `run` is now."""
    return RunImage(encode_head(run), run.parts(), alive, start)


def write_snapshot(
    store: InMemoryStateStore[Any] | None, image: RunImage | None, serializer: BaseSerializer
) -> dict[str, Any]:
    """Return the snapshot of a state and of a run that is not over, either of which may be missing.

    Raises:
        SerializationError: An event can't be encoded, neither as JSON nor by `serializer`.
        ValueError: A value of the state can't be encoded; the message names its key.
    """
    snapshot: dict[str, Any] = {
        "version": VERSION,
        "is_running": image is not None,
        "state": {} if store is None else store.to_dict(serializer),
    }
    if image is not None:

        def dump(event: Event) -> str:
            return _dump(event, serializer)

        snapshot["run"] = {
            "head": json.loads(image.head),
            "parts": {key: json.loads(encode_part(part, dump)) for key, part in image.parts.items()},
            "alive": image.alive,
            "start": json.loads(encode_message(image.start, dump)),
        }
    return snapshot


def _dump(event: Event, serializer: BaseSerializer) -> str:
    """Return `event` as JSON text: its dump, or what the caller's own serializer makes of it as a JSON string."""
    try:
        return encode_event(event)
    except SerializationError as error:
        try:
            return json.dumps(serializer.serialize(event))
        except ValueError:
            raise error from None  # it names the field


class SnapshotReader:
    """Reads snapshots.

    Args:
        shape: The routing of the workflow that they are for.
        find_event: Finds its event classes.
        serializer: Reads the state's values. A limit it sets to the classes that may be made holds for the whole.
    """

    def __init__(self, shape: Shape, find_event: FindEvent, serializer: BaseSerializer) -> None:
        self._shape = shape
        self._find_event = find_event
        self._serializer = serializer

    def read(self, data: Any) -> Restored:
        """Return what the snapshot `data` holds.

        Raises:
            ContextSerdeError: A newer version wrote it, it is malformed, or it does not fit the workflow.
        """
        try:
            snapshot = _checked(data)
            store = self._store(snapshot.state) if snapshot.state else None
            return Restored(store, self._run(snapshot.run) if snapshot.is_running and snapshot.run else None)
        except ContextSerdeError:
            raise
        except (LoadError, ValueError, LookupError, TypeError) as error:
            raise ContextSerdeError(f"The snapshot can't be read: {error}") from error

    def _store(self, payload: dict[str, Any]) -> InMemoryStateStore[Any]:
        return InMemoryStateStore.from_dict(payload, self._serializer)

    def _run(self, fields: _RunShape) -> ResumableRun:
        values = self._serializer if isinstance(self._serializer, JsonSerializer) else JsonSerializer()
        reader = PartReader(self._read_message, values)
        with values.validation_context():
            texts = {key: json.dumps(part) for key, part in fields.parts.items()}
            run = reader.load_run(self._shape, json.dumps(fields.head), texts)
            start = None if fields.start is None else self._read_message(fields.start["name"], _text(fields.start))
        if not run.started and start is None:
            raise LookupError("the run has not begun, and what it is to begin with is missing")
        run.next_sequence = 0
        for item in run.items.values():
            item.since = 0
        return ResumableRun(run, fields.alive, start)

    def _read_message(self, name: str, value: str) -> Message:
        dump = json.loads(value)
        if not isinstance(dump, str):
            return message_of(self._find_event(name).model_validate_json(value), value)
        event = self._serializer.deserialize(dump)
        if not isinstance(event, Event):
            raise LookupError(f"{name} was to be an event, not a {type(event).__name__}")
        return message_of(event)


def _text(message: dict[str, Any]) -> str:
    return json.dumps(message["value"])


def _checked(data: Any) -> _SnapshotShape:
    version: object = cast("dict[str, Any]", data).get("version", VERSION) if isinstance(data, dict) else VERSION
    if version != VERSION and not (isinstance(version, int) and version < VERSION):
        raise ContextSerdeError(
            f"The snapshot has version {version!r}, and this version of workflow-server reads up to {VERSION}: "
            "a newer version has written it"
        )
    try:
        snapshot = _SnapshotShape.model_validate(data, strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "its top"
        raise ContextSerdeError(f"The snapshot is malformed at {where}: {first['msg']}") from error
    if snapshot.is_running and snapshot.run is None:
        raise ContextSerdeError(
            "The snapshot says that a run goes on but holds none: snapshots of other engines can't be resumed"
        )
    return snapshot
