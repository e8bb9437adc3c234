"""The server as a client meets it: every route over a real socket, on both loops."""

from __future__ import annotations

import json
from typing import Any

import anyio
import httpx
import pytest
from pydantic import Field

from tests_support.in_process import events, finished, serving, streaming
from workflow_server import Context, MemoryWorkflowStore, Workflow, WorkflowServer, step
from workflow_server.events import Event, HumanResponseEvent, InputRequiredEvent, StartEvent, StopEvent


class Progress(Event):
    n: int


class Ask(InputRequiredEvent):
    prompt: str = "?"


class Answer(HumanResponseEvent):
    text: str


class Order(StartEvent):
    """What is wanted."""

    item: str
    count: int = Field(default=1, ge=1)


class Receipt(StopEvent):
    total: int


class Greet(Workflow):
    @step
    async def greet(self, ev: StartEvent) -> StopEvent:
        return StopEvent(result=f"Hello, {ev.get('name', 'World')}!")


class Count(Workflow):
    @step
    async def count(self, ev: StartEvent, ctx: Context) -> StopEvent:
        for n in range(ev.get("to", 3)):
            ctx.write_event_to_stream(Progress(n=n))
        seen = await ctx.store.get("runs", default=0) + 1
        await ctx.store.set("runs", seen)
        return StopEvent(result=seen)


class Shop(Workflow):
    @step
    async def sell(self, ev: Order) -> Receipt:
        return Receipt(total=3 * ev.count)


class Interview(Workflow):
    @step
    async def ask(self, ev: StartEvent) -> Ask:
        return Ask(prompt="Your name?")

    @step
    async def hear(self, ev: Answer) -> StopEvent:
        return StopEvent(result=f"Hi {ev.text}")


class Waiter(Workflow):
    @step
    async def wait(self, ev: StartEvent, ctx: Context) -> StopEvent:
        first = await ctx.wait_for_event(Answer, waiter_event=Ask(prompt="one"))
        second = await ctx.wait_for_event(Answer, waiter_event=Ask(prompt="two"))
        return StopEvent(result=[first.text, second.text])


class Broken(Workflow):
    @step
    async def fail(self, ev: StartEvent) -> StopEvent:
        raise ValueError("boom")


class Forever(Workflow):
    @step
    async def run_on(self, ev: StartEvent) -> StopEvent:
        await anyio.sleep_forever()
        return StopEvent()


class Stubborn(Workflow):
    @step
    async def refuse(self, ev: StartEvent) -> StopEvent:
        while True:
            with anyio.CancelScope(shield=True):
                await anyio.sleep_forever()


def make_server(**options: Any) -> WorkflowServer:
    server = WorkflowServer(shutdown_grace=0.1, **options)
    server.add_workflow("greet", Greet())
    server.add_workflow("count", Count())
    server.add_workflow("shop", Shop())
    server.add_workflow("interview", Interview(timeout=None))
    server.add_workflow("waiter", Waiter(timeout=None), additional_events=[Answer])
    server.add_workflow("broken", Broken())
    server.add_workflow("slow", Forever(timeout=0.05))
    server.add_workflow("forever", Forever(timeout=None))
    server.add_workflow("stubborn", Stubborn(timeout=None))
    return server


async def start(client: httpx.AsyncClient, name: str, **body: Any) -> str:
    answer = await client.post(f"/workflows/{name}/run-nowait", json=body)
    assert answer.status_code == 200, answer.text
    assert answer.json()["status"] == "running"
    handler_id: str = answer.json()["handler_id"]
    return handler_id


