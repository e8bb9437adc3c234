"""Scenarios of contexts: typed and free-form state in depth, serializers, snapshots, several runs, handlers."""

from __future__ import annotations

import json
import warnings
from typing import Any

import anyio
from play import raised, raised_async
from pydantic import BaseModel, Field
from workflows import Context, Workflow, step
from workflows.context import JsonSerializer, PickleSerializer
from workflows.context.state_store import DictState, InMemoryStateStore
from workflows.events import Event, HumanResponseEvent, InputRequiredEvent, StartEvent, StopEvent


class Inner(BaseModel):
    tags: list[str] = Field(default_factory=list)
    n: int = 0


class Base(BaseModel):
    name: str = "base"
    inner: Inner = Field(default_factory=Inner)


class Derived(Base):
    more: int = 5


class Deepest(Derived):
    deep: str = "d"


class Sibling(Base):
    other: int = 7


class Unrelated(BaseModel):
    x: int = 0


class Needs(BaseModel):
    needed: int


class Loose(DictState):
    declared: int = 3


class Ask(InputRequiredEvent):
    q: str = ""


class Ans(HumanResponseEvent):
    a: str = ""


class Job(Event):
    n: int = 0


class Done(Event):
    n: int
    a: str


class Part:
    """A component, as LlamaIndex calls such objects."""

    def __init__(self, n: int = 0) -> None:
        self.n = n

    @classmethod
    def class_name(cls) -> str:
        return "Part"

    def to_dict(self) -> dict[str, Any]:
        return {"n": self.n}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Part:
        return cls(data["n"])


class Opaque:
    def __init__(self, n: int) -> None:
        self.n = n


def _dump(state: Any) -> Any:
    return repr(state.to_dict()) if isinstance(state, DictState) else state.model_dump(mode="json")


# Free-form state


async def paths_into_everything() -> Any:
    store = InMemoryStateStore(DictState())
    await store.set("d", {"k": {"1": "digit", "items": "method"}})
    await store.set("l", [10, [20, 21], {"a": 1}])
    await store.set("m", Inner(tags=["x"], n=1))
    await store.set("t", (1, 2))
    return {
        "dict": [await store.get("d.k.1"), await store.get("d.k.items")],
        "list": [await store.get("l.0"), await store.get("l.1.1"), await store.get("l.2.a")],
        "model": [await store.get("m.tags.0"), await store.get("m.n")],
        "tuple": await store.get("t.1"),
        "past the end": await raised_async(store.get("l.9")),
        "past the end with default": await store.get("l.9", default="d"),
        "not a number": await store.get("l.x", default="d"),
        "below a number": await store.get("l.0.x", default="d"),
        "missing in model": await store.get("m.nothing", default="d"),
        "default none": await store.get("nothing", default=None),
        "empty get": _dump(await store.get("")) == _dump(await store.get_state()),
    }


async def writes_into_everything() -> Any:
    store = InMemoryStateStore(DictState())
    await store.set("a.b.c", 1)
    await store.set("a.b.d", 2)
    await store.set("l", [1, [2, 3]])
    await store.set("l.0", 9)
    await store.set("l.1.0", 8)
    await store.set("m", Inner())
    await store.set("m.n", 4)
    await store.set("m.tags", ["t"])
    await store.set("m.tags.0", "u")
    return {
        "a": await store.get("a"),
        "l": await store.get("l"),
        "m": (await store.get("m")).model_dump(),
        "into a string": (await raised_async(store.set("a.b.c.d", 1)))[0] is not None,
        "past the end": (await raised_async(store.set("l.7", 1)))[0] is not None,
    }


async def who_holds_an_earlier_state() -> Any:
    store = InMemoryStateStore(DictState())
    await store.set("a", {"x": {"n": 1}, "y": {"n": 1}})
    held, whole = await store.get("a"), await store.get_state()
    await store.set("a.x.n", 2)
    after = await store.get("a")
    live = await store.get("a.y")
    live["n"] = 5
    return {
        "held": held["x"],
        "whole": whole["a"]["x"],
        "after": after["x"],
        "shared": after["y"] is held["y"],
        "mutated": await store.get("a.y.n"),
    }


