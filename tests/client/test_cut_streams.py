"""Streams that break after every event, in the middle of frames, and cleanly: what is stitched together is the log."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncGenerator
from typing import Any

import anyio
import anyio.lowlevel
import anyio.to_thread
import httpx
import pytest

from tests_support.cutting_proxy import Style, after_each_event, cutting_proxy, in_the_middle_of_frames
from tests_support.in_process import events as log_of
from tests_support.in_process import serving
from workflow_server import Context, Workflow, WorkflowServer, step
from workflow_server.client import Patience, WorkflowClient
from workflow_server.events import Event, StartEvent, StopEvent

SOON = Patience(attempts=3, first=0.002, longest=0.01)


class Item(Event):
    n: int
    text: str = "é\n漢 data: x"


class Count(Workflow):
    @step
    async def count(self, ev: StartEvent, ctx: Context) -> StopEvent:
        for n in range(ev.get("to", 6)):
            ctx.write_event_to_stream(Item(n=n))
            if n % 3 == 0:
                await anyio.lowlevel.checkpoint()
        return StopEvent(result="done")


@pytest.fixture
async def server() -> AsyncGenerator[httpx.AsyncClient]:
    server = WorkflowServer(sse_heartbeat_interval=0.05)
    server.add_workflow("count", Count())
    async with serving(server) as client:
        yield client


STYLES = pytest.mark.parametrize(
    ("style", "clean"),
    [
        (after_each_event, False),
        (after_each_event, True),
        (in_the_middle_of_frames, False),
        (in_the_middle_of_frames, True),
    ],
    ids=["events", "events, clean", "frames", "frames, clean"],
)


async def started(server: httpx.AsyncClient) -> str:
    return str((await server.post("/workflows/count/run-nowait", json={})).json()["handler_id"])


@STYLES
@pytest.mark.parametrize("internal", [False, True])
async def test_the_stitched_stream_is_the_log(
    server: httpx.AsyncClient, style: Style, clean: bool, internal: bool
) -> None:
    handler = await started(server)
    async with cutting_proxy(str(server.base_url), style, clean=clean) as proxy:
        client = WorkflowClient(base_url=proxy.url)
        seen: list[Any] = []
        sequences: list[Any] = []
        with anyio.fail_after(30):
            async with client.events(handler, include_internal_events=internal, patience=SOON) as events:
                async for event in events:
                    seen.append(event.model_dump(exclude_unset=True))
                    sequences.append(events.last_sequence)
        assert proxy.connections > 2
    assert seen == await log_of(server, handler, **({"include_internal": "true"} if internal else {}))
    assert sequences == sorted(set(sequences))
    assert [event["value"]["n"] for event in seen if event["type"] == "Item"] == list(range(6))


@STYLES
async def test_the_stream_of_the_documented_client_is_the_log(
    server: httpx.AsyncClient, style: Style, clean: bool
) -> None:
    handler = await started(server)
    async with cutting_proxy(str(server.base_url), style, clean=clean) as proxy:
        stream = WorkflowClient(base_url=proxy.url).get_workflow_events(handler)
        with anyio.fail_after(30):
            seen = [event.model_dump(exclude_unset=True) async for event in stream]
    assert seen == await log_of(server, handler)


@STYLES
async def test_the_stitched_stream_of_the_plain_client_is_the_log(
    server: httpx.AsyncClient, style: Style, clean: bool
) -> None:
    handler = await started(server)

    def read(url: str) -> list[Any]:
        with WorkflowClient.sync(base_url=url).events(handler, patience=SOON) as events:
            return [event.model_dump(exclude_unset=True) for event in events]

    async with cutting_proxy(str(server.base_url), style, clean=clean) as proxy:
        with anyio.fail_after(30):
            seen = await anyio.to_thread.run_sync(read, proxy.url)
    assert seen == await log_of(server, handler)


async def test_by_hand_with_last_event_id(server: httpx.AsyncClient) -> None:
    """What any client does: name the last id that was complete, until the server says 204."""
    handler = await started(server)
    seen: list[Any] = []
    last: str | None = None
    async with cutting_proxy(str(server.base_url), in_the_middle_of_frames) as proxy:
        while True:
            body = b""
            headers = {} if last is None else {"Last-Event-ID": last}
            async with httpx.AsyncClient(timeout=20, verify=False) as client:
                target = f"{proxy.url}/events/{handler}?after_sequence=-1"
                async with client.stream("GET", target, headers=headers) as got:
                    if got.status_code == 204:
                        break
                    try:
                        async for data in got.aiter_bytes():
                            body += data
                    except httpx.RemoteProtocolError:
                        pass
            for id, text in re.findall(r"id: (\d+)\ndata: (.*)\n\n", body.decode(errors="replace")):
                last = id
                seen.append(json.loads(text))
    assert seen == await log_of(server, handler)


class Gated(Workflow):
    gate: anyio.Event

    @step
    async def hold(self, ev: StartEvent, ctx: Context) -> StopEvent:
        ctx.write_event_to_stream(Item(n=0))
        await self.gate.wait()
        ctx.write_event_to_stream(Item(n=1))
        return StopEvent()


async def test_who_follows_from_now_on_misses_nothing_when_the_first_connection_breaks() -> None:
    """The server tells where "now" was, so the second connection begins there and not at a later now."""
    workflow = Gated(timeout=None)
    workflow.gate = anyio.Event()
    server = WorkflowServer()
    server.add_workflow("gated", workflow)

    def after_the_cursor(connection: int, body: bytes) -> int | None:
        if connection > 1 or b"id: 1\n\n" not in body:
            return None
        workflow.gate.set()
        return len(body)

    async with serving(server) as direct, cutting_proxy(str(direct.base_url), after_the_cursor) as proxy:
        await direct.post("/workflows/gated/run-nowait", json={"handler_id": "h"})
        async with WorkflowClient(base_url=str(direct.base_url)).events("h") as events:
            async for event in events:
                assert event.type == "Item"
                break
        patience = Patience(first=0.2, longest=0.2)
        seen: list[str] = []
        with anyio.fail_after(20):
            async with WorkflowClient(base_url=proxy.url).events(
                "h", after_sequence="now", patience=patience
            ) as events:
                seen += [event.type async for event in events]
        assert seen == ["Item", "StopEvent"]
        assert proxy.asked == ["now", "1"]
