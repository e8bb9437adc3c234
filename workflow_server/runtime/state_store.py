"""`ctx.store`: a run's state, free-form or typed, read and written by paths.

Reading gives the live object. Writing copies the containers on the path only, so that a reader who holds an
earlier state sees it unchanged. Only writes are durable: what must survive goes through `set`, `set_state` or
`edit_state`. In a stored run a write is encoded first, and returns once it is committed.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar, cast

import anyio
from pydantic import BaseModel

from workflow_server.errors import SerializationError, WorkflowRuntimeError
from workflow_server.events import DictLikeModel
from workflow_server.naming import qualified_name, resolve
from workflow_server.runtime.paths import ABSENT, child_of, keys_of, storable, with_value
from workflow_server.serializers import BaseSerializer, JsonSerializer

WHOLE = ""
"""The key under which a typed state is stored, in one piece."""

Image = dict[str, str]
"""A state as JSON text: by top-level key for free-form state, under `WHOLE` for typed state."""


class DictState(DictLikeModel):
    """Free-form state: any keys, by attribute or by subscript."""


if TYPE_CHECKING:
    from typing_extensions import TypeVar as TypeVarWithDefault

    # People write `ctx: Context`; to type checkers that is a context with free-form state.
    S = TypeVarWithDefault("S", bound=BaseModel, default=DictState)
else:
    S = TypeVar("S", bound=BaseModel)


class StateWriter(Protocol):
    """Where writes go in a stored run."""

    async def write_state(self, changes: Mapping[str, str | None]) -> None:
        """Commit changed keys (`None` removes one); returns after the commit."""
        ...


class InMemoryStateStore(Generic[S]):
    """The state of a run.

    Args:
        initial_state: What it holds at first; its class is the state's type.
    """

    def __init__(self, initial_state: S) -> None:
        self._state = initial_state
        self._writer: StateWriter | None = None
        self._serializer: BaseSerializer = JsonSerializer()
        self._image: Image = {}
        self._lock: anyio.Lock | None = None
        self._editor: int | None = None

    @property
    def state_type(self) -> type[S]:
        """The class of the state."""
        return type(self._state)

    def bind(self, writer: StateWriter, serializer: BaseSerializer) -> Image:
        """Make the state part of a stored run: encode it now, and every write from now on.

        Returns:
            The state as it stands, to be stored with the run's first batch.

        Raises:
            SerializationError: A value can't be encoded; the message names its key.
        """
        self._serializer = serializer
        self._image = self._encode(self._state)
        self._writer = writer
        return dict(self._image)

    # Reading

    async def get_state(self) -> S:
        """Return the state itself, not a copy."""
        return self._state

    async def get(self, path: str, default: Any = ABSENT) -> Any:
        """Return the value at `path`, keys separated by dots.

        Args:
            path: Each key is looked up in a mapping, among extras, in a list by number, or as an attribute.
            default: Returned if nothing is there.

        Raises:
            ValueError: Nothing is there and no default was given, or the path is empty.
        """
        value: Any = self._state
        for key in keys_of(path):
            value = child_of(value, key)
            if value is ABSENT:
                if default is ABSENT:
                    raise ValueError(f"Path {path!r} not found in state")
                return default
        return value

    # Writing

    async def set(self, path: str, value: Any) -> None:
        """Put `value` at `path`; missing containers on the way become dictionaries.

        Raises:
            ValueError: The path is empty or leads through something that can't hold keys; or (as
                `SerializationError`) the run is stored and the key or the value can't be.
            RuntimeError: Called inside this task's `edit_state`.
        """
        keys = keys_of(path)
        async with self._writing("set"):
            await self._replace(with_value(self._state, keys, value))

    async def set_state(self, state: S) -> None:
        """Replace the state. A state of a parent type is merged into it, field by field.

        Raises:
            ValueError: `state` is of an unrelated type; or as `set`.
            RuntimeError: Called inside this task's `edit_state`.
        """
        async with self._writing("set_state"):
            if isinstance(state, self.state_type):
                await self._replace(state)
            elif isinstance(self._state, type(state)):
                await self._replace(self._state.model_copy(update=dict(state.__dict__), deep=False))
            else:
                raise ValueError(f"State must be of type {self.state_type.__name__}, not {type(state).__name__}")

    async def clear(self) -> None:
        """Reset the state to the defaults of its type.

        Raises:
            ValueError: The type has fields without defaults.
            RuntimeError: Called inside this task's `edit_state`.
        """
        async with self._writing("clear"):
            await self._replace(new_state(self.state_type))

    @asynccontextmanager
    async def edit_state(self) -> AsyncGenerator[S]:
        """Yield a copy of the state to change; it becomes the state when the block ends well.

        Edits and writes come one after another. If the block raises, nothing changes.

        Raises:
            RuntimeError: Called inside another `edit_state` of the same task.
        """
        async with self._writing("edit_state"):
            edited = copy.deepcopy(self._state)
            yield edited
            await self._replace(edited)

    @property
    def being_edited_here(self) -> bool:
        """Whether the calling task is inside `edit_state`."""
        return self._editor is not None and self._editor == anyio.get_current_task().id

    @asynccontextmanager
    async def _writing(self, method: str) -> AsyncGenerator[None]:
        if self.being_edited_here:
            raise WorkflowRuntimeErrorInEdit(method)
        if self._lock is None:
            self._lock = anyio.Lock(fast_acquire=True)
        async with self._lock:
            self._editor = anyio.get_current_task().id
            try:
                yield
            finally:
                self._editor = None

    async def _replace(self, state: S) -> None:
        if self._writer is None:
            self._state = state
            return
        image = self._encode(state)
        changes: dict[str, str | None] = {key: text for key, text in image.items() if self._image.get(key) != text}
        changes.update(dict.fromkeys(self._image.keys() - image.keys()))
        self._state, self._image = state, image
        if changes:
            await self._writer.write_state(changes)

    # Encoding

    def _encode(self, state: BaseModel) -> Image:
        if type(state) is not DictState:  # a subclass may declare fields beside its keys
            return {WHOLE: self._text("the state", state)}
        return {storable(key): self._text(f"state key {key!r}", value) for key, value in state.items()}

    def _text(self, what: str, value: Any) -> str:
        try:
            return self._serializer.serialize(value)
        except (ValueError, TypeError) as error:
            raise SerializationError(f"{what} can't be stored: {error}") from error

    def to_dict(self, serializer: BaseSerializer) -> dict[str, Any]:
        """Return the state as a JSON-compatible dictionary that `from_dict` reads.

        Raises:
            ValueError: A value can't be encoded; the message names its key. The key `memory` is left out instead.
        """
        state: BaseModel = self._state
        data: Any
        if type(state) is DictState:
            data = {"_data": dict(_serialized(state, serializer))}
        else:
            data = serializer.serialize(state)
        module, _, name = qualified_name(type(state)).rpartition(".")
        return {"store_type": "in_memory", "state_type": name, "state_module": module, "state_data": data}

    @classmethod
    def from_dict(cls, payload: dict[str, Any], serializer: BaseSerializer) -> InMemoryStateStore[Any]:
        """Return the store that `to_dict` described.

        Raises:
            ValueError: The payload is of another kind of store, or can't be decoded.
        """
        if payload.get("store_type", "in_memory") != "in_memory":
            raise ValueError(f"Unknown store_type {payload['store_type']!r}")
        data = payload.get("state_data", {"_data": {}})
        if isinstance(data, dict):
            entries = cast("dict[str, str]", cast("dict[str, Any]", data).get("_data", {}))
            return InMemoryStateStore(DictState(**{key: serializer.deserialize(text) for key, text in entries.items()}))
        state = serializer.deserialize(cast(str, data))
        if isinstance(state, dict):
            find = serializer.resolve_class if isinstance(serializer, JsonSerializer) else resolve
            state = find(f"{payload['state_module']}.{payload['state_type']}")(**state)
        return InMemoryStateStore(cast(BaseModel, state))


def _serialized(state: DictState, serializer: BaseSerializer) -> Iterator[tuple[str, str]]:
    for key, value in state.items():
        try:
            yield key, serializer.serialize(value)
        except ValueError as error:
            if key != "memory":
                raise ValueError(f"State key {key!r} can't be written: {error}") from error
            warnings.warn(
                f"State key {key!r} can't be written and was left out; set it again after reading the state",
                UnserializableKeyWarning,
                stacklevel=4,
            )


class UnserializableKeyWarning(UserWarning):
    """The state's key `memory`, which often holds what can't be written, was left out."""


class WorkflowRuntimeErrorInEdit(WorkflowRuntimeError, RuntimeError):
    """A writer was called inside the same task's `edit_state`."""

    def __init__(self, method: str) -> None:
        super().__init__(
            f"{method}() can't be used inside edit_state() of the same task: change the state that edit_state yields"
        )


def new_state(state_type: type[S]) -> S:
    """Return a state of `state_type` with its defaults.

    Raises:
        ValueError: A field has no default.
    """
    try:
        return state_type()
    except ValueError as error:
        raise ValueError(
            f"State type {state_type.__name__} needs a default for every field, because a run begins with it: {error}"
        ) from error


def load_state(image: Mapping[str, str], state_type: type[BaseModel], serializer: BaseSerializer) -> BaseModel:
    """Return the state that was stored as `image`.

    Raises:
        ValueError: A value can't be decoded; the message names its key.
    """
    if not image:
        return new_state(state_type)
    values: dict[str, Any] = {}
    for key, text in image.items():
        try:
            values[key] = serializer.deserialize(text)
        except (ValueError, TypeError, LookupError) as error:
            raise SerializationError(f"state key {key!r} can't be read: {error}") from error
    whole = values.get(WHOLE)
    if isinstance(whole, BaseModel):  # else it is the value of a key that happens to be empty
        return whole
    return DictState(**values) if state_type is DictState else state_type(**values)
