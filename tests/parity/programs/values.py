"""Scenarios of values: events as models, state, serializers."""

from __future__ import annotations

from typing import Any

from play import raised, raised_async
from pydantic import BaseModel, Field, PrivateAttr
from workflows import Context, Workflow, step
from workflows.context import JsonSerializer
from workflows.events import (
    Event,
    StartEvent,
    StepFailedEvent,
    StopEvent,
    WorkflowCancelledEvent,
    WorkflowFailedEvent,
    WorkflowTimedOutEvent,
)


class A(Event):
    n: int = 0
    _hidden: str = PrivateAttr(default="h")


class Typed(StopEvent):
    x: int


async def events_with_extras() -> Any:
    event = A(n=1, extra=2, other=[3])
    event.later = 4
    event["item"] = 5
    return {
        "dump": event.model_dump(mode="json"),
        "again": A.model_validate(event.model_dump()).model_dump(mode="json"),
        "attribute": [event.extra, event["other"], event.get("none", 7), event._hidden],
        "mapping": [sorted(event.keys()), len(event), "extra" in event, "n" in event, sorted(event.to_dict())],
        "iteration": sorted(event),
        "truth": bool(A()),
        "missing": raised(lambda: event.nothing)[0],
        "private": A(_hidden="given")._hidden,
        "text": repr(A(n=1)),
    }


async def stop_events() -> Any:
    return {
        "result": [StopEvent(result=1).result, StopEvent().result, Typed(x=3).result],
        "dumps": [event.model_dump(mode="json") for event in (StopEvent(result={"a": 1}), StopEvent(), Typed(x=3))],
        "extras in a dump": StopEvent(result=1, foo=2).model_dump(mode="json"),
        "repr": [repr(StopEvent(result=42, foo="foo")), repr(WorkflowCancelledEvent()), repr(Typed(x=3))],
        "str": str(StopEvent(result=42)),
        "loaded": StopEvent.model_validate({"result": 5}).result,
    }


async def built_in_events() -> Any:
    failed = WorkflowFailedEvent(step_name="s", exception=ValueError("v"), attempts=2, elapsed_seconds=0.5)
    dump = failed.model_dump(mode="json")
    unknown = {**dump, "exception": {"exception_type": "nowhere.Error", "exception_message": "m"}}
    lost = WorkflowFailedEvent.model_validate(unknown).exception
    return {
        "failed": dump,
        "loaded": repr(WorkflowFailedEvent.model_validate(dump).exception),
        "lost": [type(lost).__name__, str(lost), lost.original_type],
        "timed out": WorkflowTimedOutEvent(timeout=1.5, active_steps=["a"]).model_dump(mode="json"),
        "families": [issubclass(cls, StopEvent) for cls in (WorkflowFailedEvent, StepFailedEvent)],
    }


class Plain(Workflow):
    """Runs a function with the context of a step."""

    body: Any = None

    @step
    async def go(self, ev: StartEvent, ctx: Context) -> StopEvent:
        return StopEvent(result=await type(self).body(ctx))


async def _in_step(body: Any) -> Any:
    Plain.body = staticmethod(body)
    return await Plain().run()


async def state_paths() -> Any:
    async def body(ctx: Context) -> Any:
        store = ctx.store
        await store.set("a", 1)
        await store.set("deep.er.est", [1, {"k": "v"}])
        await store.set("none", None)
        await store.set("items", "not a method")
        return {
            "values": [await store.get("a"), await store.get("deep.er"), await store.get("deep.er.est.1.k")],
            "default": [await store.get("nothing", default=5), await store.get("none", default=6)],
            "missing": await raised_async(store.get("nothing")),
            "missing deep": await raised_async(store.get("deep.nothing.more")),
            "empty path": await raised_async(store.set("", 1)),
            "method name": await store.get("items"),
            "state": (await store.get_state()).to_dict(),
        }

    return await _in_step(body)


async def state_edits() -> Any:
    async def body(ctx: Context) -> Any:
        store = ctx.store
        await store.set("n", 1)
        async with store.edit_state() as state:
            state.n = 2
            seen = await store.get("n")
        error = None
        try:
            async with store.edit_state() as state:
                state.n = 3
                raise KeyError("no")
        except KeyError as caught:
            error = type(caught).__name__

        inside = "no error"
        async with store.edit_state():
            try:
                await store.set("n", 4)
            except RuntimeError as caught:
                inside = "edit_state" if "edit_state" in str(caught) else str(caught)

        after = await store.get("n")
        await store.clear()
        return [seen, error, after, inside, (await store.get_state()).to_dict()]

    return await _in_step(body)


class State(BaseModel):
    count: int = 0
    names: list[str] = Field(default_factory=list)


class TypedState(Workflow):
    @step
    async def go(self, ev: StartEvent, ctx: Context[State]) -> StopEvent:
        async with ctx.store.edit_state() as state:
            state.count += 1
            state.names.append("Ada")
        await ctx.store.set("count", await ctx.store.get("count") + 10)
        whole = await ctx.store.get_state()
        wrong = await raised_async(ctx.store.set_state(A()))  # type: ignore[arg-type]
        return StopEvent(result=[type(whole).__name__, whole.model_dump(), wrong[0]])


async def state_with_a_type() -> Any:
    return await TypedState().run()


async def state_goes_from_run_to_run() -> Any:
    class Counts(Workflow):
        @step
        async def go(self, ev: StartEvent, ctx: Context) -> StopEvent:
            n = await ctx.store.get("n", default=0) + 1
            await ctx.store.set("n", n)
            return StopEvent(result=n)

    workflow = Counts()
    context: Context = Context(workflow)
    await context.store.set("n", 10)
    first, second = await workflow.run(ctx=context), await workflow.run(ctx=context)
    alone = workflow.run()
    return [first, second, await alone, await workflow.run(ctx=alone.ctx), await workflow.run()]


async def json_serializer() -> Any:
    serializer = JsonSerializer()
    value = {"model": State(count=2), "event": A(n=1, extra=2), "list": [1, None, {"deep": State()}]}
    text = serializer.serialize(value)
    back = serializer.deserialize(text)
    return {
        "text": serializer.serialize({"plain": [1, "a", None]}),
        "tagged": [part in text for part in ('"__is_pydantic": true', f'"{__name__}.State"', f'"{__name__}.A"')],
        "back": [type(back["model"]).__name__, back["event"].extra, type(back["list"][2]["deep"]).__name__],
        "impossible": raised(lambda: serializer.serialize(object()))[0] != "no error",
        "not allowed": raised(lambda: JsonSerializer(allowed_types=[A]).deserialize(serializer.serialize(State())))[0]
        != "no error",
        "allowed": type(JsonSerializer(allowed_types=[State]).deserialize(serializer.serialize(State()))).__name__,
    }
