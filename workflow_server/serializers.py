"""How values become text that can be stored and sent, and values again.

JSON with two tagged shapes: models as `{"__is_pydantic": true, "value", "qualified_name"}` and
components (objects with `class_name`, `to_dict` and `from_dict`) as `{"__is_component": true,
"value", "qualified_name"}`. What JSON has no word for is refused rather than changed in passing:
a set or a date that came back as a list or a string would be a different value.

A dictionary that merely looks like one of them, because a client sent it so, is wrapped as `{"__is_plain": true,
"value"}`: what was written without a class never comes back as an object.

A serializer with a list of types finds classes only there; without one it imports them by name,
so text from elsewhere must not reach it.
"""

from __future__ import annotations

import base64
import binascii
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Self

from pydantic import BaseModel

from workflow_server.errors import SerializationError
from workflow_server.naming import TypeTable, only_these, qualified_name, resolve, these_first

_MODEL = "__is_pydantic"
_COMPONENT = "__is_component"
_PLAIN = "__is_plain"
_TAGS = frozenset((_MODEL, _COMPONENT, _PLAIN))


class BaseSerializer(ABC):
    """Turns values into text and back."""

    @abstractmethod
    def serialize(self, value: Any) -> str:
        """Return `value` as text.

        Raises:
            SerializationError: It can't be written.
        """

    @abstractmethod
    def deserialize(self, value: str) -> Any:
        """Return the value that the text stands for.

        Raises:
            SerializationError: It can't be read.
        """


class JsonSerializer(BaseSerializer):
    """Writes JSON; models and components keep their class.

    Args:
        allowed_types: The classes (or their names) that reading may construct, beside the framework's own;
            `None` for any class that can be imported.
    """

    def __init__(self, *, allowed_types: Iterable[type | str] | None = None) -> None:
        self._allowed: tuple[type | str, ...] | None = None if allowed_types is None else tuple(allowed_types)
        self._table: TypeTable | None = None
        if self._allowed is not None:
            self._table = TypeTable(one for one in self._allowed if isinstance(one, type))

    def with_types(self, *classes: type) -> Self:
        """Return a serializer that may construct these classes, too; the same one if nothing limits it."""
        return self if self._allowed is None else type(self)(allowed_types=(*self._allowed, *classes))

    def validation_context(self) -> AbstractContextManager[None]:
        """Let events and exceptions inside models, too, be constructed only from the allowed types in this block."""
        return nullcontext() if self._table is None else only_these(self._table)

    def resolve_class(self, qualified_name: str) -> type:
        """Return the class that text calls `qualified_name`.

        Raises:
            SerializationError: It isn't allowed or can't be found.
        """
        try:
            if self._allowed is not None and qualified_name in self._allowed:
                with only_these(None):
                    return resolve(qualified_name)
            with self.validation_context():
                return resolve(qualified_name)
        except LookupError as error:
            hint = "" if self._allowed is None else f"; allow it with JsonSerializer(allowed_types=[{qualified_name}])"
            raise SerializationError(f"Class {qualified_name} can't be used: {error}{hint}") from error

    def serialize_value(self, value: Any) -> Any:
        """Return `value` with its models and components replaced by their tagged shapes.

        Raises:
            SerializationError: A part of it has no JSON form; the message names its place and type.
        """
        return _encode(value, "")

    def serialize(self, value: Any) -> str:
        """Return `value` as JSON.

        Raises:
            SerializationError: A part of it has no JSON form; the message names its place and type.
        """
        try:
            encoded = _encode(value, "")
        except RecursionError as error:
            raise SerializationError(f"Failed to serialize value: {type(value)}: it contains itself") from error
        text = json.dumps(encoded, ensure_ascii=False)
        try:
            text.encode()
        except UnicodeEncodeError:  # half of a surrogate pair, as in undecodable file names: only an escape holds it
            return json.dumps(encoded)
        return text

    def deserialize_value(self, data: Any) -> Any:
        """Return decoded JSON with its tagged shapes replaced by models and components.

        Raises:
            SerializationError: A class isn't allowed or refuses its value.
        """
        whole = data  # stays untyped where the checks below narrow `data` to containers of unknown things
        if isinstance(data, list):
            return [self.deserialize_value(one) for one in whole]
        if not isinstance(data, dict):
            return data
        fields: dict[str, Any] = whole
        if fields.get(_MODEL) and "qualified_name" in fields:
            return self._construct(fields, "model_validate")
        if fields.get(_COMPONENT) and "qualified_name" in fields:
            return self._construct(fields, "from_dict")
        if fields.get(_PLAIN) is True and isinstance(fields.get("value"), dict):
            fields = fields["value"]
        return {key: self.deserialize_value(one) for key, one in fields.items()}

    def _construct(self, fields: dict[str, Any], method: str) -> Any:
        name = str(fields["qualified_name"])
        cls = self.resolve_class(name)
        make: Callable[[Any], Any] | None = getattr(cls, method, None)
        if make is None:
            raise SerializationError(f"Class {name} can't be read back: it has no {method}")
        try:
            with self.validation_context():
                return make(fields.get("value"))
        except Exception as error:  # constructors of users may raise anything
            raise SerializationError(f"Failed to deserialize {name}: {error}") from error

    def deserialize(self, value: str) -> Any:
        """Return the value that JSON text stands for.

        Raises:
            SerializationError: It isn't JSON, or a class isn't allowed or refuses its value.
        """
        try:
            decoded = json.loads(value)
        except ValueError as error:
            raise SerializationError(f"Failed to deserialize value: {error}") from error
        return self.deserialize_value(decoded)


