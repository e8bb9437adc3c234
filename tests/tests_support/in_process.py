"""A server and an HTTP client in the test's own loop, joined by a real socket."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import httpx

from workflow_server import WorkflowServer


@asynccontextmanager
async def serving(server: WorkflowServer, port: int = 0) -> AsyncGenerator[httpx.AsyncClient]:
    """Serve on the loopback, by default on a free port, for the length of the block; yield a client for it."""
    listening = anyio.Event()
    found: list[str] = []

    def note(urls: tuple[str, ...]) -> None:
        found.extend(urls)
        listening.set()

    async def serve() -> None:
        await server.serve(host="127.0.0.1", port=port, on_listening=note)

    with anyio.fail_after(30):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(serve)
            await listening.wait()
            # Nothing is encrypted here, and reading all the certificates of the world takes longer than most tests.
            async with httpx.AsyncClient(base_url=found[0], timeout=20, verify=False) as client:
                yield client
            tasks.cancel_scope.cancel()


async def finished(client: httpx.AsyncClient, handler_id: str) -> Any:
    """Follow the events of a handler to their end, then return it."""
    await events(client, handler_id)
    return (await client.get(f"/handlers/{handler_id}")).json()


async def events(client: httpx.AsyncClient, handler_id: str, **query: Any) -> list[Any]:
    """Read the stream of a handler from its beginning (unless told otherwise) to its end."""
    parameters = {"after_sequence": -1, "sse": "false", **query}
    answer = await client.get(f"/events/{handler_id}", params=parameters)
    assert answer.status_code in (200, 204), answer.text
    return [json.loads(line) for line in answer.text.splitlines()]


class Stream:
    """An open NDJSON stream, read event by event."""

    def __init__(self, lines: Any) -> None:
        self._lines = lines

    async def next(self) -> Any:
        """Return the next event."""
        return json.loads(await anext(self._lines))

    async def until(self, type_name: str) -> Any:
        """Skip to the next event of this type, and return it."""
        while (event := await self.next())["type"] != type_name:
            pass
        return event


@asynccontextmanager
async def streaming(client: httpx.AsyncClient, handler_id: str, **query: Any) -> AsyncGenerator[Stream]:
    """Open the stream of a handler, from its beginning unless told otherwise; leave it only when the run is over."""
    parameters = {"after_sequence": -1, "sse": "false", **query}
    async with client.stream("GET", f"/events/{handler_id}", params=parameters) as answer:
        assert answer.status_code == 200
        lines = answer.aiter_lines()
        yield Stream(lines)
        # httpx nests generators that trio complains about when they are left in the middle.
        async for _ in lines:
            pass
