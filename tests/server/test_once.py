"""What a client may ask for twice happens once: idempotency keys, and answers to one question."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from tests_support.in_process import events, finished, serving
from workflow_server import Context, MemoryWorkflowStore, SqliteWorkflowStore, Workflow, WorkflowServer, step
from workflow_server.events import Event, HumanResponseEvent, InputRequiredEvent, StartEvent, StopEvent
from workflow_server.stores.base import AbstractWorkflowStore


class Question(InputRequiredEvent):
    who: str


class Reply(HumanResponseEvent):
    who: str = ""
    text: str = ""


class Heard(Event):
    who: str
    text: str


class Count(Workflow):
    """Counts its starts in the handler's state, and collects words until told to end."""

    @step
    async def begin(self, ev: StartEvent, ctx: Context) -> StopEvent:
        starts = await ctx.store.get("starts", default=0) + 1
        await ctx.store.set("starts", starts)
        words: list[str] = []
        while (reply := await ctx.wait_for_event(Reply)).text != "end":
            words.append(reply.text)
        return StopEvent(result=[starts, *words])


class Same(Workflow):
    """Asks twice under one id of its own."""

    @step
    async def ask(self, ev: StartEvent, ctx: Context) -> StopEvent:
        first = await ctx.wait_for_event(Reply, waiter_id="it", waiter_event=Question(who="1"))
        return StopEvent(result=first.text)


class Two(Workflow):
    """Two steps ask at the same time, in words that fit either answer."""

    @step
    async def left(self, ev: StartEvent, ctx: Context) -> Heard:
        reply = await ctx.wait_for_event(Reply, waiter_event=Question(who="left"))
        return Heard(who="left", text=reply.text)

    @step
    async def right(self, ev: StartEvent, ctx: Context) -> Heard:
        reply = await ctx.wait_for_event(Reply, waiter_event=Question(who="right"))
        return Heard(who="right", text=reply.text)

    @step
    async def join(self, ev: Heard, ctx: Context) -> StopEvent | None:
        both = ctx.collect_events(ev, [Heard, Heard])
        return None if both is None else StopEvent(result={heard.who: heard.text for heard in both})


class Fails(Workflow):
    @step
    async def fail(self, ev: StartEvent) -> StopEvent:
        raise ValueError("no paper")


def server_on(store: AbstractWorkflowStore, **options: Any) -> WorkflowServer:
    server = WorkflowServer(workflow_store=store, **options)
    server.add_workflow("count", Count(timeout=None), additional_events=[Reply])
    server.add_workflow("two", Two(timeout=None), additional_events=[Reply])
    server.add_workflow("same", Same(timeout=None), additional_events=[Reply])
    server.add_workflow("fails", Fails())
    return server


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> AbstractWorkflowStore:
    return MemoryWorkflowStore() if request.param == "memory" else SqliteWorkflowStore(tmp_path / "runs.db")


@pytest.fixture
async def client(store: AbstractWorkflowStore) -> AsyncGenerator[httpx.AsyncClient]:
    async with serving(server_on(store)) as client:
        yield client


def key(text: str) -> dict[str, str]:
    return {"Idempotency-Key": text}


async def start(client: httpx.AsyncClient, name: str = "count", k: str = "k", **body: Any) -> httpx.Response:
    return await client.post(f"/workflows/{name}/run-nowait", json=body, headers=key(k))


async def say(client: httpx.AsyncClient, handler: str, text: str, k: str | None = None, **more: Any) -> httpx.Response:
    body = {"event": {"type": "Reply", "value": {"text": text}}, **more}
    return await client.post(f"/events/{handler}", json=body, headers={} if k is None else key(k))


async def listed(client: httpx.AsyncClient) -> list[Any]:
    return list((await client.get("/handlers")).json()["handlers"])


async def questions(client: httpx.AsyncClient, handler: str, count: int) -> list[Any]:
    with anyio.fail_after(20):
        while True:
            found: list[Any] = (await client.get(f"/handlers/{handler}/waiting")).json()["waiting"]
            if len(found) >= count:
                return found
            await anyio.sleep(0.005)


# ------------------------------------------------------------------------------------------------------------- starts


