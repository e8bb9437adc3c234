"""The API as an OpenAPI 3.1 document: the table of routes, with the events of the workflows that are served.

Each workflow's own `run` and `run-nowait` stand there beside the general ones, with the schema of its start event.
Source: OpenAPI Specification 3.1.0, sections 4.8.7 (components) and 4.8.8 (paths: concrete ones win over templates).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, cast, get_args
from urllib.parse import quote

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from workflow_server.api.routes import ROUTES, Route
from workflow_server.valueclass import dataclass
from workflow_server.wire.models import ErrorResponse
from workflow_server.wire.records import Phase, Status

_REF = "#/components/schemas/"
_JSON = ("application/json",)
_FLAG = {"type": "boolean", "default": False}
_LISTED = {"type": "array", "items": {"type": "string"}}

PARAMETERS: Mapping[str, tuple[dict[str, Any], str]] = {
    "after_sequence": ({"type": "string", "default": "now"}, "The sequence after which to begin, -1 for all, or now"),
    "cursor": ({"type": "string"}, "Where to go on, as told before"),
    "handler_id": (_LISTED, "Whose events; may be repeated"),
    "include_attempts": (_FLAG, "Tell work items, attempts and failures of steps in the envelopes"),
    "include_internal": (_FLAG, "Stream internal events, too"),
    "include_qualified_name": ({"type": "boolean", "default": True}, "Tell the qualified names of events"),
    "include_timestamp": (_FLAG, "Tell times and sequences in the envelopes"),
    "limit": ({"type": "integer", "minimum": 1, "maximum": 1000}, "How many at most, newest first"),
    "outcome": ({"enum": ["body", "status"]}, "With body, the status tells only that there is a handler"),
    "phase": ({"type": "array", "items": {"enum": list(get_args(Phase))}}, "Only those; may be repeated"),
    "purge": (_FLAG, "Remove the handler, too"),
    "q": ({"type": "string"}, "What the id begins with"),
    "run_id": ({"type": "string"}, "An earlier run of the handler"),
    "sse": ({"type": "boolean", "default": True}, "Server-sent events, or else newline-delimited JSON"),
    "started_after": ({"type": "string", "format": "date-time"}, "Started then or later"),
    "started_before": ({"type": "string", "format": "date-time"}, "Started before then"),
    "status": ({"type": "array", "items": {"enum": list(get_args(Status))}}, "Only those; may be repeated"),
    "wait": ({"type": "number", "minimum": 0}, "How many seconds the answer may wait for the end of the run"),
    "workflow_name": (_LISTED, "Only of these workflows; may be repeated"),
}
"""Every query parameter: its schema and what it means."""

_KEY = "The same key with the same request is done once; with another one it is refused"


@dataclass(frozen=True, slots=True)
class WorkflowSchemas:
    """JSON schemas of a workflow's events."""

    start: dict[str, Any]
    stop: dict[str, Any]
    events: Sequence[dict[str, Any]]


def document(workflows: Mapping[str, WorkflowSchemas]) -> dict[str, Any]:
    """Return the document of a server that serves these workflows."""
    models = {model for route in ROUTES for model in (*route.answers.values(), route.body) if model is not None}
    modes = [(model, "validation") for model in sorted(models, key=lambda model: model.__name__)]
    _, defined = models_json_schema(cast("Any", modes), ref_template=_REF + "{model}")
    schemas: dict[str, Any] = dict(defined.get("$defs", {}))
    paths: dict[str, dict[str, Any]] = {}
    for route in ROUTES:
        name = re.sub(r"\{(\w+) (\w+)\}", r"{\1_\2}", route.path)
        paths.setdefault(name, {})[route.method.lower()] = _operation(route)
    for workflow, events in workflows.items():
        prefix = re.sub(r"[^a-zA-Z0-9_-]", "_", workflow)
        for schema in (events.stop, *events.events):
            _put(schema, prefix, schemas)
        start = _put(events.start, prefix, schemas)
        for route in ROUTES:
            if route.path.startswith("/workflows/{workflow name}/run"):
                path = route.path.replace("{workflow name}", quote(workflow, safe=""))
                paths[path] = {route.method.lower(): _run_operation(route, workflow, start)}
    info = {"title": "Workflows API", "version": "0.1.0"}
    return {"openapi": "3.1.0", "info": info, "paths": paths, "components": {"schemas": schemas}}