async def edits_are_isolated() -> Any:
    store = InMemoryStateStore(DictState())
    await store.set("l", [1])
    seen: list[Any] = []
    async with store.edit_state() as state:
        state["l"].append(2)
        state["new"] = 1
        seen.append([await store.get("l"), await store.get("new", default=None)])
        seen.append(await _refused_in_edit(store.set("x", 1)))
        seen.append(await _refused_in_edit(store.clear()))
        seen.append(await _refused_in_edit(store.set_state(DictState())))
    seen.append([await store.get("l"), await store.get("new")])
    seen.append(await raised_async(_failing_edit(store)))
    seen.append(await store.get("l"))
    return seen


async def _refused_in_edit(write: Any) -> bool:
    try:
        await write
    except RuntimeError as error:
        return "edit_state" in str(error)
    return False


async def _failing_edit(store: Any) -> None:
    async with store.edit_state() as state:
        state["l"].append(99)
        raise KeyError("no")


async def clearing() -> Any:
    free = InMemoryStateStore(DictState())
    await free.set("a", 1)
    await free.clear()
    typed = InMemoryStateStore(Derived(more=9))
    await typed.set("name", "n")
    await typed.clear()
    needs = InMemoryStateStore(Needs(needed=1))
    return {
        "free": _dump(await free.get_state()),
        "typed": _dump(await typed.get_state()),
        "needs": (await raised_async(needs.clear()))[0],
    }


# Typed state


async def writes_into_a_type() -> Any:
    store = InMemoryStateStore(Derived())
    held = await store.get_state()
    await store.set("inner.tags", ["a"])
    await store.set("more", 6)
    return {
        "held": _dump(held),
        "state": _dump(await store.get_state()),
        "type": type(await store.get_state()).__name__,
        "unknown": (await raised_async(store.set("unknown", 1)))[0] is not None,
        "unknown below": (await raised_async(store.set("inner.unknown", 1)))[0] is not None,
    }


async def states_of_other_types() -> Any:
    found: dict[str, Any] = {}
    for name, state in {
        "same": Derived(name="s", more=1),
        "parent": Base(name="p"),
        "child": Deepest(name="c", deep="x"),
        "unrelated": Unrelated(),
        "sibling": Sibling(),
        "dict": DictState(name="free"),
    }.items():
        store = InMemoryStateStore(Derived(name="old", more=3))
        kind, text = await raised_async(store.set_state(state)) or [None, None]
        after = await store.get_state()
        found[name] = [kind, "must be of type" in (text or ""), type(after).__name__, _dump(after)]
    return found


async def a_type_beside_free_form() -> Any:
    store = InMemoryStateStore(DictState())
    found = {"model into free": (await raised_async(store.set_state(Unrelated())))[0]}
    loose = InMemoryStateStore(Loose())
    await loose.set("declared", 4)
    await loose.set("extra", 1)
    state = await loose.get_state()
    return {**found, "loose": [state.declared, state["extra"], type(state).__name__]}


def _typed(*types: Any) -> Any:
    class Several(Workflow):
        @step
        async def a(self, ev: StartEvent, ctx: Context[types[0]]) -> Job:  # type: ignore[valid-type]
            await ctx.store.set("name", "set")
            return Job()

        @step
        async def b(self, ev: Job, ctx: Context[types[-1]]) -> StopEvent:  # type: ignore[valid-type]
            state = await ctx.store.get_state()
            return StopEvent(result=[type(state).__name__, state.model_dump(mode="json")])

    return Several


async def the_most_derived_type_is_used() -> Any:
    return {
        "base first": await _typed(Base, Derived)().run(),
        "derived first": await _typed(Deepest, Base)().run(),
        "one": await _typed(Derived, Derived)().run(),
    }


async def types_that_do_not_fit() -> Any:
    found = {}
    for name, types in {"siblings": (Derived, Sibling), "unrelated": (Base, Unrelated)}.items():
        try:
            await _typed(*types)().run()
            found[name] = None
        except Exception as error:
            names = [cls.__name__ in str(error) for cls in types]
            found[name] = [
                isinstance(error, ValueError),
                "not in a compatible inheritance hierarchy" in str(error),
                names,
            ]
    return found


async def a_type_that_needs_values() -> Any:
    try:
        await _typed(Needs, Needs)().run()
    except Exception as error:
        return isinstance(error, ValueError)
    return None


# Payloads


