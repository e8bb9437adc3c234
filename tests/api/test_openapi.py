"""The OpenAPI document: complete, consistent, and true to the table of routes."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field

from workflow_server import Workflow, WorkflowServer, step
from workflow_server.api import openapi, routes
from workflow_server.events import StartEvent, StopEvent

API = Path(openapi.__file__).parent


class Customer(BaseModel):
    name: str


class Order(StartEvent):
    customer: Customer
    count: int = Field(default=1, ge=1)


class Shop(Workflow):
    @step
    async def sell(self, ev: Order) -> StopEvent:
        return StopEvent(result=ev.count)


def described() -> dict[str, Any]:
    server = WorkflowServer()
    server.add_workflow("shop für alle", Shop())
    return server.openapi_schema()


def test_every_route_is_described() -> None:
    """With its parameters, its body, and a model for each status that has one."""
    paths = described()["paths"]
    for route in routes.ROUTES:
        path = re.sub(r"\{(\w+) (\w+)\}", r"{\1_\2}", route.path)
        operation = paths[path][route.method.lower()]
        assert set(operation["responses"]) == {*map(str, route.answers), "default"}
        named = {one["name"] for one in operation.get("parameters", ()) if one["in"] == "query"}
        assert named == set(route.query)
        assert ("requestBody" in operation) == (route.body is not None)


def test_every_parameter_that_is_read_is_described() -> None:
    """What parsers ask a query for is in the table of parameters, and nothing else is."""
    source = "".join((API / name).read_text() for name in ("parse.py", "queries.py"))
    read = set(re.findall(r"query\.\w+\(\s*\"(\w+)\"", source)) | set(
        re.findall(r"Query\(request\.query\)\.\w+\(\"(\w+)\"", source)
    )
    assert read == set(openapi.PARAMETERS)
    assert {name for route in routes.ROUTES for name in route.query} == read


def test_a_workflow_has_paths_of_its_own_with_its_events() -> None:
    """Nested models keep their place under the workflow's name; every reference leads somewhere."""
    document = described()
    body = document["paths"]["/workflows/shop%20f%C3%BCr%20alle/run"]["post"]["requestBody"]
    start = body["content"]["application/json"]["schema"]["allOf"][1]["properties"]["start_event"]
    assert start == {"$ref": "#/components/schemas/shop_f_r_alle.Order"}
    schemas = document["components"]["schemas"]
    assert schemas["shop_f_r_alle.Order"]["properties"]["customer"] == {
        "$ref": "#/components/schemas/shop_f_r_alle.Customer"
    }
    assert schemas["shop_f_r_alle.Customer"]["required"] == ["name"]
    for reference in re.findall(r'"\$ref": "([^"]+)"', json.dumps(document)):
        assert reference.removeprefix("#/components/schemas/") in schemas
    assert all(re.fullmatch(r"[a-zA-Z0-9._-]+", name) for name in schemas)


def test_it_says_what_it_is() -> None:
    document = described()
    assert (document["openapi"], document["info"]["title"]) == ("3.1.0", "Workflows API")
    assert document["paths"]["/events/{handler_id}"]["get"]["responses"]["200"]["content"].keys() == {
        "text/event-stream",
        "application/x-ndjson",
    }


def test_what_may_have_to_be_sent_again_takes_a_key() -> None:
    paths = described()["paths"]
    keyed = {
        (method, path)
        for path, methods in paths.items()
        for method, operation in methods.items()
        if any(parameter["name"] == "Idempotency-Key" for parameter in operation.get("parameters", ()))
    }
    assert keyed == {
        ("post", "/workflows/{workflow_name}/run"),
        ("post", "/workflows/{workflow_name}/run-nowait"),
        ("post", "/workflows/shop%20f%C3%BCr%20alle/run"),
        ("post", "/workflows/shop%20f%C3%BCr%20alle/run-nowait"),
        ("post", "/events/{handler_id}"),
    }
