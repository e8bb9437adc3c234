"""A run's events in process, for one reader.

Not an async generator: the documented way to stop reading is to leave the loop, and trio warns of each async
generator that is left before its end. An iterator that holds nothing can be left anywhere.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from workflow_server.errors import WorkflowRuntimeError
from workflow_server.events import Event, StopEvent
from workflow_server.runtime.journal import LiveJournal
from workflow_server.runtime.publications import event_of, is_internal


class EventLog:
    """What is left to read of a run's events.

    Args:
        journal: Where the run puts them.
    """

    def __init__(self, journal: LiveJournal) -> None:
        self._journal = journal
        self._being_read = False
        self.read_to_end = False
        """Whether the stop event was read."""

    async def take(self, expose_internal: bool) -> Event | None:
        """Remove and return the next event, waiting for one; `None` at the end.

        Raises:
            WorkflowRuntimeError: Somebody else waits for it.
        """
        while not self.read_to_end:
            while self._journal.log:
                fact = self._journal.log.popleft().fact
                if expose_internal or not is_internal(fact):
                    event = event_of(fact)
                    self.read_to_end = isinstance(event, StopEvent)
                    return event
            if self._journal.closed:
                self.read_to_end = True
            else:
                await self._wait()
        return None

    async def _wait(self) -> None:
        if self._being_read:
            raise WorkflowRuntimeError("Event stream already consumed: somebody is reading it right now.")
        self._being_read = True
        try:
            await self._journal.wait()
        finally:
            self._being_read = False


class EventStream(AsyncIterator[Event]):
    """Iterates over the rest of a run's events, until the stop event.

    Args:
        log: The events.
        expose_internal: Whether to yield the engine's own events, too.
        refusal: What to say if they have been read to the end before.
    """

    def __init__(self, log: EventLog, expose_internal: bool, refusal: str) -> None:
        self._log = log
        self._expose_internal = expose_internal
        self._refusal = refusal
        self._begun = False

    async def __anext__(self) -> Event:
        if self._log.read_to_end and not self._begun:
            raise WorkflowRuntimeError(self._refusal)
        self._begun = True
        event = await self._log.take(self._expose_internal)
        if event is None:
            raise StopAsyncIteration
        return event

    async def aclose(self) -> None:
        """Do nothing: it can be left without being closed."""
