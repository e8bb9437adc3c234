"""What a step is given besides its event: values made by factories or read from files.

    async def answer(self, ev: StartEvent, db: Annotated[Database, Resource(get_database)]) -> StopEvent: ...

A mark (`Resource`, `ResourceConfig`) in an annotation says how the value of that parameter is made. Factories
may have marked parameters themselves, so that what a step needs is a tree. It is found when the decorator is
applied, because only then can names in annotations that are strings be seen; the values are made by
`runtime.resource` when a step first needs them.
"""

from __future__ import annotations

import functools
import inspect
import types
import typing
from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, get_args, get_origin

from workflow_server.errors import WorkflowValidationError


@dataclass(frozen=True)
class Resource:
    """Marks a parameter whose value a factory makes.

    Args:
        factory: A plain or an async function; its own parameters may be marked, too.
        cache: Whether all steps and runs of a workflow instance share one value. Otherwise each execution of a
            step gets a new one.
    """

    factory: Callable[..., Any]
    cache: bool = True

    @property
    def name(self) -> str:
        """The factory's qualified name."""
        name: str = getattr(self.factory, "__qualname__", type(self.factory).__qualname__)
        return name


@dataclass(frozen=True)
class ResourceConfig:
    """Marks a parameter whose value is read from a JSON file, into the annotated model.

    Args:
        config_file: Path of the file, as the program sees it when the value is first needed.
        path_selector: Keys that lead to the part of the file that is meant, separated by dots; `None` for all of it.
        label: What drawings call it.
        description: What drawings say about it.

    Raises:
        ValueError: It is no `.json` file.
    """

    config_file: str
    path_selector: str | None = None
    label: str | None = None
    description: str | None = None

    def __post_init__(self) -> None:
        if not self.config_file.endswith(".json"):
            raise ValueError(f"Only JSON files can be used to load resources, got {self.config_file!r}")

    @property
    def name(self) -> str:
        """The file, and the selector if there is one."""
        return self.config_file if self.path_selector is None else f"{self.config_file}.{self.path_selector}"


@dataclass(frozen=True, slots=True)
class Need:
    """A value that a parameter of a step or of a factory wants."""

    parameter: str
    annotation: Any = field(compare=False)
    """What is annotated, without the mark: the class of the value."""
    source: Resource | ResourceConfig
    needs: tuple[Need, ...] = ()
    """What the factory needs in turn."""
    cycle: str | None = None
    """Set where a factory needs itself: the way from it to it. Such a value can't be made."""

    @property
    def identity(self) -> Hashable:
        """Equal for needs of the same value: of one factory by name, or of one file read as one class."""
        if isinstance(self.source, ResourceConfig):
            return (self.source.name, repr(self.annotation))
        module = getattr(self.source.factory, "__module__", None)
        # All lambdas have one name.
        own = id(self.source.factory) if "<lambda>" in self.source.name else None
        return (module, self.source.name, own)


def mark_of(annotation: Any) -> Resource | ResourceConfig | None:
    """Return the mark in an annotation, or `None`."""
    if get_origin(annotation) is not Annotated:
        return None
    return next((note for note in get_args(annotation)[1:] if isinstance(note, (Resource, ResourceConfig))), None)


def need_of(
    parameter: str,
    annotation: Any,
    source: Resource | ResourceConfig,
    frame: types.FrameType | None = None,
    names: Mapping[str, Any] = types.MappingProxyType({}),
) -> Need:
    """Return what a marked parameter needs, with all that follows from it.

    Args:
        parameter: Its name.
        annotation: Its annotation.
        source: The mark in it.
        frame: The frame that applies the decorator, if any.
        names: The local names visible there, for annotations that are strings.

    Raises:
        WorkflowValidationError: A string in the signature of a factory can't be resolved.
    """
    return _need(parameter, annotation, source, frame, names, ())


def _need(
    parameter: str,
    annotation: Any,
    source: Resource | ResourceConfig,
    frame: types.FrameType | None,
    names: Mapping[str, Any],
    way: tuple[Resource, ...],
) -> Need:
    kind = get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation
    if isinstance(source, ResourceConfig):
        return Need(parameter, kind, source)
    way = (*way, source)
    begin = next(place for place, one in enumerate(way) if one.factory is source.factory)
    if begin < len(way) - 1:
        return Need(parameter, kind, source, cycle=" -> ".join(one.name for one in way[begin:]))
    needs = tuple(
        _need(name, hint, mark, frame, names, way)
        for name, hint in _parameters(source, frame, names)
        if (mark := mark_of(hint)) is not None
    )
    return Need(parameter, kind, source, needs)


def _parameters(source: Resource, frame: types.FrameType | None, names: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the parameters of a factory with their annotations as objects, as far as they may be marked."""
    function = function_of(source.factory)
    if function is None:
        return
    module_names: dict[str, Any] = getattr(inspect.unwrap(function), "__globals__", {})
    # The names around the decorator help out, but never replace what the factory itself sees.
    seen = {name: value for name, value in names.items() if name not in module_names}
    seen.update(_names_holding(function, module_names, frame))
    for name, annotation in getattr(function, "__annotations__", {}).items():
        if name == "return":
            continue
        holder = types.SimpleNamespace(__annotations__={name: annotation})
        try:
            yield name, typing.get_type_hints(holder, module_names, seen, include_extras=True)[name]
        except Exception as error:  # evaluating an annotation runs whatever it says
            # Only the marked ones matter: others may name what exists for type checkers alone.
            if "Resource" in str(annotation):
                raise WorkflowValidationError(
                    f"Failed to resolve type annotations of resource factory {source.name}: {error}"
                ) from error


def _names_holding(function: Any, module_names: dict[str, Any], frame: types.FrameType | None) -> dict[str, Any]:
    """Return the local names of the functions that hold `function`, as far as they still run."""
    names: dict[str, Any] = {}
    while frame is not None:
        inside = f"{frame.f_code.co_qualname}.<locals>."
        if frame.f_globals is module_names and function.__qualname__.startswith(inside):
            names = {**frame.f_locals, **names}
        frame = frame.f_back
    return names


def function_of(factory: Any) -> Any:
    """Return the function whose annotations say what the factory takes."""
    if isinstance(factory, functools.partial):
        return function_of(factory.func)
    if isinstance(factory, type):
        function = inspect.getattr_static(factory, "__init__")
        return function if isinstance(function, types.FunctionType) else None
    if isinstance(factory, types.MethodType):
        return factory.__func__
    if isinstance(factory, types.FunctionType):
        return factory
    return inspect.getattr_static(factory, "__call__", None)
