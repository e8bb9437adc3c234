"""Random histories of the SQLite store, checked against what they ought to leave behind."""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from workflow_server.stores.base import Batch, FirstBatch, HandlerQuery, Verdict
from workflow_server.stores.memory import MemoryWorkflowStore
from workflow_server.stores.sqlite import SqliteWorkflowStore, recent
from workflow_server.testing.batches import all_unfinished, event, first, next_of
from workflow_server.wire.records import EventRecord, Phase

PHASES = ("queued", "running", "waiting", "idle", "blocked")
STATUSES = ("completed", "failed", "cancelled")


@dataclass
class Expected:
    """A run that is not deleted, as the last batch that was done left it."""

    batch: Batch
    parts: dict[str, str] = field(default_factory=dict[str, str])


@dataclass
class History:
    """Makes up batches; `rng` decides everything."""

    rng: random.Random
    runs: dict[str, Expected] = field(default_factory=dict[str, Expected])
    made: int = 0

    def batch(self) -> Batch:
        """Return a batch: the start of a run, the next of one, or a wrong one."""
        self.made += 1
        alive = [one for one in self.runs.values() if one.batch.handler.status == "running"]
        if not alive or self.rng.random() < 0.2:
            handler, run = f"h{self.rng.randrange(8)}", f"r{self.made}"
            shape = f'{{"shape": {self.rng.randrange(3)}}}'
            batch = first(handler, run, shape=shape, phase=self.rng.choice(PHASES))
            return self.dressed(replace(batch, first=FirstBatch(event(-1, "Start"), shape)))
        last = self.rng.choice(alive).batch
        if self.rng.random() < 0.1:
            last = replace(last, version=last.version + self.rng.choice((-1, 1)))
        events = [self.event(last.next_sequence + n) for n in range(self.rng.randrange(3))]
        over = self.rng.random() < 0.15
        fields: dict[str, Any] = {"phase": self.rng.choice(PHASES)}
        if over:
            stop = self.event(last.next_sequence + len(events), "StopEvent")
            events.append(stop)
            fields = {"phase": "done", "status": self.rng.choice(STATUSES), "completed_at": self.at(), "result": stop}
        return self.dressed(next_of(last, *events, updated_at=self.at(), **fields))

    def dressed(self, batch: Batch) -> Batch:
        """Return `batch` with parts, state, a due time and a write id."""
        return replace(
            batch,
            parts={f"p{self.rng.randrange(6)}": self.text() for _ in range(self.rng.randrange(4))},
            state={f"s{self.rng.randrange(6)}": self.text() for _ in range(self.rng.randrange(3))},
            due=self.rng.choice((None, self.at())),
            head=str(self.made),
            write_id=f"w{self.made}",
        )

    def event(self, sequence: int, type: str = "") -> EventRecord:
        type = type or self.rng.choice(("Job", "Progress", "Reply"))
        return replace(event(sequence, type, self.rng.choice((None, 1, 2))), timestamp=self.at())

    def at(self) -> float:
        return self.rng.uniform(1.7e9, 1.8e9)

    def text(self) -> str | None:
        return self.rng.choice((None, "1", '"é\\n🎈"', "{}", f'"{"x" * self.rng.randrange(3000)}"'))

    def done(self, batch: Batch) -> None:
        """Note that `batch` was written."""
        run = self.runs.setdefault(batch.handler.run_id, Expected(batch))
        run.batch = batch
        for key, body in batch.parts.items():
            if body is None:
                run.parts.pop(key, None)
            else:
                run.parts[key] = body


def nothing_is_in_memory(memory: MemoryWorkflowStore, history: History) -> None:
    """Have the phases say what those in the file say after a start."""
    for run_id, run in history.runs.items():
        record = run.batch.handler
        phase: Phase = {"waiting": "idle", "running": "queued"}.get(record.phase, record.phase)
        record = replace(record, phase=phase)
        run.batch = replace(run.batch, handler=record)
        memory._runs[run_id].record = record


async def compare(store: SqliteWorkflowStore, memory: MemoryWorkflowStore, history: History) -> None:
    """Check that a store holds what the memory store does, and the parts."""
    assert await store.handlers(HandlerQuery(), None, 99) == await memory.handlers(HandlerQuery(), None, 99)
    for run_id, expected in history.runs.items():
        loaded = await store.load(run_id)
        assert loaded is not None
        batch = expected.batch
        assert (dict(loaded.parts), loaded.head) == (expected.parts, batch.head)
        assert (loaded.version, loaded.next_sequence) == (batch.version, batch.next_sequence)
        assert loaded.record == await memory.run(run_id)
        assert dict(loaded.state) == dict(await memory.state(run_id))
        assert await store.events(run_id, -1, 9999) == await memory.events(run_id, -1, 9999)
        assert await store.events_of_item(run_id, 1, 2) == await memory.events_of_item(run_id, 1, 2)
    alive = [one.batch for one in history.runs.values() if one.batch.handler.status == "running"]
    asleep = [one for one in alive if one.handler.phase in {"waiting", "idle"}]
    found = {(one.run_id, one.phase, one.due) for one in await all_unfinished(store, asleep=True)}
    assert found == {(one.handler.run_id, one.handler.phase, one.due) for one in asleep}
    assert len(await all_unfinished(store, asleep=False)) == len(alive) - len(asleep)
    times = sorted(one.due for one in asleep if one.due is not None)
    assert await store.next_due(0.0) == (times[0] if times else None)
    if times:
        middle = times[len(times) // 2]
        due = [one.due for one in await all_unfinished(store, asleep=True, due_by=middle)]
        assert due == [at for at in times if at <= middle]


@pytest.mark.parametrize("seed", range(4))
async def test_a_history_leaves_what_it_should(tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    if seed % 2:
        # Everything is read from the file, nothing from memory.
        monkeypatch.setattr(recent, "RUNS", 0)
    history, memory = History(random.Random(seed)), MemoryWorkflowStore(max_completed=None)
    rng = history.rng
    store = SqliteWorkflowStore(tmp_path / "runs.db", synchronous="NORMAL")
    await store.start()
    for turn in range(80):
        group = list({batch.handler.handler_id: batch for batch in (history.batch() for _ in range(4))}.values())
        verdicts = memory.commit_now(group)
        assert await store.commit(group) == verdicts
        for batch, verdict in zip(group, verdicts, strict=True):
            if verdict is Verdict.DONE:
                history.done(batch)
        if rng.random() < 0.1:
            # The answer got lost: what was done is done, and not done twice.
            again = [batch for batch, verdict in zip(group, verdicts, strict=True) if verdict is Verdict.DONE]
            assert await store.commit(again) == [Verdict.DONE] * len(again)
        if rng.random() < 0.1:
            handler_id = f"h{rng.randrange(8)}"
            assert await store.delete(handler_id) == await memory.delete(handler_id)
            for run_id, run in list(history.runs.items()):
                if run.batch.handler.handler_id == handler_id:
                    del history.runs[run_id]
        if turn % 30 == 20:
            await store.close()
            store = SqliteWorkflowStore(store.path, synchronous="NORMAL")
            await store.start()
            nothing_is_in_memory(memory, history)
        if turn % 10 == 0:
            await compare(store, memory, history)
    await compare(store, memory, history)
    await store.close()
