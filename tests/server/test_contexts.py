"""Snapshots handed in with a start request, and what of a run's types survives a restart."""

from __future__ import annotations

import json
from typing import Any

import anyio
import pytest
from pydantic import BaseModel

from tests_support.snapshot_workflows import RESULT, Everything, Piece
from tests_support.snapshot_workflows import Reply as WhoReply
from workflow_server import Context, Workflow, WorkflowServer, step
from workflow_server.api.commands import GetHandler, GetInput, SendEvent, StartRun
from workflow_server.api.outcomes import EventAccepted, HandlerFound, InputFound, Refused, RunAccepted
from workflow_server.events import Event, HumanResponseEvent, StartEvent, StopEvent
from workflow_server.naming import qualified_name
from workflow_server.serializers import JsonSerializer, PickleSerializer
from workflow_server.testing.durable_store import DurableStore
from workflow_server.wire.records import HandlerRecord


class Order(StartEvent):
    need: int


class Reply(HumanResponseEvent):
    text: str = ""


class Asks(Workflow):
    @step
    async def go(self, ev: Order, ctx: Context) -> StopEvent:
        n: int = await ctx.store.get("n", default=0) + 1
        await ctx.store.set("n", n)
        reply = await ctx.wait_for_event(Reply, requirements={"text": "yes"}, timeout=None)
        return StopEvent(result=[n, ev.need, reply.text])


async def snapshot_of(workflow: Workflow, **start: Any) -> dict[str, Any]:
    """Take a snapshot of a run in process when nothing else can happen."""
    handler = workflow.run(**start)
    await anyio.wait_all_tasks_blocked()
    taken: dict[str, Any] = json.loads(json.dumps(handler.ctx.to_dict()))
    await handler.cancel_run()
    return taken


def server_of(workflow: Workflow, disk: DurableStore | None = None, **options: Any) -> WorkflowServer:
    server = WorkflowServer(workflow_store=disk or DurableStore(), **{"accept_context_api": True, **options})
    server.add_workflow("w", workflow, additional_events=[Reply, WhoReply])
    return server


def envelope(event: Event) -> dict[str, Any]:
    return {"qualified_name": qualified_name(type(event)), "value": event.model_dump()}


async def send(server: WorkflowServer, event: Event) -> None:
    await anyio.wait_all_tasks_blocked()
    assert isinstance(await server.execute(SendEvent("h", envelope(event))), EventAccepted)


async def ended(server: WorkflowServer) -> HandlerRecord:
    with anyio.fail_after(10):
        while True:
            found = await server.execute(GetHandler("h"))
            assert isinstance(found, HandlerFound)
            if found.handler.status != "running":
                return found.handler
            await anyio.sleep(0.001)


def result(record: HandlerRecord) -> Any:
    assert record.result is not None, record.error
    return json.loads(record.result.value)["result"]


@pytest.mark.parametrize("restarts", [False, True])
async def test_a_run_goes_on_behind_a_server(restarts: bool) -> None:
    """It needs no start event; all that it waits for is stored with its first commit."""
    taken = await snapshot_of(Asks(), need=3)
    disk = DurableStore()
    server = server_of(Asks(), disk)
    async with server.running():
        accepted = await server.execute(StartRun("w", handler_id="h", context=taken))
        assert isinstance(accepted, RunAccepted)
        start = await server.execute(GetInput("h"))
        assert isinstance(start, InputFound)
        assert json.loads(start.event.value) == {"need": 3}
        if not restarts:
            await send(server, Reply(text="no"))
            await send(server, Reply(text="yes"))
            assert result(await ended(server)) == [2, 3, "yes"]
    if restarts:
        server = server_of(Asks(), disk.copy())
        async with server.running():
            await send(server, Reply(text="no"))
            await send(server, Reply(text="yes"))
            assert result(await ended(server)) == [2, 3, "yes"]


@pytest.mark.virtual_time
@pytest.mark.usefixtures("virtual_clock")
async def test_a_run_in_the_middle_of_everything_goes_on_behind_a_server() -> None:
    taken = await snapshot_of(Everything(), name="lamp")
    disk = DurableStore()
    server = server_of(Everything(), disk)
    async with server.running():
        assert isinstance(await server.execute(StartRun("w", handler_id="h", context=taken)), RunAccepted)
        await anyio.sleep(15)
    server = server_of(Everything(), disk)
    async with server.running():
        await send(server, Piece(n=2))
        await send(server, WhoReply(text="yes", who="ann"))
        await anyio.sleep(100)
        assert result(await ended(server)) == RESULT


async def test_the_state_of_a_finished_run_is_taken_over() -> None:
    ctx: Context[Any] = Context(Asks())
    await ctx.store.set("n", 40)
    server = server_of(Asks())
    async with server.running():
        lacks = await server.execute(StartRun("w", handler_id="h", context=ctx.to_dict()))
        assert isinstance(lacks, Refused)
        assert lacks.detail.startswith("Validation error for 'start_event'")
        await server.execute(StartRun("w", {"need": 1}, handler_id="h", context=ctx.to_dict()))
        await send(server, Reply(text="yes"))
        assert result(await ended(server)) == [41, 1, "yes"]


