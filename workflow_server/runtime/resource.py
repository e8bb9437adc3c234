"""Making what steps need: `ResourceManager` keeps the values of one workflow instance.

A shared value is made when a step first needs it, once, however many want it at that moment: the others wait for
the first. If the first fails or is cancelled, the next in line tries. What a factory needs is a tree without
cycles (those are known before anything is made), so that no two can wait for each other.
"""

from __future__ import annotations

import inspect
from collections.abc import Coroutine, Hashable, Iterable, Iterator
from pathlib import Path
from typing import Any, cast

import anyio
from pydantic import TypeAdapter
from pydantic_core import from_json

from workflow_server.definition.compiled import StepDefinition
from workflow_server.definition.resource import Need, Resource, ResourceConfig, need_of
from workflow_server.errors import WorkflowRuntimeError, WorkflowValidationError
from workflow_server.runtime.loop import loop_is_running

__all__ = ["Resource", "ResourceConfig", "ResourceManager"]


class ResourceManager:
    """Makes the values that steps need, and keeps those that are shared.

    Each workflow instance has one of its own, unless it is given one; several instances may share it.
    """

    def __init__(self) -> None:
        self._given: dict[str, Any] = {}
        """Values put here from outside, by name."""
        self._kept: dict[Hashable, tuple[str, Any]] = {}
        self._turns: dict[Hashable, anyio.Lock] = {}
        """Whose value is being made right now."""

    async def set(self, name: str, val: Any) -> None:
        """Have steps be given `val` wherever the shared resource called `name` is wanted.

        Args:
            name: The qualified name of the factory, or file and selector of a configuration.
            val: The value.
        """
        self._given[name] = val

    async def get(self, resource: Resource | ResourceConfig) -> Any:
        """Return the value of a resource, made now if there is none to share.

        Raises:
            ValueError: It needs itself, or a selector does not lead to a dictionary.
            FileNotFoundError: A configuration file is missing.
            Exception: Whatever its factory raises.
        """
        return await self._value(need_of("", Any, resource), {})

    def get_all(self) -> dict[str, Any]:
        """Return the shared values that there are, by name."""
        return {**dict(self._kept.values()), **self._given}

    async def provide(self, needs: Iterable[Need]) -> dict[str, Any]:
        """Return the values for one execution of a step, by parameter.

        Args:
            needs: What the step needs. What is not shared is made once for this execution.
        """
        made: dict[Hashable, Any] = {}
        return {need.parameter: await self._value(need, made) for need in needs}

    async def _value(self, need: Need, made: dict[Hashable, Any]) -> Any:
        source, identity = need.source, need.identity
        if need.cycle is not None:
            raise ValueError(f"Circular resource dependency detected: {need.cycle}")
        if isinstance(source, Resource) and not source.cache:
            if identity not in made:
                made[identity] = await self._make(need, made)
            return made[identity]
        if source.name in self._given:
            return self._given[source.name]
        if identity not in self._kept:
            await self._keep(need, identity, made)
        return self._kept[identity][1]

    async def _keep(self, need: Need, identity: Hashable, made: dict[Hashable, Any]) -> None:
        turn = self._turns.setdefault(identity, anyio.Lock(fast_acquire=True))
        try:
            async with turn:
                if identity not in self._kept:
                    self._kept[identity] = need.source.name, await self._make(need, made)
        finally:
            # A lock belongs to the loop it was made on, and the manager may outlive that.
            if turn.statistics().tasks_waiting == 0:
                self._turns.pop(identity, None)

    async def _make(self, need: Need, made: dict[Hashable, Any]) -> Any:
        if isinstance(need.source, ResourceConfig):
            return load_config(need)
        value = need.source.factory(**{one.parameter: await self._value(one, made) for one in need.needs})
        return await value if inspect.isawaitable(value) else value


def config_data(source: ResourceConfig) -> Any:
    """Return what the file of a configuration holds at its selector.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is no JSON, or the selector does not lead to a dictionary.
    """
    path = Path(source.config_file)
    if not path.is_file():
        raise FileNotFoundError(f"No such file: {source.config_file}")
    data: Any = from_json(path.read_bytes())
    keys: list[str] = []
    for key in () if source.path_selector is None else source.path_selector.split("."):
        keys.append(key)
        data = cast("dict[str, Any]", data).get(key) if isinstance(data, dict) else data
        if not isinstance(data, dict):
            raise ValueError(
                f"Expected dictionary for configuration from {path.resolve()} at path {'.'.join(keys)}, "
                f"got: {type(data)}"
            )
    return cast("Any", data)


def load_config(need: Need) -> Any:
    """Return the value of a configuration as an object of the annotated class.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It does not hold what the class wants (pydantic's `ValidationError` is one).
    """
    assert isinstance(need.source, ResourceConfig)
    adapter: TypeAdapter[Any] = TypeAdapter(need.annotation)
    return adapter.validate_python(config_data(need.source))


# ------------------------------------------------------------------------------------------------- validation


def check_configs(steps: Iterable[StepDefinition]) -> None:
    """Read every configuration that steps and their factories need.

    Raises:
        WorkflowValidationError: Some can't be read; the message names all of them, with step and parameter.
    """
    problems = [problem for step in steps for need in step.config.resources for problem in _unreadable(step, need)]
    _refuse("Resource config validation failed", problems)


def check_factories(manager: ResourceManager, steps: Iterable[StepDefinition]) -> None:
    """Make every value that steps need; what is shared is kept.

    Raises:
        WorkflowValidationError: Some can't be made; the message names all of them, with step and parameter.
        WorkflowRuntimeError: A factory has to wait for something, and a loop that could do so runs already.
    """

    async def check() -> None:
        problems: list[str] = []
        for step in steps:
            for need in step.config.resources:
                try:
                    await manager.provide([need])
                except Exception as error:
                    problems.append(f"In step {step.name!r}, parameter {need.parameter!r}: {error}")
        _refuse("Resource validation failed", problems)

    if loop_is_running():
        _run_without_waiting(check())
    else:
        anyio.run(check)


def _run_without_waiting(work: Coroutine[Any, Any, None]) -> None:
    try:
        work.send(None)
    except StopIteration:
        return
    work.close()
    raise WorkflowRuntimeError(
        "validate(validate_resources=True) can't wait for async factories inside a running event loop: call it before "
        "the loop starts"
    )


def _unreadable(step: StepDefinition, need: Need) -> Iterator[str]:
    for way in _configs(need):
        try:
            load_config(way[-1])
        except Exception as error:
            chain = f" ({' -> '.join(one.source.name for one in way)})" if len(way) > 1 else ""
            yield f"In step {step.name!r}, parameter {need.parameter!r}{chain}: {error}"


def _configs(need: Need) -> Iterator[tuple[Need, ...]]:
    """Yield the ways that lead from `need` to configurations."""
    if isinstance(need.source, ResourceConfig):
        yield (need,)
    for one in need.needs:
        for way in _configs(one):
            yield (need, *way)


def _refuse(what: str, problems: list[str]) -> None:
    if problems:
        raise WorkflowValidationError("\n  - ".join([f"{what}:", *problems]))
