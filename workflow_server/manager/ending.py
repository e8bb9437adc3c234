"""Waiting for the end of a run, because a client asked for it."""

from __future__ import annotations

import logging
from collections.abc import Callable

import anyio

from workflow_server.api.outcomes import Outcome, RunFinished
from workflow_server.manager.active_run import ActiveRun
from workflow_server.manager.refusals import LET_GO, still_running
from workflow_server.manager.runs import ActiveRuns
from workflow_server.runtime.feed import News
from workflow_server.stores.base import AbstractWorkflowStore
from workflow_server.wire.records import HandlerRecord

log = logging.getLogger("workflow_server")


def answer_at_end(run: ActiveRun, record: HandlerRecord | None) -> Outcome:
    """Return what to answer to who started a run and has waited for its end; `record` is what `ActiveRun.end` gave."""
    if record is None:
        return still_running(run.handler_id) if run.journal.refusal is None else LET_GO
    if record.status != "completed":
        exception = run.runner.run.exception
        where = f"(handler={record.handler_id}, run={record.run_id})"
        log.error("Workflow %s %s raised an exception", record.workflow_name, where, exc_info=exception)
        finished = f"finished with status={record.status}"
        log.error("Workflow %s %s error=%s %s", record.workflow_name, finished, record.error, where)
    return RunFinished(record)


class Endings:
    """Waits for the ends of runs, whoever started them, without keeping them in memory.

    Args:
        store: Where the runs are.
        news: Wakes readers of runs.
        runs: Returns the runs in memory; `None` if the server stops, which ends all waits.
    """

    def __init__(self, store: AbstractWorkflowStore, news: News, runs: Callable[[], ActiveRuns | None]) -> None:
        self._store = store
        self._news = news
        self._runs = runs

    async def until_over(self, record: HandlerRecord, seconds: float | None) -> HandlerRecord | None:
        """Wait for the end of a run.

        Args:
            record: The run as it was a moment ago.
            seconds: How long at most; `None` for as long as it takes.

        Returns:
            The run as it is then, perhaps still running; `None` if it was removed.
        """
        run_id = record.run_id
        with anyio.move_on_after(seconds), self._news.watching(run_id) as watch:
            while (runs := self._runs()) is not None:
                watch.told.clear()
                live = runs.get(record.handler_id)
                now = await self._store.run(run_id)
                if now is None or now.status != "running":
                    return now
                # News comes with every commit; the end of a run in memory has a sign of its own.
                is_here = live is not None and live.journal.record.run_id == run_id
                await (live.runner.ended if live is not None and is_here else watch).wait()
        return await self._store.run(run_id)