async def payloads_of_states() -> Any:
    free = InMemoryStateStore(DictState(a=1, b=[None, {"c": "d"}], m=Inner(n=2)))
    typed = InMemoryStateStore(Derived(name="x"))
    serializer = JsonSerializer()
    found = {}
    for name, store in (("free", free), ("typed", typed)):
        payload = store.to_dict(serializer)
        again = InMemoryStateStore.from_dict(json.loads(json.dumps(payload)), serializer)
        found[name] = [payload, type(await again.get_state()).__name__, _dump(await again.get_state())]
    return found


async def payloads_that_leave_something_out() -> Any:
    found: dict[str, Any] = {}
    serializer = JsonSerializer()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        payload = InMemoryStateStore(DictState(memory=Opaque(1), a=1)).to_dict(serializer)
        found["memory"] = [payload["state_data"], [warning.category.__name__ for warning in caught]]
    found["other key"] = raised(lambda: InMemoryStateStore(DictState(k=Opaque(1))).to_dict(serializer))[0] is not None
    bare = {"state_data": {"_data": {"a": "1"}}, "state_type": "DictState"}
    found["no store_type"] = _dump(await InMemoryStateStore.from_dict(bare, serializer).get_state())
    found["empty"] = _dump(await InMemoryStateStore.from_dict({}, serializer).get_state())
    return found


# Serializers


def _round(serializer: Any, value: Any) -> Any:
    return repr(serializer.deserialize(serializer.serialize(value)))


async def what_json_carries() -> Any:
    serializer = JsonSerializer()
    values = [None, True, 1, 1.5, "é", [1, [2]], {"a": {"b": [Inner(n=1)]}}, Inner(tags=["t"]), Job(n=3)]
    part = serializer.deserialize(serializer.serialize([Part(4)]))[0]
    return {
        "values": [_round(serializer, value) for value in values],
        "model": json.loads(serializer.serialize(Inner(n=1))),
        "component": json.loads(serializer.serialize(Part(2))),
        "part": [type(part).__name__, part.n],
        "value": serializer.serialize_value({"a": Inner(n=1)}),
        "back": repr(serializer.deserialize_value(serializer.serialize_value([Inner(n=1)]))),
        "refused": [
            raised(lambda: serializer.serialize(Opaque(1)))[1].startswith("Failed to serialize value: "),
            issubclass(_kind(lambda: serializer.serialize(Opaque(1))), ValueError),
            issubclass(_kind(lambda: serializer.deserialize("no json")), ValueError),
        ],
    }


def _kind(act: Any) -> type:
    try:
        act()
    except Exception as error:
        return type(error)
    return type(None)


async def only_some_types() -> Any:
    text = JsonSerializer().serialize([Inner(n=1), StopEvent(result=2)])
    name = f"{Inner.__module__}.{Inner.__name__}"
    return {
        "class": _round_text(JsonSerializer(allowed_types=[Inner]), text),
        "name": _round_text(JsonSerializer(allowed_types=[name]), text),
        "none": issubclass(_kind(lambda: JsonSerializer(allowed_types=[]).deserialize(text)), ValueError),
        "added": _round_text(JsonSerializer(allowed_types=[]).with_types(Inner), text),
        "built in": _round_text(JsonSerializer(allowed_types=[]), JsonSerializer().serialize(StopEvent(result=2))),
        "resolved": JsonSerializer(allowed_types=[Inner]).resolve_class(name) is Inner,
    }


def _round_text(serializer: Any, text: str) -> str:
    return repr(serializer.deserialize(text))


async def what_pickle_carries() -> Any:
    serializer = PickleSerializer()
    json_text = JsonSerializer().serialize({"a": [1]})
    return {
        "json first": serializer.serialize({"a": 1}) == json.dumps({"a": 1}),
        "opaque": serializer.deserialize(serializer.serialize(Opaque(5))).n,
        "reads json": serializer.deserialize(json_text),
        "model": _round(serializer, Inner(n=1)),
    }


# Snapshots and several runs


class Asks(Workflow):
    @step
    async def go(self, ev: StartEvent, ctx: Context) -> StopEvent:
        n = await ctx.store.get("n", default=0)
        reply = await ctx.wait_for_event(Ans, waiter_event=Ask(q="?"), requirements=ev.get("requirements"))
        await ctx.store.set("n", n + 1)
        return StopEvent(result=[n + 1, reply.a])


