"""Reading events and listings, page by page."""

from __future__ import annotations

import anyio
import anyio.lowlevel
import pytest

from tests_support.faulty_store import Fault, FaultyStore
from tests_support.slow_store import SlowStore
from workflow_server.runtime.feed import HANDLERS_PAGE, PAGE, EventFeed, HandlerListing, News
from workflow_server.runtime.several import Bookmark, SeveralFeed
from workflow_server.stores.base import Batch, HandlerQuery
from workflow_server.testing.durable_store import DurableStore
from workflow_server.wire.records import EventRecord, HandlerRecord, Status


def record(name: str = "h", run_id: str = "r", status: Status = "running") -> HandlerRecord:
    return HandlerRecord(name, "w", run_id, status, "running", 0.0, 0.0)


def event(sequence: int, type: str = "Job", *types: str) -> EventRecord:
    return EventRecord(sequence, 0.0, type, f"m.{type}", types, "{}")


class Log:
    """A run whose events are written by the test."""

    def __init__(self) -> None:
        self.store = SlowStore()
        self.news = News()
        self.version = 0
        self.sequence = 0

    def write(self, *types: str, status: Status = "running", tell: bool = True) -> None:
        self.version += 1
        events = tuple(event(self.sequence + n, *kind.split("<")) for n, kind in enumerate(types))
        self.sequence += len(types)
        self.store.kept.commit_now([Batch(record(status=status), self.version, self.sequence, events)])
        if tell:
            self.news.tell("r")

    def feed(self, after: int = -1) -> EventFeed:
        return EventFeed(self.store, self.news, "r", after)


async def pages(feed: EventFeed) -> list[list[int]]:
    found: list[list[int]] = []
    with anyio.fail_after(5):
        while (page := await feed.pull()) is not None:
            found.append([one.sequence for one in page])
    return found


async def test_it_ends_after_the_first_stop_event() -> None:
    log = Log()
    log.write("Job", "Done<StopEvent", "Job")
    assert await pages(log.feed()) == [[0, 1]]
    assert await pages(log.feed(after=0)) == [[1]]
    assert await pages(log.feed(after=-5)) == [[0, 1]]


async def test_a_long_log_comes_in_pages() -> None:
    log = Log()
    log.write(*["Job"] * (2 * PAGE + 1), status="completed")
    assert [len(page) for page in await pages(log.feed())] == [PAGE, PAGE, 1]


async def test_a_run_that_is_over_without_a_stop_event_ends_too() -> None:
    log = Log()
    log.write("Job", status="failed")
    assert await pages(log.feed()) == [[0]]
    assert await pages(log.feed(after=99)) == []


async def test_an_unknown_run_has_no_events() -> None:
    assert await pages(EventFeed(SlowStore(), News(), "nope", -1)) == []


async def test_it_waits_for_news() -> None:
    log = Log()
    log.write("Job")
    feed = log.feed()
    got: list[list[int]] = []

    async def read() -> None:
        got.extend(await pages(feed))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(read)
        await anyio.wait_all_tasks_blocked()
        assert got == []
        log.write("Job", "Job")
        await anyio.wait_all_tasks_blocked()
        log.write("StopEvent", status="completed")
    assert got == [[0], [1, 2], [3]]


async def test_news_that_comes_while_it_looks_is_not_missed() -> None:
    log = Log()
    log.write("Job")
    feed = log.feed(after=0)
    got: list[list[int]] = []

    async def read() -> None:
        got.extend(await pages(feed))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(read)
        # The reader has asked the store and has no answer yet.
        await anyio.lowlevel.checkpoint()
        log.write("StopEvent", status="completed")
    assert got == [[1]]


async def test_several_readers_are_woken() -> None:
    log = Log()
    log.write("Job")
    got: list[list[list[int]]] = []

    async def read(after: int) -> None:
        got.append(await pages(log.feed(after)))

    async with anyio.create_task_group() as tasks:
        for after in (-1, 0, 0):
            tasks.start_soon(read, after)
        await anyio.wait_all_tasks_blocked()
        log.write("StopEvent", status="completed")
    assert sorted(got) == [[[0], [1]], [[1]], [[1]]]


async def test_a_closed_feed_has_ended() -> None:
    log = Log()
    log.write("Job")
    feed = log.feed()
    feed.close()
    assert await feed.pull() is None


async def test_a_reader_that_leaves_leaves_nothing_behind() -> None:
    log = Log()
    log.write("Job")
    feed = log.feed(after=0)
    with anyio.move_on_after(0.01):
        await feed.pull()
    assert log.news._watches == {}
    log.write("Job")
    page = await feed.pull()
    assert page is not None
    assert [one.sequence for one in page] == [1]


@pytest.mark.virtual_time
@pytest.mark.usefixtures("virtual_clock")
@pytest.mark.parametrize("number", range(4))
async def test_a_store_that_is_out_is_seen_as_silence(number: int) -> None:
    """By readers of one run, of several, and of whatever runs a workflow has: at whichever call it fails."""
    disk = DurableStore()
    disk.commit_now([Batch(record(status="completed"), 1, 2, (event(0), event(1, "Done", "StopEvent")))])
    several = SeveralFeed(FaultyStore(disk, Fault("once", number)), News(), Bookmark({"r": -1}), None)
    found = SeveralFeed(FaultyStore(disk, Fault("once", number)), News(), Bookmark(since=-1.0), ("w",))
    with anyio.fail_after(60):
        assert await pages(EventFeed(FaultyStore(disk, Fault("once", number)), News(), "r", -1)) == [[0, 1]]
        for feed in (several, found):
            page = await feed.pull()
            assert page is not None
            assert [one.event.sequence for one in page] == [0, 1]
        assert await several.pull() is None


@pytest.mark.virtual_time
@pytest.mark.usefixtures("virtual_clock")
async def test_a_look_for_new_runs_that_is_cut_short_misses_none() -> None:
    """The first page may hold a later run of an early handler; what was found is not remembered for ever."""
    disk = DurableStore()
    names = [f"h{n}" for n in range(101)]
    for place, name in enumerate(names):
        started = 1000.0 if place == 0 else float(place)
        over = HandlerRecord(name, "w", f"r{place}", "completed", "done", started, started)
        disk.commit_now([Batch(over, 1, 1, (event(0, "Done", "StopEvent"),))])
    feed = SeveralFeed(FaultyStore(disk, Fault("once", 1)), News(), Bookmark(since=0.0), ("w",))
    seen: list[str] = []
    with anyio.fail_after(60):
        while len(seen) < len(names):
            seen += [one.handler_id for one in await feed.pull() or ()]
    assert sorted(seen) == sorted(names)
    with anyio.move_on_after(3):
        await feed.pull()
    assert feed._known == set()


async def test_a_listing_comes_in_pages_and_ends() -> None:
    store = SlowStore()
    for n in range(HANDLERS_PAGE + 1):
        store.kept.commit_now([Batch(record(f"h{n}", f"r{n}"), 1, 0)])
    listing = HandlerListing(store, HandlerQuery())
    found: list[list[str]] = []
    while (page := await listing.pull()) is not None:
        found.append([one.handler_id for one in page])
    assert [len(page) for page in found] == [HANDLERS_PAGE, 1]
    assert await listing.pull() is None
    closed = HandlerListing(store, HandlerQuery())
    closed.close()
    assert await closed.pull() is None
