"""Bringing runs back into memory: at the start, for an event or a cancel, and when a timer is due.

A run that can't be loaded (its workflow is not served, a class is gone, a part can't be read) stays `running` with
the phase `blocked` and the reason as its error, and is tried again at the next start. It never stops the others.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from types import MappingProxyType

import anyio

from workflow_server.engine.effects import Publication, RunCancelled
from workflow_server.engine.parts import LoadError
from workflow_server.engine.state import ItemPhase, Run
from workflow_server.errors import StoreError, StoreUnavailable, WorkflowError
from workflow_server.manager.runs import ActiveRun, ActiveRuns
from workflow_server.manager.served import ServedWorkflow
from workflow_server.runtime.ids import new_id
from workflow_server.runtime.publications import record_of
from workflow_server.stores.base import AbstractWorkflowStore, Batch, StoredRun
from workflow_server.wire.records import EventRecord, HandlerRecord

log = logging.getLogger("workflow_server")

PAGE = 100
"""How many unfinished runs are looked up at a time."""
RETRY_SECONDS = 1.0
"""Pause before a store that was out is asked again."""
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
        self._timers_changed = anyio.Event()
        self._scope = anyio.CancelScope()
        self._ended = anyio.Event()

    def begin(self) -> None:
        """Begin to bring back what is unfinished, without keeping anybody waiting."""
        self._runs.host.port.spawn(self._keep)

    async def end(self) -> None:
        """Load nothing more."""
        self._scope.cancel()
        await self._ended.wait()

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

    async def cancel_blocked(self, handler_id: str) -> None:
        """Cancel a run that can't be loaded; does nothing if it is over meanwhile."""
        record = await self._store.handler(handler_id)
        stored = None if record is None else await self._store.load(record.run_id)
        if stored is None or stored.record.status != "running":
            return
        at = self._runs.host.clock()
        cancelled = record_of(Publication(stored.next_sequence, at, RunCancelled()))
        over = replace(stored.record, status="cancelled", phase="done", error=None, updated_at=at, completed_at=at)
        await self._write(stored, over, events=(cancelled,), parts=dict.fromkeys(stored.parts))

    # In the background

    async def _keep(self) -> None:
        try:
            with self._scope:
                await self._insist(self._resume_all)
                while True:
                    await self._insist(self._wake_due)
        except Exception:
            log.exception("Runs are no longer brought back into memory by themselves")
        finally:
            self._ended.set()

    async def _insist(self, act: Callable[[], Awaitable[None]]) -> None:
        """Do what `act` does, again from its beginning for as long as the store is out."""
        while True:
            try:
                return await act()
            except StoreUnavailable as error:
                log.warning("Runs are brought back into memory when the store is back: %s", error)
            await anyio.sleep(RETRY_SECONDS)

    async def _resume_all(self) -> None:
        cursor: str | None = None
        while True:
            page, cursor = await self._store.unfinished(cursor, PAGE, asleep=False)
            for unfinished in page:
                await self._try_to_open(unfinished.handler_id)
            if cursor is None:
                return

    async def _wake_due(self) -> None:
        """Load the runs whose timer is due, then sleep until the next one is."""
        self._timers_changed = anyio.Event()
        clock, cursor = self._runs.host.clock, None
        while True:
            page, cursor = await self._store.unfinished(cursor, PAGE, asleep=True, due_by=clock())
            for unfinished in page:
                await self._try_to_open(unfinished.handler_id)
            if cursor is None:
                break
        now = clock()
        due = await self._store.next_due(now)
        with anyio.move_on_after(min(LONGEST_SLEEP, LONGEST_SLEEP if due is None else max(0.0, due - now))):
            await self._timers_changed.wait()

    async def _try_to_open(self, handler_id: str) -> None:
        try:
            run = await self.open(handler_id)
            if run is not None:
                await run.journal.settled()
        except StoreUnavailable:
            raise
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
                return await self._revive(stored)
            except StoreError:
                raise  # the store's trouble, not the run's
            except (LoadError, LookupError, ValueError, WorkflowError) as error:
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
        """Return what each item that was executing has published since its last state write."""
        found: dict[int, tuple[tuple[str, str], ...]] = {}
        for item in loaded.items.values():
            if item.phase in (ItemPhase.RUNNING, ItemPhase.WAITING, ItemPhase.ANSWERED):
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
    ) -> None:
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
        await self._store.commit([batch])
