"""Crashes beyond those of `survive_crashes`, which `test_survive_crashes.py` puts the same workflows through.

After every second commit of process upon process, of runs that leave memory while they wait, and of a run whose
workflow the next process does not serve.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anyio
import pytest

from tests_support.durable_workflows import WORKFLOWS, answer_questions, make_server, result_of, said, told
from workflow_server import WorkflowServer
from workflow_server.api.commands import CancelHandler, GetHandler, SendEvent, StartRun
from workflow_server.api.outcomes import HandlerFound, Refused, RunAccepted
from workflow_server.testing.durable_store import DurableStore

pytestmark = [pytest.mark.virtual_time, pytest.mark.usefixtures("virtual_clock")]


async def run_from(store: DurableStore) -> DurableStore:
    """Go on from what a crash has left, to the end."""
    server = make_server(store)
    with anyio.fail_after(1000):
        async with server.running():
            await answer_questions(server, store)
    return store


async def first_run(name: str, on_commit: Callable[[DurableStore], None]) -> DurableStore:
    store = DurableStore()
    store.on_commit = lambda _number: on_commit(store)
    server = make_server(store)
    with anyio.fail_after(1000):
        async with server.running():
            assert isinstance(await server.execute(StartRun(name, handler_id="h")), RunAccepted)
            await answer_questions(server, store)
    return store


@pytest.mark.parametrize("name", ["chain", "fan", "progress", "talks", "lists", "few", "pairs", "asked", "overtaken"])
async def test_crash_upon_crash(name: str) -> None:
    """A process that dies after every second commit gets the run done all the same."""
    store = DurableStore()
    server = make_server(store)
    async with server.running():
        await server.execute(StartRun(name, handler_id="h"))
    for _ in range(200):
        record = await store.handler("h")
        assert record is not None
        if record.status != "running":
            break
        crashed: list[DurableStore] = []
        store.commits = 0

        def crash(number: int, living: DurableStore = store, left: list[DurableStore] = crashed) -> None:
            if number == 2:
                left.append(living.copy())

        store.on_commit = crash
        await run_from(store)
        if crashed:
            store = crashed[0]
            store.on_commit = None
    assert await result_of(store) == WORKFLOWS[name][1]


async def test_a_waiting_run_leaves_memory_and_comes_back() -> None:
    """After the idle time a waiting run is only on disk; an event, a timer and a cancel bring it back."""
    store = DurableStore()
    server = make_server(store, idle_timeout=5)
    async with server.running():
        await server.execute(StartRun("talks", handler_id="h"))
        await server.execute(StartRun("patient", handler_id="p"))
        await server.execute(StartRun("talks", handler_id="c"))
        await anyio.sleep(6)
        for handler_id in ("h", "p", "c"):
            record = await store.handler(handler_id)
            assert record is not None
            assert (record.status, record.phase) == ("running", "idle")
        await server.execute(CancelHandler("c"))
        cancelled = await server.execute(GetHandler("c"))
        assert isinstance(cancelled, HandlerFound)
        assert cancelled.handler.status == "cancelled"
        with anyio.fail_after(100):
            await answer_questions(server, store)
        assert await result_of(store) == [1, 2]
        assert said(await told(store)).count(("Ask", '{"n":1}')) == 1, "the question is not asked again"
        await anyio.sleep(30)
        patient = await server.execute(GetHandler("p"))
        assert isinstance(patient, HandlerFound)
        assert patient.handler.result is not None
        assert patient.handler.result.value == '{"result":"nobody"}'


class Leisurely(DurableStore):
    """Takes a second to look up runs that sleep."""

    async def unfinished(self, *args: Any, **options: Any) -> Any:
        found = await super().unfinished(*args, **options)
        await anyio.sleep(1)
        return found


async def test_a_timer_that_is_due_while_others_are_looked_up_rings() -> None:
    """The look that another run has caused by leaving memory did not see it, and what is due next comes later."""
    store = Leisurely()
    server = make_server(store, idle_timeout=5)
    async with server.running():
        await server.execute(StartRun("patient", handler_id="early"))
        await anyio.sleep(24.5)
        await server.execute(StartRun("patient", handler_id="late"))  # leaves memory half a second before the timer
        await anyio.sleep(12)
        assert await result_of(store, "early") == "nobody"


@pytest.mark.parametrize("name", ["talks", "asked"])
async def test_a_crash_of_a_run_that_leaves_memory_at_every_question(name: str) -> None:
    """Released before each answer, and killed after each commit besides: streams and waits are as they were."""
    survivors: list[DurableStore] = []
    store = DurableStore()
    store.on_commit = lambda _number: survivors.append(store.copy())
    server = make_server(store, idle_timeout=1)
    async with server.running():
        await server.execute(StartRun(name, handler_id="h"))
        await answer_when_released(server, store)
    whole = said(await told(store))
    for survivor in survivors:
        again = make_server(survivor, idle_timeout=1)
        async with again.running():
            await answer_when_released(again, survivor)
        assert await result_of(survivor) == WORKFLOWS[name][1]
        assert sorted(said(await told(survivor))) == sorted(whole)


async def answer_when_released(server: WorkflowServer, store: DurableStore) -> None:
    """Answer each question after the run has had the time to leave memory, if it was there at all."""
    with anyio.fail_after(1000):
        while (record := await store.handler("h")) is not None and record.status == "running":
            await anyio.sleep(2)
            asked = sum(event.type == "Ask" for event in await told(store))
            await server.execute(SendEvent("h", {"type": "Reply", "value": {"n": asked}}))


async def test_a_run_whose_workflow_is_gone_is_blocked_and_mended() -> None:
    """A deploy that forgot a workflow blocks its runs with the reason; the next one that has it goes on."""
    survivors: list[DurableStore] = []
    await first_run("chain", lambda store: survivors.append(store.copy()))
    survivor = survivors[2]
    forgetful = WorkflowServer(workflow_store=survivor)
    async with forgetful.running():
        await anyio.sleep(1)
        record = await survivor.handler("h")
        assert record is not None
        assert (record.status, record.phase) == ("running", "blocked")
        assert record.error == "no workflow is served as 'chain'"
        refused = await forgetful.execute(SendEvent("h", {"type": "Reply", "value": {}}))
        assert isinstance(refused, Refused)
        assert "chain" in refused.detail
    await run_from(survivor)
    record = await survivor.handler("h")
    assert record is not None
    assert (record.status, record.error) == ("completed", None)
