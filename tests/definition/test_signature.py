"""What is read from a step's annotations, evaluated ones here, strings in the module beside this one."""

import collections.abc
from typing import Annotated, Any, Generic, List, Literal, NoReturn, Optional, TypeVar, Union  # noqa: UP035

import pytest
from pydantic import BaseModel
from typing_extensions import TypeAliasType

from workflow_server.definition.collect import All, Cardinality, Collect, Take
from workflow_server.definition.resource import Resource
from workflow_server.definition.step import step
from workflow_server.errors import WorkflowValidationError
from workflow_server.events import Event, StartEvent, StopEvent

S = TypeVar("S")


class Context(Generic[S]):
    """Recognised by its name: the real one lives floors above."""


class State(BaseModel):
    pass


class A(Event):
    pass


class B(A):
    pass


def read(event: Any = A, returns: Any = StopEvent, **others: Any) -> Any:
    """Return the configuration of a step with these annotations; `...` leaves one out."""

    async def work(self: Any, ev: Any, ctx: Any = None, other: Any = None) -> Any: ...

    given = {"ev": event, "return": returns, **others}
    work.__annotations__ = {name: annotation for name, annotation in given.items() if annotation is not ...}
    work.__qualname__ = "W.work"
    decorated: Any = step(work)
    return decorated.step_config


@pytest.mark.parametrize(
    ("annotation", "accepted"),
    [
        (A, (A,)),
        (A | B, (A, B)),
        (Union[A, B], (A, B)),  # noqa: UP007  # the old spelling is a type of its own
        (Optional[A], (A,)),  # noqa: UP045  # the same
        (Annotated[A, "words"], (A,)),
        (Annotated[A | None, "words"] | B, (A, B)),
        (Event, (Event,)),
    ],
)
def test_events_are_read_from_classes_and_unions(annotation: Any, accepted: tuple[type, ...]) -> None:
    assert read(annotation).accepted_events == accepted


@pytest.mark.parametrize(
    "annotation",
    [..., int, A | int, Any, set[A], list[int], list, List, type[A], TypeVar("T", bound=A)],  # noqa: UP006
)
def test_a_step_needs_an_event(annotation: Any) -> None:
    with pytest.raises(
        WorkflowValidationError, match=r"at least one parameter annotated as type Event \(step W\.work\)"
    ):
        read(annotation)


@pytest.mark.parametrize(
    ("annotation", "types"),
    [
        (StopEvent, (StopEvent,)),
        (None, (type(None),)),
        (A | None, (A, type(None))),
        (A | B | StopEvent, (A, B, StopEvent)),
        (Annotated[A, 1], (A,)),
        (Any, ()),
        (NoReturn, ()),
    ],
)
def test_returned_events_are_read_the_same_way(annotation: Any, types: tuple[type, ...]) -> None:
    assert read(returns=annotation).return_types == types
    assert read(returns=annotation).unroutable_returns == ()


@pytest.mark.parametrize(
    ("annotation", "names"), [(A | str, ("str",)), (dict[str, int], ("dict",)), (Literal["a"], ("Literal",))]
)
def test_returned_types_that_are_no_events_are_remembered_by_name(annotation: Any, names: tuple[str, ...]) -> None:
    assert read(returns=annotation).unroutable_returns == names


def test_a_step_needs_a_return_annotation() -> None:
    with pytest.raises(WorkflowValidationError, match="Return types of workflows step functions must be annotated"):
        read(returns=...)


@pytest.mark.parametrize(
    "annotation",
    [
        collections.abc.AsyncIterator[A],
        collections.abc.AsyncIterable[A],
        collections.abc.AsyncGenerator[A, None],
        collections.abc.AsyncIterator,
        A | collections.abc.AsyncIterator[A],
    ],
)
def test_async_iterators_are_refused(annotation: Any) -> None:
    with pytest.raises(WorkflowValidationError, match="Async-iterator fan-out"):
        read(returns=annotation)


def test_async_generators_are_refused_whatever_they_are_annotated_with() -> None:
    with pytest.raises(WorkflowValidationError, match="Async-iterator fan-out"):

        class W:
            @step
            async def work(self, ev: A) -> StopEvent:  # type: ignore[misc]
                yield StopEvent()


def test_generators_are_refused() -> None:
    with pytest.raises(WorkflowValidationError, match=r"Step .*W\.work is a generator"):

        class W:
            @step
            def work(self, ev: A) -> StopEvent:  # type: ignore[misc]
                yield StopEvent()


@pytest.mark.parametrize(
    ("annotation", "state"),
    [
        (Context, None),
        (Context[State], State),
        (Context[Any], None),
        (Context[dict[str, int]], None),
        (Context[S], None),  # type: ignore[valid-type]
        (Optional[Context[State]], State),  # noqa: UP045
        (Annotated[Context, "words"], None),
    ],
)
def test_a_context_is_recognised_by_the_name_of_its_class(annotation: Any, state: Any) -> None:
    config = read(ctx=annotation)
    assert (config.context_parameter, config.context_state_type) == ("ctx", state)


def test_a_step_without_a_context_gets_none() -> None:
    assert read(ctx=int).context_parameter is None


def test_two_contexts_are_refused() -> None:
    with pytest.raises(WorkflowValidationError, match="two context parameters, 'ctx' and 'other'"):
        read(ctx=Context, other=Context[State])


