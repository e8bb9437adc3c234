"""What every store must do, as tests; needs pytest.

The author of a store writes one module, with one fixture:

    from workflow_server.testing.durable_store_contract import DurableStoreContract

    @pytest.fixture
    async def store():
        store = MyStore(...)  # empty; keeps at least a hundred handlers
        await store.start()
        yield store
        await store.close()

    class TestMyStore(DurableStoreContract):
        pass

A store that forgets at exit (`keeps_parts = False`) takes `StoreContract`. The tests are asynchronous and run with
anyio's pytest plugin on every loop that its fixture `anyio_backend` names. To have pytest explain what failed, name
these modules to `pytest.register_assert_rewrite` in `conftest.py`.
"""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from workflow_server.events import StopEvent
from workflow_server.stores.base import AbstractWorkflowStore, Batch, HandlerQuery, Verdict
from workflow_server.testing.batches import event, first, ids, next_of, put, record
from workflow_server.testing.key_contract import KeyContract
from workflow_server.testing.listing_contract import ListingContract
from workflow_server.wire.persistent import PersistentHandler
from workflow_server.wire.records import EventRecord


class StoreContract(KeyContract, ListingContract):
    """What holds for every store; `store` is a started, empty one that keeps at least a hundred handlers."""

    # Committing

    async def test_what_is_committed_can_be_read(self, store: AbstractWorkflowStore) -> None:
        batch = first()
        await put(store, batch)
        assert await store.handler("h") == batch.handler
        assert await store.run("r") == batch.handler
        assert await store.events("r", -1, 10) == [event(0), event(1)]
        assert await store.next_sequence("r") == 2
        assert dict(await store.state("r")) == {"a": "1", "b": "2"}

    async def test_what_is_unknown(self, store: AbstractWorkflowStore) -> None:
        assert await store.handler("nope") is None
        assert await store.run("nope") is None
        assert await store.events("nope", -1, 10) == []
        assert await store.next_sequence("nope") == 0
        assert dict(await store.state("nope")) == {}
        assert await store.delete("nope") is False
        assert await store.start_event("nope") is None
        assert await store.events_of_item("nope", 1, 0) == []
        assert await store.load("nope") is None

    async def test_the_next_batch_adds_events_and_changes_state(self, store: AbstractWorkflowStore) -> None:
        batch = first()
        later = next_of(batch, event(2), state={"a": None, "b": "3", "c": "4"}, phase="waiting", updated_at=2000.0)
        await put(store, batch, later)
        assert await store.handler("h") == later.handler
        assert await store.events("r", -1, 10) == [event(0), event(1), event(2)]
        assert dict(await store.state("r")) == {"b": "3", "c": "4"}

    async def test_the_end_of_a_run(self, store: AbstractWorkflowStore) -> None:
        batch = first()
        stop = EventRecord(2, 1002.0, "StopEvent", "workflows.events.StopEvent", (), '{"result": 3}')
        end = next_of(batch, stop, status="completed", phase="done", completed_at=1002.0, result=stop)
        await put(store, batch, end)
        assert await store.handler("h") == end.handler

    async def test_an_error_is_kept(self, store: AbstractWorkflowStore) -> None:
        batch = first()
        await put(store, batch, next_of(batch, status="failed", phase="done", error="no", completed_at=1001.0))
        kept = await store.handler("h")
        assert kept is not None
        assert (kept.status, kept.error) == ("failed", "no")

    async def test_no_batch_is_written_twice_or_out_of_turn(self, store: AbstractWorkflowStore) -> None:
        batch = first()
        second = next_of(batch, event(2))
        third = next_of(second, event(3))
        await put(store, batch, second)
        for wrong in (batch, second, next_of(third, event(4))):
            assert await store.commit([wrong]) == [Verdict.STALE]
        assert await store.next_sequence("r") == 3
        assert len(await store.events("r", -1, 10)) == 3

    async def test_a_batch_of_an_unknown_run_is_stale(self, store: AbstractWorkflowStore) -> None:
        assert await store.commit([next_of(first())]) == [Verdict.STALE]
        assert await store.handler("h") is None

    async def test_one_of_many_starts_of_a_handler_succeeds(self, store: AbstractWorkflowStore) -> None:
        starts = [first("h", f"r{n}") for n in range(5)]
        assert sorted(verdict.value for verdict in await store.commit(starts)) == ["conflict"] * 4 + ["done"]
        assert await store.commit([first("h", "late")]) == [Verdict.CONFLICT]
        assert await store.run("late") is None
        assert await store.events("late", -1, 10) == []

    async def test_each_batch_of_a_group_is_judged_by_itself(self, store: AbstractWorkflowStore) -> None:
        taken = first("taken", "old")
        await put(store, taken)
        group = [first("a", "ra"), first("taken", "new"), next_of(first("b", "rb")), first("c", "rc")]
        assert await store.commit(group) == [Verdict.DONE, Verdict.CONFLICT, Verdict.STALE, Verdict.DONE]
        assert await ids(store) == ["taken", "a", "c"]

    async def test_a_group_may_hold_one_run_in_order(self, store: AbstractWorkflowStore) -> None:
        batch = first()
        later = next_of(batch, event(2))
        assert await store.commit([batch, later]) == [Verdict.DONE, Verdict.DONE]
        assert await store.next_sequence("r") == 3

    async def test_a_refused_batch_writes_nothing(self, store: AbstractWorkflowStore) -> None:
        batch = first()
        second = next_of(batch, event(2))
        await put(store, batch, second)
        wrong = next_of(batch, event(2), event(3), state={"a": "9", "z": "9"}, status="failed", phase="done", error="x")
        assert await store.commit([first("o", "ro"), wrong]) == [Verdict.DONE, Verdict.STALE]
        assert await store.handler("h") == second.handler
        assert dict(await store.state("r")) == {"a": "1", "b": "2"}
        assert await store.next_sequence("r") == 3
        assert await store.commit([]) == []

    # A handler and its runs

    async def test_a_finished_handler_may_run_again_and_keeps_its_place(self, store: AbstractWorkflowStore) -> None:
        old = first("h", "r1")
        await put(store, old, next_of(old, status="completed", phase="done"), first("other", "ro"))
        again = Batch(record("h", "r2", started_at=3000.0), 1, 1, (event(0, "Again"),))
        await put(store, again)
        assert await store.handler("h") == again.handler
        assert (await store.run("r1")) is not None
        assert [one.type for one in await store.events("r2", -1, 10)] == ["Again"]
        assert [one.type for one in await store.events("r1", -1, 10)] == ["Job", "Job"]
        assert dict(await store.state("r2")) == {}
        assert await ids(store) == ["h", "other"]

    async def test_deleting_removes_all_runs_with_all_they_have(self, store: AbstractWorkflowStore) -> None:
        old = first("h", "r1")
        await put(store, old, next_of(old, status="completed", phase="done"), first("h", "r2"), first("other", "ro"))
        assert await store.delete("h") is True
        for run in ("r1", "r2"):
            assert await store.run(run) is None
            assert await store.events(run, -1, 10) == []
            assert dict(await store.state(run)) == {}
        assert await ids(store) == ["other"]
        assert await store.delete("h") is False

    async def test_a_deleted_run_does_not_come_back(self, store: AbstractWorkflowStore) -> None:
        batch = first()
        await put(store, batch)
        await store.delete("h")
        assert await store.commit([next_of(batch, event(2))]) == [Verdict.STALE]
        assert await store.handler("h") is None
        await put(store, first("h", "anew"))

    # Reading events

    @pytest.mark.parametrize(
        ("after", "limit", "expected"),
        [(-1, 10, [0, 1, 2, 3, 4]), (-7, 2, [0, 1]), (1, 2, [2, 3]), (3, 10, [4]), (4, 10, []), (99, 10, [])],
    )
    async def test_pages_of_events(
        self, store: AbstractWorkflowStore, after: int, limit: int, expected: list[int]
    ) -> None:
        batch = first()
        await put(store, batch, next_of(batch, event(2), event(3), event(4)))
        assert [one.sequence for one in await store.events("r", after, limit)] == expected

    async def test_the_start_event_is_kept_and_not_published(self, store: AbstractWorkflowStore) -> None:
        await put(store, first())
        assert await store.start_event("r") == event(-1, "Start")
        assert [one.sequence for one in await store.events("r", -5, 10)] == [0, 1]
        assert [one.sequence for one in await store.events_of_item("r", 1, -5)] == []

    async def test_events_that_one_work_item_published(self, store: AbstractWorkflowStore) -> None:
        batch = first()
        second = next_of(batch, event(2, item=1), event(3, item=2), event(4, item=1))
        await put(store, batch, second, next_of(second, event(5, item=1), event(6)))
        assert await store.events_of_item("r", 1, 0) == [event(2, item=1), event(4, item=1), event(5, item=1)]
        assert [one.sequence for one in await store.events_of_item("r", 1, 4)] == [4, 5]
        assert [one.sequence for one in await store.events_of_item("r", 2, 0)] == [3]
        assert await store.events_of_item("r", 3, 0) == []

    # Listing; more in `listing_contract`

    async def test_programs_may_query(self, store: AbstractWorkflowStore) -> None:
        stop = EventRecord(2, 1002.0, "StopEvent", "workflows.events.StopEvent", (), '{"result": [3]}')
        batch = first("a", "ra")
        await put(
            store,
            batch,
            next_of(batch, stop, status="completed", phase="done", completed_at=1002.0, result=stop),
            first("b", "rb", phase="idle"),
        )
        done, idle = await store.query(HandlerQuery())
        assert isinstance(done, PersistentHandler)
        assert isinstance(done.result, StopEvent)
        assert done.result.result == [3]
        assert done.completed_at == datetime.fromtimestamp(1002, UTC)
        assert done.idle_since is None
        assert (idle.handler_id, idle.status, idle.result, idle.completed_at) == ("b", "running", None, None)
        assert idle.idle_since == datetime.fromtimestamp(1000, UTC)
        assert await store.query(HandlerQuery(status_in=[])) == []
