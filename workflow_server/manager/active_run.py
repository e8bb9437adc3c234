"""A run of a handler that is in memory."""

from __future__ import annotations

import math

from workflow_server.engine.inputs import Misdirected, Sent, Unwanted, WaitName
from workflow_server.errors import StoreError
from workflow_server.events import Event
from workflow_server.manager.served import ServedWorkflow
from workflow_server.runtime.alarms import Alarm
from workflow_server.runtime.runner import Runner
from workflow_server.runtime.stored_journal import StoredJournal
from workflow_server.stores.base import Verdict
from workflow_server.wire.records import HandlerRecord, IdempotencyKey


class ActiveRun:
    """A run of a handler that is in memory: to be executed, or for a moment only, because it has no place.

    Args:
        handler_id: Its handler.
        served: Its workflow.
        runner: Executes it.
        journal: Writes what becomes of it.
        since: When it began, if it was loaded (seconds since the epoch): its place among the runs of its workflow.
    """

    def __init__(
        self,
        handler_id: str,
        served: ServedWorkflow,
        runner: Runner,
        journal: StoredJournal,
        since: float = math.inf,
    ) -> None:
        self.handler_id = handler_id
        self.served = served
        self.runner = runner
        self.journal = journal
        self._since = since
        self.placed = False
        """Whether it has a place in memory."""
        self.awaited = 0
        """How many clients wait for its end."""
        self.idle_alarm: Alarm | None = None

    def launch(self) -> None:
        """Have it executed, as soon as its workflow has a turn for it."""
        self.placed = True
        if not self.served.assembly.launch(self.runner, self._since):
            self.journal.touch({})

    async def accepted(self, *, kept: bool = False) -> Verdict:
        """Wait for the first commit and return what the store said to it.

        Args:
            kept: Whether its end will be waited for at once, so that it must stay in memory.
        """
        self.awaited += kept
        try:
            await self.journal.settled()
        except StoreError:
            assert self.journal.refusal is not None
            return self.journal.refusal
        finally:
            self.awaited -= kept
        return Verdict.DONE

    async def send(
        self,
        event: Event,
        step: str | None,
        wait: WaitName | None = None,
        keys: tuple[IdempotencyKey, ...] = (),
    ) -> Misdirected | Unwanted | None:
        """Give the run an event from outside, and return once that is committed.

        Args:
            event: The event.
            step: The one step that it is for.
            wait: The one wait that it answers.
            keys: Committed with it.

        Returns:
            What is wrong with the target, if anything; then nothing was sent.

        Raises:
            SerializationError: The event can't be encoded.
            StoreError: The run was dropped.
        """
        runner = self.runner
        sent = Sent(runner.host.clock(), runner.message(event), step, wait=wait, keys=keys)
        refusal: Misdirected | Unwanted | None = runner.apply(sent)
        await self.journal.settled()
        return refusal

    async def end(self) -> HandlerRecord | None:
        """Wait for the run's end and return its record; `None` if the server lets go of the run before."""
        self.awaited += 1
        try:
            await self.runner.ended.wait()
        finally:
            self.awaited -= 1
            if self.journal.on_commit is not None:
                self.journal.on_commit()  # perhaps it stayed for this client only
        return None if self.journal.record.status == "running" else self.journal.record

    @property
    def only_waits(self) -> bool:
        """Whether it could leave memory and nobody would notice."""
        return (
            self.journal.record.phase in ("waiting", "idle")
            and not self.journal.pending
            and not self.awaited
            and all(execution.only_waits for execution in self.runner.executions.values())
        )

    @property
    def is_over(self) -> bool:
        """Whether it has ended, or the store has refused it."""
        return self.runner.run.ending is not None or self.journal.refusal is not None

    @property
    def only_queues(self) -> bool:
        """Whether it waits for its place in memory, and could do so elsewhere."""
        return not (self.placed or self.awaited or self.journal.pending or self.runner.dropped)
