"""One stream over the events of several runs."""

from __future__ import annotations

import json
from typing import Any

import anyio
import httpx
import pytest

from tests_support.in_process import serving
from workflow_server import Context, Workflow, WorkflowServer, step
from workflow_server.api.commands import StreamSeveral
from workflow_server.api.outcomes import EventsOpened
from workflow_server.events import Event, HumanResponseEvent, StartEvent, StopEvent
from workflow_server.runtime.feed import News
from workflow_server.runtime.several import Bookmark, SeveralFeed, read_bookmark
from workflow_server.stores.memory import MemoryWorkflowStore
from workflow_server.wire.records import EventRecord


class Note(Event):
    n: int


class Notes(Workflow):
    """Publishes some notes, waits if told to, and publishes one more."""

    @step
    async def write(self, ev: StartEvent, ctx: Context) -> StopEvent:
        for n in range(ev.get("count", 2)):
            ctx.write_event_to_stream(Note(n=n))
        if ev.get("wait", False):
            await ctx.wait_for_event(HumanResponseEvent)
            ctx.write_event_to_stream(Note(n=99))
        return StopEvent()


def make_server() -> WorkflowServer:
    server = WorkflowServer(shutdown_grace=0.1)
    for name in ("notes", "others"):
        server.add_workflow(name, Notes(timeout=None), additional_events=[HumanResponseEvent])
    return server


async def begin(client: httpx.AsyncClient, handler_id: str, workflow: str = "notes", **fields: Any) -> None:
    how = "run-nowait" if fields.get("wait") else "run"
    answer = await client.post(f"/workflows/{workflow}/{how}", json={"handler_id": handler_id, "start_event": fields})
    assert answer.status_code == 200


async def answer(client: httpx.AsyncClient, handler_id: str) -> None:
    sent = await client.post(f"/events/{handler_id}", json={"event": {"type": "HumanResponseEvent", "value": {}}})
    assert sent.status_code == 200, sent.text


def told(lines: list[str]) -> list[tuple[str, int | None]]:
    events = [json.loads(line) for line in lines]
    return [(event["handler_id"], event["value"].get("n")) for event in events]


async def test_finished_runs_are_told_whole_and_then_it_ends() -> None:
    """Each event names its run, its sequence and its time."""
    async with serving(make_server()) as client:
        await begin(client, "a", count=3)
        await begin(client, "b", count=1)
        stream = await client.get("/events?handler_id=a&handler_id=b&after_sequence=-1&sse=false")
        assert sorted(told(stream.text.splitlines()), key=str) == sorted(
            [("a", 0), ("a", 1), ("a", 2), ("a", None), ("b", 0), ("b", None)], key=str
        )
        first = json.loads(stream.text.splitlines()[0])
        assert first.keys() >= {"handler_id", "run_id", "sequence", "timestamp", "cursor", "type"}
        assert (await client.get("/events?handler_id=a&handler_id=b")).status_code == 204
        assert (await client.head("/events?handler_id=a&after_sequence=-1")).status_code == 200


async def test_a_broken_stream_goes_on_at_its_cursor() -> None:
    """Wherever it was cut, what follows is what was not seen yet."""
    async with serving(make_server()) as client:
        await begin(client, "a", count=3)
        await begin(client, "b", count=2)
        url = "/events?handler_id=a&handler_id=b&after_sequence=-1"
        whole = await client.get(url + "&include_internal=true")
        frames = [frame for frame in whole.text.split("\n\n") if frame.startswith("id: ")]
        for cut, frame in enumerate(frames, 1):
            cursor = frame.splitlines()[0].removeprefix("id: ")
            rest = await client.get(url + "&include_internal=true", headers={"Last-Event-ID": cursor})
            assert [one for one in rest.text.split("\n\n") if one.startswith("id: ")] == frames[cut:]


async def test_live_runs_are_followed_to_their_ends() -> None:
    """News of any of them comes at once, and the stream ends with the last."""
    async with serving(make_server()) as client:
        for name in ("a", "b"):
            await begin(client, name, count=1, wait=True)
        async with client.stream("GET", "/events?handler_id=a&handler_id=b&after_sequence=-1&sse=false") as stream:
            lines = stream.aiter_lines()
            begun = [await anext(lines), await anext(lines)]
            assert sorted(told(begun), key=str) == [("a", 0), ("b", 0)]
            await answer(client, "b")
            assert told([await anext(lines), await anext(lines)]) == [("b", 99), ("b", None)]
            await answer(client, "a")
            assert told([line async for line in lines]) == [("a", 99), ("a", None)]


