"""`ctx.store`: reading, writing, editing, and what of it is stored."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from pydantic import BaseModel, Field

from workflow_server.errors import SerializationError, WorkflowRuntimeError
from workflow_server.runtime.state_store import DictState, InMemoryStateStore, UnserializableKeyWarning
from workflow_server.runtime.states import load_state, new_state
from workflow_server.serializers import JsonSerializer


class Inner(BaseModel):
    tags: list[str] = Field(default_factory=list[str])


class Typed(BaseModel):
    n: int = 0
    inner: Inner = Field(default_factory=Inner)


class More(Typed):
    extra: str = "x"


class Counting(DictState):
    """Free-form, with a field beside the keys."""

    n: int = 0


@dataclass
class Plain:
    name: str = "p"


class Frozen(BaseModel, frozen=True):
    n: int = 0


@dataclass
class Writer:
    """Takes the place of a run's journal."""

    written: list[dict[str, str | None]] = field(default_factory=list[dict[str, "str | None"]])
    gate: anyio.Event | None = None

    async def write_state(self, changes: Mapping[str, str | None]) -> None:
        if self.gate is not None:
            await self.gate.wait()
        self.written.append(dict(changes))


def free(**values: Any) -> InMemoryStateStore[DictState]:
    return InMemoryStateStore(DictState(**values))


# Paths


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("a", {"b": [10, {"c": 20}]}),
        ("a.b.0", 10),
        ("a.b.1.c", 20),
        ("a.b.-1.c", 20),
        ("numbers.1", "one"),
        ("numbers.two", 2),
        ("pair.1", "right"),
        ("plain.name", "p"),
        ("typed.inner.tags", ["t"]),
        ("items", "a key named like a method"),
        ("nothing", None),
        ("7", "seven"),
    ],
)
async def test_reading_by_path(path: str, value: Any) -> None:
    store = free(
        a={"b": [10, {"c": 20}]},
        numbers={1: "one", "two": 2},
        pair=("left", "right"),
        plain=Plain(),
        typed=Typed(inner=Inner(tags=["t"])),
        items="a key named like a method",
        nothing=None,
        **{"7": "seven"},
    )
    assert await store.get(path) == value


@pytest.mark.parametrize("path", ["b", "a.x", "a.b.5", "a.b.x", "typed.model_dump", "typed.nope", "plain.nope", "keys"])
async def test_what_is_not_there(path: str) -> None:
    store = free(a={"b": [1]}, typed=Typed(), plain=Plain())
    with pytest.raises(ValueError, match="not found in state"):
        await store.get(path)
    assert await store.get(path, default=3) == 3
    assert await store.get(path, default=None) is None


async def test_an_empty_path_leads_to_the_state_but_can_not_be_written() -> None:
    store = free()
    assert await store.get("") is await store.get_state()
    with pytest.raises(ValueError, match="Path cannot be empty"):
        await store.set("", 1)


async def test_writing_makes_what_is_missing_on_the_way() -> None:
    store = free()
    await store.set("a.b.c", 1)
    assert await store.get("a") == {"b": {"c": 1}}
    await store.set("a.b.d", 2)
    assert await store.get("a.b") == {"c": 1, "d": 2}
    await store.set("items", 3)
    assert await store.get("items") == 3


async def test_writing_into_lists_models_and_objects() -> None:
    store = free(things=[1, {"k": 2}], typed=Typed(), plain=Plain())
    await store.set("things.1.k", 5)
    await store.set("things.0", 6)
    await store.set("typed.inner.tags", ["new"])
    await store.set("plain.name", "q")
    assert await store.get("things") == [6, {"k": 5}]
    assert (await store.get("typed")).inner.tags == ["new"]
    assert (await store.get("plain")).name == "q"


@pytest.mark.parametrize("path", ["things.5", "things.x", "text.key", "pair.0", "frozen.n"])
async def test_writing_where_nothing_can_be_put(path: str) -> None:
    store = free(things=[1], text="t", pair=(1, 2), frozen=Frozen())
    with pytest.raises(ValueError, match=r"is not a place|can't hold"):
        await store.set(path, 1)


# Who sees what


async def test_reading_gives_the_live_object() -> None:
    store = free(things=[1])
    (await store.get("things")).append(2)
    assert await store.get("things") == [1, 2]


async def test_a_reader_of_an_earlier_state_sees_it_unchanged() -> None:
    store = free(a={"b": {"c": 1}, "other": []})
    before = await store.get_state()
    await store.set("a.b.c", 2)
    after = await store.get_state()
    assert before["a"] == {"b": {"c": 1}, "other": []}
    assert after["a"]["b"]["c"] == 2
    assert after["a"]["other"] is before["a"]["other"], "only containers on the path are copied"