async def test_a_run_and_its_result() -> None:
    """The guide's quick start: run, result, handler, list, results."""
    async with serving(make_server()) as client:
        assert (await client.get("/health")).json() == {"status": "healthy"}
        assert (await client.get("/ready")).status_code == 200
        assert "greet" in (await client.get("/workflows")).json()["workflows"]
        answer = await client.post("/workflows/greet/run", json={"start_event": {"name": "Ada"}, "handler_id": "ada"})
        assert answer.status_code == 200
        handler = answer.json()
        assert handler["status"] == "completed"
        assert handler["phase"] == "done"
        assert handler["result"]["value"] == {"result": "Hello, Ada!"}
        assert handler["result"]["qualified_name"] == "workflows.events.StopEvent"
        assert (await client.get("/handlers/ada")).json() == handler
        assert (await client.get("/handlers")).json() == {"handlers": [handler]}
        assert (await client.get("/results/ada")).json()["result"] == "Hello, Ada!"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b'{"start_event": null}',
        b'{"start_event": "{}"}',
        b'{"start_event": {"type": "StartEvent", "value": {}}}',
        b'{"start_event": {"qualified_name": "workflows.events.StartEvent", "type": "StartEvent", "value": {}}}',
        b'{"kwargs": {}}',
    ],
)
async def test_no_input_in_every_spelling(body: bytes) -> None:
    """Nothing, an empty object and the client's empty envelope all mean a start event without fields."""
    async with serving(make_server()) as client:
        answer = await client.post("/workflows/greet/run", content=body)
        assert answer.json()["result"]["value"]["result"] == "Hello, World!"


@pytest.mark.parametrize(
    "start_event",
    [
        {"item": "tea", "count": 2},
        '{"item": "tea", "count": 2}',
        {"type": "Order", "value": {"item": "tea", "count": 2}},
        {"type": "Order", "qualified_name": f"{__name__}.Order", "data": {"item": "tea", "count": 2}},
        {"type": "StartEvent", "value": {"item": "tea", "count": 2}},
    ],
)
async def test_typed_start_and_stop(start_event: Any) -> None:
    """Bare fields and envelopes, as objects or text, and the base envelope, all make the typed start event."""
    async with serving(make_server()) as client:
        answer = await client.post("/workflows/shop/run", json={"start_event": start_event})
        assert answer.status_code == 200, answer.text
        result = answer.json()["result"]
        assert result["value"] == {"total": 6}
        assert result["types"] == ["StopEvent"]
        flattened = await client.get(f"/results/{answer.json()['handler_id']}")
        assert flattened.json()["result"] == {"total": 6}


BAD_STARTS: list[tuple[str, str, Any, int, str]] = [
    ("shop", "run", {"start_event": {}}, 400, "Validation error for 'start_event': Failed to deserialize event"),
    ("shop", "run", {}, 400, "Validation error for 'start_event': Failed to deserialize event"),
    ("shop", "run-nowait", {"start_event": {"item": 3}}, 400, "Order.item"),
    ("shop", "run", {"start_event": {"item": "tea", "count": 0}}, 400, "Order.count"),
    ("shop", "run", {"start_event": [1]}, 400, "Validation error for 'start_event'"),
    ("shop", "run", {"start_event": "not json"}, 400, "Validation error for 'start_event'"),
    ("shop", "run", {"start_event": {"type": "Nope", "value": {}}}, 400, "Invalid event type: Nope"),
    (
        "shop",
        "run",
        {"start_event": {"type": "Receipt", "value": {"total": 1}}},
        400,
        "Start event must be an instance",
    ),
    ("shop", "run", {"start_event": {"qualified_name": "os.path", "value": {}}}, 400, "Invalid event type: os.path"),
    ("shop", "run", {"handler_id": 7}, 400, "handler_id"),
    ("shop", "run", {"handler_id": "a/b"}, 400, "handler_id"),
    ("greet", "run", {"context": {"x": 1}}, 400, "Context API is disabled"),
    ("nope", "run", {}, 404, "Workflow not found"),
    ("nope", "run-nowait", {}, 404, "Workflow not found"),
]


