"""Reading the events of a run: page after page from the store, then as they come.

A reader holds a cursor and no buffer, so a slow or dead one costs a page of memory. It is woken by a note
that there is news; what the news is, it reads from the store.
"""

from __future__ import annotations

from collections.abc import Sequence
from weakref import WeakValueDictionary

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


class _Note:
    __slots__ = ("__weakref__", "event")

    def __init__(self) -> None:
        self.event = anyio.Event()


class Watch:
    """Gathers which of several runs have news."""

    def __init__(self) -> None:
        self.told: set[str] = set()
        self._event = anyio.Event()

    def tell(self, run_id: str) -> None:
        """Note that a run has news."""
        self.told.add(run_id)
        self._event.set()

    async def wait(self) -> None:
        """Return when there is news since the last time."""
        await self._event.wait()
        self._event = anyio.Event()


class News:
    """Who waits for events of which run. A note lives only as long as somebody waits on it."""

    def __init__(self) -> None:
        self._notes: WeakValueDictionary[str, _Note] = WeakValueDictionary()
        self._watches: dict[str, set[Watch]] = {}

    def watch(self, run_id: str, watch: Watch) -> None:
        """Have `watch` told of a run's news until `unwatch`."""
        self._watches.setdefault(run_id, set()).add(watch)

    def unwatch(self, run_id: str, watch: Watch) -> None:
        """Tell `watch` no more of a run."""
        watches = self._watches.get(run_id, set())
        watches.discard(watch)
        if not watches:
            self._watches.pop(run_id, None)

    def listen(self, run_id: str) -> _Note:
        """Return a note whose event is set at the next news of the run."""
        note = self._notes.get(run_id)
        if note is None:
            note = self._notes[run_id] = _Note()
        return note

    def tell(self, run_id: str) -> None:
        """Wake the readers of a run."""
        note = self._notes.pop(run_id, None)
        if note is not None:
            note.event.set()
        if self._watches:
            for watch in self._watches.get(run_id, ()):
                watch.tell(run_id)

    def tell_all(self) -> None:
        """Wake everybody."""
        for run_id in [*self._notes, *self._watches]:
            self.tell(run_id)


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
        while not self._ended:
            note = self._news.listen(self._run_id)
            try:
                # In this order: a run that is over by now has all its events in the page read next.
                run = await self._store.run(self._run_id)
                page = await self._store.events(self._run_id, self._after, PAGE)
            except StoreUnavailable:
                # Seen as silence; who reads has nothing to gain from a cut.
                await anyio.sleep(RETRY_SECONDS)
                continue
            if page:
                end = next((place for place, event in enumerate(page, 1) if event.stops), None)
                page = page[:end]
                self._ended = end is not None
                self._after = page[-1].sequence
                return page
            if run is None or run.status != "running":
                self._ended = True
            else:
                await note.event.wait()
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
