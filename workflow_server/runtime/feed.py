"""Reading the events of a run: page after page from the store, then as they come.

A reader holds a cursor and no buffer, so a slow or dead one costs a page of memory. It is told that there is
news; what the news is, it reads from the store.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager

import anyio

from workflow_server.errors import StoreUnavailable
from workflow_server.stores.base import AbstractWorkflowStore, HandlerQuery
from workflow_server.wire.records import EventRecord, HandlerRecord

PAGE = 256
"""How many events a reader takes from the store at a time."""

RETRY_SECONDS = 1.0
"""Pause before a store that was out is asked again."""

HANDLERS_PAGE = 100
"""How many handlers a listing takes from the store at a time."""


class Watch:
    """Gathers which runs have news, for one who waits."""

    def __init__(self) -> None:
        self.told: set[str] = set()
        """Runs with news; to be cleared before what the news is gets read."""
        self._event: anyio.Event | None = None

    def tell(self, run_id: str) -> None:
        """Note that a run has news."""
        self.told.add(run_id)
        if self._event is not None:
            self._event.set()

    async def wait(self) -> None:
        """Return when there is news that was not cleared."""
        if not self.told:
            self._event = anyio.Event()
            await self._event.wait()


class News:
    """Who waits for events of which run."""

    def __init__(self) -> None:
        self._watches: dict[str, set[Watch]] = {}

    @contextmanager
    def watching(self, run_id: str) -> Generator[Watch]:
        """Yield a watch that is told of a run's news while the block runs."""
        watch = Watch()
        self.watch(run_id, watch)
        try:
            yield watch
        finally:
            self.unwatch(run_id, watch)

    def watch(self, run_id: str, watch: Watch) -> None:
        """Have `watch` told of a run's news until `unwatch`."""
        self._watches.setdefault(run_id, set()).add(watch)

    def unwatch(self, run_id: str, watch: Watch) -> None:
        """Tell `watch` no more of a run."""
        watches = self._watches.get(run_id, set())
        watches.discard(watch)
        if not watches:
            self._watches.pop(run_id, None)

    def tell(self, run_id: str) -> None:
        """Wake the readers of a run."""
        for watch in self._watches.get(run_id, ()):
            watch.tell(run_id)

    def tell_all(self) -> None:
        """Wake everybody."""
        for run_id in self._watches:
            self.tell(run_id)


async def read_on(
    store: AbstractWorkflowStore, run_id: str, after: int
) -> tuple[HandlerRecord | None, list[EventRecord]]:
    """Return a run and a page of its events after sequence `after`, which ends with the first stop event.

    A store that is out is seen as silence until it is back: who reads has nothing to gain from a cut.
    """
    while True:
        try:
            # In this order: a run that is over by now has all its events in the page read next.
            run = await store.run(run_id)
            page = await store.events(run_id, after, PAGE)
        except StoreUnavailable:
            await anyio.sleep(RETRY_SECONDS)
        else:
            return run, page[: next((place for place, event in enumerate(page, 1) if event.stops), None)]


class EventFeed:
    """A reader's cursor over the events of one run; a `Source` of pages of `EventRecord`.

    It ends after the first stop event, or when the run is over and everything has been read.

    Args:
        store: Where the events are.
        news: Wakes it.
        run_id: The run.
        after: The sequence after which to begin.
    """

    def __init__(self, store: AbstractWorkflowStore, news: News, run_id: str, after: int) -> None:
        self._store = store
        self._news = news
        self._run_id = run_id
        self._after = after
        self._ended = False

    async def pull(self) -> Sequence[EventRecord] | None:
        """Return the next page, waiting for one; `None` at the end."""
        with self._news.watching(self._run_id) as watch:
            while not self._ended:
                watch.told.clear()
                run, page = await read_on(self._store, self._run_id, self._after)
                if page:
                    self._ended = page[-1].stops
                    self._after = page[-1].sequence
                    return page
                if run is None or run.status != "running":
                    self._ended = True
                else:
                    await watch.wait()
        return None

    def close(self) -> None:
        """Let go: a feed holds nothing but its cursor."""
        self._ended = True


class HandlerListing:
    """A `Source` of pages of `HandlerRecord`: all that match a query.

    Args:
        store: Where the handlers are.
        query: Which ones.
    """

    def __init__(self, store: AbstractWorkflowStore, query: HandlerQuery) -> None:
        self._store = store
        self._query = query
        self._first: Sequence[HandlerRecord] | None = None
        self._cursor: str | None = None
        self._ended = False

    async def begin(self) -> HandlerListing:
        """Take the first page, so that a store that is out is told of before an answer has begun; return the listing.

        Raises:
            StoreError: The store failed.
        """
        self._first = await self.pull()
        return self

    async def pull(self) -> Sequence[HandlerRecord] | None:
        """Return the next page; `None` at the end."""
        if self._first is not None:
            page, self._first = self._first, None
            return page
        if self._ended:
            return None
        page, cursor = await self._store.handlers(self._query, self._cursor, HANDLERS_PAGE)
        self._cursor, self._ended = cursor, cursor is None
        return page

    def close(self) -> None:
        """Let go: a listing holds nothing but its cursor."""
        self._ended = True