@pytest.mark.parametrize(("name", "route", "body", "status", "detail"), BAD_STARTS)
async def test_bad_starts(name: str, route: str, body: Any, status: int, detail: str) -> None:
    """What can't be started is refused with a sentence that says what and where, and leaves no handler."""
    async with serving(make_server()) as client:
        answer = await client.post(f"/workflows/{name}/{route}", json=body)
        assert answer.status_code == status
        assert detail in answer.json()["detail"]
        assert (await client.get("/handlers")).json() == {"handlers": []}


async def test_descriptions() -> None:
    """Schemas, events and graph of a workflow; additional events come last; unknown workflows are 404."""
    async with serving(make_server()) as client:
        schema = (await client.get("/workflows/shop/schema")).json()
        assert schema["start"]["required"] == ["item"]
        assert schema["stop"]["title"] == "Receipt"
        titles = [event["title"] for event in (await client.get("/workflows/waiter/events")).json()["events"]]
        assert titles[-1] == "Answer"
        graph = (await client.get("/workflows/interview/representation")).json()["graph"]
        assert {node["id"] for node in graph["nodes"]} >= {"ask", "hear", "Ask", "Answer"}
        for route, detail in (
            ("schema", "Workflow not found"),
            ("events", "Workflow 'nope' not found"),
            ("representation", "Workflow not found"),
        ):
            answer = await client.get(f"/workflows/nope/{route}")
            assert (answer.status_code, answer.json()) == (404, {"detail": detail})


async def test_failed_runs() -> None:
    """A failed and a timed-out run answer 500 with the handler, whose error says why; the stream ends with it."""
    async with serving(make_server()) as client:
        answer = await client.post("/workflows/broken/run", json={"handler_id": "b"})
        assert answer.status_code == 500
        handler = answer.json()
        assert (handler["status"], handler["error"], handler["result"]) == ("failed", "boom", None)
        assert (await client.get("/handlers/b")).status_code == 500
        last = (await events(client, "b"))[-1]
        assert last["type"] == "WorkflowFailedEvent"
        assert last["value"]["exception"] == {"exception_type": "builtins.ValueError", "exception_message": "boom"}
        slow = await client.post("/workflows/slow/run", json={"handler_id": "s"})
        assert slow.status_code == 500
        assert slow.json()["error"] == "Workflow timed out after 0.05s"
        assert (await events(client, "s"))[-1]["value"] == {"timeout": 0.05, "active_steps": ["run_on"]}


async def test_failure_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """The log of a failed synchronous run has the exception with its traceback, and the status."""
    async with serving(make_server()) as client:
        await client.post("/workflows/broken/run", json={})
    raised = [record for record in caplog.records if "raised an exception" in record.getMessage()]
    assert [record.levelname for record in raised] == ["ERROR"]
    assert raised[0].exc_info is not None
    assert any("finished with status=failed" in record.getMessage() for record in caplog.records)


async def test_streams_replay_and_follow() -> None:
    """A stream replays from any cursor, hides internal events unless asked, and its sequences have no gaps."""
    async with serving(make_server()) as client:
        handler_id = await start(client, "count", start_event={"to": 3})
        await finished(client, handler_id)
        visible = await events(client, handler_id)
        assert [event["type"] for event in visible] == ["Progress", "Progress", "Progress", "StopEvent"]
        everything = await events(client, handler_id, include_internal="true")
        assert [event["type"] for event in everything][:2] == ["StepStateChanged", "Progress"]
        assert everything[0]["types"] == ["InternalDispatchEvent"]
        nameless = await events(client, handler_id, include_qualified_name="false")
        assert {event["qualified_name"] for event in nameless} == {None}
        sse = await client.get(f"/events/{handler_id}?after_sequence=-1&include_internal=true")
        assert sse.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert sse.headers["x-accel-buffering"] == "no"
        ids = [int(line[4:]) for line in sse.text.splitlines() if line.startswith("id: ")]
        assert ids == list(range(len(everything)))
        resumed = await client.get(
            f"/events/{handler_id}?after_sequence=-1&include_internal=true", headers={"Last-Event-ID": str(ids[-2])}
        )
        assert [line for line in resumed.text.splitlines() if line.startswith("id: ")] == [f"id: {ids[-1]}"]


