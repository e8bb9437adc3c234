"""Snapshots: `Context.to_dict` at any moment, `Context.from_dict` anywhere else."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import anyio
import pytest
from pydantic import BaseModel, PrivateAttr

from tests_support.served import CHECKOUT, checkout_environ
from tests_support.snapshot_workflows import RESULT, Ask, Everything, Memory, Piece, Reply
from workflow_server import Context, Workflow, step
from workflow_server.definition.compiled import definition_of
from workflow_server.errors import ContextSerdeError, ContextStateError, WorkflowCancelledByUser
from workflow_server.events import Event, HumanResponseEvent, InputRequiredEvent, StartEvent, StopEvent
from workflow_server.runtime.handler import WorkflowHandler
from workflow_server.serializers import JsonSerializer, PickleSerializer

GOLDEN = {path.stem: path.read_text() for path in sorted((Path(__file__).parent / "data").glob("snapshot_*.json"))}


class Question(InputRequiredEvent):
    n: int = 0


class Answer(HumanResponseEvent):
    n: int = 0
    who: Any = None


class Job(Event):
    n: int = 0


async def told(handler: WorkflowHandler, *events: Event) -> Any:
    """Send events one by one, each when nothing else can happen, and return the result."""
    with anyio.fail_after(500):
        for event in events:
            await anyio.wait_all_tasks_blocked()
            handler.ctx.send_event(event)
        return await handler


async def snapshot_of(handler: WorkflowHandler) -> dict[str, Any]:
    """Take a snapshot when nothing else can happen, cancel the run, and return the snapshot as it travels."""
    await anyio.wait_all_tasks_blocked()
    taken = json.loads(json.dumps(handler.ctx.to_dict()))
    await handler.cancel_run()
    return taken


async def rest_of(handler: WorkflowHandler) -> list[Event]:
    return [event async for event in handler.stream_events()]


# A run in the middle of everything


@pytest.mark.virtual_time
@pytest.mark.usefixtures("virtual_clock")
async def test_a_run_in_the_middle_of_everything_goes_on() -> None:
    """Queued, running, delayed, collected, waiting: all of it is in the snapshot, and nothing twice or missing."""
    taken = await snapshot_of(Everything().run(name="lamp"))
    assert taken["is_running"] is True
    handler = Everything().run(ctx=Context.from_dict(Everything(), taken))
    assert await told(handler, Reply(text="no", who="bob"), Piece(n=2), Reply(text="yes", who="ann")) == RESULT
    assert not any(isinstance(event, Ask) for event in await rest_of(handler)), "the question was asked before"


@pytest.mark.virtual_time
@pytest.mark.usefixtures("virtual_clock")
async def test_taking_a_snapshot_changes_nothing() -> None:
    handler = Everything().run(name="lamp")
    for _ in range(3):
        await anyio.wait_all_tasks_blocked()
        assert handler.ctx.to_dict() == handler.ctx.to_dict()
    assert await told(handler, Piece(n=2), Reply(text="yes", who="ann")) == RESULT


@pytest.mark.virtual_time
@pytest.mark.usefixtures("virtual_clock")
@pytest.mark.parametrize("name", GOLDEN)
async def test_golden_snapshots_load_and_finish(name: str) -> None:
    """Each file was written by an earlier version and is never written anew; later keys need a meaning when absent."""
    golden = json.loads(GOLDEN[name])
    before = copy.deepcopy(golden)
    handler = Everything().run(ctx=Context.from_dict(Everything(), golden))
    assert await told(handler, Piece(n=2), Reply(text="yes", who="ann")) == RESULT
    assert golden == before


def test_there_is_a_golden_snapshot_of_each_version() -> None:
    assert [json.loads(text)["version"] for text in GOLDEN.values()] == [1]


@pytest.mark.virtual_time
@pytest.mark.usefixtures("virtual_clock")
async def test_keys_of_a_later_minor_version_are_ignored() -> None:
    taken = await snapshot_of(Everything().run(name="lamp"))
    taken["mood"] = "good"
    taken["run"]["mood"] = taken["run"]["head"]["mood"] = "good"
    for part in taken["run"]["parts"].values():
        part["mood"] = "good"
    handler = Everything().run(ctx=Context(Everything(), previous_context=taken))
    assert await told(handler, Piece(n=2), Reply(text="yes", who="ann")) == RESULT


@pytest.mark.virtual_time
@pytest.mark.usefixtures("virtual_clock")
async def test_a_delay_keeps_its_remainder() -> None:
    """The retry is due a minute after the failure, wherever the run was meanwhile; once due, it happens at once."""

    class Retries(Workflow):
        times: list[float] = []

        @step(retry_policy=definition_of(Everything).steps["flaky"].config.retry_policy)
        async def go(self, ev: StartEvent, ctx: Context) -> StopEvent:
            self.times.append(anyio.current_time())
            if ctx.retry_info().retry_number == 0:
                raise ValueError("not yet")
            return StopEvent(result=str(ctx.retry_info().last_exception))

    taken = await snapshot_of(Retries(timeout=None).run())
    began = Retries.times[0]
    await anyio.sleep(20)
    again = await snapshot_of(Retries(timeout=None).run(ctx=Context.from_dict(Retries(), taken)))
    due = [part["not_before"] for shot in (taken, again) for part in shot["run"]["parts"].values()]
    assert due[0] == due[1], "decided once, and the same in every snapshot"
    await anyio.sleep(10)
    assert await Retries(timeout=None).run(ctx=Context.from_dict(Retries(), again)) == "not yet"
    assert [at - began for at in Retries.times] == [0, pytest.approx(60)]
    await anyio.sleep(100)
    late = anyio.current_time()
    assert await Retries(timeout=None).run(ctx=Context.from_dict(Retries(), again)) == "not yet"
    assert Retries.times[2:] == [late], "overdue: at once, exactly once"


async def test_it_goes_on_in_another_process(tmp_path: Path) -> None:
    """A snapshot is plain JSON; what reads it needs nothing but the workflow."""
    taken = await snapshot_of(Everything().run(name="lamp"))
    for part in taken["run"]["parts"].values():
        part["not_before"] = part.get("not_before") and 1.0  # a minute is too long to wait for here
    file = tmp_path / "snapshot.json"
    file.write_text(json.dumps(taken))
    program = """
