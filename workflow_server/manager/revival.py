"""Bringing runs back into memory: at the start, for an event or a cancel, and when a timer is due.

A run without a place in memory is loaded for a moment all the same, if somebody wants something of it: what it is told
is written, and it goes again. That is what a crash right after the commit would leave, so nothing special follows.

A run that can't be loaded (its workflow is not served, a class is gone, a part can't be read) stays `running` with
the phase `blocked` and the reason as its error, and is tried again at the next start. It never stops the others.

A run that the store refused to write is loaded again from what the store has, after a pause. One that is refused time
and again, because it does the same each time, is blocked in the end.
"""

from __future__ import annotations

import logging
import math
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from itertools import count
from types import MappingProxyType

import anyio

from workflow_server.engine.effects import Publication, RunCancelled
from workflow_server.engine.loading import LoadError
from workflow_server.engine.state import Run
from workflow_server.errors import StoreError, StoreUnavailable, WorkflowError
from workflow_server.manager.active_run import ActiveRun
from workflow_server.manager.runs import ActiveRuns
from workflow_server.manager.served import ServedWorkflow
from workflow_server.runtime.ids import new_id
from workflow_server.runtime.publications import record_of
from workflow_server.stores.base import AbstractWorkflowStore, Batch, StoredRun, Verdict
from workflow_server.wire.records import EventRecord, HandlerRecord

log = logging.getLogger("workflow_server")

PAGE = 100
"""How many unfinished runs are looked up at a time."""
RETRY_SECONDS = 1.0
"""Pause before a store that was out is asked again."""
RELOAD_SECONDS = (1.0, 5.0, 30.0)
"""Pauses before a run is loaded again, if the store refused to write it or failed at loading it."""
LONGEST_SLEEP = 3600.0
"""Seconds after which timers are looked up again in any case."""


class Blocked(WorkflowError):
    """A run can't be loaded; the text says why."""