class TrustingJsonSerializer(JsonSerializer):
    """Reads what a trusted source has written: classes are looked for among known ones, and else imported.

    Args:
        known: The classes that are looked for first, so that `__main__.X` and `my_server.X` are one.
    """

    def __init__(self, known: TypeTable) -> None:
        super().__init__()
        self._known = known

    def validation_context(self) -> AbstractContextManager[None]:
        """Let events and exceptions inside models, too, be looked for among the known classes first in this block."""
        return these_first(self._known)


class PickleSerializer(JsonSerializer):
    """Writes JSON where it can, and pickle where it must. Reading pickle runs code that the text names.

    It exists for programs that name it; nothing uses it unless told to.
    """

    def serialize(self, value: Any) -> str:
        """Return `value` as JSON, or as pickle in base64.

        Raises:
            SerializationError: Neither can hold it.
        """
        try:
            return super().serialize(value)
        except SerializationError:
            pass
        import pickle  # hardly any program needs it

        try:
            return base64.b64encode(pickle.dumps(value)).decode("ascii")
        except Exception as error:  # reduction methods of users may raise anything
            raise SerializationError(f"Failed to serialize value: {type(value)}: {error}") from error

    def deserialize(self, value: str) -> Any:
        """Return the value that JSON or pickle text stands for.

        Raises:
            SerializationError: It is neither.
        """
        # Every pickle since protocol 2 begins with 0x80, which is "gA" to "gP" in base64; no JSON begins with g.
        if not value.startswith("g"):
            return super().deserialize(value)
        import pickle

        try:
            return pickle.loads(base64.b64decode(value, validate=True))
        except binascii.Error as error:
            raise SerializationError(f"Failed to deserialize value: {error}") from error
        except Exception as error:  # unpickling runs code of users
            raise SerializationError(f"Failed to deserialize pickle: {error}") from error


JsonPickleSerializer = PickleSerializer
"""Another name for `PickleSerializer`."""


def _encode(value: Any, place: str) -> Any:
    whole = value  # stays untyped where the checks below narrow `value` to containers of unknown things
    if value is None or isinstance(value, (str, int, float)):
        return value
    if isinstance(value, dict):
        encoded = {_key(key, place): _encode(one, f"{place}[{key!r}]") for key, one in whole.items()}
        return encoded if _TAGS.isdisjoint(encoded) else {_PLAIN: True, "value": encoded}
    if isinstance(value, (list, tuple)):
        return [_encode(one, f"{place}[{index}]") for index, one in enumerate(whole)]
    if isinstance(value, type):
        raise _refused(value, place, "classes have no JSON form")
    cls: type = value.__class__
    try:
        if hasattr(value, "class_name"):
            return {_COMPONENT: True, "value": value.to_dict(), "qualified_name": qualified_name(cls)}
        if isinstance(value, BaseModel):
            return {_MODEL: True, "value": value.model_dump(mode="json"), "qualified_name": qualified_name(cls)}
    except Exception as error:  # dumping runs code of users
        raise _refused(value, place, str(error)) from error
    raise _refused(value, place, "it has no JSON form that would come back as it was")


def _key(key: Any, place: str) -> Any:
    if key is None or isinstance(key, (str, int, float)):
        return key
    raise _refused(key, f"a key of {place or 'the value'}", "keys must be strings")


def _refused(value: object, place: str, reason: str) -> SerializationError:
    kind: type = type(value)
    return SerializationError(f"Failed to serialize value: {kind}{f' at {place}' if place else ''}: {reason}")