async def test_runs_of_a_workflow_are_found_as_they_start() -> None:
    """Those that go on at the beginning, and every later one; none of other workflows."""
    server = make_server()
    async with serving(server) as client:
        await begin(client, "old", count=1)
        await begin(client, "going", count=1, wait=True)
        opened = await server.execute(StreamSeveral(workflow_names=("notes",)))
        assert isinstance(opened, EventsOpened)
        await begin(client, "other", workflow="others", count=1)
        await begin(client, "new", count=1)
        await answer(client, "going")
        found: set[tuple[str, str]] = set()
        with anyio.fail_after(10):
            while len(found) < 4:
                page = await opened.source.pull()
                assert page is not None
                found |= {(one.handler_id, one.event.type) for one in page if not one.event.internal}
        opened.source.close()
        assert found == {("going", "Note"), ("going", "StopEvent"), ("new", "Note"), ("new", "StopEvent")}


@pytest.mark.parametrize(
    ("query", "status", "words"),
    [
        ("", 400, "either handler_id or workflow_name"),
        ("?handler_id=a&workflow_name=notes", 400, "either"),
        ("?handler_id=a&handler_id=nobody", 404, "Handler not found"),
        ("?handler_id=a&after_sequence=3", 400, "after_sequence"),
        ("?handler_id=a&cursor=zzz", 400, "Invalid cursor"),
        ("?" + "&".join(["handler_id=a"] * 101), 400, "100 at most"),
    ],
)
async def test_what_is_refused(query: str, status: int, words: str) -> None:
    async with serving(make_server()) as client:
        await begin(client, "a", count=1)
        refused = await client.get(f"/events{query}")
        assert refused.status_code == status
        assert words in refused.json()["detail"]


async def test_a_run_that_is_deleted_ends_its_part() -> None:
    """The stream over it and others goes on with the others."""
    async with serving(make_server()) as client:
        await begin(client, "a", count=1, wait=True)
        await begin(client, "b", count=1, wait=True)
        async with client.stream("GET", "/events?handler_id=a&handler_id=b&sse=false") as stream:
            lines = stream.aiter_lines()
            assert (await client.delete("/handlers/a")).status_code == 200
            await answer(client, "b")
            found = told([line async for line in lines])
            assert [one for one in found if one[0] == "b"] == [("b", 99), ("b", None)]


def test_a_cursor_is_read_as_it_was_written() -> None:
    bookmark = Bookmark({"r1": 7, "r2": -1}, 1234.5)
    assert read_bookmark(bookmark.encode()) == bookmark
    for wrong in ("", "!", "AAAA", Bookmark().encode()[:-1], "WzEsMl0"):
        with pytest.raises(ValueError, match="no cursor"):
            read_bookmark(wrong)


class HesitantStore(MemoryWorkflowStore):
    """Lets its readers wait until told otherwise."""

    def __init__(self) -> None:
        super().__init__()
        self.reading = anyio.Event()
        self.go_on = anyio.Event()

    async def events(self, run_id: str, after: int, limit: int) -> list[EventRecord]:
        self.reading.set()
        await self.go_on.wait()
        return await super().events(run_id, after, limit)


async def test_who_is_cancelled_while_reading_loses_nothing() -> None:
    """Streams cancel a pull at each heartbeat, wherever it stands."""
    store = HesitantStore()
    server = WorkflowServer(workflow_store=store, shutdown_grace=0.1)
    server.add_workflow("notes", Notes())
    async with serving(server) as client:
        store.go_on.set()
        await begin(client, "a", count=1)
        run_id = (await client.get("/handlers/a")).json()["run_id"]
        feed = SeveralFeed(store, News(), Bookmark({run_id: -1}), None)
        store.reading, store.go_on = anyio.Event(), anyio.Event()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(feed.pull)
            await store.reading.wait()
            tasks.cancel_scope.cancel()
        store.go_on.set()
        page = await feed.pull()
        assert page is not None
        assert [one.event.type for one in page if not one.event.internal] == ["Note", "StopEvent"]
        assert await feed.pull() is None
