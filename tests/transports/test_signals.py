"""Ctrl+C and SIGTERM on both loops, in programs of their own."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading

import anyio
import pytest

from workflow_server.transports.signals import stop_signals

posix = pytest.mark.skipif(sys.platform == "win32", reason="signals can't be sent to a child there")

PROGRAM = """
import signal, sys, time
import anyio
from workflow_server.transports.signals import stop_signals

async def main():
    stop = anyio.Event()
    names = []
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    def on_stop(name):
        names.append(name)
        stop.set()
    with stop_signals(on_stop):
        print("ready", flush=True)
        await stop.wait()
        if sys.argv[2] == "hang":
            print("stopping", flush=True)
            await anyio.sleep_forever()
        if sys.argv[2] == "again":
            print("stopping", flush=True)
            for line in sys.stdin:
                pass
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
    print(names, flush=True)

anyio.run(main, backend=sys.argv[1])
"""


def start(backend: str, how: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, backend, how],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


@posix
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_asks_to_stop_and_the_program_ends_clean(backend: str, number: signal.Signals) -> None:
    process = start(backend, "end")
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (0, f"['{number.name}']\n", "")


@posix
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize("first", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_while_stopping_leaves_at_once(backend: str, first: signal.Signals) -> None:
    process = start(backend, "hang")
    assert process.stdout is not None
    process.send_signal(first)
    assert process.stdout.readline() == "stopping\n"
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (-signal.SIGINT, "", "")


@posix
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_sigterm_while_stopping_changes_nothing(backend: str) -> None:
    process = start(backend, "again")
    assert process.stdout is not None
    process.send_signal(signal.SIGTERM)
    assert process.stdout.readline() == "stopping\n"
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (0, "['SIGTERM']\n", "")


async def test_handlers_are_put_back_exactly() -> None:
    def mine(number: int, frame: object) -> None:
        raise AssertionError

    before = signal.signal(signal.SIGTERM, mine), signal.getsignal(signal.SIGINT)
    try:
        with stop_signals(print):
            assert signal.getsignal(signal.SIGTERM) is not mine
        assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == (mine, before[1])
    finally:
        signal.signal(signal.SIGTERM, before[0])


async def test_a_signal_inside_the_block_is_told_once() -> None:
    names: list[str] = []
    stop = anyio.Event()

    def on_stop(name: str) -> None:
        names.append(name)
        stop.set()

    with stop_signals(on_stop):
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)
        assert names == []  # told by the loop, not in the middle of whatever runs
        with anyio.fail_after(10):
            await stop.wait()
    assert names == ["SIGTERM"]


async def test_a_handler_of_another_language_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signal, "getsignal", lambda number: None)
    replaced: list[object] = []
    monkeypatch.setattr(signal, "signal", lambda *arguments: replaced.append(arguments))
    with stop_signals(print):
        pass
    assert replaced == []


def test_outside_the_main_thread_nothing_is_done() -> None:
    before = signal.getsignal(signal.SIGTERM)
    seen: list[object] = []

    def run() -> None:
        with stop_signals(print):
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(10)
    assert seen == [before]
