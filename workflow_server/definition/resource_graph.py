"""Draws what steps need besides events: a node for each value, an arrow from whoever needs it.

Nothing is made or read here, so a configuration appears as the step names it; `runtime.representation` adds
where its file lies and what it holds, for the program's own eyes.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from workflow_server.definition.compiled import StepDefinition
from workflow_server.definition.resource import Need, Resource, ResourceConfig, function_of
from workflow_server.events import json_schema
from workflow_server.wire.graph import WorkflowResourceConfigNode, WorkflowResourceNode

ResourceNode = WorkflowResourceNode | WorkflowResourceConfigNode


Edge = tuple[str, str, str | None]
"""Source, target and label of an arrow."""


def nodes_of_needs(step: StepDefinition) -> Iterator[ResourceNode]:
    """Yield a node for each value that a step needs, and for what its factories need in turn."""
    for need in step.config.resources:
        yield from _nodes(need)


def edges_between_needs(step: StepDefinition) -> Iterator[Edge]:
    """Yield the arrows from factories to what they need, labelled with the parameter."""
    for need in step.config.resources:
        yield from _edges(need)


def edges_to_needs(step: StepDefinition) -> Iterator[Edge]:
    """Yield the arrows from a step to what it needs, labelled with the parameter."""
    for need in step.config.resources:
        yield step.name, _id(need), need.parameter


def _nodes(need: Need) -> Iterator[ResourceNode]:
    yield _node(need)
    for one in need.needs:
        yield from _nodes(one)


def _edges(need: Need) -> Iterator[Edge]:
    for one in need.needs:
        yield _id(need), _id(one), one.parameter
        yield from _edges(one)


def _id(need: Need) -> str:
    source = need.source
    if isinstance(source, ResourceConfig):
        kind, text = "resource_config", f"{source.config_file}:{source.path_selector or ''}"
    else:
        kind, text = "resource", f"{getattr(source.factory, '__module__', '')}.{source.name}"
        if "<lambda>" in source.name:
            # All lambdas have one name, and those in annotations that are strings one place.
            code = inspect.unwrap(source.factory).__code__
            text += f":{code.co_firstlineno}:{code.co_code.hex()}:{code.co_consts}:{code.co_names}"
    return f"{kind}_{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def _node(need: Need) -> ResourceNode:
    source, kind = need.source, _name_of(need.annotation)
    if isinstance(source, ResourceConfig):
        return WorkflowResourceConfigNode(
            id=_id(need),
            label=source.label or kind,
            type_name=kind,
            config_file=source.config_file,
            path_selector=source.path_selector,
            config_schema=_schema(need.annotation),
            description=source.description,
        )
    file, line = _file_and_line(source)
    return WorkflowResourceNode(
        id=_id(need),
        label=kind,
        type_name=kind,
        getter_name=source.name,
        source_file=file,
        source_line=line,
        description=inspect.getdoc(source.factory),
    )


def _name_of(annotation: Any) -> str:
    return getattr(annotation, "__name__", None) or str(annotation)


def _schema(annotation: Any) -> dict[str, Any] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return json_schema(annotation)
    return None


def _file_and_line(source: Resource) -> tuple[str | None, int | None]:
    code = getattr(function_of(source.factory), "__code__", None)
    return (None, None) if code is None else (code.co_filename, code.co_firstlineno)
