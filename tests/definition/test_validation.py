"""The rules a workflow is held to, each with its message."""

from typing import Any

import pytest

from workflow_server.definition.compiled import compile_definition
from workflow_server.definition.step import catch_error, step
from workflow_server.definition.validation import check_names_of_graph_checks, check_num_concurrent_runs, validate
from workflow_server.errors import WorkflowValidationError
from workflow_server.events import (
    Event,
    HumanResponseEvent,
    InputRequiredEvent,
    StartEvent,
    StepFailedEvent,
    StopEvent,
)


class A(Event):
    pass


class B(A):
    pass


class C(Event):
    pass


class Done(StopEvent):
    pass


class Ask(InputRequiredEvent):
    pass


class Answer(HumanResponseEvent):
    pass


WIDE = {"accept_event_subclasses": True}
NO_REACH = {"skip_graph_checks": ["reachability"]}
NO_DEAD_END = {"skip_graph_checks": ["dead_end"]}
MAIN = {"main": (StartEvent, StopEvent)}


def check(*, skip: Any = (), **steps: Any) -> bool:
    """Validate a workflow whose steps are given as (accepts, returns) or (accepts, returns, options)."""
    names: dict[str, Any] = {}
    for name, (accepted, returned, *options) in steps.items():

        async def work(self: Any, ev: Any) -> Any: ...

        work.__annotations__.update({"ev": accepted, "return": returned})
        work.__qualname__, work.__name__ = f"W.{name}", name
        decorate: Any = catch_error if options == ["catch"] else step(**(options[0] if options else {}))
        names[name] = decorate(work)
    return validate(compile_definition(type("W", (), names)), skip_graph_checks=skip)


def refusal(**steps: Any) -> str:
    with pytest.raises(WorkflowValidationError) as caught:
        check(**steps)
    return str(caught.value)


@pytest.mark.parametrize(
    ("steps", "asks_people"),
    [
        (MAIN, False),
        ({"a": (StartEvent, A | None), "b": (A, StopEvent)}, False),
        ({"a": (StartEvent, A | StopEvent), "b": (A, A | StartEvent)}, False),
        ({"a": (StartEvent, Ask), "b": (Answer, StopEvent)}, True),
        ({"a": (StartEvent, StopEvent | Ask)}, True),
        ({**MAIN, "b": (HumanResponseEvent, None)}, True),
        ({"a": (StartEvent, StopEvent | Ask), "b": (Ask, Ask)}, True),
        ({"a": (StartEvent, StopEvent | B), "b": (A, None, WIDE)}, False),
        ({**MAIN, "b": (Event, None, WIDE)}, False),
        ({"a": (StartEvent, StopEvent | Ask), "b": (HumanResponseEvent, StopEvent, WIDE)}, True),
        ({**MAIN, "h": (StepFailedEvent, A | None, "catch"), "b": (A, StopEvent)}, False),
        ({"a": (StartEvent, None), "h": (StepFailedEvent, StopEvent, "catch")}, False),
        ({**MAIN, "b": (Answer, Answer, NO_DEAD_END)}, True),
    ],
)
def test_a_sound_workflow_passes_and_tells_whether_it_asks_people(steps: dict[str, Any], asks_people: bool) -> None:
    assert check(**steps) is asks_people


@pytest.mark.parametrize("accepted", [StopEvent, Done, A | StopEvent])
def test_nobody_accepts_the_stop_event(accepted: Any) -> None:
    assert refusal(a=(StartEvent, StopEvent | A), c=(accepted, None)) == (
        "Step 'c' cannot accept StopEvent. StopEvent signals the end of the workflow. "
        "Use a different Event type instead."
    )


def test_what_is_consumed_must_be_produced() -> None:
    assert refusal(**MAIN, z=(C | A, None), y=(A, None)) == (
        "The following events are consumed but never produced: A, C (A is accepted by y, z; C is accepted by z)"
    )


def test_a_produced_subclass_counts_only_where_subclasses_are_taken() -> None:
    """The check is per step: another step that takes subclasses does not help."""
    assert "consumed but never produced: A (A is accepted by d)" in refusal(
        b=(StartEvent, B | StopEvent), c=(A, None, WIDE), d=(A, None)
    )


def test_taking_subclasses_takes_no_parents() -> None:
    assert "consumed but never produced: B" in refusal(a=(StartEvent, StopEvent | A), b=(B, None, WIDE), c=(A, None))


def test_what_is_produced_must_be_consumed() -> None:
    assert refusal(a=(StartEvent, StopEvent | C | A), b=(StartEvent, A)) == (
        "The following events are produced but never consumed: A, C (A is returned by a, b; C is returned by a)"
    )


def test_a_returned_type_that_is_no_event_is_never_consumed() -> None:
    assert "produced but never consumed: str (str is returned by a)" in refusal(a=(StartEvent, StopEvent | str))