def _operation(route: Route) -> dict[str, Any]:
    parameters = [
        {"name": f"{what}_{kind}", "in": "path", "required": True, "schema": {"type": "string"}}
        for what, kind in re.findall(r"\{(\w+) (\w+)\}", route.path)
    ]
    for name in route.query:
        schema, description = PARAMETERS[name]
        parameters.append({"name": name, "in": "query", "description": description, "schema": schema})
    operation: dict[str, Any] = {"summary": route.summary, "responses": _responses(route)}
    if route.body is not None:
        # What takes a body is what a client may have to send again.
        schema = {"type": "string"}
        parameters.append({"name": "Idempotency-Key", "in": "header", "description": _KEY, "schema": schema})
        content = {"application/json": {"schema": _reference(route.body)}}
        operation["requestBody"] = {"content": content}
    if parameters:
        operation["parameters"] = parameters
    return operation


def _responses(route: Route) -> dict[str, Any]:
    found: dict[str, Any] = {}
    kinds = ("text/event-stream", "application/x-ndjson") if "sse" in route.query else _JSON
    for status, model in sorted(route.answers.items()):
        response: dict[str, Any] = {"description": HTTPStatus(status).phrase}
        if status != HTTPStatus.NO_CONTENT:
            content = {"schema": {} if model is None else _reference(model)}
            response["content"] = dict.fromkeys(kinds if status < HTTPStatus.BAD_REQUEST else _JSON, content)
        found[str(status)] = response
    # Whatever the route, a name may be badly encoded, or the store out.
    refusal = {"application/json": {"schema": _reference(ErrorResponse)}}
    return {**found, "default": {"description": "Refused, or failed; the detail says why", "content": refusal}}


def _run_operation(route: Route, workflow: str, start: dict[str, Any]) -> dict[str, Any]:
    """As `_operation`, for one workflow: what its run begins with is known."""
    operation = _operation(route)
    operation["parameters"] = [one for one in operation["parameters"] if one["in"] != "path"]
    body = {"allOf": [_reference(cast("type[BaseModel]", route.body)), {"properties": {"start_event": start}}]}
    operation["requestBody"] = {"content": {"application/json": {"schema": body}}}
    return {**operation, "summary": f"{route.summary}: {workflow}"}


def _reference(model: type[BaseModel]) -> dict[str, Any]:
    return {"$ref": _REF + model.__name__}


def _put(schema: Mapping[str, Any], prefix: str, schemas: dict[str, Any]) -> dict[str, Any]:
    """Put a pydantic schema among the document's, its own definitions beside it, and return a reference to it."""
    name = f"{prefix}.{schema.get('title', 'Event')}"
    for inner, definition in schema.get("$defs", {}).items():
        schemas[f"{prefix}.{inner}"] = _moved(definition, prefix)
    schemas[name] = _moved({key: value for key, value in schema.items() if key != "$defs"}, prefix)
    return {"$ref": _REF + name}


def _moved(value: Any, prefix: str) -> Any:
    """Return a schema whose references lead to where `_put` has put what they mean."""
    if isinstance(value, list):
        return [_moved(item, prefix) for item in value]  # pyright: ignore[reportUnknownVariableType]
    if not isinstance(value, dict):
        return value
    fields = cast("dict[str, Any]", value)
    moved = {key: _moved(item, prefix) for key, item in fields.items()}
    if isinstance(reference := fields.get("$ref"), str):
        moved["$ref"] = reference.replace("#/$defs/", f"{_REF}{prefix}.")
    return moved
