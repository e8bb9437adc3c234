"""What a store must do from which runs go on after a restart: more tests, on top of `store_contract`."""

from __future__ import annotations

from dataclasses import replace

import anyio
import pytest

from workflow_server.stores.base import AbstractWorkflowStore, Batch, FirstBatch, StoredRun, UnfinishedRun, Verdict
from workflow_server.testing.batches import SHAPE, all_unfinished, event, finished, first, next_of, put, record
from workflow_server.testing.store_contract import StoreContract
from workflow_server.wire.records import EventRecord

AWKWARD: tuple[str, ...] = (
    "plain",
    "",
    "with space",
    'a "quoted" one',
    "back\\slash",
    "line\nbreak and \ttab",
    "a/b.c[0]$.x",
    "é 漢 🎈",
    "null",
    "0",
    "x" * 500,
)
"""Keys that a careless encoding changes."""

BODIES: tuple[str, ...] = (
    "null",
    "1",
    '"text"',
    r'"\u0000 \ud83c\udf88 \" \\ \n"',
    '{"é": ["漢", "🎈"], "n": 1e300}',
    f'"{"long " * 50_000}"',
)
"""JSON texts; each must come back as it was, letter by letter."""


class DurableStoreContract(StoreContract):
    """What holds for stores with `keeps_parts = True`, beside all that holds for every store."""

    async def loaded(self, store: AbstractWorkflowStore, run_id: str = "r") -> StoredRun:
        """Return what is stored of a run that must be there."""
        run = await store.load(run_id)
        assert run is not None
        return run

    # Loading

    async def test_a_run_is_loaded_as_it_was_written(self, store: AbstractWorkflowStore) -> None:
        assert store.keeps_parts is True
        batch = replace(first(), parts={"work/1": '{"n": 1}', "work/2": "{}"}, head='{"items": 2}', alive=0.5, due=7.25)
        await put(store, batch)
        assert await self.loaded(store) == StoredRun(
            record=batch.handler,
            version=1,
            next_sequence=2,
            head='{"items": 2}',
            parts={"work/1": '{"n": 1}', "work/2": "{}"},
            state={"a": "1", "b": "2"},
            alive=0.5,
            start=event(-1, "Start"),
            shape=SHAPE,
        )

    async def test_later_batches_change_what_is_loaded(self, store: AbstractWorkflowStore) -> None:
        batch = replace(first(), parts={"a": "1", "b": "2", "c": "3"})
        changes: dict[str, str | None] = {"a": None, "b": "22", "d": "4", "never": None}
        later = next_of(batch, event(2), parts=changes, state={"a": None, "c": "3"}, phase="waiting", updated_at=2000.5)
        await put(store, batch, replace(later, head='{"n": 2}', alive=12.75))
        run = await self.loaded(store)
        assert dict(run.parts) == {"b": "22", "c": "3", "d": "4"}
        assert dict(run.state) == {"b": "2", "c": "3"}
        assert (run.version, run.next_sequence, run.head, run.alive) == (2, 3, '{"n": 2}', 12.75)
        assert run.record == later.handler
        assert (run.start, run.shape) == (event(-1, "Start"), SHAPE)

    async def test_keys_and_bodies_come_back_letter_by_letter(self, store: AbstractWorkflowStore) -> None:
        pairs = dict(zip(AWKWARD, BODIES * 2, strict=False))
        start = EventRecord(-1, 1.0, "Stärt", "m.Stärt", ("Bäse", 'B"'), BODIES[3], None)
        event_ = EventRecord(0, 1.0, "Jöb", "m.Jöb", ('"', "\\"), BODIES[4], 3)
        row = record("h é", "r 漢", workflow_name='w "🎈"', error='it said "no"\n')
        batch = Batch(row, 1, 1, (event_,), dict(pairs), dict(pairs), BODIES[4], first=FirstBatch(start, BODIES[3]))
        await put(store, batch)
        run = await self.loaded(store, "r 漢")
        assert dict(run.parts) == pairs
        assert dict(run.state) == pairs
        assert (run.record, run.start, run.head, run.shape) == (row, start, BODIES[4], BODIES[3])
        assert await store.events("r 漢", -1, 9) == [event_]
        await put(store, replace(next_of(batch), handler=row, parts=dict.fromkeys(AWKWARD)))
        assert dict((await self.loaded(store, "r 漢")).parts) == {}

    @pytest.mark.parametrize("at", [1733000000.1234567, 1e9 + 1 / 3, 0.0, 1792345678.0000002, 4102444800.1])
    async def test_times_come_back_exactly(self, store: AbstractWorkflowStore, at: float) -> None:
        batch = first(started_at=at, updated_at=at, completed_at=at)
        told = replace(event(2), timestamp=at)
        later = replace(next_of(batch, told, started_at=at, updated_at=at, completed_at=at), alive=at, due=at)
        await put(store, batch, later)
        assert (await self.loaded(store)).record == later.handler
        assert (await self.loaded(store)).alive == at
        assert await store.events("r", 1, 9) == [told]

    async def test_runs_of_one_shape_and_of_another(self, store: AbstractWorkflowStore) -> None:
        await put(store, first("a", "ra"), first("b", "rb", shape='{"steps": []}'), first("c", "rc"))
        found = [(await self.loaded(store, run)).shape for run in ("ra", "rb", "rc")]
        assert found == [SHAPE, '{"steps": []}', SHAPE]

    async def test_each_run_of_a_handler_is_loaded_by_itself(self, store: AbstractWorkflowStore) -> None:
        old = replace(first("h", "r1"), parts={"a": "1"})
        await put(store, old, finished(old), replace(first("h", "r2"), parts={"a": "2"}, state={}))
        run = await self.loaded(store, "r2")
        assert (dict(run.parts), dict(run.state)) == ({"a": "2"}, {})

    async def test_nothing_of_a_deleted_run_is_left(self, store: AbstractWorkflowStore) -> None:
        batch = replace(first(phase="waiting"), parts={"a": "1"}, due=5.0)
        await put(store, batch)
        assert await store.delete("h") is True
        assert await store.load("r") is None
        assert await store.start_event("r") is None
        assert await all_unfinished(store, asleep=True) == []
        assert await store.next_due(0.0) is None
        assert await store.commit([next_of(batch, event(2), parts={"b": "1"})]) == [Verdict.STALE]
        assert await store.load("r") is None
        await put(store, replace(first(), state={}))
        assert (dict((await self.loaded(store)).parts), dict((await self.loaded(store)).state)) == ({}, {})

    async def test_loading_sees_one_moment(self, store: AbstractWorkflowStore) -> None:
        """A commit that comes between two looks of `load` isn't half in what it returns."""
        batch = replace(first(), parts={"v": "1"}, state={"v": "1"}, head="1")
        await put(store, batch)
        done = False

        async def commit_on() -> None:
            nonlocal batch, done
            for version in range(2, 60):
                value = {"v": str(version)}
                batch = replace(next_of(batch, event(version), parts={**value}, state={**value}), head=str(version))
                await put(store, batch)
            done = True

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(commit_on)
            while not done:
                run = await self.loaded(store)
                assert {run.parts["v"], run.state["v"], run.head} == {str(run.version)}

    # Committing

    async def test_a_batch_that_is_repeated_is_done_and_written_once(self, store: AbstractWorkflowStore) -> None:
        """The answer to a commit may get lost."""
        batch = replace(first(), write_id="one", parts={"a": "1"})
        assert [await store.commit([batch]) for _ in range(3)] == [[Verdict.DONE]] * 3
        later = next_of(batch, event(2), parts={"a": "2"}, write_id="two")
        group = [first("o", "ro"), later]
        assert await store.commit([later]) == [Verdict.DONE]
        assert await store.commit(group) == [Verdict.DONE, Verdict.DONE]
        assert len(await store.events("r", -1, 9)) == 3
        assert (await self.loaded(store)).version == 2

    async def test_another_batch_of_the_same_version_is_stale(self, store: AbstractWorkflowStore) -> None:
        batch = replace(first(), write_id="one")
        assert await store.commit([batch]) == [Verdict.DONE]
        assert await store.commit([replace(batch, write_id="other")]) == [Verdict.STALE]
        later = next_of(batch, event(2), parts={"a": "mine"}, write_id="two")
        assert await store.commit([later]) == [Verdict.DONE]
        theirs = next_of(batch, event(2), event(3), parts={"a": "theirs", "b": "1"}, write_id="three")
        assert await store.commit([theirs]) == [Verdict.STALE]
        assert dict((await self.loaded(store)).parts) == {"a": "mine"}

    async def test_a_repeated_end_is_done_though_the_handler_runs_again(self, store: AbstractWorkflowStore) -> None:
        batch = first("h", "r1")
        end = replace(finished(batch), write_id="end")
        await put(store, batch, end, first("h", "r2"))
        assert await store.commit([end]) == [Verdict.DONE]
        current = await store.handler("h")
        assert current is not None
        assert current.run_id == "r2"

    async def test_commits_at_the_same_time(self, store: AbstractWorkflowStore) -> None:
        async def work(name: str) -> None:
            batch = first(name, f"r-{name}")
            await put(store, batch)
            for n in range(2, 12):
                batch = next_of(batch, event(n), parts={"n": str(n)})
                await put(store, batch)

        async with anyio.create_task_group() as tasks:
            for n in range(10):
                tasks.start_soon(work, f"h{n}")
        for n in range(10):
            run = await self.loaded(store, f"r-h{n}")
            assert (run.version, dict(run.parts), run.next_sequence) == (11, {"n": "11"}, 12)
            assert [one.sequence for one in await store.events(f"r-h{n}", -1, 99)] == list(range(12))

    # Runs that are not over

    async def test_runs_asleep_and_awake_in_the_order_of_starting(self, store: AbstractWorkflowStore) -> None:
        phases = ["waiting", "running", "idle", "queued", "waiting", "blocked", "idle"]
        for n, phase in enumerate(phases):
            await put(store, first(f"h{n}", f"r{n}", phase=phase))
        over = first("over", "r-over")
        await put(store, over, finished(over))
        asleep = await all_unfinished(store, asleep=True)
        assert [(run.run_id, run.phase) for run in asleep] == [
            ("r0", "waiting"), ("r2", "idle"), ("r4", "waiting"), ("r6", "idle"),
        ]  # fmt: skip
        awake = await all_unfinished(store, asleep=False)
        assert [(run.run_id, run.phase) for run in awake] == [("r1", "running"), ("r3", "queued"), ("r5", "blocked")]
        assert asleep[0] == UnfinishedRun("r0", "h0", "w", "waiting", None)

    async def test_a_run_that_falls_asleep_wakes_up_and_ends(self, store: AbstractWorkflowStore) -> None:
        async def where() -> tuple[int, int]:
            asleep, awake = [await all_unfinished(store, asleep=asleep) for asleep in (True, False)]
            return len(asleep), len(awake)

        batch = first()
        await put(store, batch)
        assert await where() == (0, 1)
        batch = next_of(batch, phase="idle")
        await put(store, batch)
        assert await where() == (1, 0)
        batch = next_of(batch)
        await put(store, batch)
        assert await where() == (0, 1)
        await put(store, finished(batch))
        assert await where() == (0, 0)

    async def test_runs_that_are_due_the_earliest_first(self, store: AbstractWorkflowStore) -> None:
        for n, due in enumerate([30.0, 10.0, None, 20.0, 10.0, 40.5]):
            await put(store, replace(first(f"h{n}", f"r{n}", phase="waiting" if n % 2 else "idle"), due=due))
        await put(store, replace(first("awake", "r-awake"), due=15.0))
        over = replace(first("over", "r-over", phase="idle"), due=5.0)
        await put(store, over, replace(finished(over), due=5.0))
        found = await all_unfinished(store, asleep=True, due_by=30.0)
        assert [run.run_id for run in found] == ["r1", "r4", "r3", "r0"]
        assert [run.due for run in found] == [10.0, 10.0, 20.0, 30.0]
        assert [run.run_id for run in await all_unfinished(store, asleep=False, due_by=30.0)] == ["r-awake"]
        assert await all_unfinished(store, asleep=True, due_by=9.0) == []

    async def test_when_the_next_run_is_due(self, store: AbstractWorkflowStore) -> None:
        assert await store.next_due(0.0) is None
        batch = replace(first("a", "ra", phase="waiting"), due=10.5)
        await put(store, batch, replace(first("b", "rb", phase="idle"), due=20.0), replace(first("c", "rc"), due=5.0))
        assert [await store.next_due(after) for after in (0.0, 10.5, 19.0, 20.0)] == [10.5, 20.0, 20.0, None]
        await put(store, next_of(batch, phase="waiting", due=30.0))
        assert [await store.next_due(after) for after in (0.0, 20.0)] == [20.0, 30.0]