async def test_a_repeated_start_gives_the_first_answer_again(client: httpx.AsyncClient) -> None:
    first = await start(client, start_event={"a": 1})
    again = await start(client, start_event={"a": 1})
    assert (again.status_code, again.json()) == (200, first.json())
    await questions(client, first.json()["handler_id"], 1)
    await say(client, first.json()["handler_id"], "end")
    over = await finished(client, first.json()["handler_id"])
    assert over["status"] == "completed"
    later = await start(client, start_event={"a": 1})
    assert (later.status_code, later.json()) == (200, first.json()), "also when the run is over"
    assert len(await listed(client)) == 1


async def test_starts_at_the_same_time_are_one_run(client: httpx.AsyncClient) -> None:
    answers: list[Any] = []

    async def ask(body: dict[str, Any]) -> None:
        answers.append((await start(client, **body)).json())

    for body in ({}, {"handler_id": "named"}):
        answers.clear()
        async with anyio.create_task_group() as tasks:
            for _ in range(8):
                tasks.start_soon(ask, body)
        assert answers == [answers[0]] * 8 if body else len({one["handler_id"] for one in answers}) == 1
        await client.post(f"/handlers/{answers[0]['handler_id']}/cancel?purge=true")
    assert await listed(client) == []


async def test_a_key_is_for_one_payload(client: httpx.AsyncClient) -> None:
    await start(client, start_event={"a": 1})
    for name, body in (("count", {"start_event": {"a": 2}}), ("count", {}), ("two", {"start_event": {"a": 1}})):
        refused = await start(client, name, **body)
        assert refused.status_code == 409
        assert refused.json()["detail"].startswith("Idempotency-Key 'k' was used already")
    assert (await start(client, k="other", start_event={"a": 2})).status_code == 200
    assert len(await listed(client)) == 2


async def test_what_was_refused_is_tried_again(client: httpx.AsyncClient) -> None:
    assert (await start(client, "nothing")).status_code == 404
    busy = (await start(client, k="busy", handler_id="h")).json()["handler_id"]
    assert (await start(client, k="late", handler_id="h")).status_code == 409
    await questions(client, busy, 1)
    await say(client, busy, "end")
    await finished(client, busy)
    assert (await start(client, k="late", handler_id="h")).status_code == 200
    assert (await start(client)).status_code == 200


async def test_a_repeated_wait_for_the_end_waits_for_the_same_run(client: httpx.AsyncClient) -> None:
    started = (await start(client)).json()["handler_id"]
    answers: list[httpx.Response] = []

    async def run() -> None:
        answers.append(await client.post("/workflows/count/run", json={}, headers=key("k")))

    async with anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(run)
        await questions(client, started, 1)
        await say(client, started, "end")
    await run()
    assert [answer.json()["handler_id"] for answer in answers] == [started] * 4
    assert {answer.json()["result"]["value"]["result"][0] for answer in answers} == {1}
    failed = await client.post("/workflows/fails/run", json={}, headers=key("f"))
    again = await client.post("/workflows/fails/run", json={}, headers=key("f"))
    assert (again.status_code, again.json()) == (500, failed.json())


async def test_a_purged_start_may_be_repeated(client: httpx.AsyncClient) -> None:
    first = (await start(client)).json()["handler_id"]
    await client.post(f"/handlers/{first}/cancel?purge=true")
    assert (await start(client)).json()["handler_id"] != first


# ------------------------------------------------------------------------------------------------------------- events


async def test_a_repeated_event_is_one_event(client: httpx.AsyncClient) -> None:
    handler = (await start(client)).json()["handler_id"]
    await questions(client, handler, 1)

    async def send() -> None:
        assert (await say(client, handler, "once", "e")).json() == {"status": "sent"}

    async with anyio.create_task_group() as tasks:
        for _ in range(8):
            tasks.start_soon(send)
    refused = await say(client, handler, "twice", "e")
    assert refused.status_code == 409
    assert "'e' was used already" in refused.json()["detail"]
    await questions(client, handler, 1)
    await say(client, handler, "end", "end")
    assert (await finished(client, handler))["result"]["value"]["result"] == [1, "once"]
    assert (await say(client, handler, "end", "end")).json() == {"status": "sent"}, "also when the run is over"
    assert (await say(client, handler, "end")).status_code == 409


async def test_keys_of_events_are_apart_for_each_handler(client: httpx.AsyncClient) -> None:
    for name in ("one", "other"):
        await start(client, k=name, handler_id=name)
        await questions(client, name, 1)
        await say(client, name, f"for {name}", "e")
        await questions(client, name, 1)
        await say(client, name, "end")
        assert (await finished(client, name))["result"]["value"]["result"] == [1, f"for {name}"]