@pytest.mark.parametrize(
    ("context", "reason"),
    [
        ({"version": 9}, "Error processing request body: The snapshot has version 9"),
        ({"is_running": 3}, "Error processing request body: The snapshot is malformed at is_running"),
        ({"state": {"store_type": "sql"}}, "Error processing request body: The snapshot can't be read: Unknown store"),
    ],
)
async def test_what_is_no_snapshot_is_refused(context: dict[str, Any], reason: str) -> None:
    server = server_of(Asks())
    async with server.running():
        refused = await server.execute(StartRun("w", {"need": 1}, context=context))
        assert isinstance(refused, Refused)
        assert refused.detail.startswith(reason)


async def test_contexts_are_refused_unless_they_are_wanted() -> None:
    server = server_of(Asks(), accept_context_api=False)
    async with server.running():
        refused = await server.execute(StartRun("w", {"need": 1}, context={"x": 1}))
        assert isinstance(refused, Refused)
        assert refused.detail == (
            "Context API is disabled. Set accept_context_api=True on WorkflowServer to enable it."
        )


class Undeclared(BaseModel):
    n: int = 0


ATTACKS = {
    "a class in the state": {
        "state": {"state_data": {"_data": {"a": '{"__is_pydantic":true,"value":{},"qualified_name":"os.path"}'}}}
    },
    "a model in the state": {
        "state": {
            "state_data": {
                "_data": {"a": f'{{"__is_pydantic":true,"value":{{}},"qualified_name":"{__name__}.Undeclared"}}'}
            }
        }
    },
    "the state's class": {"state": {"state_type": "Undeclared", "state_module": __name__, "state_data": "{}"}},
    "a pickle": {"state": {"state_data": {"_data": {"a": "gASVBQAAAAAAAABLAS4="}}}},
}


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("serializer", [None, PickleSerializer()])
async def test_a_client_can_not_name_classes(attack: str, serializer: Any) -> None:
    """Only classes that the workflow declares are made, whatever its own serializer may do."""
    server = server_of(Asks(serializer=serializer))
    async with server.running():
        refused = await server.execute(StartRun("w", {"need": 1}, context=ATTACKS[attack]))
        assert isinstance(refused, Refused)
        assert refused.detail.startswith("Error processing request body: The snapshot can't be read")


async def test_a_client_can_not_have_an_exception_imported() -> None:
    taken = await snapshot_of(Asks(), need=1)
    (item,) = (key for key in taken["run"]["parts"] if key.startswith("item/"))
    taken["run"]["parts"][item]["last_failure"] = ["tests_support.no_such_module.Boom", "text"]
    server = server_of(Asks())
    async with server.running():
        assert isinstance(await server.execute(StartRun("w", handler_id="h", context=taken)), RunAccepted)
        await send(server, Reply(text="yes"))
        assert result(await ended(server)) == [2, 1, "yes"]


# What of a run's types survives a restart


class Base(Event):
    n: int = 0


class Derived(Base):
    more: str = ""


class Keeps(Workflow):
    """Has a model that it does not declare in its state, and an event that no signature names on its way."""

    @step
    async def go(self, ev: StartEvent, ctx: Context) -> Base:
        await ctx.store.set("doc", Undeclared(n=7))
        await ctx.store.set("sent", ev.get("sent"))
        return Derived(more="kept")

    @step(accept_event_subclasses=True)
    async def hold(self, ev: Base, ctx: Context) -> StopEvent:
        await ctx.wait_for_event(Reply, timeout=None)
        doc = await ctx.store.get("doc")
        assert type(doc) is Undeclared
        return StopEvent(result=[doc.n, type(ev) is Derived and ev.more, await ctx.store.get("sent")])


async def test_undeclared_models_and_subclasses_survive_a_restart() -> None:
    """And a client's text that looks like a model stays the text that it is."""
    sent = {"__is_pydantic": True, "value": {}, "qualified_name": f"{__name__}.Undeclared"}
    disk = DurableStore()
    server = server_of(Keeps(), disk)
    async with server.running():
        await server.execute(StartRun("w", {"sent": sent}, handler_id="h"))
        await anyio.wait_all_tasks_blocked()
    server = server_of(Keeps(), disk)
    async with server.running():
        await send(server, Reply())
        assert result(await ended(server)) == [7, "kept", sent]


async def test_a_serializer_that_allows_only_some_classes_is_obeyed() -> None:
    disk = DurableStore()
    server = server_of(Keeps(), disk)
    async with server.running():
        await server.execute(StartRun("w", handler_id="h"))
        await anyio.wait_all_tasks_blocked()
    server = server_of(Keeps(serializer=JsonSerializer(allowed_types=[])), disk)
    async with server.running():
        refused = await server.execute(SendEvent("h", envelope(Reply())))
        assert isinstance(refused, Refused)
        assert "allow it with JsonSerializer(allowed_types=" in refused.detail