async def _until(handler: Any, kind: type) -> None:
    async for event in handler.stream_events():
        if isinstance(event, kind):
            return


async def a_waiting_run_is_put_away() -> Any:
    handler = Asks().run()
    await _until(handler, Ask)
    kept = json.loads(json.dumps(handler.ctx.to_dict()))
    await handler.cancel_run()
    again = Asks().run(ctx=Context.from_dict(Asks(), kept))
    await anyio.sleep(0.05)
    again.ctx.send_event(Ans(a="yes"))
    result = await again
    after = again.ctx.to_dict()
    return [kept["is_running"], result, after["is_running"], after["state"]["state_data"]]


async def a_wait_with_requirements_is_put_away() -> Any:
    handler = Asks().run(requirements={"a": "right"})
    await _until(handler, Ask)
    kept = json.loads(json.dumps(handler.ctx.to_dict()))
    await handler.cancel_run()
    again = Asks().run(ctx=Context.from_dict(Asks(), kept))
    await anyio.sleep(0.05)
    again.ctx.send_event(Ans(a="wrong"))
    await anyio.sleep(0.05)
    again.ctx.send_event(Ans(a="right"))
    return await again


async def a_cancelled_run_is_put_away() -> Any:
    handler = Asks().run()
    await _until(handler, Ask)
    await handler.cancel_run()
    kept = handler.ctx.to_dict()
    again = Asks().run(ctx=Context.from_dict(Asks(), kept))
    await anyio.sleep(0.05)
    again.ctx.send_event(Ans(a="yes"))
    return [handler.ctx.is_running, kept["is_running"], await again]


class Counts(Workflow):
    @step
    async def go(self, ev: StartEvent, ctx: Context) -> StopEvent:
        n = await ctx.store.get("n", default=0)
        await ctx.store.set("n", n + 1)
        if ev.get("fail"):
            raise ValueError("asked to")
        return StopEvent(result=n + 1)


async def one_context_for_several_runs() -> Any:
    ctx = Context(Counts())
    before = [ctx.is_running, ctx.to_dict()["is_running"]]
    await ctx.store.set("n", 10)
    first = Counts().run(ctx=ctx)
    same = first.ctx is ctx
    second_at_once = raised(lambda: Counts().run(ctx=ctx))
    results = [await first, await Counts().run(ctx=ctx)]
    failed = await raised_async(_awaited(Counts().run(ctx=ctx, fail=True)))
    results.append(await Counts().run(ctx=ctx))
    return [before, same, second_at_once, results, failed, ctx.to_dict()["is_running"]]


async def _awaited(handler: Any) -> Any:
    return await handler


async def a_finished_context_is_put_away() -> Any:
    handler = Counts().run()
    await handler
    kept = handler.ctx.to_dict()
    ctx = Context.from_dict(Counts(), kept)
    await ctx.store.set("n", 41)
    staged = ctx.to_dict()["state"]["state_data"]
    return [ctx.is_running, staged, await Counts().run(ctx=ctx), ctx.to_dict(include_state=False)["state"]]


async def a_restored_context_before_its_run() -> Any:
    handler = Asks().run()
    await _until(handler, Ask)
    kept = handler.ctx.to_dict()
    await handler.cancel_run()
    ctx = Context(Asks(), previous_context=kept)
    await ctx.store.set("n", 5)
    found = [ctx.is_running, ctx.to_dict()["is_running"]]
    refused = [raised(lambda: ctx.send_event(Ans())), await raised_async(ctx.running_steps())]
    again = Asks().run(ctx=ctx)
    await anyio.sleep(0.05)
    again.ctx.send_event(Ans(a="y"))
    return [found, refused, await again]


async def what_is_no_snapshot() -> Any:
    newer = raised(lambda: Context.from_dict(Counts(), {"version": 99}))
    malformed = [
        raised(lambda data=data: Context.from_dict(Counts(), data))[0]
        for data in ({"is_running": 3}, {"state": 3}, {"version": "new"})
    ]
    fine = [Context.from_dict(Counts(), data).is_running for data in ({}, {"unknown": 1})]
    return [newer[0], "newer version" in newer[1], malformed, fine]


