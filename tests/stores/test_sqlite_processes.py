"""The SQLite store and other processes: one that is killed, a second server, a child that outlives its parent."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests_support.served import checkout_environ
from workflow_server.errors import ServerUsageError
from workflow_server.stores.base import Verdict
from workflow_server.stores.sqlite import SqliteWorkflowStore
from workflow_server.testing.batches import first, ids, put

COMMITS = """
import sys
from dataclasses import replace
import anyio
from workflow_server.stores.sqlite import SqliteWorkflowStore
from workflow_server.testing.batches import event, first, next_of

async def main():
    store = SqliteWorkflowStore(sys.argv[1])
    await store.start()
    group = [replace(first(f"h{n}", f"r{n}-{sys.argv[2]}"), parts={"v": "1"}) for n in range(3)]
    while True:
        assert {verdict.value for verdict in await store.commit(group)} == {"done"}
        print(group[0].version, flush=True)
        version = group[0].version + 1
        state = {"v": str(version)}
        parts = {"v": str(version), f"p{version}": "x", f"p{version - 1}": None}
        group = [next_of(batch, event(version), parts=parts, state=state) for batch in group]

anyio.run(main, backend=sys.argv[3])
"""

HOLDS = """
import sys
import anyio
from workflow_server.stores.sqlite import SqliteWorkflowStore

async def main():
    store = SqliteWorkflowStore(sys.argv[1])
    await store.start()
    print("open", flush=True)
    await anyio.sleep(60)

anyio.run(main)
"""

FORKS = """
import os, sys, time
import anyio
from workflow_server.stores.sqlite import SqliteWorkflowStore

async def main():
    store = SqliteWorkflowStore(sys.argv[1])
    await store.start()
    child = os.fork()
    if child == 0:
        time.sleep(60)
        os._exit(0)
    print(child, flush=True)
    await anyio.sleep(60)

anyio.run(main)
"""

LIMITED = """
import resource, sys
from dataclasses import replace
import anyio
from workflow_server.errors import StoreUnavailable
from workflow_server.stores.sqlite import SqliteWorkflowStore
from workflow_server.testing.batches import first, next_of

async def main():
    store = SqliteWorkflowStore(sys.argv[1])
    await store.start()
    batch = replace(first(), write_id="first")
    await store.commit([batch])
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, resource.RLIM_INFINITY))
    refused = 0
    for n in range(20):
        body = '"' + "x" * 30_000 + '"'
        batch = next_of(batch, state={f"k{n}": body}, write_id=str(n))
        while True:
            try:
                assert [verdict.value for verdict in await store.commit([batch])] == ["done"]
                break
            except StoreUnavailable as error:
                refused += 1
                if refused == 3:
                    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    print(refused, len(await store.state("r")), flush=True)
    await store.close()

anyio.run(main)
"""


@contextmanager
def program(text: str, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    """Run a program until the end of the block, where it is killed if it still runs."""
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", text, *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=checkout_environ()) as process:
        try:
            yield process
        finally:
            process.kill()


def line_of(process: subprocess.Popen[str]) -> str:
    """Return the next line that a program prints."""
    assert process.stdout is not None
    return process.stdout.readline().strip()


async def test_whatever_moment_it_is_killed_at_all_that_was_acknowledged_is_there(
    tmp_path: Path, anyio_backend_name: str
) -> None:
    path = tmp_path / "runs.db"
    seed = random.randrange(1 << 32)
    moments = random.Random(seed)
    for round_ in range(4):
        with program(COMMITS, path, round_, anyio_backend_name) as process:
            acknowledged = 0
            for _ in range(moments.randrange(1, 120)):
                acknowledged = int(line_of(process))
            process.send_signal(signal.SIGKILL)
            assert process.stdout is not None
            acknowledged = max([acknowledged, *map(int, process.stdout.read().split())])
        store = SqliteWorkflowStore(path)
        await store.start()
        runs = [await store.load(f"r{n}-{round_}") for n in range(3)]
        versions = set[int]()
        for run in runs:
            assert run is not None, f"seed {seed}"
            versions.add(run.version)
            assert run.version >= acknowledged, f"seed {seed}"
            assert run.parts["v"] == str(run.version)
            assert run.version == 1 or set(run.parts) == {"v", f"p{run.version}"}
            assert run.version == 1 or run.state["v"] == str(run.version)
            told = [event.sequence for event in await store.events(run.record.run_id, -1, 1000)]
            assert told == list(range(run.next_sequence))
        assert len(versions) == 1, f"half a group was written; seed {seed}"
        # Their handlers have to be free for the next round.
        for n in range(3):
            await store.delete(f"h{n}")
        await store.close()


async def test_a_second_server_in_another_process_is_refused_with_the_first_ones_id(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    with program(HOLDS, path) as process:
        assert line_of(process) == "open"
        for _ in range(2):
            with pytest.raises(ServerUsageError, match=rf"runs\.db is served by process {process.pid}, and one server"):
                await SqliteWorkflowStore(path).start()
        process.kill()
        process.wait()
        store = SqliteWorkflowStore(path)
        await store.start()
        await store.close()


async def test_a_second_server_in_this_process_is_refused_by_whatever_name(tmp_path: Path) -> None:
    store = SqliteWorkflowStore(tmp_path / "runs.db")
    await store.start()
    (tmp_path / "other.db").symlink_to(tmp_path / "runs.db")
    for name in ("runs.db", "other.db"):
        with pytest.raises(ServerUsageError, match=rf"{name} is served by another server in this process"):
            await SqliteWorkflowStore(tmp_path / name).start()
    await put(store, first())
    await store.close()
    again = SqliteWorkflowStore(tmp_path / "other.db")
    await again.start()
    assert await ids(again) == ["h"]
    await again.close()


async def test_a_child_that_outlives_its_killed_server_does_not_keep_the_next_one_away(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    with program(FORKS, path) as process:
        child = int(line_of(process))
        try:
            process.kill()
            process.wait()
            os.kill(child, 0)
            store = SqliteWorkflowStore(path)
            await store.start()
            assert await store.commit([first()]) == [Verdict.DONE]
            await store.close()
        finally:
            os.kill(child, signal.SIGKILL)


async def test_when_files_may_not_grow_the_store_is_out_until_they_may(tmp_path: Path) -> None:
    """The errors of a real file system, not those of SQLite's own limit."""
    with program(LIMITED, tmp_path / "runs.db") as process:
        assert line_of(process) == "3 22"
        assert process.wait() == 0
