"""Scenarios of resources: how often they are made, what they are made from, and what is said when that fails."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Annotated, Any

import anyio
from play import raised, run
from pydantic import BaseModel
from workflows import Context, Workflow, step
from workflows.events import Event, StartEvent, StopEvent
from workflows.resource import Resource, ResourceConfig, ResourceManager
from workflows.retry_policy import retry_policy, stop_after_attempt, wait_none

FOLDER = Path(tempfile.mkdtemp())
CONFIG = FOLDER / "config.json"
CONFIG.write_text(json.dumps({"n": 1, "a": {"b": {"n": 3}, "c": 5}}))


class Settings(BaseModel):
    n: int


class Missing(BaseModel):
    wanted: int


class Job(Event):
    pass


class Done(Event):
    seen: Any = None


MADE: list[str] = []


def get_memory() -> list[str]:
    MADE.append("memory")
    return MADE


async def _get_index(memory: Annotated[list[str], Resource(get_memory)]) -> dict[str, Any]:
    MADE.append("index")
    return {"memory": memory}


def get_session() -> object:
    MADE.append("session")
    return object()


def get_left(it: Annotated[object, Resource(get_session, cache=False)]) -> object:
    return it


def get_settings(settings: Annotated[Settings, ResourceConfig(str(CONFIG), "a.b")]) -> Settings:
    return settings


def chain(settings: Annotated[Missing, ResourceConfig(str(CONFIG), "a.b")]) -> Missing:
    return settings


def longer(it: Annotated[Missing, Resource(chain)]) -> Missing:
    return it


class Everything(Workflow):
    @step
    async def go(
        self,
        ev: StartEvent,
        memory: Annotated[list[str], Resource(get_memory)],
        index: Annotated[dict[str, Any], Resource(_get_index)],
        session: Annotated[object, Resource(get_session, cache=False)],
        left: Annotated[object, Resource(get_left, cache=False)],
        settings: Annotated[Settings, Resource(get_settings)],
        config: Annotated[Settings, ResourceConfig(str(CONFIG))],
    ) -> StopEvent:
        return StopEvent(result=[index["memory"] is memory, session is left, settings.n, config.n, list(MADE)])


async def resources_of_all_kinds() -> Any:
    MADE.clear()
    workflow, manager = Everything(), ResourceManager()
    gave = [await workflow.run(), await workflow.run()]
    gave += [await Everything(resource_manager=manager).run(), await Everything(resource_manager=manager).run()]
    return [gave, [name.replace(str(FOLDER), "") for name in sorted(manager.get_all()) if "json" not in name]]


async def a_resource_put_in_the_place_of_another() -> Any:
    manager = ResourceManager()
    await manager.set("get_memory", ["given"])
    given = [await manager.get(Resource(get_memory)), await manager.get(Resource(_get_index))]
    return [given, sorted(manager.get_all())]


class Fails(Workflow):
    @step(retry_policy=retry_policy(wait=wait_none(), stop=stop_after_attempt(2)))
    async def go(self, ev: StartEvent, bad: Annotated[int, Resource(lambda: int("no number"))]) -> StopEvent:
        return StopEvent(result=bad)


async def a_resource_fails() -> Any:
    return await run(Fails())


def ring_a(it: Annotated[int, Resource(ring_b)]) -> int:  # type: ignore[has-type]
    return it


def ring_b(it: Annotated[int, Resource(ring_a)]) -> int:
    return it


class Ring(Workflow):
    @step
    async def go(self, ev: StartEvent, it: Annotated[int, Resource(ring_a)]) -> StopEvent:
        return StopEvent(result=it)


async def a_resource_that_needs_itself() -> Any:
    return await run(Ring())


def with_config(annotation: Any) -> Workflow:
    class One(Workflow):
        @step
        async def go(self, ev: StartEvent, given: annotation) -> StopEvent:
            return StopEvent(result=given.n)

    return One()


async def configurations() -> Any:
    def told(annotation: Any) -> list[str]:
        kind, text = raised(with_config(annotation).validate)
        return [kind, text.replace(str(FOLDER), "FOLDER").partition("For further information")[0]]

    return {
        "names": [ResourceConfig("a.json").name, ResourceConfig("a.json", "b.c").name],
        "other suffix": raised(lambda: ResourceConfig("a.yaml"))[0],
        "fine": told(Annotated[Settings, ResourceConfig(str(CONFIG), "a.b")]),
        "no file": told(Annotated[Settings, ResourceConfig(str(FOLDER / "none.json"))]),
        "no dictionary": told(Annotated[Settings, ResourceConfig(str(CONFIG), "a.c")]),
        "no dictionary on the way": told(Annotated[Settings, ResourceConfig(str(CONFIG), "a.c.d")]),
        "no such key": told(Annotated[Settings, ResourceConfig(str(CONFIG), "a.x")]),
        "wrong model": told(Annotated[Missing, ResourceConfig(str(CONFIG))]),
        "nested": told(Annotated[Missing, Resource(chain)]),
        "nested twice": told(Annotated[Missing, Resource(longer)]),
    }


async def string_annotations_in_factories() -> Any:
    class Local(BaseModel):
        n: int

    def get(settings: Annotated[Local, ResourceConfig(str(CONFIG))]) -> Local:
        return settings

    return await with_config(Annotated[Local, Resource(get)]).run()


async def local_names_do_not_shadow_those_of_a_factorys_module() -> Any:
    class Settings(BaseModel):
        other: int

    return await with_config(Annotated[Settings, Resource(get_settings)]).run()


async def _slow() -> object:
    await anyio.sleep(0.01)
    return object()


class Crowd(Workflow):
    @step
    async def start(self, ev: StartEvent, ctx: Context) -> Job | None:
        for _ in range(3):
            ctx.send_event(Job())
        return None

    @step
    async def work(self, ev: Job, given: Annotated[object, Resource(_slow)]) -> Done:
        return Done(seen=id(given))

    @step
    async def end(self, ev: Done, ctx: Context) -> StopEvent | None:
        done = ctx.collect_events(ev, [Done] * 3)
        return None if done is None else StopEvent(result=len({one.seen for one in done}))


async def first_uses_at_once() -> Any:
    return {"one for all": (await run(Crowd())).get("result") == 1}