async def test_editing_is_seen_whole_or_not_at_all() -> None:
    store = free(n=1, things=[1])
    async with store.edit_state() as state:
        state["n"] = 2
        state["things"].append(2)
        assert await store.get("n") == 1
        assert await store.get("things") == [1]
    assert (await store.get("n"), await store.get("things")) == (2, [1, 2])


async def test_an_edit_that_fails_changes_nothing() -> None:
    store = free(n=2)

    async def edit() -> None:
        async with store.edit_state() as state:
            state["n"] = 3
            raise KeyError("no")

    with pytest.raises(KeyError):
        await edit()
    assert await store.get("n") == 2


async def test_writers_inside_edit_state_are_refused() -> None:
    store = free(n=1)
    async with store.edit_state():
        assert store.being_edited_here
        for name, write in {
            "set": store.set("n", 2),
            "set_state": store.set_state(DictState()),
            "clear": store.clear(),
        }.items():
            with pytest.raises(RuntimeError, match=f"^{name}.* can't be used inside edit_state"):
                await write
        with pytest.raises(WorkflowRuntimeError, match="edit_state"):
            async with store.edit_state():
                pass
    assert not store.being_edited_here
    await store.set("n", 5)
    assert await store.get("n") == 5


async def test_writers_of_other_tasks_come_one_after_another() -> None:
    store = free(n=0)

    async def add() -> None:
        async with store.edit_state() as state:
            n = state["n"]
            await anyio.lowlevel.checkpoint()
            state["n"] = n + 1

    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            for _ in range(10):
                tasks.start_soon(add)
            tasks.start_soon(store.set, "other", 1)
    assert await store.get("n") == 10
    assert await store.get("other") == 1


async def test_a_writer_that_is_cancelled_leaves_the_store_usable() -> None:
    store = free(n=0)
    with anyio.move_on_after(0.01):
        async with store.edit_state() as state:
            state["n"] = 1
            await anyio.sleep_forever()
    with anyio.fail_after(5):
        await store.set("m", 2)
    assert await store.get("n") == 0


# Types


async def test_typed_state() -> None:
    store = InMemoryStateStore(Typed())
    assert store.state_type is Typed
    await store.set("n", 4)
    await store.set("inner.tags", ["a"])
    state = await store.get_state()
    assert (state.n, state.inner.tags) == (4, ["a"])
    await store.clear()
    assert (await store.get_state()).n == 0


async def test_replacing_and_merging() -> None:
    store: InMemoryStateStore[Any] = InMemoryStateStore(Typed(n=1))
    await store.set_state(Typed(n=2))
    assert (await store.get_state()).n == 2
    await store.set_state(More(n=3, extra="y"))
    assert store.state_type is More
    await store.set_state(Typed(n=4))
    assert await store.get_state() == More(n=4, extra="y"), "a parent is merged"
    await store.clear()
    assert await store.get_state() == More(), "the defaults of the current type"
    with pytest.raises(ValueError, match="State must be of type More, not Inner"):
        await store.set_state(Inner())


def test_a_state_needs_defaults() -> None:
    class Strict(BaseModel):
        n: int

    with pytest.raises(ValueError, match="Strict needs a default for every field"):
        new_state(Strict)


# In a stored run


async def test_only_what_changed_is_written() -> None:
    store, writer = free(a=1, b=[2]), Writer()
    assert store.bind(writer, JsonSerializer()) == {"a": "1", "b": "[2]"}
    await store.set("b", [2])
    await store.set("a", 3)
    async with store.edit_state() as state:
        state["c"] = {"d": 1}
        del state._data["b"]
    assert writer.written == [{"a": "3"}, {"c": '{"d": 1}', "b": None}]
    await store.clear()
    assert writer.written[-1] == {"a": None, "c": None}


@pytest.mark.parametrize(
    "state", [Typed(n=5, inner=Inner(tags=["t"])), Counting(n=5, other=[1]), DictState(a=[1], b={"c": None})]
)
async def test_what_is_written_can_be_loaded(state: BaseModel) -> None:
    serializer = JsonSerializer()
    writer = Writer()
    store = InMemoryStateStore(type(state)())
    image: dict[str, str] = store.bind(writer, serializer)
    await store.set_state(state)
    for changes in writer.written:
        for key, text in changes.items():
            if text is None:
                image.pop(key)
            else:
                image[key] = text
    loaded = load_state(image, type(state), serializer)
    assert type(loaded) is type(state)
    assert loaded == state


def test_nothing_stored_is_a_new_state() -> None:
    assert load_state({}, Typed, JsonSerializer()) == Typed()


