"""How classes are called outside the process, and how such names find their class again.

Two names exist. The *qualified name*, `module.Class`, travels in envelopes and stored values;
built-in classes keep the name of their public module (`workflows.events.StopEvent`) whatever
file they live in. The *routing name*, `module.Outer.Class`, tells classes of one workflow apart.

A name is resolved among the classes a caller declared first, so that `__main__.X` and
`my_server.X` are one class, and imported only where the caller has no list of its own.
"""

from __future__ import annotations

import importlib
from collections.abc import Generator, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar

PUBLIC_MODULES = {
    "workflow_server.events": "workflows.events",
    "workflow_server.errors": "workflows.errors",
    "workflow_server.runtime.states": "workflows.context.state_store",
}
"""Modules of ours whose classes carry the name of the documented module on the wire."""

_PRIVATE_MODULES = {public: real for real, public in PUBLIC_MODULES.items()}
_ALWAYS_KNOWN = {"builtins", *PUBLIC_MODULES, *_PRIVATE_MODULES}


def _public_module(cls: type) -> str:
    return PUBLIC_MODULES.get(cls.__module__, cls.__module__)


def qualified_name(cls: type) -> str:
    """Return `module.Class`, the name that envelopes and stored values carry."""
    return f"{_public_module(cls)}.{cls.__name__}"


def routing_name(cls: type) -> str:
    """Return `module.Outer.Class`, which tells classes of the same short name apart."""
    return f"{_public_module(cls)}.{cls.__qualname__}"


class TypeTable:
    """The classes a caller has declared, found by any of their names.

    Args:
        types: The declared classes.

    A short name (`Class`) or one whose module differs (`__main__.Class` for `my_server.Class`)
    finds a class only if exactly one declared class bears it.
    """

    def __init__(self, types: Iterable[type]) -> None:
        declared = tuple(types)
        self._exact: dict[str, type] = {routing_name(cls): cls for cls in declared}
        self._short: dict[str, type | None] = {}
        for cls in declared:
            # `module.Inner` means a class of that very name before it means `module.Outer.Inner`.
            self._exact.setdefault(qualified_name(cls), cls)
            known = self._short.setdefault(cls.__name__, cls)
            if known is not cls:
                self._short[cls.__name__] = None

    def __iter__(self) -> Iterator[type]:
        return iter(dict.fromkeys(self._exact.values()))

    def find(self, name: str) -> type | None:
        """Return the declared class called `name`, or `None`."""
        exact = self._exact.get(name)
        module, _, short = name.rpartition(".")
        # A name of the framework's or of Python's means their class, whatever else is called so.
        return exact if exact is not None or module in _ALWAYS_KNOWN else self._short.get(short)

    def find_short(self, name: str) -> type | None:
        """Return the one declared class whose own name is `name`, or `None`."""
        return self._short.get(name)


_scope: ContextVar[tuple[TypeTable | None, bool]] = ContextVar("workflow_server_types", default=(None, True))
"""The classes among which `resolve` looks first, and whether it may import others."""


def only_these(types: TypeTable | None) -> AbstractContextManager[None]:
    """Let `resolve` find only `types` and the built-in classes while the block runs; `None` for no limit."""
    return _within(types, types is None)


def these_first(types: TypeTable) -> AbstractContextManager[None]:
    """Let `resolve` look among `types` before it imports, while the block runs."""
    return _within(types, True)


@contextmanager
def _within(types: TypeTable | None, imports: bool) -> Generator[None]:
    token = _scope.set((types, imports))
    try:
        yield
    finally:
        _scope.reset(token)


def resolve(name: str) -> type:
    """Return the class called `name`: declared ones first, then by import if nothing limits it.

    Raises:
        LookupError: No such class can be imported, or the active list does not hold it.
    """
    types, imports = _scope.get()
    if types is not None and (declared := types.find(name)) is not None:
        return declared
    if not imports and name.rpartition(".")[0] not in _ALWAYS_KNOWN:
        raise LookupError(f"{name} is not among the declared types")
    found = imported(name)
    if not isinstance(found, type):
        raise LookupError(f"{name} is not a class")
    return found


def imported(name: str) -> object:
    """Return what its module calls `name`, whatever limits `resolve`.

    Raises:
        LookupError: It can't be imported.
    """
    module_name, _, short = name.rpartition(".")
    try:
        return getattr(importlib.import_module(_PRIVATE_MODULES.get(module_name, module_name)), short)
    except Exception as error:  # importing runs code of users; names that are none raise anything, too
        raise LookupError(f"{name} can't be imported: {error}") from error
