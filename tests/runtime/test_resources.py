"""What steps are given besides events: made once, shared, read from files; a failure to make it is the step's."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Annotated, Any

import anyio
import anyio.lowlevel
import pytest
from pydantic import BaseModel

from workflow_server import Context, Workflow, catch_error, step
from workflow_server.definition.retry_policy import retry_policy, wait_none
from workflow_server.errors import WorkflowRuntimeError, WorkflowValidationError
from workflow_server.events import Event, StartEvent, StepFailedEvent, StopEvent
from workflow_server.runtime.loop import loop_is_running
from workflow_server.runtime.resource import Resource, ResourceConfig, ResourceManager


class Job(Event):
    pass


class Done(Event):
    seen: Any = None


class Settings(BaseModel):
    """What configurations are read into."""

    n: int


def one_step(annotation: Any, **options: Any) -> Workflow:
    """Return a workflow whose only step returns what it is given."""

    class One(Workflow):
        @step
        async def go(self, ev: StartEvent, given: annotation) -> StopEvent:
            return StopEvent(result=given)

    return One(**options)


def counting() -> Any:
    made: list[int] = []

    def factory() -> list[int]:
        made.append(1)
        return made

    return factory


# ----------------------------------------------------------------------------------------------------- making


async def test_a_shared_value_is_made_once_for_all_steps_and_runs_of_an_instance() -> None:
    get = counting()

    class Shares(Workflow):
        @step
        async def first(self, ev: StartEvent, given: Annotated[Any, Resource(get)]) -> Job:
            return Job(seen=given)

        @step
        def second(self, ev: Job, given: Annotated[Any, Resource(get)]) -> StopEvent:
            return StopEvent(result=given is ev.seen)

    workflow = Shares()
    assert [await workflow.run(), await workflow.run()] == [True, True]
    assert get() == [1, 1]
    assert await Shares().run()
    assert get() == [1, 1, 1, 1], "another instance makes its own"


async def test_what_is_not_shared_is_made_once_for_an_execution() -> None:
    def bottom() -> Any:
        return object()

    def left(it: Annotated[Any, Resource(bottom, cache=False)]) -> Any:
        return it

    async def right(it: Annotated[Any, Resource(bottom, cache=False)]) -> Any:
        return it

    seen: list[Any] = []

    class Graph(Workflow):
        @step
        async def go(
            self,
            ev: StartEvent,
            a: Annotated[Any, Resource(left, cache=False)],
            b: Annotated[Any, Resource(right, cache=False)],
        ) -> StopEvent:
            seen.append(a)
            return StopEvent(result=a is b)

    workflow = Graph()
    assert [await workflow.run(), await workflow.run()] == [True, True]
    assert seen[0] is not seen[1]


async def test_whoever_wants_a_value_that_is_being_made_waits_for_it() -> None:
    made: list[int] = []

    async def slow() -> Any:
        made.append(1)
        await anyio.sleep(0.01)
        return object()

    class Crowd(Workflow):
        @step
        async def start(self, ev: StartEvent, ctx: Context) -> Job | None:
            for _ in range(3):
                ctx.send_event(Job())
            return None

        @step
        async def work(self, ev: Job, given: Annotated[Any, Resource(slow)]) -> Done:
            return Done(seen=id(given))

        @step
        async def end(self, ev: Done, ctx: Context) -> StopEvent | None:
            all_done = ctx.collect_events(ev, [Done] * 3)
            return None if all_done is None else StopEvent(result=len({one.seen for one in all_done}))

    assert await Crowd().run() == 1
    assert made == [1]


async def test_if_the_first_to_make_a_value_fails_or_is_cancelled_the_next_tries() -> None:
    tries: list[int] = []

    async def third_time() -> str:
        tries.append(1)
        await anyio.sleep(0.01 if len(tries) > 1 else 1000)
        if len(tries) == 2:
            raise ValueError("not yet")
        return "made"

    manager, resource, told = ResourceManager(), Resource(third_time), []

    async def want(cancelled: bool = False) -> None:
        with anyio.move_on_after(0.02 if cancelled else 1000):
            try:
                told.append(await manager.get(resource))
            except ValueError as error:
                told.append(str(error))

    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(want, True)
            await anyio.wait_all_tasks_blocked()
            tasks.start_soon(want)
            tasks.start_soon(want)
            tasks.start_soon(want)
    assert sorted(told) == ["made", "made", "not yet"]
    assert len(tries) == 3


def test_a_manager_outlives_a_loop() -> None:
    manager = ResourceManager()

    async def get() -> str:
        await anyio.lowlevel.checkpoint()
        return "made"

    async def twice() -> list[Any]:
        results = []

        async def one(workflow: Workflow) -> None:
            results.append(await workflow.run())

        async with anyio.create_task_group() as tasks:
            for _ in range(2):
                tasks.start_soon(one, one_step(Annotated[str, Resource(get, cache=False)], resource_manager=manager))
                tasks.start_soon(one, one_step(Annotated[str, Resource(get)], resource_manager=manager))
        return results

    for backend in ("asyncio", "trio", "asyncio"):
        assert anyio.run(twice, backend=backend) == ["made"] * 4


async def test_managers_are_given_and_asked() -> None:
    get, manager = counting(), ResourceManager()
    first, second = (one_step(Annotated[Any, Resource(get)], resource_manager=manager) for _ in range(2))
    assert await first.run() is await second.run()
    assert manager.get_all() == {get.__qualname__: [1]}
    assert await manager.get(Resource(get)) == [1]
    await manager.set(get.__qualname__, "ours")
    assert await first.run() == "ours"
    assert manager.get_all() == {get.__qualname__: "ours"}
    assert await manager.get(Resource(get, cache=False)) == [1, 1], "what is not shared can't be replaced"


class Database:
    def __init__(self, url: Annotated[str, Resource(lambda: "sqlite://")]) -> None:
        self.url = url

    def session(self) -> str:
        return f"session of {self.url}"


class Maker:
    def __call__(self) -> str:
        return "called"


@pytest.mark.parametrize(
    ("factory", "value"),
    [
        (Database("a").session, "session of a"),
        (Maker(), "called"),
        (functools.partial(str.upper, "shout"), "SHOUT"),
        (dict, {}),
        (lambda: None, None),
    ],
)
async def test_factories_of_all_kinds(factory: Any, value: Any) -> None:
    assert await one_step(Annotated[Any, Resource(factory)]).run() == value


async def test_a_class_is_a_factory_with_needs_of_its_own() -> None:
    assert (await one_step(Annotated[Database, Resource(Database)]).run()).url == "sqlite://"


async def test_lambdas_are_told_apart() -> None:
    class Two(Workflow):
        @step
        async def go(
            self, ev: StartEvent, one: Annotated[int, Resource(lambda: 1)], two: Annotated[int, Resource(lambda: 2)]
        ) -> StopEvent:
            return StopEvent(result=[one, two])

    assert await Two().run() == [1, 2]


# --------------------------------------------------------------------------------------------------- failing


async def test_a_resource_that_fails_is_a_failure_of_the_step() -> None:
    tries: list[int] = []

    async def flaky() -> int:
        tries.append(1)
        if len(tries) < 3:
            raise ConnectionError("no database")
        return len(tries)

    class Retries(Workflow):
        @step(retry_policy=retry_policy(wait=wait_none()))
        async def go(self, ev: StartEvent, given: Annotated[int, Resource(flaky)], ctx: Context) -> StopEvent:
            return StopEvent(result=[given, ctx.retry_info().retry_number])

    assert await Retries().run() == [3, 2]

    class Rescued(Workflow):
        @step
        async def go(self, ev: StartEvent, given: Annotated[int, Resource(lambda: 1 / 0)]) -> StopEvent:
            return StopEvent(result="made")

        @catch_error
        async def rescue(self, ev: StepFailedEvent) -> StopEvent:
            return StopEvent(result=[ev.step_name, type(ev.exception).__name__])

    assert await Rescued().run() == ["go", "ZeroDivisionError"]


def ring_a(it: Annotated[int, Resource(ring_b)]) -> int:
    return it


def ring_b(it: Annotated[int, Resource(ring_a)]) -> int:
    return it


async def test_what_needs_itself_is_refused_with_the_way_round() -> None:
    workflow = one_step(Annotated[int, Resource(ring_a)])
    with pytest.raises(ValueError, match=r"^Circular resource dependency detected: ring_a -> ring_b -> ring_a$"):
        await workflow.run()
    with pytest.raises(WorkflowValidationError, match="ring_a -> ring_b -> ring_a"):
        workflow.validate(validate_resources=True)


async def test_cycles_entered_from_both_sides_at_once_do_not_wait_for_each_other() -> None:
    manager, errors = ResourceManager(), []

    async def want(resource: Resource) -> None:
        try:
            await manager.get(resource)
        except ValueError as error:
            errors.append(str(error))

    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(want, Resource(ring_a))
            tasks.start_soon(want, Resource(ring_b))
    assert len(errors) == 2


# ----------------------------------------------------------------------------------------------------- files


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A configuration file in the current directory."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"n": 1, "a": {"b": {"n": 3}, "c": 5}}))
    return path


async def test_a_configuration_is_read_into_the_annotated_class(config: Path) -> None:
    assert await one_step(Annotated[Settings, ResourceConfig("config.json")]).run() == Settings(n=1)
    assert await one_step(Annotated[Settings | None, ResourceConfig("config.json", "a.b")]).run() == Settings(n=3)
    assert await one_step(Annotated[dict[str, Any], ResourceConfig("config.json", "a")]).run() == {
        "b": {"n": 3},
        "c": 5,
    }


async def test_a_configuration_is_read_once_for_each_instance_and_class(config: Path) -> None:
    class Both(Workflow):
        @step
        async def go(
            self,
            ev: StartEvent,
            model: Annotated[Settings, ResourceConfig("config.json", "a.b")],
            raw: Annotated[dict[str, Any], ResourceConfig("config.json", "a.b")],
        ) -> StopEvent:
            return StopEvent(result=[model.n, raw["n"]])

    workflow = Both()
    assert await workflow.run() == [3, 3]
    config.write_text(json.dumps({"a": {"b": {"n": 4}}}))  # noqa: ASYNC240  # a line, in a test
    assert await workflow.run() == [3, 3]
    assert await Both().run() == [4, 4]


def test_the_name_of_a_configuration() -> None:
    assert (ResourceConfig("a.json").name, ResourceConfig("a.json", "b.c").name) == ("a.json", "a.json.b.c")
    with pytest.raises(ValueError, match="Only JSON files"):
        ResourceConfig("a.yaml")


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        (ResourceConfig("none.json"), "No such file: none.json"),
        (ResourceConfig("config.json", "a.c"), r"Expected dictionary .*config.json at path a.c, got: <class 'int'>"),
        (ResourceConfig("config.json", "a.c.d"), "at path a.c, got: <class 'int'>"),
        (ResourceConfig("config.json", "a.x"), "at path a.x, got: <class 'NoneType'>"),
        (ResourceConfig("config.json", "a"), "n\n  Field required"),
        (ResourceConfig("broken.json"), "key must be a string"),
    ],
)
async def test_a_configuration_that_can_not_be_read(config: Path, source: ResourceConfig, complaint: str) -> None:
    config.with_name("broken.json").write_text("{nope")
    annotation = Annotated[Settings, source]
    with pytest.raises(WorkflowValidationError, match=f"(?s)In step 'go', parameter 'given': .*{complaint}"):
        one_step(annotation).run()
    expected = FileNotFoundError if "No such" in complaint else ValueError
    with pytest.raises(expected, match=complaint):
        await one_step(annotation, disable_validation=True).run()


# ------------------------------------------------------------------------------------------------- validation


def needs_settings(settings: Annotated[Settings, ResourceConfig("config.json", "a")]) -> Settings:
    return settings


def needs_more(settings: Annotated[Settings, Resource(needs_settings)]) -> Settings:
    return settings


def test_validate_names_everything_that_can_not_be_read(config: Path) -> None:
    class Two(Workflow):
        @step
        async def one(self, ev: StartEvent, given: Annotated[Any, Resource(needs_more)]) -> Job:
            return Job()

        @step
        async def two(self, ev: Job, given: Annotated[Settings, ResourceConfig("none.json")]) -> StopEvent:
            return StopEvent()

    with pytest.raises(WorkflowValidationError) as refused:
        Two().validate()
    text = str(refused.value)
    assert text.startswith("Resource config validation failed:\n")
    assert "  - In step 'one', parameter 'given' (needs_more -> needs_settings -> config.json.a): 1 validation" in text
    assert "  - In step 'two', parameter 'given': No such file: none.json" in text
    Two().validate(validate_resource_configs=False)


def test_validate_makes_resources_when_asked_to() -> None:
    get = counting()

    async def waits() -> str:
        await anyio.lowlevel.checkpoint()
        raise ValueError("not to be had")

    def workflow(factory: Any) -> Workflow:
        return one_step(Annotated[Any, Resource(factory)])

    one = workflow(get)
    one.validate()
    assert get() == [1]
    one.validate(validate_resources=True)
    one.validate(validate_resources=True)
    assert get() == [1, 1, 1], "what it made is kept"
    with pytest.raises(
        WorkflowValidationError, match=r"(?s)^Resource validation failed.*'go', parameter 'given': not to"
    ):
        workflow(waits).validate(validate_resources=True)


async def test_validate_in_a_loop_makes_what_needs_no_waiting() -> None:
    async def quick() -> int:
        return 1

    async def waits() -> None:
        await anyio.lowlevel.checkpoint()

    assert loop_is_running()
    one_step(Annotated[Any, Resource(quick)]).validate(validate_resources=True)
    with pytest.raises(WorkflowRuntimeError, match="before the loop starts"):
        one_step(Annotated[Any, Resource(waits)]).validate(validate_resources=True)


# -------------------------------------------------------------------------------------------- string annotations


async def test_factories_see_the_classes_of_the_function_that_applies_the_decorator(config: Path) -> None:
    class Local(BaseModel):
        n: int

    def get(settings: Annotated[Local, ResourceConfig("config.json")]) -> Local:
        return settings

    class Uses(Workflow):
        @step
        async def go(self, ev: StartEvent, given: Annotated[Local, Resource(get)]) -> StopEvent:
            return StopEvent(result=given)

    assert await Uses().run() == Local(n=1)


async def test_local_names_never_stand_for_those_of_a_factorys_module(config: Path) -> None:
    class Settings(BaseModel):
        other: str

    class Uses(Workflow):
        @step
        async def go(self, ev: StartEvent, given: Annotated[Any, Resource(of_the_module)]) -> StopEvent:
            return StopEvent(result=type(given) is Settings)

    assert await Uses().run() is False


def of_the_module(settings: Annotated[Settings, ResourceConfig("config.json")]) -> Settings:
    return settings


async def test_a_local_factory_sees_the_names_where_it_stands() -> None:
    class Settings(BaseModel):
        here: bool = True

    def default() -> dict[str, Any]:
        return {}

    def get(made: Annotated[dict[str, Any], Resource(default)]) -> Settings:
        return Settings(**made)

    assert (await one_step(Annotated[Any, Resource(get)]).run()).here


def test_a_mark_that_can_not_be_seen_is_an_error_at_once() -> None:
    def get(it: Annotated[Nowhere, Resource(counting)]) -> None:  # noqa: F821
        pass

    with pytest.raises(WorkflowValidationError, match=r"of resource factory .*get: name 'Nowhere' is not defined"):
        one_step(Annotated[Any, Resource(get)])


async def test_other_names_that_can_not_be_seen_do_not_matter() -> None:
    def get(it: Nowhere = None) -> str:  # type: ignore[assignment]  # noqa: F821
        return "made"

    assert await one_step(Annotated[Any, Resource(get)]).run() == "made"
