"""Several runs at once on a store that fails, is slow, or writes and says it failed, in a process that dies at random.

Each history follows from its seed. A failing one names its seed, and `PLAY_SEED=…` plays that one alone. The long form
plays five thousand on each loop.
"""

from __future__ import annotations

import os
import random
from typing import Any

import anyio
import pytest

from tests_support.durable_workflows import WORKFLOWS, answer_questions, make_server, played, result_of, said, told
from tests_support.faulty_store import FaultyStore
from workflow_server.api.commands import StartRun
from workflow_server.api.outcomes import RunAccepted
from workflow_server.errors import StoreUnavailable
from workflow_server.testing.durable_store import DurableStore

pytestmark = [pytest.mark.virtual_time, pytest.mark.usefixtures("virtual_clock")]

HISTORIES, MANY_HISTORIES = 1000, 5000


class BadCable(FaultyStore):
    """Commits are late, fail, or are done and reported as failed.

    Args:
        disk: What is really written.
        dice: Decides.
        dies_after: How many commits it survives; then the process is as good as dead, and nothing is written any more.
    """

    def __init__(self, disk: DurableStore, dice: random.Random, dies_after: int) -> None:
        super().__init__(disk)
        self._dice = dice
        self._left = dies_after
        self.died = anyio.Event()

    async def call(self, name: str, *arguments: Any, **options: Any) -> Any:
        if name != "commit":
            return await super().call(name, *arguments, **options)
        await anyio.sleep(self._dice.choice((0, 0, 0.01, 0.2)))
        if self._left == 0:
            self.died.set()
            await anyio.sleep_forever()
        self._left -= 1
        fate = self._dice.random()
        if fate < 0.1:
            raise StoreUnavailable("the cable came loose")
        verdicts = await super().call(name, *arguments, **options)
        if fate < 0.2:
            raise StoreUnavailable("the answer got lost")
        return verdicts


async def one_life(disk: DurableStore, dice: random.Random, wanted: dict[str, str], accepted: set[str]) -> None:
    """Serve until everything is done, or the process dies."""
    store = BadCable(disk, dice, dies_after=dice.randrange(1, dice.choice((5, 40))))
    options = {"idle_timeout": dice.choice((0.5, 60.0)), "max_active_runs": dice.choice((1, 2, None))}
    server = make_server(store, dict.fromkeys(wanted.values()), **options)

    async def drive() -> None:
        for handler_id, name in wanted.items():
            if handler_id not in accepted and await disk.handler(handler_id) is None:
                outcome = await server.execute(StartRun(name, handler_id=handler_id))
                assert isinstance(outcome, RunAccepted)
            accepted.add(handler_id)
        async with anyio.create_task_group() as tasks:
            for handler_id in wanted:
                tasks.start_soon(answer_questions, server, disk, handler_id)

    async def die() -> None:
        await store.died.wait()
        tasks.cancel_scope.cancel()

    await server.start()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(die)
        await drive()
        tasks.cancel_scope.cancel()
    # Not a stop: the disk takes nothing any more, whatever the server still wants to write.
    store.disk = disk.copy()
    await server.stop()


async def said_undisturbed(name: str) -> list[tuple[str, str]]:
    """Return what a workflow tells when nothing goes wrong."""
    disk = DurableStore()
    server = make_server(disk, [name])
    async with server.running():
        await server.execute(StartRun(name, handler_id="h"))
        await answer_questions(server, disk)
    return sorted(said(await told(disk)))


@pytest.mark.parametrize("part", range(5))
async def test_every_history_ends_well(part: int, caplog: pytest.LogCaptureFixture, long_form: bool) -> None:
    """Every accepted run finishes with its one result, its stream without gaps and repetitions, its parts gone."""
    caplog.set_level("CRITICAL", "workflow_server")  # a store that fails is logged, and fails often here
    undisturbed = {name: await said_undisturbed(name) for name in WORKFLOWS}
    asked = os.environ.get("PLAY_SEED")
    seeds = range(MANY_HISTORIES if long_form else HISTORIES) if asked is None else [int(asked)]
    for seed in seeds[part::5]:
        with played(f"seed {seed}"):
            await check_history(random.Random(seed), undisturbed)


async def check_history(dice: random.Random, undisturbed: dict[str, list[tuple[str, str]]]) -> None:
    disk = DurableStore()
    wanted = {f"h{number}": dice.choice(sorted(WORKFLOWS)) for number in range(3)}
    accepted: set[str] = set()
    with anyio.fail_after(10_000):
        for _ in range(300):
            await one_life(disk, dice, wanted, accepted)
            records = [await disk.handler(handler_id) for handler_id in wanted]
            if all(record is not None and record.status != "running" for record in records):
                break
    for handler_id, name in wanted.items():
        record = await disk.handler(handler_id)
        assert record is not None, name
        assert await result_of(disk, handler_id) == WORKFLOWS[name][1], name
        events = await disk.events(record.run_id, -1, 10_000)
        assert [event.sequence for event in events] == list(range(len(events))), name
        assert sorted(said(events)) == undisturbed[name], name
        assert not disk.parts[record.run_id], name