async def several_handlers_of_one_run() -> Any:
    handler = Counts().run()
    results = [await handler, await handler, handler.ctx.get_result()]
    stop = await handler.stop_event_result()
    return [results, repr(stop), repr(handler.get_stop_event()), handler.is_done(), len(handler.run_id)]


# Within steps


class _Once:
    def next(self, elapsed_time: float, attempts: int, error: Exception) -> float | None:
        return 0.0 if attempts < 2 else None


class Identical(Workflow):
    """Two pieces of work wait for the same thing."""

    @step
    async def begin(self, ev: StartEvent, ctx: Context) -> Job | None:
        for n in range(2):
            ctx.send_event(Job(n=n))
        return None

    @step
    async def ask(self, ev: Job, ctx: Context) -> Done:
        reply = await ctx.wait_for_event(Ans, waiter_event=Ask(q=str(ev.n)))
        return Done(n=ev.n, a=reply.a)

    @step
    async def end(self, ev: Done, ctx: Context) -> StopEvent | None:
        both = ctx.collect_events(ev, [Done, Done])
        return None if both is None else StopEvent(result=sorted([one.n, one.a] for one in both))


async def _asked(handler: Any, *answers: str) -> Any:
    questions: list[str] = []

    async def listen() -> None:
        questions.extend([event.q async for event in handler.stream_events() if isinstance(event, Ask)])

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(listen)
        for answer in answers:
            await anyio.sleep(0.05)
            handler.ctx.send_event(Ans(a=answer))
        result = await handler
    return [result, sorted(questions)]


async def one_answer_for_all_who_wait() -> Any:
    return await _asked(Identical().run(), "all")


async def an_answer_survives_a_failure() -> Any:
    """It is asked once, though the step fails afterwards and runs again."""

    class Fails(Workflow):
        failed = 0

        @step(retry_policy=_Once())
        async def go(self, ev: StartEvent, ctx: Context) -> StopEvent:
            reply = await ctx.wait_for_event(Ans, waiter_event=Ask(q="once"))
            if Fails.failed == 0:
                Fails.failed += 1
                raise ValueError("after the answer")
            return StopEvent(result=reply.a)

    return await _asked(Fails().run(), "kept")


async def an_answer_is_not_work_too() -> Any:
    """The step that waits for it also takes such events; it gets the answer, not a second piece of work."""

    class Both(Workflow):
        begun: list[str] = []

        @step
        async def begin(self, ev: StartEvent) -> Job:
            return Job(n=0)

        @step
        async def go(self, ev: Job | Ans, ctx: Context) -> StopEvent:
            name = type(ev).__name__
            if name not in Both.begun:
                Both.begun.append(name)
            reply = await ctx.wait_for_event(Ans, waiter_event=Ask(q="?"))
            return StopEvent(result=[Both.begun, reply.a])

    return await _asked(Both().run(), "once")


async def events_that_are_collected_at_once() -> Any:
    """Many executions of one step give to one buffer: nothing is lost, and each set fires once."""

    class Many(Workflow):
        fired: list[int] = []

        @step
        async def begin(self, ev: StartEvent, ctx: Context) -> Job | None:
            for n in range(12):
                ctx.send_event(Job(n=n))
            return None

        @step(num_workers=6)
        async def gather(self, ev: Job, ctx: Context) -> Done | None:
            await anyio.sleep(0.001 * (ev.n % 3))
            jobs = ctx.collect_events(ev, [Job] * 4)
            return None if jobs is None else Done(n=len(jobs), a=" ".join(sorted(str(job.n) for job in jobs)))

        @step
        async def end(self, ev: Done, ctx: Context) -> StopEvent | None:
            sets = ctx.collect_events(ev, [Done] * 3)
            if sets is None:
                return None
            return StopEvent(result=sorted(" ".join(one.a for one in sets).split(), key=int))

    return await Many().run()


async def where_methods_do_not_work() -> Any:
    ctx = Context(Counts())
    found = {}
    for name, call in {
        "stream_events": ctx.stream_events,
        "get_result": ctx.get_result,
        "collect_events": lambda: ctx.collect_events(Job(), [Job]),
        "write_event_to_stream": lambda: ctx.write_event_to_stream(Job()),
        "retry_info": ctx.retry_info,
        "send_event": lambda: ctx.send_event(Job()),
    }.items():
        found[name] = raised(call)
    found["get_step_context"] = raised(Context.get_step_context)[0]
    return found