def test_keys_that_were_free_become_fields() -> None:
    """A workflow may declare a type for what earlier runs kept as keys."""
    assert load_state({"n": "3"}, Typed, JsonSerializer()) == Typed(n=3)


def test_an_empty_key_is_a_key() -> None:
    loaded = load_state({"": "3", "a": "4"}, DictState, JsonSerializer())
    assert isinstance(loaded, DictState)
    assert loaded.to_dict() == {"": 3, "a": 4}


def test_what_cannot_be_read_is_named() -> None:
    with pytest.raises(SerializationError, match="state key 'a' can't be read"):
        load_state({"a": "{"}, DictState, JsonSerializer())


async def test_what_cannot_be_encoded_changes_nothing() -> None:
    store, writer = free(a=1), Writer()
    store.bind(writer, JsonSerializer())
    with pytest.raises(SerializationError, match="state key 'lock' can't be stored"):
        await store.set("lock", threading.Lock())
    assert await store.get("lock", default=None) is None
    assert writer.written == []
    with pytest.raises(SerializationError, match="state key 'lock'"):
        free(lock=threading.Lock()).bind(writer, JsonSerializer())


@pytest.mark.parametrize(("key", "what"), [("a\0b", "a NUL character"), ("\udcff", "half of a surrogate pair")])
async def test_a_key_that_no_store_can_keep_changes_nothing(key: str, what: str) -> None:
    """SQLite would keep another key in its place."""
    store, writer = free(a=1), Writer()
    store.bind(writer, JsonSerializer())
    refusal = pytest.raises(SerializationError, match=f"can't be stored: it holds {what}")
    whole = DictState(a=2)
    whole[key] = 1
    with refusal:
        await store.set(f"{key}.x", 1)
    with refusal:
        await store.set_state(whole)
    with refusal:
        async with store.edit_state() as state:
            state[key] = 1
    assert dict((await store.get_state()).items()) == {"a": 1}
    assert writer.written == []
    with refusal:
        InMemoryStateStore(whole).bind(writer, JsonSerializer())
    # In values, and in the keys below, JSON escapes them.
    await store.set("a", {key: key})
    assert writer.written == [{"a": JsonSerializer().serialize({key: key})}]


async def test_a_write_is_visible_at_once_and_returns_after_the_commit() -> None:
    store, writer = free(a=1), Writer(gate=anyio.Event())
    store.bind(writer, JsonSerializer())
    done = anyio.Event()

    async def write() -> None:
        await store.set("a", 2)
        done.set()

    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(write)
            await anyio.wait_all_tasks_blocked()
            assert await store.get("a") == 2
            assert not done.is_set()
            assert writer.gate is not None
            writer.gate.set()
    assert done.is_set()


# Snapshots


def test_the_layout_of_a_snapshot() -> None:
    assert free(a=[1], b="t").to_dict(JsonSerializer()) == {
        "store_type": "in_memory",
        "state_type": "DictState",
        "state_module": "workflows.context.state_store",
        "state_data": {"_data": {"a": "[1]", "b": '"t"'}},
    }


@pytest.mark.parametrize("state", [DictState(a=[1], b="t"), Typed(n=3), Counting(n=3, other=1)])
async def test_a_snapshot_can_be_read(state: BaseModel) -> None:
    payload = InMemoryStateStore(state).to_dict(JsonSerializer())
    store = InMemoryStateStore.from_dict(payload, JsonSerializer())
    assert await store.get_state() == state
    assert store.state_type is type(state)


async def test_reading_snapshots_of_others() -> None:
    assert (await InMemoryStateStore.from_dict({}, JsonSerializer()).get_state()).to_dict() == {}
    with pytest.raises(ValueError, match="Unknown store_type 'sql'"):
        InMemoryStateStore.from_dict({"store_type": "sql"}, JsonSerializer())
    plain = {"state_module": __name__, "state_type": "Typed", "state_data": '{"n": 4}'}
    module = type(Typed()).__module__
    store = InMemoryStateStore.from_dict({**plain, "state_module": module}, JsonSerializer())
    assert await store.get_state() == Typed(n=4)


def test_memory_that_cannot_be_written_is_left_out_and_other_keys_are_not() -> None:
    store = free(a=1, memory=threading.Lock())
    with pytest.warns(UnserializableKeyWarning, match="'memory' can't be written and was left out"):
        payload = store.to_dict(JsonSerializer())
    assert payload["state_data"] == {"_data": {"a": "1"}}
    with pytest.raises(ValueError, match="State key 'lock' can't be written: Failed to serialize value"):
        free(lock=threading.Lock()).to_dict(JsonSerializer())
