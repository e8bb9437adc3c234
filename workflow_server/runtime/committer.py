"""Group commit: the open batches of all runs that have one are written together, then their effects performed.

    take -> open batch -> (commit of the group) -> perform effects, wake readers, wake whoever waits

With a store that commits at once there is no group and no wait: a reaction is written and its effects performed
in the same breath. With any other, one performer task for the loop writes group after group; while one is in
flight, the next gathers. The performer belongs to nobody who waits for it, so cancelling them stops nothing.
"""

from __future__ import annotations

import logging
from typing import Protocol

import anyio
import anyio.lowlevel

from workflow_server.observation import Committed, observers, tell
from workflow_server.runtime.host import Host
from workflow_server.runtime.stored_journal import StoredJournal
from workflow_server.stores.base import AbstractWorkflowStore, Batch, ImmediateStore, Verdict

log = logging.getLogger("workflow_server")

RETRY_SECONDS = (0.05, 0.1, 0.25, 0.5, 1.0)
"""Pauses between tries to reach a store that failed; the last one repeats."""


class Newsroom(Protocol):
    """Whoever wakes readers."""

    def tell(self, run_id: str) -> None:
        """Wake the readers of a run."""
        ...


class Committer:
    """Writes the batches of all stored runs of one loop.

    Args:
        host: The loop's shared means.
        store: Where to.
        news: Told of every commit that holds events.
    """

    def __init__(self, host: Host, store: AbstractWorkflowStore, news: Newsroom) -> None:
        self._host = host
        self._store = store
        self.keeps_parts = store.keeps_parts
        """Whether runs can be loaded again."""
        self._news = news
        self._immediate = store if isinstance(store, ImmediateStore) else None
        self._marked: dict[StoredJournal, None] = {}
        self._writing = False
        self._rest: anyio.Event | None = None
        """Set when nothing is left to write."""
        self._given_up = False

    def mark(self, journal: StoredJournal) -> None:
        """Have the open batch of `journal` written soon."""
        if self._immediate is not None:
            batch = journal.close_batch()
            if batch is not None:
                self._conclude(journal, batch, self._immediate.commit_now([batch])[0])
            return
        self._marked[journal] = None
        if not self._writing:
            self._writing = True
            self._host.port.spawn(self._write_groups)

    async def finish(self, within: float) -> None:
        """Write what is left.

        Args:
            within: Seconds after which it is given up, if the store fails; nobody was told of it.
        """
        with anyio.move_on_after(within):
            while self._writing:
                self._rest = self._rest or anyio.Event()
                await self._rest.wait()
        self._given_up = self._writing

    async def _write_groups(self) -> None:
        try:
            while self._marked:
                journals, self._marked = self._marked, {}
                closed = [(journal, journal.close_batch()) for journal in journals]
                group = [(journal, batch) for journal, batch in closed if batch is not None]
                verdicts = await self._write_watched([batch for _, batch in group]) if group else []
                for (journal, batch), verdict in zip(group, verdicts, strict=True):
                    self._conclude(journal, batch, verdict)
                if not self._marked:
                    await anyio.lowlevel.checkpoint()  # meanwhile a short step that follows may have returned
        finally:
            self._writing = False
            if self._rest is not None:
                self._rest.set()
                self._rest = None

    async def _write_watched(self, group: list[Batch]) -> list[Verdict]:
        began = self._host.port.now()
        verdicts = await self._write(group)
        if observers:
            events = sum(len(batch.events) for batch in group)
            tell(Committed(self._host.clock(), len(group), events, self._host.port.now() - began))
        return verdicts

    async def _write(self, group: list[Batch]) -> list[Verdict]:
        """Write a group, for as long as it takes: until then all runs hold."""
        tries = 0
        while True:
            try:
                return await self._store.commit(group)
            except Exception:
                pause = RETRY_SECONDS[min(tries, len(RETRY_SECONDS) - 1)]
                if tries == 0:
                    log.exception("The store failed; all runs hold until it is back")
                tries += 1
            await anyio.sleep(pause)
            if self._given_up:
                return [Verdict.STALE] * len(group)

    def _conclude(self, journal: StoredJournal, batch: Batch, verdict: Verdict) -> None:
        if verdict is not Verdict.DONE:
            journal.refused(verdict)
            # Its readers must learn that nothing more comes.
            self._news.tell(batch.handler.run_id)
            return
        journal.committed(batch)
        if batch.events:
            self._news.tell(batch.handler.run_id)
