"""The SQLite store: the contract, and what a file adds to it."""

from __future__ import annotations

import sqlite3
import sys
import threading
import time
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest

from tests_support.facts import until
from workflow_server.errors import ServerUsageError, StoreError, StoreUnavailable
from workflow_server.stores.base import Batch, HandlerQuery, Verdict
from workflow_server.stores.sqlite import (
    SqliteWorkflowStore,
    connecting,
    listing,
    reading,
    recent,
    retention,
    schema,
    threads,
    writer,
)
from workflow_server.testing.batches import all_unfinished, event, finished, first, ids, next_of, put
from workflow_server.testing.durable_store_contract import DurableStoreContract


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "runs.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[SqliteWorkflowStore]:
    made = SqliteWorkflowStore(path, synchronous="NORMAL")
    await made.start()
    yield made
    await made.close()


class TestSqliteStore(DurableStoreContract):
    """Keeps the contract."""


class TestSqliteStoreThatRemembersNothing(DurableStoreContract):
    """Keeps it also when everything is read from the file."""

    @pytest.fixture(autouse=True)
    def without_memory(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(recent, "RUNS", 0)


async def reopened(store: SqliteWorkflowStore, **options: Any) -> SqliteWorkflowStore:
    """Close `store` and return a new one on its file, to be closed by the test."""
    await store.close()
    again = SqliteWorkflowStore(store.path, **options)
    await again.start()
    return again


# Across instances


async def test_what_was_committed_is_there_for_the_next_instance(store: SqliteWorkflowStore) -> None:
    batch = replace(first(phase="waiting"), parts={"a": "1"}, due=7.0, write_id="one")
    await put(store, batch, first("o", "ro", shape="{}"))
    run, events = await store.load("r"), await store.events("r", -1, 9)
    again = await reopened(store)
    # Nothing is in memory now.
    assert run is not None
    assert await again.load("r") == replace(run, record=replace(run.record, phase="idle"))
    assert await again.events("r", -1, 9) == events
    assert [one.run_id for one in await all_unfinished(again, asleep=True)] == ["r"]
    assert await again.next_due(0) == 7.0
    assert await again.commit([batch]) == [Verdict.DONE]
    # New names, shapes and runs don't collide with those that were there.
    await put(again, next_of(batch, event(2, "New")), first("n", "rn", shape='{"n": 1}'))
    assert [one.type for one in await again.events("r", -1, 9)] == ["Job", "Job", "New"]
    assert await ids(again) == ["h", "o", "n"]
    loaded = await again.load("rn")
    assert loaded is not None
    assert loaded.shape == '{"n": 1}'
    await again.close()


async def test_closing_writes_what_was_handed_over(store: SqliteWorkflowStore) -> None:
    async with anyio.create_task_group() as tasks:
        for n in range(20):
            tasks.start_soon(put, store, first(f"h{n}", f"r{n}"))
        await anyio.wait_all_tasks_blocked()
        await store.close()
    again = await reopened(store)
    assert len(await ids(again)) == 20
    await again.close()


@pytest.mark.parametrize("synchronous", ["FULL", "NORMAL"])
async def test_how_safe_a_commit_is(path: Path, synchronous: Any) -> None:
    store = SqliteWorkflowStore(path, synchronous=synchronous)
    await store.start()
    assert store._open is not None
    found = await store._open.writers.call(lambda one: one._connected().execute("PRAGMA synchronous").fetchone()[0])
    assert found == {"FULL": 2, "NORMAL": 1}[synchronous]
    await store.close()


async def test_a_store_that_is_not_open_says_so(path: Path) -> None:
    store = SqliteWorkflowStore(path)
    with pytest.raises(StoreError, match="is not open"):
        await store.handler("h")
    await store.start()
    await store.close()
    with pytest.raises(StoreError, match="is not open"):
        await store.commit([first()])


async def test_a_person_can_read_the_file(store: SqliteWorkflowStore) -> None:
    await put(store, replace(first(), parts={"work/1": '{"n": 1}'}))
    with closing(sqlite3.connect(store.path)) as program:
        assert program.execute("SELECT handler_id, seq, type, body FROM log WHERE seq >= 0").fetchall() == [
            ("h", 0, "Job", '{"n": 0}'),
            ("h", 1, "Job", '{"n": 1}'),
        ]
        assert program.execute("SELECT key, body FROM parts").fetchall() == [("work/1", '{"n": 1}')]
        # A row that a person removes takes along what hangs on it.
        program.execute("DELETE FROM runs")
        program.commit()
        assert program.execute("SELECT count(*) FROM events").fetchone() == (0,)


# Cancellation


async def test_a_commit_that_nobody_waits_for_any_more_stands(store: SqliteWorkflowStore) -> None:
    batch = replace(first(), write_id="one")
    with anyio.CancelScope() as scope:
        scope.cancel()
        await store.commit([batch])
    assert scope.cancelled_caught
    assert await store.commit([batch]) == [Verdict.DONE]
    assert len(await store.events("r", -1, 9)) == 2


async def test_a_start_that_nobody_waits_for_any_more_lets_go_of_the_file(path: Path) -> None:
    with anyio.CancelScope() as scope:
        scope.cancel()
        await SqliteWorkflowStore(path).start()
    assert scope.cancelled_caught
    store = SqliteWorkflowStore(path)

    async def starts() -> bool:
        try:
            await store.start()
        except ServerUsageError:
            return False
        return True

    await until(starts)
    await store.close()


# A batch that can't be stored


async def test_a_batch_that_violates_a_constraint_does_not_take_its_group_along(
    store: SqliteWorkflowStore, caplog: pytest.LogCaptureFixture
) -> None:
    batch = first()
    await put(store, batch)
    twice = next_of(batch, event(1, "Other"), parts={"a": "1"}, state={"a": "9"})
    group = [first("a", "ra", shape='{"a": 1}'), twice, first("b", "rb", shape='{"b": 1}')]
    assert await store.commit(group) == [Verdict.DONE, Verdict.STALE, Verdict.DONE]
    assert "A batch of run r can't be stored" in caplog.text
    run = await store.load("r")
    assert run is not None
    assert (run.version, dict(run.parts), run.state["a"]) == (1, {}, "1")
    assert await ids(store) == ["h", "a", "b"]
    await put(store, next_of(batch, event(2, "Other")))


async def test_a_group_too_long_for_one_statement_is_still_one_transaction(
    store: SqliteWorkflowStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "TEXT_LIMIT", 1000)
    batches = [replace(first(f"h{n}", f"r{n}"), parts={"a": f'"{"x" * 400}"'}) for n in range(5)]
    assert await store.commit([*batches, batches[0]]) == [Verdict.DONE] * 5 + [Verdict.STALE]
    assert len(await ids(store)) == 5


async def test_text_that_no_encoding_knows_does_not_stop_a_commit(store: SqliteWorkflowStore) -> None:
    batch = first()
    end = next_of(batch, status="failed", phase="done", error="file \udcff and \0 end", state={"a\0b": "1"})
    await put(store, batch, end)
    kept = await store.handler("h")
    assert kept is not None
    assert kept.error == "file ? and \ufffd end"
    assert (await store.state("r"))["a\ufffdb"] == "1"


async def test_a_run_whose_start_was_never_stored_is_loaded_without(store: SqliteWorkflowStore) -> None:
    """So that whoever loads it can say of which run that is missing."""
    await put(store, replace(first(), first=None))
    loaded = await store.load("r")
    assert loaded is not None
    assert (loaded.version, loaded.start, loaded.shape) == (1, None, None)


# The store is out


async def on_writer(store: SqliteWorkflowStore, statement: str) -> Any:
    """Execute `statement` on the connection that writes."""
    assert store._open is not None
    return await store._open.writers.call(lambda one: one._connected().execute(statement).fetchone())


async def test_a_full_disk_is_told_and_nothing_is_lost(store: SqliteWorkflowStore) -> None:
    batch = first()
    await put(store, batch)
    pages = (await on_writer(store, "PRAGMA page_count"))[0]
    await on_writer(store, f"PRAGMA max_page_count = {pages + 5}")
    large = next_of(batch, event(2), state={"large": f'"{"x" * 100_000}"'}, write_id="large")
    for _ in range(3):
        with pytest.raises(StoreUnavailable, match=r"can't be used for now: the disk is full"):
            await store.commit([first("o", "ro"), large])
    assert await ids(store) == ["h"]
    assert await store.next_sequence("r") == 2
    await on_writer(store, "PRAGMA max_page_count = 1000000")
    assert await store.commit([first("o", "ro"), large]) == [Verdict.DONE, Verdict.DONE]
    assert len((await store.state("r"))["large"]) == 100_002


async def test_a_file_that_may_not_be_written_is_told_and_nothing_is_lost(store: SqliteWorkflowStore) -> None:
    await on_writer(store, "PRAGMA query_only = ON")
    with pytest.raises(StoreUnavailable, match="it may not be written"):
        await store.commit([first()])
    with pytest.raises(StoreUnavailable, match="it may not be written"):
        await store.delete("h")
    assert await store.handler("h") is None
    await on_writer(store, "PRAGMA query_only = OFF")
    await put(store, first())


async def test_a_file_that_vanished_is_not_replaced_by_an_empty_one(store: SqliteWorkflowStore) -> None:
    await put(store, first())
    assert store._open is not None
    await store._open.writers.call(lambda one: one._disconnect())
    hidden = store.path.rename(store.path.with_name("hidden"))
    batch = next_of(first(), event(2))
    with pytest.raises(StoreUnavailable, match="can't be opened"):
        await store.commit([batch])
    assert not store.path.exists()
    hidden.rename(store.path)
    await put(store, batch)


async def test_reading_a_file_that_vanished_is_told(store: SqliteWorkflowStore) -> None:
    await put(store, first())
    hidden = store.path.rename(store.path.with_name("hidden"))
    for _ in range(5):
        with pytest.raises(StoreUnavailable, match="can't be opened"):
            await store.handler("h")
    hidden.rename(store.path)
    assert await store.handler("h") is not None


async def test_while_another_program_holds_the_lock_commits_wait_and_nothing_else(store: SqliteWorkflowStore) -> None:
    await put(store, first("before", "rb"))
    longest = 0.0
    done = False

    async def tick() -> None:
        nonlocal longest
        while not done:
            began = time.perf_counter()
            await anyio.sleep(0.005)
            assert await store.handler("before") is not None
            longest = max(longest, time.perf_counter() - began)

    with closing(sqlite3.connect(store.path, isolation_level=None)) as program:
        program.execute("BEGIN IMMEDIATE")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(tick)
            commit = anyio.Event()

            async def put_and_tell() -> None:
                await put(store, first())
                commit.set()

            tasks.start_soon(put_and_tell)
            with anyio.move_on_after(1):
                await commit.wait()
            assert not commit.is_set()
            program.execute("COMMIT")
            with anyio.fail_after(5):
                await commit.wait()
            done = True
    assert longest < 0.5
    assert await store.handler("h") is not None


async def test_a_lock_held_for_long_is_told_and_the_commit_may_be_tried_again(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connecting, "BUSY_SECONDS", 0.05)
    store = SqliteWorkflowStore(path)
    await store.start()
    batch = replace(first(), write_id="one")
    with closing(sqlite3.connect(path, isolation_level=None)) as program:
        program.execute("BEGIN IMMEDIATE")
        for _ in range(3):
            with pytest.raises(StoreUnavailable, match="another program holds its lock"):
                await store.commit([batch])
        with pytest.raises(StoreUnavailable, match="another program holds its lock"):
            await store.delete("h")
    assert await store.commit([batch]) == [Verdict.DONE]
    await store.close()


async def test_a_start_waits_for_another_programs_lock(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connecting, "BUSY_SECONDS", 0.02)
    store = SqliteWorkflowStore(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as program:
        program.execute("BEGIN EXCLUSIVE")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(store.start)
            await anyio.sleep(0.2)
            program.execute("COMMIT")
    await put(store, first())
    await store.close()


async def test_a_start_that_waited_long_enough_says_why_it_failed(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connecting, "BUSY_SECONDS", 0.02)
    monkeypatch.setattr(writer, "START_SECONDS", 0.1)
    with closing(sqlite3.connect(path, isolation_level=None)) as program:
        program.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StoreUnavailable, match="another program holds its lock"):
            await SqliteWorkflowStore(path).start()
    store = SqliteWorkflowStore(path)
    await store.start()
    await store.close()


# The write-ahead log


def log_size(store: SqliteWorkflowStore) -> int:
    return Path(f"{store.path}-wal").stat().st_size


async def work(store: SqliteWorkflowStore, batch: Batch, commits: int) -> Batch:
    """Commit `commits` batches that each write a page or two."""
    for _ in range(commits):
        batch = next_of(batch, parts={"a": f'"{"x" * 3000}{batch.version}"'})
        await put(store, batch)
    return batch


async def test_the_log_shrinks_once_a_long_reader_is_gone(
    store: SqliteWorkflowStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    limit = store._writer.log_limit = 300_000
    monkeypatch.setattr(writer, "LOG_PATIENCE", 0.01)
    monkeypatch.setattr(writer, "LOG_PAUSE", 0.0)
    batch = first()
    await put(store, batch)
    with closing(sqlite3.connect(store.path, isolation_level=None)) as program:
        program.execute("BEGIN")
        assert program.execute("SELECT count(*) FROM runs").fetchone() == (1,)
        batch = await work(store, batch, 200)
        assert log_size(store) > limit
        assert "The write-ahead log" in caplog.text
    await work(store, batch, 200)
    assert log_size(store) <= 2 * limit
    assert (await store.handler("h")) is not None


async def test_the_log_stays_bounded_while_readers_follow_each_other_closely(
    store: SqliteWorkflowStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite alone begins the log anew only when nobody reads, which never happens here."""
    monkeypatch.setattr(writer, "LOG_PAUSE", 0.0)
    limit = store._writer.log_limit = 300_000
    batch = first()
    await put(store, batch)
    over = threading.Event()

    def read() -> None:
        with closing(sqlite3.connect(store.path, isolation_level=None)) as program:
            while not over.is_set():
                program.execute("BEGIN")
                program.execute("SELECT count(*) FROM runs").fetchone()
                over.wait(0.02)
                program.execute("COMMIT")

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    largest = 0
    try:
        for _ in range(40):
            batch = await work(store, batch, 10)
            largest = max(largest, log_size(store))
    finally:
        over.set()
        for reader in readers:
            reader.join()
    assert limit < largest < 5 * limit


async def test_the_log_has_its_length_before_commits_need_it(store: SqliteWorkflowStore) -> None:
    """For a commit that makes the file longer takes longer itself."""
    store = await reopened(store, synchronous="FULL")
    await until(lambda: log_size(store) >= writer.LOG_START > 1000 * 4096)
    batch = first()
    await put(store, batch)
    length, database = log_size(store), store.path.stat().st_size
    await work(store, batch, 100)
    assert (log_size(store), store.path.stat().st_size) == (length, database)
    await store.close()


async def test_the_log_is_left_as_it_is_where_no_commit_waits_for_the_disk(store: SqliteWorkflowStore) -> None:
    await put(store, first())
    before = log_size(store)
    await store._opened().writers.call(lambda writer: writer.tidy(quiet=True))
    assert log_size(store) == before > 0


# What is kept


async def test_the_oldest_finished_handlers_vanish_with_all_they_have(store: SqliteWorkflowStore) -> None:
    store = await reopened(store, max_completed=3, synchronous="NORMAL")
    await put(store, first("alive", "r-alive"))
    for n in range(8):
        batch = replace(first(f"h{n}", f"r{n}"), parts={"a": "1"})
        await put(store, batch, finished(batch, at=1000.0 + n))

    async def only_the_newest() -> bool:
        return await ids(store) == ["alive", "h5", "h6", "h7"]

    await until(only_the_newest)
    with closing(sqlite3.connect(store.path)) as program:
        assert program.execute("SELECT count(DISTINCT run) FROM events").fetchone() == (4,)
        assert program.execute("SELECT count(*) FROM parts").fetchone() == (3,)
    await put(store, first("h5", "again"))
    store = await reopened(store, max_completed=0)
    await put(store, first("one", "more"))

    async def only_those_alive() -> bool:
        return await ids(store) == ["alive", "h5", "one"]

    await until(only_those_alive)
    await store.close()


@pytest.mark.parametrize("bound", [{"max_completed": 2}, {"max_age": 50.0}])
async def test_earlier_runs_of_a_handler_that_goes_on_are_bounded_as_handlers_are(
    store: SqliteWorkflowStore, bound: dict[str, Any]
) -> None:
    now = time.time()
    for n in range(6):
        batch = replace(first("h", f"r{n}"), parts={"a": "1"})
        await put(store, batch, finished(batch, at=now - 100 if n < 3 else now - 10 + n))
    store = await reopened(store, **bound)
    await put(store, first("one", "more"))

    def runs_of(table: str) -> set[str]:
        with closing(sqlite3.connect(store.path)) as program:
            return {row[0] for row in program.execute(f"SELECT DISTINCT run_id FROM {table}")}

    def only_the_newest() -> bool:
        return runs_of("runs") == {"r3", "r4", "r5", "more"}

    await until(only_the_newest)
    assert runs_of("log") == {"r3", "r4", "r5", "more"}
    assert await ids(store) == ["h", "one"]
    await store.close()


async def test_handlers_that_finished_long_ago_vanish(store: SqliteWorkflowStore) -> None:
    old, new = first("old", "ro"), first("new", "rn")
    await put(store, old, finished(old, at=time.time() - 100), new, finished(new, at=time.time() - 1))
    store = await reopened(store, max_age=50)
    await put(store, first("one", "more"))

    async def without_the_old_one() -> bool:
        return await ids(store) == ["new", "one"]

    await until(without_the_old_one)
    await store.close()


async def test_a_store_without_work_looks_at_ages_too(
    store: SqliteWorkflowStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threads, "QUIET_SECONDS", 0.01)
    monkeypatch.setattr(retention, "AGE_SECONDS", 0.01)
    store = await reopened(store, max_age=0.2)
    batch = first()
    await put(store, batch, finished(batch, at=time.time()))
    assert await ids(store) == ["h"]

    def nothing_is_left() -> bool:
        with closing(sqlite3.connect(store.path)) as program:
            return program.execute("SELECT count(*) FROM runs").fetchone() == (0,)

    await until(nothing_is_left)
    await store.close()


# Listings


async def test_every_listing_is_answered_from_an_index(store: SqliteWorkflowStore) -> None:
    """No plan looks at the whole table, or sorts more than a page: then a million handlers are no burden."""
    plans: list[str] = []

    class Explained:
        def __init__(self, connection: sqlite3.Connection) -> None:
            self.connection = connection

        def execute(self, query: str, values: Any = ()) -> sqlite3.Cursor:
            plans.extend(row[3] for row in self.connection.execute(f"EXPLAIN QUERY PLAN {query}", values))
            return self.connection.execute(query, values)

    with closing(sqlite3.connect(store.path)) as connection:
        program: Any = Explained(connection)
        for asleep in (True, False):
            reading.unfinished(program, None, 9, asleep=asleep, due_by=None)
        reading.unfinished(program, None, 9, asleep=True, due_by=9.0)
        reading.unfinished(program, "1.5 7", 9, asleep=True, due_by=9.0)
        reading.next_due(program, 0.0)
        reading.handler(program, {}, "h")
        reading.run(program, {}, "r")
        reading.events(program, {}, "r", 0, 9)
        for query in QUERIES_IN_ORDER:
            for newest_first in (False, True):
                listing.handlers(program, {}, HandlerQuery(**query), None, 9, newest_first=newest_first)
                listing.handlers(program, {}, HandlerQuery(**query), "5", 9, newest_first=newest_first)
        assert not [plan for plan in plans if "TEMP B-TREE" in plan]
        # These are gathered first: they are named, or few.
        for query in ({"id_prefix": "a"}, {"handler_id_in": ["a"] * 3}, {"run_id_in": [f"r{n}" for n in range(99)]}):
            listing.handlers(program, {}, HandlerQuery(**query), None, 9, newest_first=True)
    known = ("LIST SUBQUERY", "SCALAR SUBQUERY", "REUSE", "SCAN json_each", "SCAN page")
    scans = {plan for plan in plans if plan.startswith("SCAN") and not plan.startswith(known)}
    # Those are walks along an index in the order of listings, which end when a page is full.
    assert {plan.split("USING")[-1].strip() for plan in scans} <= {
        "INDEX runs_listed", "COVERING INDEX runs_listed", "INDEX runs_awake", "INDEX runs_asleep",
    }  # fmt: skip
    assert sum("SEARCH" in plan for plan in plans) > 50


QUERIES_IN_ORDER: list[dict[str, Any]] = [
    {},
    {"status_in": ["running"]},
    {"status_in": ["completed"]},
    {"status_in": ["failed", "cancelled"]},
    {"status_in": ["completed"], "workflow_name_in": ["w"]},
    {"workflow_name_in": ["w"]},
    {"workflow_name_in": ["w", "v"]},
    {"workflow_name_in": [f"w{n}" for n in range(50)]},
    {"is_idle": True},
    {"is_idle": False},
    {"phase_in": ["queued"]},
    {"phase_in": ["done"]},
    {"phase_in": ["waiting", "idle", "done"]},
    {"started_after": 5.0},
    {"started_before": 5.0, "phase_in": ["blocked"]},
]


# Which files


@pytest.mark.parametrize("name", ["", ":memory:", "file:x?mode=memory"])
def test_only_a_file_will_do(name: str) -> None:
    with pytest.raises(ValueError, match=r"must name a file.*MemoryWorkflowStore"):
        SqliteWorkflowStore(name)


@pytest.mark.parametrize("options", [{"synchronous": "OFF"}, {"max_completed": -1}, {"max_age": -1.0}])
def test_arguments_that_cannot_be_meant(options: Any) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(options))} must be"):
        SqliteWorkflowStore("runs.db", **options)


def test_arguments_of_programs_written_for_the_other_server() -> None:
    assert SqliteWorkflowStore("runs.db", 1.0, True, single_connection=True).path == Path.cwd() / "runs.db"


async def refusal(path: Path, **options: Any) -> str:
    """Return with what sentence a start is refused; nothing may be left behind that stops the next."""
    sentences = set[str]()
    for _ in range(2):
        with pytest.raises(StoreError) as info:
            await SqliteWorkflowStore(path, **options).start()
        sentences.add(str(info.value))
    return sentences.pop()


async def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    assert "its folder doesn't exist" in await refusal(tmp_path / "none" / "runs.db")


async def test_a_folder_instead_of_a_file(tmp_path: Path) -> None:
    assert "can't be opened" in await refusal(tmp_path)


async def test_something_else_than_a_database(path: Path) -> None:
    await anyio.Path(path).write_text("Dear diary, " * 100)
    assert "not a database" in await refusal(path)
    assert (await anyio.Path(path).read_text()).startswith("Dear diary")


async def test_a_database_of_another_program(path: Path) -> None:
    with closing(sqlite3.connect(path)) as program:
        program.execute("CREATE TABLE handlers (handler_id TEXT)")
        program.execute("PRAGMA user_version = 1")
    assert "a database of another program" in await refusal(path)


@pytest.mark.skipif(sys.platform == "win32", reason="has no file system of this name")
async def test_a_place_without_shared_memory(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def without_locks(path: Path, mode: str) -> sqlite3.Connection:
        uri = f"{path.absolute().as_uri()}?mode={mode}&vfs=unix-none"
        return sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)

    monkeypatch.setattr(writer, "connect", without_locks)
    assert "can keep no write-ahead log" in await refusal(path)


async def test_a_database_of_a_newer_version(store: SqliteWorkflowStore) -> None:
    await on_writer(store, "PRAGMA user_version = 99")
    await store.close()
    assert "was written by a newer workflow-server (schema 99" in await refusal(store.path)


async def test_a_database_of_an_older_version(store: SqliteWorkflowStore, monkeypatch: pytest.MonkeyPatch) -> None:
    await put(store, first())
    await store.close()
    newer = (*schema.MIGRATIONS, "CREATE TABLE more (x); INSERT INTO more VALUES (7);")
    monkeypatch.setattr(schema, "MIGRATIONS", newer)
    assert "was written by an older workflow-server" in await refusal(store.path, auto_migrate=False)
    again = await reopened(store)
    assert await again.handler("h") is not None
    assert await on_writer(again, "SELECT x FROM more") == (7,)
    assert await on_writer(again, "PRAGMA user_version") == (len(newer),)
    await again.close()


async def test_a_migration_that_fails_leaves_the_file_as_it_was(
    store: SqliteWorkflowStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    await put(store, first())
    await store.close()
    with monkeypatch.context() as patch:
        patch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, "CREATE TABLE more (x); DROP TABLE nonsense;"))
        assert "no such table: nonsense" in await refusal(store.path)
    again = await reopened(store)
    assert await again.handler("h") is not None
    await again.close()


async def test_an_sqlite_that_is_too_old(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 7, 0))
    assert "needs SQLite 3.33.0 or newer" in await refusal(path)
