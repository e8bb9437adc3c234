"""Where a run's reactions go before their effects may be performed.

A live run, started by `Workflow.run()` without a store, has nothing to wait for: publications go to its
handler and effects are performed at once. A stored run collects reactions in its open batch; the committer
writes the batches of all runs that have one as a group, and performs each run's effects afterwards. A commit
belongs to no task: whoever waits for it may be cancelled, the write stands.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import anyio

from workflow_server.engine.effects import Effect, Publication, Reaction


class Journal(Protocol):
    """Takes what a run's reactions hold."""

    encodes: bool
    """Whether events and state must become JSON when they enter the run."""

    @property
    def pending(self) -> bool:
        """Whether something is not committed yet."""
        ...

    def take(self, reaction: Reaction) -> None:
        """Take a reaction; its effects are performed once it is committed."""
        ...

    async def settled(self) -> None:
        """Return once everything taken so far is committed.

        Raises:
            StoreError: The run was dropped, because the store holds another state of it.
        """
        ...

    async def write_state(self, changes: Mapping[str, str | None]) -> None:
        """Commit written state."""
        ...


class LiveJournal:
    """The journal of a run without a store: a log for its one reader.

    Args:
        perform: Performs effects.
    """

    encodes = False
    pending = False

    def __init__(self, perform: Callable[[Sequence[Effect]], None]) -> None:
        self._perform: Callable[[Sequence[Effect]], None] | None = perform
        self.log: deque[Publication] = deque()
        self.closed = False
        """Whether the run has ended, so that nothing more comes."""
        self._news: anyio.Event | None = None

    def take(self, reaction: Reaction) -> None:
        """Log the publications and perform the effects."""
        if reaction.publications:
            self.log.extend(reaction.publications)
            self._wake()
        if reaction.effects and self._perform is not None:
            self._perform(reaction.effects)

    def close(self) -> None:
        """Tell the reader that nothing more comes."""
        self.closed = True
        self._perform = None  # a method of the run, which holds this journal
        self._wake()

    def _wake(self) -> None:
        if self._news is not None:
            self._news.set()
            self._news = None

    async def wait(self) -> None:
        """Return when something was logged, or the journal was closed."""
        if self._news is None:
            self._news = anyio.Event()
        await self._news.wait()

    async def settled(self) -> None:
        """Return at once: nothing is pending."""

    async def write_state(self, changes: Mapping[str, str | None]) -> None:
        """Never called: the state of a live run is not bound to a writer."""