import json, sys
import anyio
import tests_support.snapshot_workflows as shop
from workflow_server import Context

async def no_sleep(seconds): pass

async def main():
    shop.anyio.sleep = no_sleep
    workflow = shop.Everything()
    handler = workflow.run(ctx=Context.from_dict(workflow, json.load(open(sys.argv[1]))))
    handler.ctx.send_event(shop.Piece(n=2))
    handler.ctx.send_event(shop.Reply(text="yes", who="ann"))
    print(json.dumps(await handler))

anyio.run(main)
"""
    environ = checkout_environ() | {"PYTHONPATH": f"{checkout_environ()['PYTHONPATH']}:{CHECKOUT / 'tests'}"}
    done = await anyio.run_process([sys.executable, "-c", program, str(file)], env=environ, stderr=subprocess.STDOUT)
    assert json.loads(done.stdout) == RESULT


# Waits


class Waits(Workflow):
    """Waits for what `requirements` say; tells how often its step began."""

    begun = 0
    requirements: dict[str, Any] = {}

    @step
    async def go(self, ev: StartEvent, ctx: Context) -> StopEvent:
        type(self).begun += 1
        reply = await ctx.wait_for_event(
            Answer, waiter_event=Question(), requirements=self.requirements, timeout=None, waiter_id=ev.get("id")
        )
        return StopEvent(result=reply.n)


@pytest.mark.parametrize("id", [None, "approval"])
async def test_a_waiting_step_sleeps_until_it_is_answered(id: str | None) -> None:
    class Here(Waits):
        begun = 0

    taken = await snapshot_of(Here().run(id=id))
    handler = Here().run(ctx=Context.from_dict(Here(), taken))
    await anyio.wait_all_tasks_blocked()
    assert Here.begun == 1
    assert await told(handler, Answer(n=7)) == 7
    assert Here.begun == 2
    assert not any(isinstance(event, Question) for event in await rest_of(handler))


async def test_requirements_without_a_json_form_are_brought_back_by_their_step() -> None:
    """The step runs again at once; until it has, nothing answers the wait."""
    wanted = object()

    class Here(Waits):
        begun = 0
        requirements = {"who": wanted}

    taken = await snapshot_of(Here().run())
    handler = Here().run(ctx=Context.from_dict(Here(), taken))
    handler.ctx.send_event(Answer(n=1, who=wanted))  # too early: nobody knows yet what is wanted
    await anyio.wait_all_tasks_blocked()
    assert Here.begun == 2
    assert await told(handler, Answer(n=2, who="someone"), Answer(n=3, who=wanted)) == 3
    assert Here.begun == 2
    assert not any(isinstance(event, Question) for event in await rest_of(handler))


@pytest.mark.virtual_time
@pytest.mark.usefixtures("virtual_clock")
async def test_a_wait_times_out_when_it_would_have() -> None:
    class Times(Workflow):
        @step
        async def go(self, ev: StartEvent, ctx: Context) -> StopEvent:
            try:
                await ctx.wait_for_event(Answer, timeout=30)
            except TimeoutError as error:
                return StopEvent(result=str(error))
            return StopEvent()

    taken = await snapshot_of(Times(timeout=None).run())
    await anyio.sleep(20)
    began = anyio.current_time()
    assert await Times(timeout=None).run(ctx=Context.from_dict(Times(), taken)) == "Timed out waiting for Answer"
    assert anyio.current_time() - began == pytest.approx(10, abs=0.5)


# Cancelled, finished, failed


async def test_a_cancelled_run_can_be_resumed() -> None:
    handler = Waits().run()
    await anyio.wait_all_tasks_blocked()
    await handler.cancel_run()
    with pytest.raises(WorkflowCancelledByUser):
        await handler
    assert not handler.ctx.is_running
    taken = handler.ctx.to_dict()
    assert taken["is_running"] is True
    assert await told(Waits().run(ctx=Context.from_dict(Waits(), taken)), Answer(n=4)) == 4


class Counts(Workflow):
    @step
    async def go(self, ev: StartEvent, ctx: Context) -> StopEvent:
        n: int = await ctx.store.get("n", default=0)
        await ctx.store.set("n", n + 1)
        if ev.get("fail"):
            raise ValueError("as asked")
        return StopEvent(result=n + 1)


async def test_after_the_end_only_the_state_goes_on() -> None:
    handler = Counts().run()
    assert await handler == 1
    taken = handler.ctx.to_dict()
    assert set(taken) == {"version", "is_running", "state"}
    assert taken["is_running"] is False
    handler = Counts().run(ctx=Context.from_dict(Counts(), taken), fail=True)
    with pytest.raises(ValueError, match="as asked"):
        await handler
    taken = handler.ctx.to_dict()
    assert taken["is_running"] is False
    assert await Counts().run(ctx=Context.from_dict(Counts(), taken)) == 3


async def test_a_run_that_queues_for_its_turn_begins_after_the_resumption() -> None:
    class One(Waits):
        begun = 0

    one = One(num_concurrent_runs=1)
    first, second = one.run(), one.run(id="mine")
    await anyio.wait_all_tasks_blocked()
    taken = second.ctx.to_dict()
    await first.cancel_run()
    await second.cancel_run()
    begun = One.begun
    resumed = Context.from_dict(One(), taken)
    handler = One().run(ctx=resumed)
    assert await told(handler, Answer(n=5)) == 5
    assert One.begun == begun + 1
    del taken["run"]["start"]
    with pytest.raises(ContextSerdeError, match="has not begun"):
        Context.from_dict(One(), taken)


# One context, several runs


async def test_a_restored_context_before_its_run() -> None:
    """It says that it is running, takes writes, and tells of itself again."""
    taken = await snapshot_of(Waits().run())
    ctx: Context[Any] = Context.from_dict(Waits(), taken)
    assert ctx.is_running
    await ctx.store.set("staged", 1)
    again = ctx.to_dict()
    assert again["run"] == {**taken["run"], "head": {**taken["run"]["head"], "next_sequence": 0}} | {
        "parts": again["run"]["parts"]
    }
    with pytest.raises(ContextStateError, match="before workflow started"):
        ctx.send_event(Answer())
    handler = Waits().run(ctx=Context.from_dict(Waits(), again), start_event=StartEvent(ignored=True))
    assert await told(handler, Answer(n=9)) == 9
    assert await handler.ctx.store.get("staged") == 1
    # The next run on the same context is a new one.
    assert not handler.ctx.is_running
    assert await told(Waits().run(ctx=handler.ctx), Answer(n=10)) == 10


async def test_a_context_that_was_never_used() -> None:
    assert Context(Counts()).to_dict() == {"version": 1, "is_running": False, "state": {}}
    ctx: Context[Any] = Context.from_dict(Counts(), {})
    assert await Counts().run(ctx=ctx) == 1
    assert await Counts().run(ctx=ctx) == 2
    assert ctx.to_dict(include_state=False)["state"] == {}


async def test_a_step_and_a_thread_may_take_snapshots() -> None:
    class Looks(Workflow):
        @step
        def go(self, ev: StartEvent, ctx: Context) -> StopEvent:
            assert threading.current_thread() is not threading.main_thread()
            return StopEvent(result=ctx.to_dict())

    taken = await Looks().run()
    assert [part["step"] for part in taken["run"]["parts"].values()] == ["go"]
    # It was taken in the middle of its step, which runs again.
    assert set(await Looks().run(ctx=Context.from_dict(Looks(), taken))) == set(taken)


async def test_a_run_goes_on_in_its_own_workflow_only() -> None:
    taken = await snapshot_of(Waits().run())
    with pytest.raises(ContextStateError, match="another workflow's"):
        Counts().run(ctx=Context.from_dict(Waits(), taken))
    with pytest.raises(ContextSerdeError, match="the workflow has no step 'go' any more"):
        Context.from_dict(Everything(), taken)


# What travels, and how


class Opaque:
    def __init__(self, n: int) -> None:
        self.n = n


class Carries(Event):
    thing: Any = None
    _lock: Any = PrivateAttr(default_factory=threading.Lock)


class Hauls(Workflow):
    """Keeps a `Carries` queued."""

    @step
    async def go(self, ev: StartEvent, ctx: Context) -> Carries:
        return Carries(thing=ev.get("thing"))

    @step
    async def hold(self, ev: Carries, ctx: Context) -> StopEvent:
        await ctx.wait_for_event(Answer)
        return StopEvent(result=ev.thing)


async def test_private_attributes_stay_behind() -> None:
    taken = await snapshot_of(Hauls().run(thing=[1, {"a": None}]))
    assert await told(Hauls().run(ctx=Context.from_dict(Hauls(), taken)), Answer()) == [1, {"a": None}]


class Pickled(Event):
    thing: Any = None


class HaulsPickled(Workflow):
    @step
    async def go(self, ev: StartEvent, ctx: Context) -> Pickled:
        return Pickled(thing=Opaque(5))

    @step
    async def hold(self, ev: Pickled, ctx: Context) -> StopEvent:
        await ctx.wait_for_event(Answer)
        return StopEvent(result=ev.thing.n)


async def test_a_serializer_of_ones_own_carries_what_json_can_not() -> None:
    handler = HaulsPickled().run()
    await anyio.wait_all_tasks_blocked()
    for serializer in (None, JsonSerializer()):
        with pytest.raises(ValueError, match="Pickled can't be stored: its field 'thing' holds a Opaque"):
            handler.ctx.to_dict(serializer)
    taken = json.loads(json.dumps(handler.ctx.to_dict(PickleSerializer())))
    await handler.cancel_run()
    with pytest.raises(ContextSerdeError):
        Context.from_dict(HaulsPickled(), taken)
    ctx: Context[Any] = Context.from_dict(HaulsPickled(), taken, PickleSerializer())
    assert ctx.to_dict(PickleSerializer()).keys() == taken.keys()
    assert await told(HaulsPickled().run(ctx=ctx), Answer()) == 5


async def test_what_is_not_the_event_it_was_to_be_is_refused() -> None:
    handler = HaulsPickled().run()
    await anyio.wait_all_tasks_blocked()
    taken = handler.ctx.to_dict(PickleSerializer())
    await handler.cancel_run()
    for part in taken["run"]["parts"].values():
        part["message"] = {"name": "x.Pickled", "value": "5"}
    with pytest.raises(ContextSerdeError, match=r"x\.Pickled was to be an event, not a int"):
        Context.from_dict(HaulsPickled(), taken, PickleSerializer())


class Base(Event):
    n: int = 0


class Derived(Base):
    more: str = ""


class TakesSubclasses(Workflow):
    @step
    async def go(self, ev: StartEvent, ctx: Context) -> Base:
        return Derived(n=1, more="kept")

    @step(accept_event_subclasses=True)
    async def hold(self, ev: Base, ctx: Context) -> StopEvent:
        await ctx.wait_for_event(Answer)
        return StopEvent(result=type(ev) is Derived and ev.more)


async def test_an_event_that_no_signature_names_is_found_below_one_that_is() -> None:
    taken = await snapshot_of(TakesSubclasses().run())
    assert await told(TakesSubclasses().run(ctx=Context.from_dict(TakesSubclasses(), taken)), Answer()) == "kept"


class Undeclared(BaseModel):
    n: int = 0


async def test_models_in_the_state_keep_their_class() -> None:
    ctx: Context[Any] = Context(Counts())
    await ctx.store.set("doc", Undeclared(n=3))
    again: Context[Any] = Context.from_dict(Counts(), json.loads(json.dumps(ctx.to_dict())))
    assert await again.store.get("doc") == Undeclared(n=3)
    with pytest.raises(ContextSerdeError, match="allow it with JsonSerializer"):
        Context.from_dict(Counts(), ctx.to_dict(), JsonSerializer(allowed_types=[]))


async def test_typed_state_comes_back_typed() -> None:
    ctx: Context[Memory] = Context(Everything())
    await ctx.store.set("seen", ["a"])
    again: Context[Memory] = Context.from_dict(Everything(), json.loads(json.dumps(ctx.to_dict())))
    assert await again.store.get_state() == Memory(seen=["a"])


# What can't be read


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ({"version": 2}, "newer version"),
        ({"version": "2.1"}, "newer version"),
        ({"version": 0}, "malformed at version"),
        ([], "malformed at its top"),
        ("{}", "malformed at its top"),
        ({"is_running": 3}, "malformed at is_running"),
        ({"state": []}, "malformed at state"),
        ({"state": {"store_type": "sql"}}, "Unknown store_type 'sql'"),
        ({"state": {"state_data": {"_data": {"a": "no json"}}}}, "Failed to deserialize"),
        ({"is_running": True}, "holds none"),
        ({"is_running": True, "run": {}}, "malformed at run.head"),
        ({"is_running": True, "run": {"head": {}, "parts": {}}}, "can't be read: head: it has no 'next_item'"),
        ({"is_running": True, "run": {"head": {}, "parts": {"item/1": {}}}}, "can't be read"),
    ],
)
async def test_what_is_no_snapshot_is_refused_with_a_reason(data: Any, reason: str) -> None:
    with pytest.raises(ContextSerdeError, match=reason):
        Context.from_dict(Counts(), data)


async def test_a_snapshot_of_changed_code_names_what_is_missing() -> None:
    taken = await snapshot_of(Waits().run())
    taken["run"]["parts"]["item/0"]["step"] = "gone"
    with pytest.raises(ContextSerdeError, match="item/0: the workflow has no step 'gone' any more"):
        Context.from_dict(Waits(), taken)
