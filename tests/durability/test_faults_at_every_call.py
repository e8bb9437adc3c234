"""A fault at every call of the store in turn: it fails once, is out for a while or until the process ends, does it but
says it failed, is slow.

A script of clients and two processes (the first is stopped in the middle of everything) is played once to count the
calls, and then once for each call and each kind of fault. Clients speak HTTP and note what they are told; whatever they
were told must be there in the end, once, and every run finishes.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from itertools import product
from typing import Any, get_args

import anyio
import httpx
import pytest

from tests_support.durable_workflows import Fails, Lists, played
from tests_support.faulty_store import Fault, FaultyStore, Kind
from workflow_server import Context, Workflow, WorkflowServer, step
from workflow_server.errors import StoreUnavailable
from workflow_server.events import Event, HumanResponseEvent, InputRequiredEvent, StartEvent, StopEvent
from workflow_server.testing.durable_store import DurableStore

pytestmark = [pytest.mark.virtual_time, pytest.mark.usefixtures("virtual_clock")]

written: list[int] = []
"""What `Edits` has written to its state, as far as the writes returned."""


class Job(Event):
    n: int


class Done(Event):
    n: int


class Ask(InputRequiredEvent):
    n: int


class Reply(HumanResponseEvent):
    n: int


class Chain(Workflow):
    @step
    async def begin(self, ev: StartEvent) -> Job:
        return Job(n=1)

    @step
    async def middle(self, ev: Job, ctx: Context) -> Job | Done:
        ctx.write_event_to_stream(Done(n=100 + ev.n))
        await anyio.sleep(1)
        return Job(n=ev.n + 1) if ev.n < 3 else Done(n=ev.n)

    @step
    async def end(self, ev: Done) -> StopEvent:
        return StopEvent(result=ev.n)


class Talks(Workflow):
    @step
    async def go(self, ev: StartEvent, ctx: Context) -> StopEvent:
        first = await ctx.wait_for_event(Reply, waiter_event=Ask(n=1), requirements={"n": 1})
        ctx.write_event_to_stream(Done(n=1))
        await anyio.sleep(2)
        second = await ctx.wait_for_event(Reply, waiter_event=Ask(n=2), requirements={"n": 2})
        return StopEvent(result=[first.n, second.n])


class Edits(Workflow):
    @step
    async def go(self, ev: StartEvent, ctx: Context) -> StopEvent:
        for n in range(await ctx.store.get("done", default=0) + 1, 5):
            ctx.write_event_to_stream(Job(n=n))
            async with ctx.store.edit_state() as state:
                state.done = n
            written.append(n)
            await anyio.sleep(1)
        return StopEvent(result=await ctx.store.get("done"))


class Fan(Workflow):
    @step
    async def begin(self, ev: StartEvent, ctx: Context) -> Job | None:
        for n in range(3):
            ctx.send_event(Job(n=n))

    @step(num_workers=2)
    async def work(self, ev: Job) -> Done:
        await anyio.sleep(1.5)
        return Done(n=ev.n)

    @step
    async def gather(self, ev: Done, ctx: Context) -> StopEvent | None:
        found = ctx.collect_events(ev, [Done] * 3)
        return None if found is None else StopEvent(result=sorted(one.n for one in found))


class Counts(Workflow):
    @step
    async def read(self, ev: StartEvent, ctx: Context) -> Job:
        await anyio.sleep(0.8)
        return Job(n=await ctx.store.get("count", default=0) + 1)

    @step
    async def write(self, ev: Job, ctx: Context) -> StopEvent:
        await ctx.store.set("count", ev.n)
        return StopEvent(result=ev.n)


CASES: dict[str, tuple[type[Workflow], list[Any], float]] = {
    "chain": (Chain, [3], 2.6),
    "talks": (Talks, [[1, 2]], 2.6),
    "edits": (Edits, [4], 2.6),
    "fan": (Fan, [[0, 1, 2]], 2.6),
    "counts": (Counts, [1, 2], 1.4),
    "fails": (Fails, [["go", 3, "never"]], 2.6),
    "lists": (Lists, [[0, 10, 1021]], 1.4),
}
"""Workflows, with the results of a handler's runs, and when the first process is stopped: after so many seconds, in the
middle of something."""

BYSTANDER = "bystander"

WORKFLOWS = {name: workflow(timeout=None) for name, (workflow, *_) in CASES.items()}
WORKFLOWS[BYSTANDER] = Chain(timeout=None)


@dataclass
class Client:
    """Wants the runs of one handler done, however often it has to ask, and notes what it is told."""

    name: str
    """Of its workflow and of its handler."""
    results: list[Any]
    """What they should result in."""
    reads: bool = True
    """Whether it follows the events; else it looks now and then whether the run is over."""
    started: int = 0
    """Starts that were accepted."""
    stopping: bool = False
    """Whether the process is about to stop: it ends streams then."""
    unclear: bool = False
    """Whether a start was under way when the process stopped."""
    answered: set[int] = field(default_factory=set[int])
    """Questions whose answer was accepted."""
    told: list[Any] = field(default_factory=list[Any])
    """Events of the current run."""
    found: list[Any] = field(default_factory=list[Any])
    """Results of its runs."""

    @property
    def done(self) -> bool:
        return len(self.found) == len(self.results)

    async def live(self, http: httpx.AsyncClient, disk: DurableStore) -> None:
        """Do what is left to do, until it is done or the process stops."""
        self.stopping = False
        while not self.done:
            if self.started == len(self.found):
                await self._start(http)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._answer, http, disk)
                await (self._read(http) if self.reads else self._look(disk))
                tasks.cancel_scope.cancel()
            handler = (await ask(http, "GET", f"/handlers/{self.name}")).json()
            assert handler["status"] == "completed", handler
            self.found.append(handler["result"]["value"]["result"])

    async def _start(self, http: httpx.AsyncClient) -> None:
        unclear, self.unclear = self.unclear, True
        answer = await ask(http, "POST", f"/workflows/{self.name}/run-nowait", {"handler_id": self.name})
        assert answer.status_code == 200 or (unclear and answer.status_code == 409), answer.text
        self.unclear = False
        self.started += 1
        self.told = []

    async def _read(self, http: httpx.AsyncClient) -> None:
        while not self.told or self.told[-1]["type"] != "StopEvent":
            query = f"after_sequence={len(self.told) - 1}&sse=false&include_internal=true"
            answer = await ask(http, "GET", f"/events/{self.name}?{query}")
            assert answer.status_code == 200, answer.text
            self.told += [json.loads(line) for line in answer.text.splitlines()]
            if self.stopping:
                await anyio.sleep_forever()
            assert self.told[-1]["type"] == "StopEvent", "a stream ended before its run"

    async def _look(self, disk: DurableStore) -> None:
        while True:
            await anyio.sleep(0.5)
            record = await disk.handler(self.name)
            if record is not None and record.status != "running":
                return

    async def _answer(self, http: httpx.AsyncClient, disk: DurableStore) -> None:
        while True:
            await anyio.sleep(0.5)
            record = await disk.handler(self.name)
            assert record is not None
            asked = {
                json.loads(one.value)["n"] for one in await disk.events(record.run_id, -1, 999) if one.type == "Ask"
            }
            for n in asked - self.answered:
                event = {"event": {"type": "Reply", "value": {"n": n}}}
                answer = await ask(http, "POST", f"/events/{self.name}", event)
                assert answer.status_code == 200, answer.text
                self.answered.add(n)


async def ask(http: httpx.AsyncClient, method: str, path: str, body: Any = None) -> httpx.Response:
    """Ask until there is an answer: 503 says when to ask again. In a process that stops there is none."""
    while True:
        answer = await http.request(method, path, json=body)
        if answer.status_code < 500:
            return answer
        if "not running" in answer.text:
            await anyio.sleep_forever()
        assert (answer.status_code, answer.headers.get("retry-after")) == (503, "1"), answer.text
        await anyio.sleep(1)


async def play(name: str, fault: Fault | None) -> tuple[FaultyStore, Client, Client]:
    """Play the script: two clients, and two processes (more if one can't start)."""
    disk = DurableStore()
    store = FaultyStore(disk, fault)
    clients = Client(name, CASES[name][1]), Client(BYSTANDER, [3], reads=False)
    written.clear()
    for life in range(20):
        server = WorkflowServer(workflow_store=store, shutdown_grace=0, idle_timeout=1)
        for one in (name, BYSTANDER):
            server.add_workflow(one, WORKFLOWS[one], additional_events=[Reply])
        try:
            await server.start()
        except StoreUnavailable:
            await anyio.sleep(1)  # whoever runs the program sees why, and starts it again
            continue
        await live(server, disk, clients, CASES[name][2] if life == 0 else 100)
        if written:
            record = await disk.handler(name)
            assert record is not None
            assert int((await disk.state(record.run_id))["done"]) >= written[-1]
        if all(client.done for client in clients):
            return store, *clients
    raise AssertionError("they are never done")


async def live(server: WorkflowServer, disk: DurableStore, clients: tuple[Client, ...], seconds: float) -> None:
    """Let clients act for so long at most, then stop."""
    over = anyio.Event()

    async def act() -> None:
        async with anyio.create_task_group() as tasks:
            for client in clients:
                tasks.start_soon(client.live, http, disk)
        over.set()

    transport = httpx.ASGITransport(server.app)
    async with (
        httpx.AsyncClient(transport=transport, base_url="http://server") as http,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(act)
        with anyio.move_on_after(seconds):
            await over.wait()
        for client in clients:
            client.stopping = True
        await server.stop()
        tasks.cancel_scope.cancel()


async def said(store: FaultyStore, client: Client, where: str) -> list[tuple[str, str]]:
    """Check that what a client was told is stored, without gaps; return what the steps of its last run told."""
    assert client.found == client.results, where
    record = await store.disk.handler(client.name)
    assert record is not None, where
    events = await store.disk.events(record.run_id, -1, 9999)
    assert [event.sequence for event in events] == list(range(len(events))), where
    if client.reads:
        stored = [json.loads(event.value) for event in events]
        for value in stored:
            value.pop("_data", None)  # attempts and failures, which clients see only if they ask
        assert stored == [event["value"] for event in client.told], where
    assert not store.disk.parts[record.run_id], where
    return sorted((event.type, event.value) for event in events if not event.internal)


@pytest.mark.parametrize("name", list(CASES))
async def test_a_fault_at_any_call_loses_and_repeats_nothing(
    name: str, caplog: pytest.LogCaptureFixture, anyio_backend_name: str, long_form: bool
) -> None:
    """Each fault is played on one of the loops; in the long form, on both."""
    caplog.set_level("CRITICAL", "workflow_server")  # a store that fails is logged
    whole, *clients = await play(name, None)
    undisturbed = [await said(whole, client, "undisturbed") for client in clients]
    assert {"start", "commit", "load", "unfinished", "next_due", "handler", "events"} <= set(whole.calls)
    faults = [
        Fault(kind, number)
        for number, (place, kind) in product(range(len(whole.calls)), enumerate(get_args(Kind)))
        if long_form or (number + place) % 2 == (anyio_backend_name == "trio")
    ]
    for fault in faults:
        where = f"{fault}, {whole.calls[fault.at]}"
        with played(where), anyio.fail_after(1000):
            store, *clients = await play(name, fault)
        assert [await said(store, client, where) for client in clients] == undisturbed, where