class Revival:
    """Loads runs.

    Args:
        workflows: The served workflows by name.
        store: Where the runs are.
        runs: Where they go.
    """

    def __init__(self, workflows: Mapping[str, ServedWorkflow], store: AbstractWorkflowStore, runs: ActiveRuns) -> None:
        self._workflows = workflows
        self._store = store
        self._runs = runs
        self._loading: dict[str, anyio.Event] = {}
        self._refusals: Counter[str] = Counter()
        """How often the store has refused to write a run, by id."""
        self._again: dict[str, tuple[float, int]] = {}
        """Handlers to open again: at which loop time, and for the how manieth time."""
        self._cursor: str | None = None  # of the next page of what was awake when the server stopped
        self._order = count()  # in which that started
        self._all_queued = False  # after its last page
        self._placed: deque[str] = deque()
        """Handlers that have a place in memory and must be loaded."""
        self._more_placed = anyio.Event()
        self._timers_changed = anyio.Event()
        self._scope = anyio.CancelScope()
        self._ended = anyio.Event()

    async def begin(self) -> None:
        """Begin to bring back what is unfinished; newcomers get places when that has queued, mostly by the return."""
        self._runs.expect_earlier_ones()
        with suppress(Exception):  # whatever it is, it is tried again in the background, and told
            await self._queue_page()
        self._runs.host.port.spawn(self._keep)

    async def end(self) -> None:
        """Load nothing more."""
        self._scope.cancel()
        await self._ended.wait()

    def load_soon(self, handler_id: str) -> None:
        """Load the run of a handler that has a place in memory."""
        self._placed.append(handler_id)
        self._more_placed.set()

    def look_at_timers(self) -> None:
        """A run has left memory: its timer may be the next one due."""
        self._timers_changed.set()

    async def open(self, handler_id: str) -> ActiveRun | None:
        """Return the live run of a handler, loaded if need be; `None` if the handler has none.

        Raises:
            Blocked: It can't be loaded.
        """
        while (run := self._runs.get(handler_id)) is None:
            record = await self._store.handler(handler_id)
            if record is None or record.status != "running":
                return None
            if self._runs.get(handler_id) is not None:
                continue  # somebody else has loaded it meanwhile
            loading = self._loading.get(record.run_id)
            if loading is None:
                return await self._load(record)
            await loading.wait()
        return run

    def note_refusal(self, handler_id: str, run_id: str) -> None:
        """The store has refused to write a run, which was dropped: load it again."""
        self._refusals[run_id] += 1
        self._open_later(handler_id, self._refusals[run_id])

    async def cancel_blocked(self, handler_id: str) -> bool:
        """Cancel a run that can't be loaded.

        Returns:
            `False` if somebody else has changed the run meanwhile.
        """
        record = await self._store.handler(handler_id)
        stored = None if record is None else await self._store.load(record.run_id)
        if stored is None or stored.record.status != "running":
            return False
        at = self._runs.host.clock()
        cancelled = record_of(Publication(stored.next_sequence, at, RunCancelled()))
        over = replace(stored.record, status="cancelled", phase="done", error=None, updated_at=at, completed_at=at)
        return await self._write(stored, over, events=(cancelled,), parts=dict.fromkeys(stored.parts))

    # In the background

    async def _keep(self) -> None:
        try:
            with self._scope:
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(self._load_placed)
                    while not self._all_queued:
                        await self._insist(self._queue_page)
                    while True:
                        await self._insist(self._wake_due)
        finally:
            self._ended.set()

    async def _insist(self, act: Callable[[], Awaitable[None]]) -> None:
        """Do what `act` does, again from its beginning for as long as the store fails, in whatever way."""
        told = False
        while True:
            try:
                return await act()
            except Exception as error:
                if not told:
                    unforeseen = not isinstance(error, StoreError)
                    log.warning("Runs come back into memory when the store is back: %s", error, exc_info=unforeseen)
                told = True
            await anyio.sleep(RETRY_SECONDS)

    async def _load_placed(self) -> None:
        while True:
            if not self._placed:
                self._more_placed = anyio.Event()
                await self._more_placed.wait()
            handler_id = self._placed.popleft()
            await self._insist(partial(self._try_to_open, handler_id))
            if self._runs.get(handler_id) is None:
                self._runs.leave(handler_id)  # it was over, is gone, or can't be loaded

    async def _queue_page(self) -> None:
        """Queue a page of what was awake when the server stopped, in the order of starting."""
        page, self._cursor = await self._store.unfinished(self._cursor, PAGE, asleep=False)
        for unfinished in page:
            self._runs.queue(unfinished.handler_id, (0, next(self._order)))
        if self._cursor is None:
            self._all_queued = True
            self._runs.expect_no_more()

    async def _wake_due(self) -> None:
        """Load the runs whose timer is due, then sleep until the next one is."""
        self._timers_changed = anyio.Event()
        await self._open_again()
        clock, cursor = self._runs.host.clock, None
        looked = clock()
        while True:
            page, cursor = await self._store.unfinished(cursor, PAGE, asleep=True, due_by=looked)
            for unfinished in page:
                await self._try_to_open(unfinished.handler_id)
            if cursor is None:
                break
        due = await self._store.next_due(looked)  # and not after now: what became due meanwhile is not seen yet
        again = min((at for at, _ in self._again.values()), default=math.inf) - self._runs.host.port.now()
        with anyio.move_on_after(max(0.0, min(LONGEST_SLEEP, math.inf if due is None else due - clock(), again))):
            await self._timers_changed.wait()

    def _open_later(self, handler_id: str, time: int) -> None:
        pause = RELOAD_SECONDS[min(time, len(RELOAD_SECONDS)) - 1]
        self._again.setdefault(handler_id, (self._runs.host.port.now() + pause, time))
        self._timers_changed.set()

    async def _open_again(self) -> None:
        for handler_id, (at, time) in list(self._again.items()):
            if at <= self._runs.host.port.now():
                del self._again[handler_id]
                try:
                    await self._try_to_open(handler_id, time)
                except StoreUnavailable:
                    self._again[handler_id] = (at, time)
                    raise

    async def _try_to_open(self, handler_id: str, time: int = 0) -> None:
        try:
            run = await self.open(handler_id)
            if run is not None:
                await run.journal.settled()
        except StoreUnavailable:
            raise
        except StoreError as error:
            log.warning("Handler %s is not resumed yet: %s", handler_id, error)
            self._open_later(handler_id, time + 1)
        except WorkflowError as error:
            log.warning("Handler %s is not resumed: %s", handler_id, error)

    # Loading

    async def _load(self, record: HandlerRecord) -> ActiveRun | None:
        self._loading[record.run_id] = loaded = anyio.Event()
        try:
            stored = await self._store.load(record.run_id)
            if stored is None or stored.record.status != "running":
                return None
            try:
                if self._refusals[record.run_id] > len(RELOAD_SECONDS):
                    raise LoadError("the store refuses what it writes, each time it is tried; the log says why")
                return await self._revive(stored)
            except StoreError:
                raise  # the store's trouble, not the run's
            except Exception as error:  # whatever is wrong with it is its own matter
                await self._block(stored, str(error))
                raise Blocked(str(error)) from error
        finally:
            del self._loading[record.run_id]
            loaded.set()

    async def _revive(self, stored: StoredRun) -> ActiveRun:
        record = stored.record
        served = self._workflows.get(record.workflow_name)
        if served is None:
            raise LoadError(f"no workflow is served as {record.workflow_name!r}")
        loaded = served.read_run(stored)
        published = await self._published(record.run_id, loaded)
        return self._runs.revive(served, stored, loaded, published)

    async def _published(self, run_id: str, loaded: Run) -> dict[int, tuple[tuple[str, str], ...]]:
        """Return what each item that has been executed has published since its last state write."""
        found: dict[int, tuple[tuple[str, str], ...]] = {}
        for item in loaded.items.values():
            # Wherever it stands now: one that was interrupted before may have found no worker since, and still queue.
            if item.first_started is not None:
                events = await self._store.events_of_item(run_id, item.id, item.since)
                said = tuple((event.qualified_name, event.value) for event in events if not event.tells_step)
                if said:
                    found[item.id] = said
        return found

    async def _block(self, stored: StoredRun, reason: str) -> None:
        """Write down why a run can't be loaded, if that is news."""
        if stored.record.phase == "blocked" and stored.record.error == reason:
            return
        blocked = replace(stored.record, phase="blocked", error=reason, updated_at=self._runs.host.clock())
        await self._write(stored, blocked)

    async def _write(
        self,
        stored: StoredRun,
        record: HandlerRecord,
        *,
        events: tuple[EventRecord, ...] = (),
        parts: Mapping[str, str | None] = MappingProxyType({}),
    ) -> bool:
        batch = Batch(
            handler=record,
            version=stored.version + 1,
            next_sequence=stored.next_sequence + len(events),
            events=events,
            parts=parts,
            head=stored.head,
            alive=stored.alive,
            write_id=new_id(),
        )
        return await self._store.commit([batch]) == [Verdict.DONE]
