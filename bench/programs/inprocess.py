"""Runs in process, without a server.

`inprocess.py runs|steps|members-N SECONDS BACKEND` prints how many a second, and the seconds of processor time for
each; members are those of a list of N, which fans out into one step each and is collected again.
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


class Member(Event):
    n: int


class Done(Event):
    n: int


class FanOut(Workflow):
    @step
    async def split(self, ev: StartEvent) -> list[Member]:
        return [Member(n=n) for n in range(ev.members)]

    @step
    async def work(self, ev: Member) -> Done:
        return Done(n=ev.n)

    @step
    async def gather(self, done: list[Done]) -> StopEvent:
        return StopEvent(result=len(done))


async def measure(what: str, seconds: float) -> tuple[float, float]:
    """Return runs, steps or members a second and processor time for each; whole runs only, the first one unmeasured."""
    kind, _, members = what.partition("-")
    workflows: dict[str, tuple[type[Workflow], int]] = {
        "runs": (OneStep, 1),
        "steps": (Loop, LOOP_STEPS),
        "members": (FanOut, int(members or 0)),
    }
    cls, weight = workflows[kind]
    workflow = cls(timeout=None)
    given = {"members": weight} if kind == "members" else {}
    await workflow.run(**given)
    done, begin, cpu = 0, time.perf_counter(), time.process_time()
    while (elapsed := time.perf_counter() - begin) < seconds:
        await workflow.run(**given)
        done += weight
    return done / elapsed, (time.process_time() - cpu) / done


if __name__ == "__main__":
    print(*anyio.run(measure, sys.argv[1], float(sys.argv[2]), backend=sys.argv[3]))
