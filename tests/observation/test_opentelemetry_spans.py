"""OpenTelemetry spans of runs, steps and waits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import anyio
import pytest

pytest.importorskip("opentelemetry.sdk")

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tests_support.slow_store import SlowStore
from workflow_server import Context, Workflow, WorkflowServer, step
from workflow_server.api.commands import StartRun
from workflow_server.errors import WorkflowTimeoutError
from workflow_server.events import Event, HumanResponseEvent, StartEvent, StopEvent
from workflow_server.observers.opentelemetry import trace_runs


class Job(Event):
    n: int = 0


class Once:
    def next(self, elapsed_time: float, attempts: int, error: Exception) -> float | None:
        return 2.0 if attempts < 2 else None


PROVIDER = TracerProvider()
EXPORTER = InMemorySpanExporter()
PROVIDER.add_span_processor(SimpleSpanProcessor(EXPORTER))


class Works(Workflow):
    @step
    async def first(self, ev: StartEvent) -> Job:
        with PROVIDER.get_tracer("program").start_as_current_span("mine"):
            return Job(n=1)

    @step(retry_policy=Once())
    async def second(self, job: Job, ctx: Context) -> StopEvent | HumanResponseEvent:
        if ctx.retry_info().retry_number == 0:
            raise ValueError("again")
        return HumanResponseEvent()

    @step
    async def third(self, ev: HumanResponseEvent, ctx: Context) -> StopEvent:
        await ctx.wait_for_event(Job, timeout=None)
        return StopEvent(result=1)


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    EXPORTER.clear()
    with trace_runs(PROVIDER):
        yield EXPORTER


def by_name(spans: InMemorySpanExporter) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for span in spans.get_finished_spans():
        found.setdefault(span.name, []).append(span)
    return found


@pytest.mark.virtual_time
@pytest.mark.usefixtures("virtual_clock")
async def test_runs_steps_and_waits_have_spans(spans: InMemorySpanExporter) -> None:
    with PROVIDER.get_tracer("program").start_as_current_span("outer"):
        handler = Works(workflow_name="works").run(run_id="r")
    await anyio.sleep(10)
    handler.ctx.send_event(Job(), step="third")
    assert await handler == 1
    found = by_name(spans)
    assert set(found) == {"outer", "run works", "step first", "mine", "step second", "step third", "wait for Job"}
    (outer,), (run,), (first,) = found["outer"], found["run works"], found["step first"]
    assert run.parent.span_id == outer.context.span_id
    for name in ("step first", "step second", "step third"):
        assert {span.parent.span_id for span in found[name]} == {run.context.span_id}
    assert found["mine"][0].parent.span_id == first.context.span_id
    assert found["wait for Job"][0].parent.span_id == found["step third"][0].context.span_id
    assert dict(run.attributes) == {
        "workflow_server.run_id": "r",
        "workflow_server.workflow": "works",
        "workflow_server.resumed": False,
        "workflow_server.ending": "completed",
    }
    assert dict(first.attributes) == {
        "workflow_server.run_id": "r",
        "workflow_server.workflow": "works",
        "workflow_server.step": "first",
        "workflow_server.input": "StartEvent",
        "workflow_server.failures": 0,
        "workflow_server.outcome": "returned",
        "workflow_server.output": "Job",
    }
    failed, again = found["step second"]
    assert failed.status.status_code is trace.StatusCode.ERROR
    assert [event.name for event in failed.events] == ["retry", "exception"]
    assert failed.events[0].attributes == {"workflow_server.failures": 1, "workflow_server.delay": 2.0}
    assert again.status.status_code is trace.StatusCode.UNSET
    assert run.status.status_code is trace.StatusCode.UNSET
    waited = found["wait for Job"][0]
    assert (waited.end_time - waited.start_time) / 1e9 == pytest.approx(8, abs=0.5)


@pytest.mark.virtual_time
@pytest.mark.usefixtures("virtual_clock")
async def test_a_failed_run_says_why(spans: InMemorySpanExporter) -> None:
    class Sleeps(Workflow):
        @step
        async def go(self, ev: StartEvent) -> StopEvent:
            await anyio.sleep(60)
            return StopEvent()

    with pytest.raises(WorkflowTimeoutError):
        await Sleeps(timeout=5, workflow_name="sleeps").run()
    await anyio.wait_all_tasks_blocked()
    (run,) = by_name(spans)["run sleeps"]
    assert run.status.description == "Workflow timed out after 5s"
    (sleeping,) = by_name(spans)["step go"]
    assert sleeping.attributes["workflow_server.outcome"] == "stopped"


async def test_a_served_run_names_its_handler(spans: InMemorySpanExporter) -> None:
    class Greets(Workflow):
        @step
        async def go(self, ev: StartEvent) -> StopEvent:
            return StopEvent()

    server = WorkflowServer(workflow_store=SlowStore())
    server.add_workflow("greets", Greets(workflow_name="greets"))
    async with server.running():
        await server.execute(StartRun("greets", handler_id="h", wait=True))
    (run,) = by_name(spans)["run greets"]
    assert run.attributes["workflow_server.handler_id"] == "h"


async def test_what_began_unobserved_has_no_span() -> None:
    EXPORTER.clear()

    class Waits(Workflow):
        @step
        async def go(self, ev: StartEvent, ctx: Context) -> StopEvent:
            await ctx.wait_for_event(Job, timeout=None)
            return StopEvent()

    handler = Waits().run()
    await anyio.wait_all_tasks_blocked()
    with trace_runs(PROVIDER):
        handler.ctx.send_event(Job())
        await handler
    assert EXPORTER.get_finished_spans() == ()
