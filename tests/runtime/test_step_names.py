"""A step may have any name but `run`: what the package needs of a workflow, no step hides."""

from __future__ import annotations

import json
from typing import Any

import anyio
import pytest

from tests_support.in_process import finished, serving
from workflow_server import Context, Workflow, WorkflowServer, step
from workflow_server.definition.step import StepFunction
from workflow_server.errors import WorkflowConfigurationError, WorkflowValidationError
from workflow_server.events import Event, HumanResponseEvent, StartEvent, StopEvent
from workflow_server.runtime.assembly import Assembly
from workflow_server.runtime.workflow import WorkflowMeta
from workflow_server.testing.crash_points import survive_crashes
from workflow_server.testing.runner import WorkflowTestRunner

OURS = {name for owner in (Workflow, Assembly, WorkflowMeta) for name in dir(owner) if not name.startswith("__")}
LIKELY = {"context", "name", "resources", "result", "runtime", "start", "state", "steps", "stop", "timeout"}
NAMES = sorted((OURS | LIKELY | {"_name", "_free_steps", "_timeout"}) - {"run"})


class Job(Event):
    pass


class Go(HumanResponseEvent):
    pass


class Done(Event):
    name: str


class Visits(Workflow):
    @step
    async def begin(self, ev: StartEvent, ctx: Context) -> Job:
        if ev.get("asks", default=False):
            await ctx.wait_for_event(Go)
        return Job()

    @step
    async def end(self, ev: Done, ctx: Context) -> StopEvent | None:
        done = ctx.collect_events(ev, [Done] * len(NAMES))
        return None if done is None else StopEvent(result=sorted(one.name for one in done))


def visit(name: str) -> StepFunction[..., Any]:
    async def visited(self: Workflow, ev: Job) -> Done:
        return Done(name=name)

    visited.__qualname__ = f"Hiding.{name}"  # a method, not a free function
    return step(visited)


Hiding: type[Workflow] = type("Hiding", (Visits,), {"__module__": __name__, **{name: visit(name) for name in NAMES}})
"""Every member of `Workflow` but `run`, and everything that its instances keep, is a step of it."""


def test_the_names_are_those_that_matter() -> None:
    assert {"plan", "definition", "launch", "events", "serializer", "validate", "shape", "time_limit"} <= set(NAMES)


async def test_steps_with_all_names_run_in_process() -> None:
    with anyio.fail_after(20):
        assert await Hiding().run() == NAMES
        assert (await WorkflowTestRunner(Hiding(verbose=True, num_concurrent_runs=1)).run()).result == NAMES


async def test_a_snapshot_of_a_run_with_such_steps_is_resumed() -> None:
    workflow = Hiding()
    ctx: Context[Any] = Context(workflow)
    await ctx.store.set("kept", 1)
    with anyio.fail_after(20):
        handler = workflow.run(ctx=ctx, asks=True)
        await anyio.wait_all_tasks_blocked()
        taken = json.loads(json.dumps(handler.ctx.to_dict()))
        await handler.cancel_run()
        again = workflow.run(ctx=Context.from_dict(workflow, taken))
        await anyio.wait_all_tasks_blocked()
        again.ctx.send_event(Go())
        assert await again == NAMES
        assert await again.ctx.store.get("kept") == 1


async def test_steps_with_all_names_run_served() -> None:
    server = WorkflowServer(accept_context_api=True)
    server.add_workflow("hiding", Hiding(), [Go])
    async with serving(server) as client:
        done = (await client.post("/workflows/hiding/run", json={})).json()
        assert done["result"]["value"]["result"] == NAMES
        for part in ("schema", "events", "representation"):
            assert (await client.get(f"/workflows/hiding/{part}")).status_code == 200, part
        assert (await client.get("/openapi.json")).status_code == 200

        started = (await client.post("/workflows/hiding/run-nowait", json={"start_event": {"asks": True}})).json()
        handler_id = started["handler_id"]
        sent = await client.post(f"/events/{handler_id}", json={"event": {"type": "Go", "value": {}}})
        assert sent.status_code == 200, sent.text
        assert (await finished(client, handler_id))["result"]["value"]["result"] == NAMES

        taken = Context[Any](Hiding()).to_dict()
        went_on = await client.post("/workflows/hiding/run", json={"context": taken})
        assert went_on.json()["result"]["value"]["result"] == NAMES


@pytest.mark.virtual_time
@pytest.mark.usefixtures("virtual_clock")
async def test_runs_with_such_steps_come_back_from_a_store() -> None:
    class Back(Workflow):
        @step
        async def plan(self, ev: StartEvent) -> Job:
            return Job()

        @step
        async def events(self, ev: Job, ctx: Context) -> Done:  # type: ignore[override]  # that is the point
            await ctx.store.set("kept", 1)
            return Done(name="events")

        @step
        async def serializer(self, ev: Done, ctx: Context) -> StopEvent:  # type: ignore[override]
            return StopEvent(result=await ctx.store.get("kept"))

    survived = await survive_crashes(Back)
    assert (survived.result, survived.error) == (1, None)


def test_a_step_named_run_is_refused() -> None:
    refused = type("Refused", (Visits,), {"run": visit("run")})
    with pytest.raises(WorkflowValidationError, match=r"Step 'run' of workflow 'Refused' hides Workflow\.run"):
        refused()


async def test_a_method_named_run_that_is_no_step_is_as_good_as_ours() -> None:
    class Counts(Hiding):
        begun = 0

        def run(self, *args: Any, **fields: Any) -> Any:
            self.begun += 1
            return super().run(*args, **fields)

    workflow = Counts()
    assert await workflow.run() == NAMES
    assert workflow.begun == 1


async def test_attributes_of_the_program_are_its_own() -> None:
    class Free(Workflow):
        def __init__(self) -> None:
            for name in NAMES:
                if not isinstance(getattr(Workflow, name, None), property):
                    self.__dict__[name] = "mine"
            super().__init__()
            assert all(value == "mine" for name, value in vars(self).items() if name in NAMES)

        @step
        async def go(self, ev: StartEvent) -> StopEvent:
            return StopEvent(result=self.__dict__["plan"])

    assert await Free().run() == "mine"


async def test_a_workflow_that_was_not_initialized_says_so() -> None:
    class Half(Visits):
        def __init__(self) -> None:
            pass

    with pytest.raises(WorkflowConfigurationError, match=r"Half\.__init__ must call super\(\)\.__init__\(\)"):
        Half().run()