def test_variadic_parameters_are_left_alone() -> None:
    class W:
        @step
        async def work(self, ev: A, *more: B, flag: bool = False, **rest: B) -> StopEvent: ...

    config: Any = W.work.step_config  # type: ignore[attr-defined]
    assert (config.event_parameter, config.accepted_events) == ("ev", (A,))


def test_the_event_may_be_keyword_only() -> None:
    class W:
        @step
        async def work(self, *, ev: A) -> StopEvent: ...

    config: Any = W.work.step_config  # type: ignore[attr-defined]
    assert config.event_parameter == "ev"


# ------------------------------------------------------------------------------------- lists and sets of events


@pytest.mark.parametrize(
    ("annotation", "accepted", "cardinality"),
    [
        (list[A], (A,), All()),
        (list[A | B], (A, B), All()),
        (list[A] | None, (A,), All()),
        (Annotated[list[A], "words"], (A,), All()),
        (Annotated[list[A], Collect()], (A,), All()),
        (Annotated[list[A | B] | None, "words", Collect(Take(2))], (A, B), Take(2)),
        (Annotated[list[A], Collect(Take(3))] | None, (A,), Take(3)),
        (TypeAliasType("Three", Annotated[list[A], Collect(Take(3))]), (A,), Take(3)),
    ],
)
def test_a_list_of_events_is_collected(annotation: Any, accepted: tuple[type, ...], cardinality: Cardinality) -> None:
    config = read(annotation)
    assert (config.accepted_events, config.event_parameter) == (accepted, "ev")
    assert config.collect == cardinality
    assert config.joined == ()


@pytest.mark.parametrize(
    ("annotation", "bare", "listed"),
    [
        (list[A], (), (A,)),
        (list[A | B], (), (A, B)),
        (list[A] | None, (), (A,)),
        (list[A] | B, (B,), (A,)),
        (list[A] | list[B] | A, (A,), (A, B)),
        (list[A | None], (), (A,)),
        (Annotated[list[A], "words"] | StopEvent, (StopEvent,), (A,)),
    ],
)
def test_a_list_of_events_is_returned(annotation: Any, bare: tuple[type, ...], listed: tuple[type, ...]) -> None:
    config = read(returns=annotation)
    assert (config.bare_events, config.listed_events) == (bare, listed)
    assert set(config.returned_events) == {*bare, *listed}
    assert config.unroutable_returns == ()


@pytest.mark.parametrize(
    ("annotation", "named"), [(list, "list"), (list[int], "int"), (list[A | str], "str"), (list[list[A]], "list")]
)
def test_lists_of_other_things_are_no_events(annotation: Any, named: str) -> None:
    assert read(returns=annotation).unroutable_returns == (named,)


def test_several_events_are_joined() -> None:
    config = read(A, other=B | None)
    assert config.joined == (("ev", A), ("other", B))
    assert config.accepted_events == (A, B)
    assert config.collect is None
    assert read(A, other=A).accepted_events == (A,)


@pytest.mark.parametrize(
    "annotation", [Annotated[A, Collect()], Annotated[int, Collect()], Annotated[list[int], Collect()]]
)
def test_a_marker_needs_a_list_of_events(annotation: Any) -> None:
    with pytest.raises(WorkflowValidationError, match=r"only to collection fan-in: parameter 'other' of step W\.work"):
        read(other=annotation)


class Some(Cardinality):
    pass


@pytest.mark.parametrize("cardinality", [3, Some(), Cardinality(), All])
def test_a_marker_knows_two_cardinalities(cardinality: Any) -> None:
    with pytest.raises(WorkflowValidationError, match=r"All\(\) or Take\(n\); parameter 'ev' of step W\.work"):
        read(Annotated[list[A], Collect(cardinality)])


@pytest.mark.parametrize("n", [0, -1, True, 2.0, "3", None])
def test_one_can_only_take_a_number_of_members(n: Any) -> None:
    with pytest.raises(ValueError, match=r"Take\(n\) needs an int n >= 1"):
        Take(n)


def test_markers_are_values() -> None:
    assert Collect() == Collect(All())
    assert {Take(2), Take(2), All()} == {Take(2), All()}
    assert repr(Collect(Take(2))) == "Collect(cardinality=Take(n=2))"
    with pytest.raises(AttributeError):
        Take(2).n = 3  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]


def test_two_lists_are_one_too_many() -> None:
    with pytest.raises(WorkflowValidationError, match=r"at most one list\[E\].*ev, other"):
        read(list[A], other=list[B])


def test_a_list_does_not_go_with_other_events() -> None:
    with pytest.raises(WorkflowValidationError, match="cannot be combined with other event parameters"):
        read(list[A], other=B)


def test_several_events_must_be_single_types() -> None:
    with pytest.raises(WorkflowValidationError, match="must have a single event type; 'other'"):
        read(A, other=A | B)


def test_a_mark_makes_a_parameter_a_resource_whatever_its_class() -> None:
    config = read(other=Annotated[B, Resource(B)])
    assert config.accepted_events == (A,)
    assert [(need.parameter, need.annotation, need.source) for need in config.resources] == [("other", B, Resource(B))]


def test_other_annotations_are_left_alone() -> None:
    assert read(other=Annotated[int, "words"]).accepted_events == (A,)


def test_events_of_the_start_are_events_like_others() -> None:
    assert read(StartEvent).accepted_events == (StartEvent,)
