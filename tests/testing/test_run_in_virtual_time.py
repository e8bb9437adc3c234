"""Virtual time for tests that bring no loop of their own."""

from __future__ import annotations

import time
from typing import Any

import anyio
import pytest

from workflow_server import Context, Workflow, step
from workflow_server.definition.retry_policy import retry_policy, stop_after_attempt, wait_fixed
from workflow_server.events import StartEvent, StopEvent
from workflow_server.testing.virtual_time import EPOCH, run_in_virtual_time


class Slow(Workflow):
    @step(retry_policy=retry_policy(wait=wait_fixed(3600), stop=stop_after_attempt(3)))
    async def go(self, ev: StartEvent, ctx: Context) -> StopEvent:
        info = ctx.retry_info()
        if info.retry_number < 2:
            raise ConnectionError("try later")
        assert info.last_failed_at is not None
        return StopEvent(result=info.last_failed_at.timestamp())


async def main(word: str) -> tuple[str, Any, float]:
    result = await Slow(timeout=None).run()
    return word, result, anyio.current_time()


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_hours_pass_in_no_time(backend: str) -> None:
    """The loop's time, and with it the times that runs keep, jump over every wait."""
    if backend == "trio":
        pytest.importorskip("trio")
    before = time.monotonic()
    word, failed_at, now = run_in_virtual_time(main, "given", backend=backend)
    assert time.monotonic() - before < 60
    assert word == "given"
    assert failed_at == pytest.approx(EPOCH + now - 3600, abs=1)


def test_what_the_function_raises_is_raised() -> None:
    async def fails() -> None:
        raise ValueError("boom")

    with pytest.raises(ValueError, match="boom"):
        run_in_virtual_time(fails)