async def test_a_refused_event_may_be_repeated(client: httpx.AsyncClient) -> None:
    assert (await say(client, "h", "once", "e")).status_code == 404
    await start(client, handler_id="h")
    await questions(client, "h", 1)
    assert (await say(client, "h", "once", "e", step="nowhere")).status_code == 400
    assert (await say(client, "h", "once", "e")).status_code == 200


# ---------------------------------------------------------------------------------------------- answers to a question


async def test_an_answer_to_one_question_is_no_answer_to_another(client: httpx.AsyncClient) -> None:
    handler = (await start(client, "two")).json()["handler_id"]
    asked = {one["prompt"]["value"]["who"]: one["waiter_id"] for one in await questions(client, handler, 2)}
    assert (await say(client, handler, "R", waiter_id=asked["right"])).json() == {"status": "sent"}
    assert [one["waiter_id"] for one in await questions(client, handler, 1)] == [asked["left"]]
    stale = await say(client, handler, "L", waiter_id=asked["right"])
    assert stale.status_code == 409
    assert stale.json()["detail"].startswith("Stale answer")
    assert (await say(client, handler, "R", waiter_id=asked["right"])).json() == {"status": "sent"}, "repeated"
    assert (await say(client, handler, "L", waiter_id=asked["left"])).json() == {"status": "sent"}
    assert (await finished(client, handler))["result"]["value"]["result"] == {"left": "L", "right": "R"}
    assert (await say(client, handler, "L", waiter_id=asked["left"])).json() == {"status": "sent"}, "also afterwards"
    assert (await say(client, handler, "R", waiter_id=asked["left"])).status_code == 409


async def test_a_question_that_somebody_else_has_answered_is_stale(client: httpx.AsyncClient) -> None:
    await start(client, handler_id="h")
    (asked,) = await questions(client, "h", 1)
    await say(client, "h", "word")
    assert (await questions(client, "h", 1))[0]["waiter_id"] != asked["waiter_id"]
    for waiter_id in (asked["waiter_id"], "x", "", "r/1/y", f"{asked['waiter_id'].partition('/')[0]}/99999/x"):
        refused = await say(client, "h", "late", waiter_id=waiter_id)
        assert (refused.status_code, refused.json()["detail"][:12]) == (409, "Stale answer"), waiter_id


async def test_an_answer_of_another_class_is_refused(client: httpx.AsyncClient) -> None:
    await start(client, handler_id="h")
    (asked,) = await questions(client, "h", 1)
    body = {"event": {"type": "StartEvent", "value": {}}, "waiter_id": asked["waiter_id"]}
    refused = await client.post("/events/h", json=body)
    assert refused.status_code == 400
    assert refused.json()["detail"].endswith("waits for something else")


async def test_a_question_asked_again_under_the_same_id_is_another_one(client: httpx.AsyncClient) -> None:
    """A late repetition of an answer must not answer the handler's next question."""
    for n in range(2):
        await start(client, "same", k=str(n), handler_id="h")
        (asked,) = await questions(client, "h", 1)
        if n == 0:
            first = asked["waiter_id"]
        assert (await say(client, "h", "yes", waiter_id=first)).status_code == 200
        (asked,) = (await client.get("/handlers/h/waiting")).json()["waiting"] or [None]
        assert (asked is None) is (n == 0)


# ----------------------------------------------------------------------------------------------------- over a restart


async def test_keys_survive_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    async with serving(server_on(SqliteWorkflowStore(path), shutdown_grace=0)) as client:
        first = (await start(client, handler_id="h")).json()
        (asked,) = await questions(client, "h", 1)
        await say(client, "h", "word", "e", waiter_id=asked["waiter_id"])
        await questions(client, "h", 1)
    async with serving(server_on(SqliteWorkflowStore(path))) as client:
        assert (await start(client, handler_id="h")).json() == first
        assert (await start(client, handler_id="g")).status_code == 409
        assert (await say(client, "h", "word", "e", waiter_id=asked["waiter_id"])).json() == {"status": "sent"}
        assert (await say(client, "h", "other", waiter_id=asked["waiter_id"])).status_code == 409
        await questions(client, "h", 1)
        await say(client, "h", "end")
        assert (await finished(client, "h"))["result"]["value"]["result"] == [2, "word"], "it began again at its top"
        assert [event["type"] for event in await events(client, "h")] == ["StopEvent"]
