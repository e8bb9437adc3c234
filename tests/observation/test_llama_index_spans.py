"""The adapter for `llama_index_instrumentation`: spans of runs and steps, and the tags that steps see."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import anyio
import pytest

from workflow_server import Context, Workflow, WorkflowServer, step
from workflow_server.api.commands import StartRun
from workflow_server.api.outcomes import RunFinished
from workflow_server.errors import WorkflowTimeoutError
from workflow_server.events import Event, HumanResponseEvent, StartEvent, StopEvent
from workflow_server.observation import observers
from workflow_server.observers.llama_index import detach


class Job(Event):
    n: int = 0


class Once:
    def next(self, elapsed_time: float, attempts: int, error: Exception) -> float | None:
        return 0.0 if attempts < 2 else None


@pytest.fixture
def spans() -> Iterator[Any]:
    """A handler that notes all spans; the instrumentation is imported for the length of the test only."""
    instrumentation = pytest.importorskip("llama_index_instrumentation")
    try:
        from tests_support.llama_index_spans import Spans

        handler = Spans()
        instrumentation.root_dispatcher.add_span_handler(handler)
        yield handler
    finally:
        detach()
        del sys.modules["llama_index_instrumentation"]
    assert not observers
    assert not handler.open_spans, "every span was left"


def tags_here() -> dict[str, Any]:

    from llama_index_instrumentation.dispatcher import active_instrument_tags

    return dict(active_instrument_tags.get())


class Works(Workflow):
    @step
    async def first(self, ev: StartEvent) -> Job:
        seen.append(tags_here())
        return Job(n=1)

    @step(retry_policy=Once())
    async def second(self, job: Job, ctx: Context) -> StopEvent:
        if ctx.retry_info().retry_number == 0:
            raise ValueError("again")
        await ctx.wait_for_event(HumanResponseEvent)
        return StopEvent(result=1)


seen: list[dict[str, Any]] = []


async def test_a_run_and_its_steps_have_spans(spans: Any) -> None:
    """A wait is no dropped span: the step's span stays open meanwhile."""
    from llama_index_instrumentation.dispatcher import instrument_tags

    seen.clear()
    with instrument_tags({"mine": 1}):
        handler = Works().run(run_id="r", x=1)
    await anyio.wait_all_tasks_blocked()
    handler.ctx.send_event(HumanResponseEvent())
    assert await handler == 1
    start, job, stop = StartEvent(x=1), Job(n=1), StopEvent(result=1)
    assert spans.told == [
        ("enter", "Works.run", None, {"start_event": start}),
        ("enter", "Works.first", "Works.run", {"ev": start}),
        ("exit", "Works.first", job),
        ("enter", "Works.second", "Works.run", {"job": job}),
        ("drop", "Works.second", "again"),
        ("enter", "Works.second", "Works.run", {"job": job}),
        ("exit", "Works.second", stop),
        ("exit", "Works.run", stop),
    ]
    tags = {
        "mine": 1,
        "llamaindex.run_id": "r",
        "llamaindex.step.input_event": "StartEvent",
        "llamaindex.step.input_summary": "StartEvent(x=1)",
    }
    assert seen == [tags]
    assert spans.tags["Works.first"] == tags
    about = {"mine": 1, "llamaindex.run_id": "r", "llamaindex.start_event": "StartEvent(x=1)"}
    assert spans.tags["Works.run"] == about
    assert tags_here() == {}


async def test_steps_of_a_served_run_see_its_handler(spans: Any) -> None:
    class Looks(Workflow):
        @step
        def go(self, ev: StartEvent) -> StopEvent:
            return StopEvent(result=tags_here()["llamaindex.handler_id"])

    server = WorkflowServer()
    server.add_workflow("looks", Looks())
    async with server.running():
        outcome = await server.execute(StartRun("looks", handler_id="h", wait=True))
    assert isinstance(outcome, RunFinished)
    assert outcome.handler.result is not None
    assert outcome.handler.result.value == '{"result":"h"}'


class Sleeps(Workflow):
    @step
    async def go(self, ev: StartEvent) -> StopEvent:
        await anyio.sleep(60)
        return StopEvent()


async def test_a_cancelled_run_exits_its_spans_as_usual(spans: Any) -> None:
    handler = Sleeps().run()
    await anyio.wait_all_tasks_blocked()
    await handler.cancel_run()
    assert [one[:2] for one in spans.told[2:]] == [("exit", "Sleeps.run"), ("exit", "Sleeps.go")]


@pytest.mark.virtual_time
@pytest.mark.usefixtures("virtual_clock")
async def test_a_time_limit_drops_the_span_of_the_run(spans: Any) -> None:
    with pytest.raises(WorkflowTimeoutError):
        await Sleeps(timeout=5).run()
    await anyio.wait_all_tasks_blocked()
    assert spans.told[2:] == [("drop", "Sleeps.run", "Workflow timed out after 5s"), ("exit", "Sleeps.go", None)]


async def test_a_failed_run_drops_its_spans(spans: Any) -> None:
    class Fails(Workflow):
        @step
        async def go(self, ev: StartEvent) -> StopEvent:
            raise KeyError("y" * 300)

    with pytest.raises(KeyError):
        await Fails().run(text="x" * 300)
    assert [one[:2] for one in spans.told] == [
        ("enter", "Fails.run"),
        ("enter", "Fails.go"),
        ("drop", "Fails.go"),
        ("drop", "Fails.run"),
    ]
    summary = spans.tags["Fails.run"]["llamaindex.start_event"]
    assert summary.endswith("…")
    assert len(summary) == 200


async def test_nothing_is_attached_where_nobody_uses_it() -> None:
    assert "llama_index_instrumentation" not in sys.modules
    handler = Works().run()
    await anyio.wait_all_tasks_blocked()
    assert not observers
    await handler.cancel_run()