@pytest.mark.parametrize("query", ["", "?after_sequence=now", "?after_sequence=5", "?after_sequence=99"])
async def test_nothing_left_is_204(query: str) -> None:
    """A finished run with the cursor at or beyond its end has nothing to stream."""
    async with serving(make_server()) as client:
        await client.post("/workflows/greet/run", json={"handler_id": "g"})
        answer = await client.get(f"/events/g{query}")
        assert (answer.status_code, answer.content) == (204, b"")


@pytest.mark.parametrize("cursor", ["zz", "", "1.5", "1,2"])
async def test_bad_cursors(cursor: str) -> None:
    """A cursor that is none is refused by name."""
    async with serving(make_server()) as client:
        await client.post("/workflows/greet/run", json={"handler_id": "g"})
        answer = await client.get("/events/g", params={"after_sequence": cursor})
        assert answer.status_code == 400
        assert "after_sequence" in answer.json()["detail"]


async def test_a_person_answers() -> None:
    """The question is on the stream, the phase says that the run waits, the answer finishes it."""
    async with serving(make_server()) as client:
        handler_id = await start(client, "interview")
        async with streaming(client, handler_id, include_internal="true") as stream:
            assert (await stream.until("Ask"))["value"] == {"prompt": "Your name?"}
            await stream.until("WorkflowIdleEvent")
            handler = await client.get(f"/handlers/{handler_id}")
            assert (handler.status_code, handler.json()["phase"]) == (202, "waiting")
            answer = await client.post(
                f"/events/{handler_id}", json={"event": {"type": "Answer", "value": {"text": "Ada"}}}
            )
            assert answer.json() == {"status": "sent"}
            assert (await stream.until("StopEvent"))["value"] == {"result": "Hi Ada"}
        late = await client.post(f"/events/{handler_id}", json={"event": {"type": "Answer", "value": {"text": "x"}}})
        assert (late.status_code, late.json()["detail"]) == (409, "Workflow already completed")


async def test_waits_in_a_row() -> None:
    """Two waits of one type in one step are two questions with two answers."""
    async with serving(make_server()) as client:
        handler_id = await start(client, "waiter")
        async with streaming(client, handler_id) as stream:
            for text in ("one", "two"):
                assert (await stream.until("Ask"))["value"] == {"prompt": text}
                envelope = json.dumps({"type": "Answer", "value": {"text": text}})
                assert (await client.post(f"/events/{handler_id}", json={"event": envelope})).status_code == 200
            assert (await stream.until("StopEvent"))["value"] == {"result": ["one", "two"]}


BAD_EVENTS: list[tuple[Any, str]] = [
    ({}, "Event data is required"),
    ({"event": None}, "Event data is required"),
    ({"event": 3}, "Failed to deserialize event"),
    ({"event": "{"}, "Failed to deserialize event"),
    ({"event": {"type": "Answer"}}, "Failed to deserialize event"),
    ({"event": {"type": "Answer", "value": {"text": 3}}}, "Answer.text"),
    ({"event": {"type": "Nope", "value": {}}}, "Invalid event type: Nope. Expected one of"),
    ({"event": {"qualified_name": "os.path", "value": {}}}, "Invalid event type: os.path"),
    ({"event": {"type": "Answer", "value": {"text": "x"}}, "step": "nowhere"}, "Step nowhere does not exist"),
    ({"event": {"type": "Answer", "value": {"text": "x"}}, "step": "ask"}, "Step ask does not accept event of type"),
    ({"event": {"type": "Answer", "value": {"text": "x"}}, "step": 3}, "step"),
    ([], "Error processing request"),
]


