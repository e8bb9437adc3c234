"""Reading the events of several runs as one stream, for pages that watch many.

The cursor of such a stream says of each run that goes on how far it was read. It is opaque to clients: the JSON of
what is here called a `Bookmark`, in URL-safe base64.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
from collections.abc import Sequence
from dataclasses import field
from typing import Any, cast

import anyio

from workflow_server.errors import StoreUnavailable
from workflow_server.runtime.feed import News, Watch, read_on
from workflow_server.stores.base import AbstractWorkflowStore, HandlerQuery
from workflow_server.valueclass import dataclass
from workflow_server.wire.records import LocatedEvent

LOOK_SECONDS = 1.0
"""How often a stream over workflows looks for runs that have started."""


@dataclass(slots=True)
class Bookmark:
    """How far a stream over several runs has been read."""

    runs: dict[str, int] = field(default_factory=dict[str, int])
    """The sequence read last, by run that goes on; -1 for none."""
    since: float | None = None
    """When the run started that was found last (seconds since the epoch); `None` if no others are looked for."""

    def encode(self) -> str:
        """Return the cursor."""
        text = json.dumps([self.runs, self.since], separators=(",", ":"))
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def read_bookmark(cursor: str) -> Bookmark:
    """Return what `cursor` stands for.

    Raises:
        ValueError: It is no cursor of ours.
    """
    try:
        value = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        runs, since = cast("tuple[dict[str, Any], float | None]", value)
        return Bookmark({run: int(after) for run, after in runs.items()}, since if since is None else float(since))
    except (ValueError, TypeError, AttributeError, RecursionError, binascii.Error):
        raise ValueError(f"{cursor!r} is no cursor that this stream has told") from None


class SeveralFeed:
    """A reader's cursor over the events of several runs; a `Source` of pages of `LocatedEvent`.

    It ends when all runs are over and read, or never, if it looks for new ones.

    Args:
        store: Where the events are.
        news: Wakes it.
        bookmark: Where to begin; changed as it reads.
        workflows: Names of the workflows whose new runs are to be read too; `None` for none.
    """

    def __init__(
        self, store: AbstractWorkflowStore, news: News, bookmark: Bookmark, workflows: tuple[str, ...] | None
    ) -> None:
        self._store = store
        self._news = news
        self._bookmark = bookmark
        self._workflows = workflows
        self._watch = Watch()
        self._known: set[str] = set()
        """Runs that this look may find again."""
        self._fresh: dict[str, None] = {}
        """Runs that may have news, in the order in which they are to be looked at."""
        for run_id in bookmark.runs:
            self._follow(run_id)

    async def pull(self) -> Sequence[LocatedEvent] | None:
        """Return the next page, all of one run, waiting for one; `None` at the end."""
        while self._workflows is not None or self._bookmark.runs:
            while self._fresh:
                run_id = next(iter(self._fresh))
                if page := await self._read(run_id):
                    return page
            await self._wait()
        return None

    async def _read(self, run_id: str) -> list[LocatedEvent]:
        """Return the next page of one run; an empty one if there is no more for now."""
        run, page = await read_on(self._store, run_id, self._bookmark.runs[run_id])
        # Only now: who is cancelled while reading, as at each heartbeat, has to read again.
        self._fresh.pop(run_id, None)
        if run is None or (run.status != "running" and not page):
            self._leave(run_id)
            return []
        located: list[LocatedEvent] = []
        for event in page:
            self._bookmark.runs[run_id] = event.sequence
            if event.stops:
                self._leave(run_id)
            located.append(LocatedEvent(run.handler_id, run_id, event, self._bookmark.encode()))
        if page and not page[-1].stops:
            self._fresh[run_id] = None
        return located

    async def _wait(self) -> None:
        self._fresh.update(dict.fromkeys(self._watch.told & self._bookmark.runs.keys()))
        self._watch.told.clear()
        if self._fresh or (self._workflows is None and not self._bookmark.runs):
            return
        if self._workflows is None:
            await self._watch.wait()
            return
        with anyio.move_on_after(LOOK_SECONDS):
            await self._watch.wait()
        await self._look()

    async def _look(self) -> None:
        """Find the runs that have started since the last look."""
        query = HandlerQuery(workflow_name_in=self._workflows, started_after=self._bookmark.since)
        since = self._bookmark.since
        cursor: str | None = None
        while True:
            try:
                records, cursor = await self._store.handlers(query, cursor, 100)
            except StoreUnavailable:
                return  # the next look finds them
            for record in records:
                since = max(since or 0.0, math.nextafter(record.started_at, math.inf))
                if record.run_id not in self._known:
                    self._follow(record.run_id)
                    self._bookmark.runs[record.run_id] = -1
            if cursor is None:
                # Only now: a page holds handlers in the order of their first runs, and a look may be cut short.
                self._bookmark.since = since
                self._known.clear()
                return

    def _follow(self, run_id: str) -> None:
        self._known.add(run_id)
        self._fresh[run_id] = None
        self._news.watch(run_id, self._watch)

    def _leave(self, run_id: str) -> None:
        self._bookmark.runs.pop(run_id, None)
        self._news.unwatch(run_id, self._watch)

    def close(self) -> None:
        """Watch nothing any more."""
        for run_id in list(self._bookmark.runs):
            self._leave(run_id)
