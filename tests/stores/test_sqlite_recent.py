"""What the SQLite store has at hand, so that readers who keep up cost no visit to the database."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from workflow_server.stores.base import Batch, Verdict
from workflow_server.stores.sqlite import SqliteWorkflowStore, recent
from workflow_server.stores.sqlite.recent import Recent
from workflow_server.testing.batches import event, finished, first, next_of, put


def sequences(known: Recent, after: int, limit: int = 9, run: str = "r") -> list[int] | None:
    page = known.events(run, after, limit)
    return None if page is None else [one.sequence for one in page]


def test_pages_of_what_was_noted() -> None:
    known, batch = Recent(), first()
    known.note(batch)
    known.note(next_of(batch, event(2), event(3)))
    assert [sequences(known, after) for after in (-5, -1, 1, 2, 3, 9)] == [
        [0, 1, 2, 3],
        [0, 1, 2, 3],
        [2, 3],
        [3],
        [],
        [],
    ]
    assert sequences(known, -1, limit=2) == [0, 1]
    assert sequences(known, 0, run="other") is None


def test_a_run_met_in_the_middle_is_known_from_there() -> None:
    known = Recent()
    batch = replace(next_of(first(), event(7)), version=5, next_sequence=8)
    known.note(batch)
    assert [sequences(known, after) for after in (5, 6, 7)] == [None, [7], []]
    assert known.record("r") == batch.handler


def test_a_gap_begins_anew_and_what_is_older_changes_nothing() -> None:
    known, batch = Recent(), first()
    known.note(batch)
    second = next_of(batch, event(2))
    third = next_of(second, event(3))
    known.note(third)
    assert [sequences(known, after) for after in (1, 2, 3)] == [None, [3], []]
    known.note(second)
    assert [sequences(known, after) for after in (1, 2, 3)] == [None, [3], []]


def test_only_so_much_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recent, "RUNS", 3)
    monkeypatch.setattr(recent, "EVENTS", 4)
    monkeypatch.setattr(recent, "CHARACTERS", 1000)
    monkeypatch.setattr(recent, "ALL_CHARACTERS", 1500)
    known = Recent()
    for n in range(5):
        known.note(first(f"h{n}", f"r{n}"))
    assert [known.record(f"r{n}") is not None for n in range(5)] == [False, False, True, True, True]
    batch = first("h4", "r4")
    for n in range(2, 9):
        batch = next_of(batch, event(n))
        known.note(batch)
    assert [sequences(known, after, run="r4") for after in (3, 4)] == [None, [5, 6, 7, 8]]

    def large(batch: Batch, size: int) -> Batch:
        return next_of(batch, replace(event(batch.next_sequence), value="x" * size))

    known.note(batch := large(batch, 2000))
    assert [sequences(known, after, run="r4") for after in (8, 9)] == [None, []]
    known.note(batch := large(batch, 900))
    known.note(large(first("h3", "r3"), 900))
    assert [known.record(f"r{n}") is not None for n in (3, 4)] == [True, False]


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteWorkflowStore]:
    made = SqliteWorkflowStore(tmp_path / "runs.db", synchronous="NORMAL")
    await made.start()
    yield made
    await made.close()


async def test_a_commit_whose_end_nobody_saw_is_read_from_the_database(store: SqliteWorkflowStore) -> None:
    batch = first()
    await put(store, batch)
    end = replace(finished(batch), events=(event(2),), next_sequence=3, write_id="end")
    with anyio.CancelScope() as scope:
        scope.cancel()
        await store.commit([end])
    # Whoever writes comes after that commit.
    await store.delete("nobody")
    assert await store.run("r") == end.handler
    assert [one.sequence for one in await store.events("r", 1, 9)] == [2]
    assert await store.commit([end]) == [Verdict.DONE]
    assert await store.run("r") == end.handler


async def test_a_deleted_run_is_not_remembered(store: SqliteWorkflowStore) -> None:
    await put(store, first())
    assert await store.run("r") is not None
    with anyio.CancelScope() as scope, suppress(BaseExceptionGroup):
        scope.cancel()
        await store.delete("h")
    assert await store.delete("nobody") is False
    assert await store.run("r") is None
    assert await store.events("r", -1, 9) == []
