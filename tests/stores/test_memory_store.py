"""The memory store: the contract, and what it forgets."""

from __future__ import annotations

from collections.abc import AsyncIterator

import anyio
import anyio.lowlevel
import pytest

from workflow_server.events import StopEvent
from workflow_server.stores.base import HandlerQuery, Verdict
from workflow_server.stores.memory import LOOK, MemoryWorkflowStore
from workflow_server.testing.batches import finished, first, ids, listed, next_of, put
from workflow_server.testing.store_contract import StoreContract
from workflow_server.wire.persistent import PersistentHandler


@pytest.fixture
async def store() -> AsyncIterator[MemoryWorkflowStore]:
    made = MemoryWorkflowStore()
    await made.start()
    yield made
    await made.close()


class TestMemoryStore(StoreContract):
    """Keeps the contract."""


async def finish(store: MemoryWorkflowStore, name: str) -> None:
    batch = first(name, f"r-{name}")
    await put(store, batch, next_of(batch, status="completed", phase="done"))


async def test_the_oldest_finished_handlers_are_forgotten_beyond_the_limit() -> None:
    store = MemoryWorkflowStore(max_completed=2)
    await put(store, first("alive", "r-alive"))
    for name in "abcd":
        await finish(store, name)
    assert await ids(store) == ["alive", "c", "d"]
    assert await store.run("r-a") is None


async def test_a_handler_that_runs_again_is_not_forgotten() -> None:
    store = MemoryWorkflowStore(max_completed=1)
    await finish(store, "a")
    await put(store, first("a", "again"))
    await finish(store, "b")
    await finish(store, "c")
    assert await ids(store) == ["a", "c"]


async def test_finished_handlers_may_be_forgotten_at_once_or_never() -> None:
    none, all_of_them = MemoryWorkflowStore(max_completed=0), MemoryWorkflowStore(max_completed=None)
    for n in range(3):
        await finish(none, f"h{n}")
        await finish(all_of_them, f"h{n}")
    assert await ids(none) == []
    assert len(await ids(all_of_them)) == 3


async def test_earlier_runs_of_a_handler_that_runs_on_and_on_are_bounded() -> None:
    """As many as finished handlers are kept, over all handlers; those followed first vanish first."""
    store = MemoryWorkflowStore(max_completed=2)
    for n in range(5):
        for name in "ab":
            batch = first(name, f"{name}{n}")
            await put(store, batch, finished(batch))
    kept = [run for n in range(5) for run in (f"a{n}", f"b{n}") if await store.run(run) is not None]
    assert kept == ["a3", "b3", "a4", "b4"]
    assert [await store.events(run, -1, 9) == [] for run in ("a2", "a3")] == [True, False]
    await put(store, first("c", "rc"), first("a", "a5"))
    assert await store.run("a3") is None
    assert await store.delete("a") is True
    assert await listed(store) == ["b", "c"]
    assert [await store.run(run) for run in ("a4", "a5")] == [None, None]
    assert await store.run("b3") is not None


async def test_a_long_listing_lets_others_run() -> None:
    store = MemoryWorkflowStore(max_completed=None)
    store.commit_now([first(f"h{n}", f"r{n}") for n in range(3 * LOOK)])
    turns, over = 0, False

    async def others() -> None:
        nonlocal turns
        while not over:
            turns += 1
            await anyio.lowlevel.checkpoint()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(others)
        for newest_first in (False, True):
            assert await store.handlers(HandlerQuery(phase_in=["idle"]), None, 9, newest_first=newest_first) == (
                [],
                None,
            )
        over = True
    assert turns >= 5


def test_a_negative_limit_is_refused() -> None:
    with pytest.raises(ValueError, match="max_completed must be at least 0 or None, not -1"):
        MemoryWorkflowStore(max_completed=-1)


def test_it_commits_at_once() -> None:
    store = MemoryWorkflowStore()
    assert store.commit_now([first()]) == [Verdict.DONE]
    assert store.keeps_parts is False


@pytest.mark.parametrize("given", [3, [1], "text", {"a": 1}])
def test_any_value_as_the_result_of_a_handler(given: object) -> None:
    handler = PersistentHandler(handler_id="h", workflow_name="w", status="completed", result=given)
    assert isinstance(handler.result, StopEvent)
    assert handler.result.result == given


def test_a_handler_survives_its_dump() -> None:
    handler = PersistentHandler(handler_id="h", workflow_name="w", status="completed", result=StopEvent(result=[1]))
    again = PersistentHandler.model_validate_json(handler.model_dump_json())
    assert again.result.result == [1]
    assert PersistentHandler(handler_id="h", workflow_name="w", status="running").model_dump()["result"] is None
    tagged = {"__is_pydantic": True, "value": {"n": 1}, "qualified_name": "workflows.events.Event"}
    other = PersistentHandler(handler_id="h", workflow_name="w", status="completed", result=tagged)
    assert other.result.result.n == 1