@pytest.mark.parametrize(("body", "detail"), BAD_EVENTS)
async def test_bad_events(body: Any, detail: str) -> None:
    """An event that can't be sent is refused, and the run goes on as if nothing had come."""
    async with serving(make_server()) as client:
        handler_id = await start(client, "interview")
        answer = await client.post(f"/events/{handler_id}", json=body)
        assert answer.status_code == 400
        assert detail in answer.json()["detail"]
        good = await client.post(f"/events/{handler_id}", json={"event": {"type": "Answer", "value": {"text": "A"}}})
        assert good.status_code == 200
        assert (await finished(client, handler_id))["status"] == "completed"


async def test_unknown_handlers() -> None:
    """Every route with a handler says "Handler not found" for one that isn't there."""
    async with serving(make_server()) as client:
        event = {"event": {"type": "Answer", "value": {"text": "x"}}}
        for method, path, body in (
            ("GET", "/handlers/nope", None),
            ("GET", "/results/nope", None),
            ("GET", "/events/nope", None),
            ("HEAD", "/events/nope", None),
            ("POST", "/events/nope", event),
            ("POST", "/handlers/nope/cancel", None),
            ("POST", "/handlers/nope/cancel?purge=true", None),
        ):
            answer = await client.request(method, path, json=body)
            assert answer.status_code == 404, path
            assert method == "HEAD" or answer.json() == {"detail": "Handler not found"}


async def test_cancel() -> None:
    """Cancelling ends the run before it is acknowledged; a second cancel finds nothing; purge removes everything."""
    async with serving(make_server()) as client:
        handler_id = await start(client, "forever")
        answer = await client.post(f"/handlers/{handler_id}/cancel")
        assert (answer.status_code, answer.json()) == (200, {"status": "cancelled"})
        handler = await client.get(f"/handlers/{handler_id}")
        assert (handler.status_code, handler.json()["status"], handler.json()["error"]) == (500, "cancelled", None)
        assert (await events(client, handler_id))[-1]["type"] == "WorkflowCancelledEvent"
        assert (await client.post(f"/handlers/{handler_id}/cancel")).status_code == 404
        assert (await client.post(f"/handlers/{handler_id}/cancel?purge=true")).json() == {"status": "deleted"}
        assert (await client.get(f"/events/{handler_id}")).status_code == 404
        other = await start(client, "forever")
        assert (await client.post(f"/handlers/{other}/cancel?purge=true")).json() == {"status": "deleted"}
        assert (await client.get("/handlers")).json() == {"handlers": []}


async def test_one_of_many_starts_wins() -> None:
    """Of concurrent starts with one id exactly one starts a run; the others are told."""
    async with serving(make_server()) as client:
        statuses: list[int] = []

        async def attempt() -> None:
            answer = await client.post("/workflows/forever/run-nowait", json={"handler_id": "one"})
            statuses.append(answer.status_code)
            if answer.status_code == 409:
                assert answer.json()["detail"] == "Handler 'one' is already running"

        async with anyio.create_task_group() as tasks:
            for _ in range(8):
                tasks.start_soon(attempt)
        assert sorted(statuses) == [200] + [409] * 7


async def test_continuing_a_handler() -> None:
    """A finished handler continues with its state in a new run; the earlier run stays readable by its id."""
    async with serving(make_server()) as client:
        runs: list[str] = []
        for number in (1, 2, 3):
            answer = await client.post("/workflows/count/run", json={"handler_id": "c", "start_event": {"to": number}})
            assert answer.json()["result"]["value"] == {"result": number}
            runs.append(answer.json()["run_id"])
        assert len(set(runs)) == 3
        assert len((await client.get("/handlers")).json()["handlers"]) == 1
        assert len(await events(client, "c", run_id=runs[0])) == 2
        assert len(await events(client, "c")) == 4
        assert (await client.get("/events/c?run_id=nope")).status_code == 404