def test_a_failure_can_not_be_returned_without_somebody_to_take_it() -> None:
    assert "never consumed: StepFailedEvent" in refusal(a=(StartEvent, StopEvent | StepFailedEvent))


def test_consumption_is_looked_at_before_production() -> None:
    assert refusal(a=(StartEvent, StopEvent | C), b=(A, None)).startswith("The following events are consumed")


# ------------------------------------------------------------------------------------------------------- graph


def test_steps_must_be_reachable() -> None:
    message = refusal(**MAIN, b=(A, C | StopEvent), c=(C, A))
    assert message.startswith("Graph validation failed:\n  - [reachability] Unreachable steps: b, c\n    ")


def test_a_plain_step_for_failures_is_unreachable() -> None:
    assert "[reachability] Unreachable steps: c" in refusal(**MAIN, c=(StepFailedEvent, None))


def test_a_question_that_nobody_asks_reaches_no_step() -> None:
    assert "[reachability] Unreachable steps: b, c" in refusal(**MAIN, b=(Ask, A), c=(A, StopEvent))


def test_only_people_and_questions_and_the_stop_may_end_a_path() -> None:
    """An answer that a step returns is no end: nobody outside listens for answers."""
    message = refusal(a=(StartEvent, StopEvent | Answer))
    assert message.startswith(
        "Graph validation failed:\n  - [terminal_event] Events produced but never consumed: Answer\n"
        "    Steps that return them: a."
    )


def test_paths_must_end() -> None:
    message = refusal(a=(StartEvent, StopEvent | A), b=(A, C | None), c=(C, C | A))
    assert message.startswith("Graph validation failed:\n  - [dead_end] Dead-end steps: b, c\n    ")


def test_a_step_that_returns_nothing_is_no_dead_end_but_who_leads_only_there_is() -> None:
    assert "[dead_end] Dead-end steps: b\n" in refusal(**MAIN, b=(StartEvent, A), c=(A, None))


def test_a_handler_can_be_a_dead_end() -> None:
    assert "[dead_end] Dead-end steps: h\n" in refusal(**MAIN, h=(StepFailedEvent, A, "catch"), d=(A, None))


def test_all_problems_of_the_graph_are_told_at_once() -> None:
    message = refusal(a=(StartEvent, StopEvent | Answer), b=(A, C), c=(C, A))
    assert [line.partition("]")[0] for line in message.splitlines() if line.startswith("  - ")] == [
        "  - [reachability",
        "  - [terminal_event",
        "  - [dead_end",
    ]


def test_a_step_opts_out_only_for_itself() -> None:
    assert "[reachability] Unreachable steps: c\n" in refusal(**MAIN, b=(A, C | StopEvent, NO_REACH), c=(C, A))
    assert "[dead_end] Dead-end steps: c\n" in refusal(
        a=(StartEvent, StopEvent | A), b=(A, C, NO_DEAD_END), c=(C, C | A)
    )


@pytest.mark.parametrize(
    ("skip", "steps"),
    [
        ("reachability", {**MAIN, "b": (A, C | StopEvent), "c": (C, A)}),
        ("terminal_event", {"a": (StartEvent, StopEvent | Answer)}),
        ("dead_end", {**MAIN, "b": (StartEvent, A), "c": (A, None)}),
    ],
)
def test_a_workflow_opts_out_of_a_check(skip: str, steps: dict[str, Any]) -> None:
    refusal(**steps)
    check(skip={skip}, **steps)


# --------------------------------------------------------------------------------------------- arguments


@pytest.mark.parametrize(
    ("given", "names"),
    [
        (None, set()),
        ((), set()),
        ("dead_end", {"dead_end"}),
        (["dead_end", "terminal_event"], {"dead_end", "terminal_event"}),
        ({"reachability"}, {"reachability"}),
    ],
)
def test_names_of_graph_checks_may_come_in_any_collection(given: Any, names: set[str]) -> None:
    assert check_names_of_graph_checks(given) == names


def test_unknown_graph_checks_are_named_with_the_known() -> None:
    with pytest.raises(WorkflowValidationError) as caught:
        check_names_of_graph_checks(["zz", "aa", "dead_end"])
    assert str(caught.value) == (
        "Unknown graph check names: aa, zz. Valid names are: dead_end, reachability, terminal_event"
    )


@pytest.mark.parametrize("number", [None, 1, 50])
def test_a_number_of_concurrent_runs(number: Any) -> None:
    check_num_concurrent_runs(number)


@pytest.mark.parametrize("number", [0, -1, True, 1.0, "1"])
def test_no_number_of_concurrent_runs(number: Any) -> None:
    with pytest.raises(WorkflowValidationError, match="num_concurrent_runs must be an integer greater than 0"):
        check_num_concurrent_runs(number)
