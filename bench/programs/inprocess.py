"""Runs in process, without a server.

`inprocess.py runs|steps SECONDS BACKEND` prints how many a second, and the seconds of processor time for each.
"""

# ruff: noqa: ARG002 (a step takes its event, whether it reads it or not)

from __future__ import annotations

import sys
import time

import anyio
from workflows import Workflow, step
from workflows.events import Event, StartEvent, StopEvent

LOOP_STEPS = 1000


class OneStep(Workflow):
    @step
    async def answer(self, ev: StartEvent) -> StopEvent:
        return StopEvent(result="done")


class Again(Event):
    n: int


class Loop(Workflow):
    @step
    async def around(self, ev: StartEvent | Again) -> Again | StopEvent:
        n = ev.n + 1 if isinstance(ev, Again) else 1
        return Again(n=n) if n < LOOP_STEPS else StopEvent(result=n)


async def measure(what: str, seconds: float) -> tuple[float, float]:
    """Return runs or steps a second and processor time for each; whole runs only, the first one unmeasured."""
    workflow, weight = (OneStep(), 1) if what == "runs" else (Loop(timeout=None), LOOP_STEPS)
    await workflow.run()
    done, begin, cpu = 0, time.perf_counter(), time.process_time()
    while (elapsed := time.perf_counter() - begin) < seconds:
        await workflow.run()
        done += weight
    return done / elapsed, (time.process_time() - cpu) / done


if __name__ == "__main__":
    print(*anyio.run(measure, sys.argv[1], float(sys.argv[2]), backend=sys.argv[3]))