async def test_list_filters() -> None:
    """Filters repeat (or) and combine (and); a status that is none is refused."""
    async with serving(make_server()) as client:
        await client.post("/workflows/greet/run", json={"handler_id": "g"})
        await client.post("/workflows/broken/run", json={"handler_id": "b"})
        await start(client, "interview", handler_id="i")

        async def listed(query: str) -> list[str]:
            answer = await client.get(f"/handlers{query}")
            return [handler["handler_id"] for handler in answer.json()["handlers"]]

        assert await listed("") == ["g", "b", "i"]
        assert await listed("?status=running&status=failed") == ["b", "i"]
        assert await listed("?status=&workflow_name=greet") == ["g"]
        assert await listed("?status=failed&workflow_name=greet") == []
        assert (await client.get("/handlers?status=nope")).status_code == 400


async def test_many_handlers_are_listed_in_pages() -> None:
    """A list longer than a page is one JSON document in the order of starting."""
    async with serving(make_server(workflow_store=MemoryWorkflowStore(max_completed=None))) as client:
        for number in range(230):
            await client.post("/workflows/greet/run", json={"handler_id": f"h{number}"})
        listed = (await client.get("/handlers")).json()["handlers"]
        assert [handler["handler_id"] for handler in listed] == [f"h{number}" for number in range(230)]


async def test_a_client_that_leaves_harms_no_run() -> None:
    """A client that disconnects while it waits for a run stops only its own waiting."""
    async with serving(make_server()) as client:
        with anyio.move_on_after(0.2) as scope:
            await client.post("/workflows/interview/run", json={"handler_id": "left"})
        assert scope.cancelled_caught
        assert (await client.get("/handlers/left")).status_code == 202
        await client.post("/events/left", json={"event": {"type": "Answer", "value": {"text": "A"}}})
        assert (await finished(client, "left"))["status"] == "completed"


async def test_many_readers_of_one_run() -> None:
    """Readers that come at different times see the same events, each for itself."""
    async with serving(make_server()) as client:
        handler_id = await start(client, "interview")
        read: list[list[str]] = []

        async def reader() -> None:
            read.append([event["type"] for event in await events(client, handler_id)])

        async with anyio.create_task_group() as tasks:
            for _ in range(5):
                tasks.start_soon(reader)
            async with streaming(client, handler_id) as stream:
                await stream.until("Ask")
                await client.post(f"/events/{handler_id}", json={"event": {"type": "Answer", "value": {"text": "Ada"}}})
        await reader()
        assert read == [["Ask", "StopEvent"]] * 6


async def test_looking_into_a_run() -> None:
    """State, input and open questions of a run, while it waits and after it has ended."""
    async with serving(make_server()) as client:
        counted = await client.post("/workflows/count/run", json={"handler_id": "c", "start_event": {"to": 1}})
        assert counted.status_code == 200
        assert (await client.get("/handlers/c/state")).json() == {"state": {"runs": 1}, "type": None}
        begun = (await client.get("/handlers/c/input")).json()["start_event"]
        assert (begun["type"], begun["value"]) == ("StartEvent", {"_data": {"to": 1}})
        assert (await client.get("/handlers/c/waiting")).json() == {"waiting": []}
        handler_id = await start(client, "waiter")
        async with streaming(client, handler_id) as stream:
            for text in ("one", "two"):
                await stream.until("Ask")
                (question,) = (await client.get(f"/handlers/{handler_id}/waiting")).json()["waiting"]
                assert question["step"] == "wait"
                assert question["type"] == "Answer"
                assert question["prompt"]["type"] == "Ask"
                assert question["prompt"]["value"] == {"prompt": text}
                assert question["schema"]["required"] == ["text"]
                assert question["deadline"] > "2000"
                await client.post(f"/events/{handler_id}", json={"event": {"type": "Answer", "value": {"text": text}}})
            await stream.until("StopEvent")
        for route in ("state", "input", "waiting"):
            answer = await client.get(f"/handlers/nope/{route}")
            assert (answer.status_code, answer.json()) == (404, {"detail": "Handler not found"})
