"""States as values: the free-form one, and how states become dictionaries and stored text, and come back."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

from pydantic import BaseModel

from workflow_server.errors import SerializationError
from workflow_server.events import DictLikeModel
from workflow_server.naming import qualified_name, resolve
from workflow_server.runtime.paths import storable
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


class UnserializableKeyWarning(UserWarning):
    """The state's key `memory`, which often holds what can't be written, was left out."""


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


# As part of a snapshot


def write_payload(state: BaseModel, serializer: BaseSerializer) -> dict[str, Any]:
    """Return `state` as a JSON-compatible dictionary.

    Raises:
        ValueError: A value can't be encoded; the message names its key. The key `memory` is left out instead.
    """
    data: Any = {"_data": dict(_serialized(state, serializer))} if type(state) is DictState else None
    module, _, name = qualified_name(type(state)).rpartition(".")
    return {
        "store_type": "in_memory",
        "state_type": name,
        "state_module": module,
        "state_data": serializer.serialize(state) if data is None else data,
    }


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


def read_payload(payload: dict[str, Any], serializer: BaseSerializer) -> BaseModel:
    """Return the state that `write_payload` described.

    Raises:
        ValueError: The payload is of another kind of store, or can't be decoded.
    """
    if payload.get("store_type", "in_memory") != "in_memory":
        raise ValueError(f"Unknown store_type {payload['store_type']!r}")
    data = payload.get("state_data", {"_data": {}})
    if isinstance(data, dict):
        entries = cast("dict[str, str]", cast("dict[str, Any]", data).get("_data", {}))
        return DictState(**{key: serializer.deserialize(text) for key, text in entries.items()})
    state = serializer.deserialize(cast(str, data))
    if isinstance(state, dict):
        find = serializer.resolve_class if isinstance(serializer, JsonSerializer) else resolve
        state = find(f"{payload['state_module']}.{payload['state_type']}")(**state)
    return cast(BaseModel, state)


# In a store


def encode_state(state: BaseModel, serializer: BaseSerializer) -> Image:
    """Return `state` as a store keeps it.

    Raises:
        SerializationError: A value can't be encoded; the message names its key.
    """
    if type(state) is not DictState:  # a subclass may declare fields beside its keys
        return {WHOLE: _text("the state", state, serializer)}
    return {storable(key, "state key"): _text(f"state key {key!r}", value, serializer) for key, value in state.items()}


def _text(what: str, value: Any, serializer: BaseSerializer) -> str:
    try:
        return serializer.serialize(value)
    except (ValueError, TypeError) as error:
        raise SerializationError(f"{what} can't be stored: {error}") from error


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
