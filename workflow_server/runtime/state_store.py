"""`ctx.store`: a run's state, free-form or typed, read and written by paths.

Reading gives the live object. Writing copies the containers on the path only, so that a reader who holds an
earlier state sees it unchanged. Only writes are durable: what must survive goes through `set`, `set_state` or
`edit_state`. In a stored run a write is encoded first, and returns once it is committed.
"""

from __future__ import annotations

import copy
from collections.abc import AsyncGenerator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Generic, Protocol

import anyio

from workflow_server.errors import WorkflowRuntimeError
from workflow_server.runtime.paths import ABSENT, child_of, keys_of, with_value
from workflow_server.runtime.states import (
    DictState,
    Image,
    S,
    UnserializableKeyWarning,
    encode_state,
    new_state,
    read_payload,
    write_payload,
)
from workflow_server.serializers import BaseSerializer, JsonSerializer

__all__ = [
    "DictState",
    "InMemoryStateStore",
    "StateStore",
    "StateWriter",
    "UnserializableKeyWarning",
    "WorkflowRuntimeErrorInEdit",
]


class StateStore(Protocol[S]):
    """What programs may expect of any `ctx.store`; `InMemoryStateStore` says more of each method."""

    @property
    def state_type(self) -> type[S]:
        """The class of the state."""
        ...

    async def get_state(self) -> S:
        """Return the state itself."""
        ...

    async def set_state(self, state: S) -> None:
        """Replace the state, or merge one of a parent type into it."""
        ...

    async def get(self, path: str, default: Any = ...) -> Any:
        """Return the value at a dotted path."""
        ...

    async def set(self, path: str, value: Any) -> None:
        """Put a value at a dotted path."""
        ...

    async def clear(self) -> None:
        """Reset the state to the defaults of its type."""
        ...

    def edit_state(self) -> AbstractAsyncContextManager[S]:
        """Yield a copy that becomes the state when the block ends well."""
        ...


_UNBOUND = JsonSerializer()


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
        self._serializer: BaseSerializer = _UNBOUND
        self._image: Image = {}
        self._lock: anyio.Lock | None = None
        self._editor: int | None = None

    @property
    def state_type(self) -> type[S]:
        """The class of the state."""
        return type(self._state)

    def bind(self, writer: StateWriter, serializer: BaseSerializer) -> Mapping[str, str]:
        """Make the state part of a stored run: encode it now, and every write from now on.

        Returns:
            The state as it stands, to be stored with the run's first batch.

        Raises:
            SerializationError: A value can't be encoded; the message names its key.
        """
        self._serializer = serializer
        self._image = encode_state(self._state, self._serializer)
        self._writer = writer
        return self._image

    # Reading

    async def get_state(self) -> S:
        """Return the state itself, not a copy."""
        return self._state

    async def get(self, path: str, default: Any = ABSENT) -> Any:
        """Return the value at `path`, keys separated by dots.

        Args:
            path: Each key is looked up in a mapping, among extras, in a list by number, or as an attribute. The empty
                path leads to the state itself.
            default: Returned if nothing is there.

        Raises:
            ValueError: Nothing is there and no default was given.
        """
        value: Any = self._state
        for key in keys_of(path) if path else ():
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
        image = encode_state(state, self._serializer)
        changes: dict[str, str | None] = {key: text for key, text in image.items() if self._image.get(key) != text}
        changes.update(dict.fromkeys(self._image.keys() - image.keys()))
        self._state, self._image = state, image
        if changes:
            await self._writer.write_state(changes)

    # Encoding

    def to_dict(self, serializer: BaseSerializer) -> dict[str, Any]:
        """Return the state as a JSON-compatible dictionary that `from_dict` reads.

        Raises:
            ValueError: A value can't be encoded; the message names its key. The key `memory` is left out instead.
        """
        return write_payload(self._state, serializer)

    @classmethod
    def from_dict(cls, payload: dict[str, Any], serializer: BaseSerializer) -> InMemoryStateStore[Any]:
        """Return the store that `to_dict` described.

        Raises:
            ValueError: The payload is of another kind of store, or can't be decoded.
        """
        return InMemoryStateStore(read_payload(payload, serializer))


class WorkflowRuntimeErrorInEdit(WorkflowRuntimeError, RuntimeError):
    """A writer was called inside the same task's `edit_state`."""

    def __init__(self, method: str) -> None:
        super().__init__(
            f"{method}() can't be used inside edit_state() of the same task: change the state that edit_state yields"
        )
