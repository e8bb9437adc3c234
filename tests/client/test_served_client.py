"""Our client against our server, over a real socket: what a program gets, on both loops and without one."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import anyio
import anyio.to_thread
import httpx
import pytest
from pydantic import BaseModel, ValidationError

from tests_support.in_process import serving
from workflow_server import Context, Workflow, WorkflowServer, step
from workflow_server.client import RunFailed, SyncWorkflowClient, WorkflowClient
from workflow_server.events import Event, HumanResponseEvent, InputRequiredEvent, StartEvent, StopEvent
from workflow_server.wire.envelopes import EventEnvelopeWithMetadata


class Order(StartEvent):
    item: str = "lamp"
    pieces: int = 1


class Packed(Event):
    piece: int


class Receipt(StopEvent):
    item: str
    pieces: int


class Question(InputRequiredEvent):
    text: str


class Answer(HumanResponseEvent):
    yes: bool


class Money(BaseModel):
    cents: int


class Ship(Workflow):
    @step
    async def pack(self, ev: Order, ctx: Context) -> Receipt:
        await ctx.store.set("item", ev.item)
        for piece in range(ev.pieces):
            ctx.write_event_to_stream(Packed(piece=piece))
        return Receipt(item=ev.item, pieces=ev.pieces)


class Pay(Workflow):
    @step
    async def pay(self, ev: StartEvent) -> StopEvent:
        if ev.get("cents", 0) < 0:
            raise ValueError("no credit")
        return StopEvent(result={"cents": ev.get("cents", 7)})


class Ask(Workflow):
    @step
    async def ask(self, ev: StartEvent, ctx: Context) -> StopEvent:
        answer = await ctx.wait_for_event(Answer, waiter_event=Question(text="Go on?"))
        return StopEvent(result=answer.yes)


@pytest.fixture
async def http() -> AsyncGenerator[httpx.AsyncClient]:
    server = WorkflowServer()
    server.add_workflow("ship", Ship())
    server.add_workflow("pay", Pay())
    server.add_workflow("ask", Ask(timeout=None), additional_events=[Answer])
    async with serving(server) as client:
        yield client


@pytest.fixture(params=["given", "own"])
def client(request: pytest.FixtureRequest, http: httpx.AsyncClient) -> WorkflowClient:
    if request.param == "given":
        return WorkflowClient(httpx_client=http)
    return WorkflowClient(base_url=str(http.base_url))


@pytest.fixture
def lenient(http: httpx.AsyncClient) -> WorkflowClient:
    return WorkflowClient(httpx_client=http, failures="return")


async def test_the_server_and_its_workflows(client: WorkflowClient) -> None:
    assert (await client.is_healthy()).status == "healthy"
    assert (await client.list_workflows()).workflows == ["ship", "pay", "ask"]
    schema = await client.get_workflow_schema("ship")
    assert set(schema.start["properties"]) == {"item", "pieces"}
    titles = {event["title"] for event in (await client.get_workflow_events_schema("ask")).events}
    assert titles == {"Answer", "StartEvent", "StopEvent"}
    assert {node.id for node in (await client.get_workflow_graph("ship")).graph.nodes} >= {"pack", "Order", "Receipt"}


async def test_results_have_the_type_that_was_asked_for(client: WorkflowClient) -> None:
    receipt = await client.run_workflow("ship", start_event=Order(pieces=2), result_type=Receipt)
    assert receipt.output == Receipt(item="lamp", pieces=2)
    paid = await client.run_workflow("pay", start_event={"cents": 9}, result_type=Money)
    assert paid.output == Money(cents=9)
    again = await client.get_handler(paid.handler_id, result_type=dict[str, int])
    assert again.output == {"cents": 9}
    wrong = await client.wait_for_handler(paid.handler_id, result_type=list[int])
    with pytest.raises(ValidationError):
        _ = wrong.output


async def test_a_failed_run_is_an_error_or_a_value(client: WorkflowClient, lenient: WorkflowClient) -> None:
    with pytest.raises(httpx.HTTPStatusError, match=r"500 Internal Server Error for POST .*/run\. Response: \{"):
        await client.run_workflow("pay", start_event={"cents": -1})
    failed = await lenient.run_workflow("pay", handler_id="h", start_event={"cents": -1}, result_type=Money)
    assert (failed.status, failed.error) == ("failed", "no credit")
    for act in (failed.raise_for_run, lambda: failed.output):
        with pytest.raises(RunFailed, match=r"The run of pay \(handler h\) failed: no credit") as raised:
            act()
        assert raised.value.handler is failed
    for get in (client.get_handler, client.get_result, client.wait_for_handler):
        with pytest.raises(httpx.HTTPStatusError, match="500 Internal Server Error for GET"):
            await get("h")
    for get in (lenient.get_handler, lenient.get_result, lenient.wait_for_handler):
        assert (await get("h")).error == "no credit"
    done = await lenient.run_workflow("pay")
    assert done.raise_for_run() is done


async def test_mistakes(client: WorkflowClient, lenient: WorkflowClient) -> None:
    for one in (client, lenient):
        with pytest.raises(httpx.HTTPStatusError, match=r"404 Not Found .*Workflow not found"):
            await one.run_workflow("nothing")
        with pytest.raises(httpx.HTTPStatusError, match="404 Not Found"):
            await one.get_handler("nobody")
        with pytest.raises(httpx.HTTPStatusError, match="400 Bad Request"):
            await one.run_workflow_nowait("ship", start_event={"pieces": "many"})
        with pytest.raises(ValueError, match="Handler not found"):
            await anext(one.events("nobody"))


async def test_a_question_is_answered_by_its_name(client: WorkflowClient) -> None:
    started = await client.run_workflow_nowait("ask", handler_id="h")
    assert started.status == "running"
    async with client.events("h", registry=[Question]) as events:
        async for event in events:
            assert event == Question(text="Go on?")
            break
        (question,) = (await client.get_waiting("h")).waiting
        assert question.prompt is not None
        assert (question.step, question.prompt.value) == ("ask", {"text": "Go on?"})
        assert question.event_schema is not None
        sent = await client.send_event("h", Answer(yes=True), waiter_id=question.waiter_id, idempotency_key="k")
        assert sent.status == "sent"
        rest = [event async for event in events]
    assert [type(event) for event in rest] == [StopEvent]
    with pytest.raises(httpx.HTTPStatusError, match="409 Conflict"):
        await client.send_event("h", Answer(yes=False), waiter_id=question.waiter_id)
    assert (await client.wait_for_handler("h", result_type=bool)).output is True


async def test_waiting_is_one_question_to_the_server(http: httpx.AsyncClient) -> None:
    asked: list[str] = []
    waiting = anyio.Event()

    async def trace(name: str, _: Any) -> None:
        if name == "http11.send_request_body.complete":
            waiting.set()

    async def note(request: httpx.Request) -> None:
        if request.url.query.startswith(b"wait="):
            asked.append(request.url.path)
            request.extensions["trace"] = trace

    http.event_hooks["request"].append(note)
    client = WorkflowClient(httpx_client=http)
    await client.run_workflow_nowait("ask", handler_id="h")
    results: list[Any] = []

    async def wait() -> None:
        results.append(await client.wait_for_handler("h", timeout=20))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(wait)
        await waiting.wait()
        await WorkflowClient(base_url=str(http.base_url)).is_healthy()  # a later connection: the question is there
        await client.send_event("h", {"type": "Answer", "value": {"yes": False}})
    assert results[0].status == "completed"
    assert asked == ["/handlers/h"]
    await client.run_workflow_nowait("ask", handler_id="i")
    with pytest.raises(TimeoutError, match=r"Handler 'i' did not complete within 0\.05 seconds"):
        await client.wait_for_handler("i", timeout=0.05)


async def test_starts_and_keys_state_and_input(client: WorkflowClient) -> None:
    first = await client.run_workflow_nowait("ship", start_event=Order(item="cup"), idempotency_key="k")
    again = await client.run_workflow_nowait("ship", start_event=Order(item="cup"), idempotency_key="k")
    assert again == first
    with pytest.raises(httpx.HTTPStatusError, match="409 Conflict"):
        await client.run_workflow_nowait("ship", idempotency_key="k")
    await client.wait_for_handler(first.handler_id)
    assert (await client.get_state(first.handler_id)).state == {"item": "cup"}
    assert (await client.get_input(first.handler_id)).start_event.load_event([Order]) == Order(item="cup")


async def test_handlers_are_found_and_iterated(client: WorkflowClient, lenient: WorkflowClient) -> None:
    for n in range(5):
        await client.run_workflow("pay", handler_id=f"p{n}")
    await lenient.run_workflow("pay", handler_id="bad", start_event={"cents": -1})
    all_of_them = await client.get_handlers()
    assert [handler.handler_id for handler in all_of_them.handlers] == ["p0", "p1", "p2", "p3", "p4", "bad"]
    found = await client.get_handlers(status=["failed", "cancelled"], workflow_name="pay")
    assert [handler.handler_id for handler in found.handlers] == ["bad"]
    assert [handler.handler_id async for handler in client.iter_handlers(page_size=2, q="p")] == [
        "p4", "p3", "p2", "p1", "p0",
    ]  # fmt: skip
    page = await client.get_handlers(limit=4, phase="done")
    assert len(page.handlers) == 4
    rest = await client.get_handlers(limit=4, cursor=page.next_cursor)
    assert [handler.handler_id for handler in rest.handlers] == ["p1", "p0"]


async def test_cancelling_and_purging(client: WorkflowClient) -> None:
    await client.run_workflow_nowait("ask", handler_id="h")
    assert (await client.cancel_handler("h")).status == "cancelled"
    assert (await client.cancel_handler("h", purge=True)).status == "deleted"
    with pytest.raises(httpx.HTTPStatusError, match="404 Not Found"):
        await client.cancel_handler("h")


async def test_a_stream_is_left_in_the_middle_and_gone_on_with(client: WorkflowClient) -> None:
    done = await client.run_workflow("ship", start_event=Order(pieces=3))
    stream = client.get_workflow_events(done.handler_id)
    assert stream.last_sequence == -1
    async for event in stream:
        assert isinstance(event, EventEnvelopeWithMetadata)
        assert event.type == "Packed"
        break
    await stream.aclose()
    await stream.aclose()
    with pytest.raises(RuntimeError, match="EventStream can only be iterated once"):
        aiter(stream)
    rest = client.get_workflow_events(done.handler_id, after_sequence=stream.last_sequence)
    assert [event.value.get("piece") async for event in rest] == [1, 2, None]
    over = client.get_workflow_events(done.handler_id, after_sequence="now")
    assert over.last_sequence == "now"
    assert [event async for event in over] == []


async def test_now_is_when_the_stream_was_asked_for(http: httpx.AsyncClient) -> None:
    connected = anyio.Event()

    async def note(response: httpx.Response) -> None:
        if response.url.path == "/events/h":
            connected.set()

    client = WorkflowClient(httpx_client=http)
    await client.run_workflow_nowait("ask", handler_id="h")
    while not (await client.get_waiting("h")).waiting:
        await anyio.lowlevel.checkpoint()
    http.event_hooks["response"].append(note)
    stream = client.get_workflow_events("h", after_sequence="now")
    await connected.wait()
    await client.send_event("h", Answer(yes=True))
    await client.wait_for_handler("h")
    assert [event.type async for event in stream] == ["StopEvent"]


async def test_the_plain_client(http: httpx.AsyncClient) -> None:
    def use(client: SyncWorkflowClient) -> list[Any]:
        assert client.is_healthy().status == "healthy"
        assert client.list_workflows().workflows == ["ship", "pay", "ask"]
        assert client.get_workflow_schema("pay").start["title"] == "StartEvent"
        assert client.get_workflow_events_schema("pay").events
        assert client.get_workflow_graph("pay").graph.nodes
        receipt = client.run_workflow("ship", start_event=Order(pieces=2), result_type=Receipt)
        with client.events(receipt.handler_id, registry=[Packed, Receipt]) as events:
            seen = list(events)
        assert events.last_sequence == client_last(client, receipt.handler_id)
        assert client.get_state(receipt.handler_id).state == {"item": "lamp"}
        assert client.get_input(receipt.handler_id).start_event.type == "Order"
        client.run_workflow_nowait("ask", handler_id="h", idempotency_key="k")
        with client.events("h", after_sequence=-1) as questions:
            assert next(questions).type == "Question"
        (question,) = client.get_waiting("h").waiting
        client.send_event("h", Answer(yes=True), waiter_id=question.waiter_id)
        assert client.wait_for_handler("h", timeout=20, result_type=bool).output is True
        assert client.get_handler("h") == client.get_result("h")
        assert next(client.iter_handlers(page_size=1)).handler_id == "h"
        assert client.cancel_handler("h", purge=True).status == "deleted"
        with pytest.raises(ValueError, match="Handler not found"):
            next(client.events("h"))
        with pytest.raises(httpx.HTTPStatusError, match="404 Not Found"):
            client.get_handler("h")
        return seen

    def client_last(client: SyncWorkflowClient, handler_id: str) -> Any:
        with client.events(handler_id, include_internal_events=True) as events:
            list(events)
            return events.last_sequence

    own = await anyio.to_thread.run_sync(use, WorkflowClient.sync(base_url=str(http.base_url)))
    with httpx.Client(base_url=str(http.base_url)) as given:
        assert await anyio.to_thread.run_sync(use, SyncWorkflowClient(httpx_client=given)) == own
    assert own == [Packed(piece=0), Packed(piece=1), Receipt(item="lamp", pieces=2)]
