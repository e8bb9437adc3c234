"""Dotted paths into a state: `user.addresses.0.street`.

Each key is looked up in a mapping, in a list by number, among the extras of free-form models, or as an attribute.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, TypeGuard

from pydantic import BaseModel

from workflow_server.errors import SerializationError
from workflow_server.events import DictLikeModel

ABSENT: Any = object()
"""Stands for nothing being there, which differs from `None`."""


def keys_of(path: str) -> list[str]:
    """Return the keys of a dotted path.

    Raises:
        ValueError: The path is empty.
    """
    if not path:
        raise ValueError("Path cannot be empty")
    return path.split(".")


def child_of(container: Any, key: str) -> Any:
    """Return what `container` has under `key`, or `ABSENT`."""
    if _is_mapping(container):
        if key in container:
            return container[key]
        return container.get(int(key), ABSENT) if key.isdecimal() else ABSENT
    if _is_list(container) or _is_tuple(container):
        try:
            return container[int(key)]
        except (ValueError, IndexError):
            return ABSENT
    if isinstance(container, DictLikeModel) and key in container:
        return container[key]
    if isinstance(container, BaseModel) and key not in type(container).model_fields:
        return ABSENT if hasattr(type(container), key) else getattr(container, key, ABSENT)
    return getattr(container, key, ABSENT)


def with_value(container: Any, keys: list[str], value: Any) -> Any:
    """Return a copy of `container` with `value` at `keys`; only containers on the path are copied."""
    key, rest = keys[0], keys[1:]
    if rest:
        child = child_of(container, key)
        value = with_value({} if child is ABSENT else child, rest, value)
    if isinstance(container, DictLikeModel):
        changed: Any = container.model_copy()
        changed._data = dict(container.items())
        if key in type(container).model_fields:
            setattr(changed, key, value)
        else:
            changed[key] = value
        return changed
    if _is_mapping(container):
        return {**container, key: value}
    if _is_list(container):
        items = list(container)
        try:
            items[int(key)] = value
        except (ValueError, IndexError):
            raise ValueError(f"{key!r} is not a place in a list of {len(items)}") from None
        return items
    changed = copy.copy(container)
    try:
        setattr(changed, key, value)
    except (AttributeError, TypeError, ValueError) as error:
        raise ValueError(f"{type(container).__name__} can't hold {key!r}: {error}") from error
    return changed


def _is_mapping(value: Any) -> TypeGuard[Mapping[Any, Any]]:
    return isinstance(value, Mapping)


def _is_list(value: Any) -> TypeGuard[list[Any]]:
    return isinstance(value, list)


def _is_tuple(value: Any) -> TypeGuard[tuple[Any, ...]]:
    return isinstance(value, tuple)


def storable(key: str, what: str) -> str:
    """Return `key` if every store can keep it in the key of something.

    Args:
        key: Chosen by the program.
        what: What it is ("state key"), for the message.

    Raises:
        SerializationError: It holds NUL, where C programs end a text, or half of a surrogate pair, for which UTF-8
            has no bytes. Values may hold both: JSON escapes them.
    """
    if "\0" in key:
        raise SerializationError(f"{what} {key!r} can't be stored: it holds a NUL character")
    if any("\ud800" <= character <= "\udfff" for character in key):
        raise SerializationError(f"{what} {key!r} can't be stored: it holds half of a surrogate pair")
    return key
