"""`survive_crashes` finds what goes wrong after a crash, and only that; as a person's own tests use it."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import anyio
import pytest

from tests_support.durable_workflows import WORKFLOWS, Budget, Reply
from workflow_server import Context, Workflow, step
from workflow_server.events import Event, HumanResponseEvent, InputRequiredEvent, StartEvent, StopEvent
from workflow_server.testing.crash_points import survive_crashes

pytestmark = [pytest.mark.virtual_time, pytest.mark.usefixtures("virtual_clock")]


class Begin(StartEvent):
    n: int


class Note(Event):
    n: int = 0


@pytest.mark.parametrize("name", list(WORKFLOWS))
@pytest.mark.parametrize("idle_timeout", [60.0, 0.1])
async def test_whatever_can_happen_to_a_run_survives(name: str, idle_timeout: float) -> None:
    make, expected = WORKFLOWS[name]
    numbers = itertools.count(1)
    survived = await survive_crashes(
        lambda: make(timeout=None),
        answer=None if name == "patient" else lambda question: Reply(n=question.n if question else next(numbers)),
        additional_events=[Reply],
        idle_timeout=idle_timeout,
    )
    assert survived.result == expected
    assert survived.error is None
    assert survived.commits >= 3


@pytest.mark.parametrize("idle_timeout", [60.0, 0.1])
async def test_what_a_handler_may_recover_is_counted_over_crashes(idle_timeout: float) -> None:
    survived = await survive_crashes(Budget, idle_timeout=idle_timeout)
    assert (survived.result, survived.error) == (None, "failure 3")
    assert survived.told.count("Done") == 6


class Ask(InputRequiredEvent):
    word: str


class Said(HumanResponseEvent):
    word: str


class Returns(Workflow):
    """Asks by returning the question, twice; a word that is kept already is not kept again."""

    once = True

    @step
    async def ask(self, ev: Begin) -> Ask:
        return Ask(word="one")

    @step
    async def hear(self, ev: Said, ctx: Context) -> Ask | StopEvent:
        words = await ctx.store.get("words", default=[])
        words = [*words, ev.word] if ev.word not in words or not self.once else words
        await ctx.store.set("words", words)
        return Ask(word="two") if len(words) < 2 else StopEvent(result=words)


async def test_questions_that_steps_return_are_answered_once_each() -> None:
    def answer(question: Event | None) -> Event | None:
        assert isinstance(question, Ask)
        return Said(word=question.word.upper())

    survived = await survive_crashes(lambda: Returns(timeout=None), Begin(n=1), answer=answer)
    assert survived.result == ["ONE", "TWO"]
    assert survived.told == ("Ask", "Ask", "StopEvent")

    class Forgets(Returns):
        once = False

    with pytest.raises(AssertionError, match=r"commit 4 of 8: the run ended as .*ONE.*ONE.*, not as .*ONE.*TWO"):
        await survive_crashes(lambda: Forgets(timeout=None), Begin(n=1), answer=answer)


async def test_a_run_that_fails_fails_each_time() -> None:
    class Fails(Workflow):
        @step
        async def go(self, ev: StartEvent) -> StopEvent:
            raise ValueError("always")

    survived = await survive_crashes(Fails)
    assert (survived.result, survived.error) == (None, "always")


async def complaint(make: Callable[[], Workflow], **options: Any) -> str:
    with pytest.raises(AssertionError) as found:
        await survive_crashes(make, **options)
    return str(found.value)


async def test_progress_kept_in_the_process_is_found_out() -> None:
    calls: list[int] = []

    class Counts(Workflow):
        """Keeps its count where a crash does not leave it."""

        @step
        async def go(self, ev: StartEvent) -> StopEvent:
            calls.append(1)
            return StopEvent(result=len(calls))

    assert "after a crash at commit 1 of 2: the run ended as ('completed', '{\"result\":2}'" in await complaint(Counts)


async def test_what_only_a_second_crash_brings_about_is_found_out() -> None:
    calls: list[int] = []

    class Thrice(Workflow):
        """Does something else when it is begun for the third time."""

        @step
        async def go(self, ev: StartEvent) -> StopEvent:
            calls.append(1)
            return StopEvent(result=len(calls) > 2)

    said = "after a crash at commit 1 of 2, and one at the next process's first: the run ended as"
    assert said in await complaint(Thrice)


async def test_what_is_said_anew_is_found_out_unless_it_is_meant() -> None:
    def make() -> Workflow:
        class Chats(Workflow):
            @step
            async def go(self, ev: StartEvent, ctx: Context) -> StopEvent:
                ctx.write_event_to_stream(Note(n=next(numbers)))
                await anyio.sleep(1)
                return StopEvent(result="said")

        return Chats()

    numbers = itertools.count()
    assert "it told" in await complaint(make)
    assert (await survive_crashes(make, same_events=False)).result == "said"


async def test_a_run_that_does_not_end_is_told() -> None:
    class Waits(Workflow):
        @step
        async def go(self, ev: StartEvent, ctx: Context) -> StopEvent:
            await ctx.wait_for_event(Said, timeout=None)
            return StopEvent()

    def make() -> Workflow:
        return Waits(timeout=None)

    assert "without a crash: the run did not end in 100 seconds; it is idle" in await complaint(make, within=100)
    refused = await complaint(make, answer=lambda question: Said(word="hm"))
    assert "The answer Said(word='hm') was refused" in refused
    assert (await survive_crashes(make, answer=lambda _: Said(word="x"), additional_events=[Said])).error is None


async def test_a_workflow_that_changes_between_the_plays_is_blocked() -> None:
    made: list[Workflow] = []

    class Early(Workflow):
        @step
        async def go(self, ev: Begin) -> StopEvent:
            return StopEvent()

    class Late(Workflow):
        @step
        async def gone(self, ev: Begin) -> StopEvent:
            return StopEvent()

    def make() -> Workflow:
        made.append(Late() if made else Early())
        return made[-1]

    with pytest.raises(
        AssertionError,
        match="after a crash at commit 1 of 2: the run can't go on: item/0: the workflow has no step 'go'",
    ):
        await survive_crashes(make, Begin(n=1))
