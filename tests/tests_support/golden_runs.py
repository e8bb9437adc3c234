"""Runs of every kind in one database, as this version writes it: golden data for later versions.

    python -m tests_support.golden_runs FILE

makes FILE anew, in the folder `tests`. It is done once for each released schema; the file is kept under
`tests/stores/golden` and never made again. The workflows here may grow, but what a kept file refers to must stay.
"""

from __future__ import annotations

import os
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import anyio

from workflow_server import Context, SqliteWorkflowStore, Workflow, WorkflowServer, step
from workflow_server.api.commands import CancelHandler, SendEvent, StartRun
from workflow_server.api.outcomes import Refused
from workflow_server.events import Event, HumanResponseEvent, InputRequiredEvent, StartEvent, StopEvent


class Question(InputRequiredEvent):
    text: str = "Who?"


class Answer(HumanResponseEvent):
    text: str


class Piece(Event):
    n: int


class Count(Workflow):
    """Counts how often it has run, and fails if told so."""

    @step
    async def count(self, ev: StartEvent, ctx: Context) -> StopEvent:
        if ev.get("fail", False):
            raise ValueError("told to fail")
        times = await ctx.store.get("times", default=0) + 1
        ctx.write_event_to_stream(Piece(n=times))
        await ctx.store.set("times", times)
        return StopEvent(result=times)


class Interview(Workflow):
    """Waits for a person."""

    @step
    async def ask(self, ev: StartEvent, ctx: Context) -> StopEvent:
        await ctx.store.set("asked", "é 漢 🎈")
        answer = await ctx.wait_for_event(Answer, waiter_event=Question(), timeout=None)
        return StopEvent(result=f"{answer.text} ({await ctx.store.get('asked')})")


class Batch(Workflow):
    """Keeps its progress in state, and never gets beyond the second item while `GOLDEN_HOLD` is set."""

    @step
    async def work(self, ev: StartEvent, ctx: Context) -> StopEvent:
        done: list[int] = list(await ctx.store.get("done", default=[]))
        for n in range(4):
            if n not in done:
                if n == 2 and os.environ.get("GOLDEN_HOLD"):
                    await anyio.sleep_forever()
                done.append(n)
                ctx.write_event_to_stream(Piece(n=n))
                await ctx.store.set("done", list(done))
        return StopEvent(result=done)


class Gather(Workflow):
    """Collects three pieces, of which the last comes from outside."""

    @step
    async def begin(self, ev: StartEvent, ctx: Context) -> Piece:
        ctx.send_event(Piece(n=1))
        return Piece(n=2)

    @step
    async def gather(self, ev: Piece, ctx: Context) -> StopEvent | None:
        pieces = ctx.collect_events(ev, [Piece] * 3)
        return None if pieces is None else StopEvent(result=sorted(piece.n for piece in pieces))


class Later:
    """Tries again after five seconds."""

    def next(self, elapsed_time: float, attempts: int, error: Exception) -> float | None:
        return 5.0 if attempts == 1 else None


class Stumble(Workflow):
    """Fails once, and succeeds when its retry is due."""

    @step(retry_policy=Later())
    async def stumble(self, ev: StartEvent, ctx: Context) -> StopEvent:
        if ctx.retry_info().retry_number == 0:
            raise ValueError("the first time")
        return StopEvent(result="the second time")


def server_on(path: Path, *, absent: bool = True, idle_timeout: float | None = None) -> WorkflowServer:
    """Return a server for a golden database; with `absent`, one workflow is served that was not always."""
    server = WorkflowServer(workflow_store=SqliteWorkflowStore(path), idle_timeout=idle_timeout, shutdown_grace=0.1)
    server.add_workflow("count", Count(timeout=None))
    server.add_workflow("interview", Interview(timeout=None), additional_events=[Answer])
    server.add_workflow("batch", Batch(timeout=None))
    server.add_workflow("gather", Gather(timeout=None))
    server.add_workflow("stumble", Stumble(timeout=None))
    if absent:
        server.add_workflow("absent", Interview(timeout=None), additional_events=[Answer])
    return server


async def _start(
    server: WorkflowServer, workflow: str, handler_id: str, *, wait: bool = False, **fields: object
) -> None:
    outcome = await server.execute(StartRun(workflow, fields, handler_id, wait=wait))
    assert not isinstance(outcome, Refused), outcome.detail


async def _phases(path: Path, wanted: dict[str, str]) -> None:
    """Wait until the handlers of the open database have these phases."""
    uri = f"file:{path}?mode=ro"
    with anyio.fail_after(20):
        while True:
            with closing(sqlite3.connect(uri, uri=True)) as reader:
                found = dict(reader.execute("SELECT handler_id, phase FROM runs WHERE current = 1"))
            if wanted.items() <= found.items():
                return
            await anyio.sleep(0.02)


async def _write(path: Path) -> None:
    server = server_on(path, idle_timeout=0.1)
    await server.start()
    await _start(server, "absent", "blocked")
    await _start(server, "interview", "released")
    await _phases(path, {"blocked": "idle", "released": "idle"})
    await server.stop()

    server = server_on(path, absent=False)
    await server.start()
    refused = await server.execute(SendEvent("blocked", {"type": "Answer", "value": {"text": "lost"}}))
    assert isinstance(refused, Refused), refused
    for _ in range(2):
        await _start(server, "count", "continued", wait=True)
    await _start(server, "count", "failed", wait=True, fail=True)
    await _start(server, "interview", "cancelled")
    await server.execute(CancelHandler("cancelled"))
    await _start(server, "interview", "asking")
    await _start(server, "batch", "interrupted")
    await _start(server, "gather", "gathering")
    await _start(server, "stumble", "stumbled")
    await _phases(path, {
        "blocked": "blocked", "released": "idle", "asking": "waiting", "gathering": "waiting", "cancelled": "done",
    })  # fmt: skip
    await anyio.sleep(1)
    os._exit(0)


def main() -> None:
    """Write the database and leave it as a killed server does."""
    path = Path(sys.argv[1])
    os.environ["GOLDEN_HOLD"] = "1"
    child = os.fork()
    if child == 0:
        try:
            anyio.run(_write, path)
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    assert status == 0, status
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        database.execute("VACUUM")
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    Path(f"{path}.lock").unlink()


if __name__ == "__main__":
    # Under the name that the stored classes shall have.
    from tests_support import golden_runs

    golden_runs.main()
