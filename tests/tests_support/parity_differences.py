"""Where ours differs from the peer on purpose: the whole list, one reason each.

A scenario of `tests/parity` that is not named here must give the same on both engines, to the letter.
"""

from __future__ import annotations

import re
from typing import Any

_CLASS = re.compile(r"^<class '(?:.*\.)?(\w+)'>$")

ORDER_IS_FREE: dict[str, str] = {
    "an_event_for_one_step": "an event sent by a step is delivered around its result; the peer delivers it after",
    "two_workers_and_a_queue": "an event sent by a step is delivered around its result; the peer delivers it after",
    "one_worker_and_a_queue": "an event sent by a step is delivered around its result; the peer delivers it after",
    "one_event_for_several_steps": "two steps that run at once end in any order",
    "a_list_of_the_same": "steps that run at once end in any order",
    "streams_in_streams": "steps that run at once end in any order",
    "two_collectors_and_a_plain_step": "steps that run at once end in any order",
    "inner_collectors_that_return_nothing": "steps that run at once end in any order",
    "events_are_collected_within_a_stream": "two steps that run at once end in any order",
    "sent_events_are_in_no_stream": "an event sent by a step is delivered around its result",
}
"""Scenarios whose published events may come in another order; their number and content may not differ."""

RESULT_ALONE: dict[str, str] = {
    "collected_events_come_in_the_order_expected": "the last of several sent events is another one",
    "buffers_by_name": "sent events arrive together, so that some queue for the only worker",
    "an_event_nobody_takes": "it arrives while its sender still runs, so the run is not idle yet",
}
"""Scenarios that lead to the same result over another stream, because sent events are delivered earlier."""

NOTHING_IN_COMMON: dict[str, str] = {
    "recoveries_before_a_list_and_its_collector": "recoveries before a list count for its collect step too, or a loop "
    "through a fan-out would be rescued without end",
    "two_waits_of_one_type": "two waits are two waits; the peer gives the first answer to both",
    "first_uses_at_once": "whoever wants a value that is being made waits for it; the peer takes that for a cycle",
}
"""Scenarios that a test of our own pins down; here they only have to end."""

SENTENCES: dict[str, dict[str, tuple[str, ...]]] = {
    "a_collector_is_no_target": {"error": ("targeted events", "'gather'")},
    "lists_that_are_none": {
        "bare": ("returned a bare A",),
        "bare subclass": ("returned a bare SubA",),
        "bare undeclared": ("returned a bare Note",),
        "bare stop": ("returned a bare StopEvent",),
        "no event": ("int instead of an Event instance",),
    },
    "decoration_of_lists": {
        "marker_on_single": ("only to collection fan-in",),
        "other_cardinality": ("All() or Take(n)",),
        "base_cardinality": ("All() or Take(n)",),
        "two_lists": ("at most one list[E]",),
        "mixed": ("cannot be combined with other",),
        "union_slot": ("single event type",),
        "list_of_mixed": ("at least one parameter annotated as type Event",),
        "join_of_failures": ("must accept StepFailedEvent",),
        **{f"take {n!r}": ("Take(n)",) for n in (0, -1, "3", 2.0)},
    },
    "validation_of_lists": {
        "NoProducer": ("Step 'gather'", "list[A]", "returned-list producer"),
        "HalfFed": ("Step 'gather'", "list[B]", "returned-list producer"),
        "NoSubclasses": ("Step 'gather'", "list[A]", "returned-list producer"),
        "Below": ("tep 'join' joins", "common stream level"),
        "Beside": ("tep 'join' joins", "common stream level"),
        "Nowhere": ("tep 'join' joins", "common stream level"),
        "Unheard": ("The following events are produced but never consumed: A",),
    },
    "a_run_is_cancelled": {"error": ()},
    "a_waiting_run_is_cancelled": {"error": ()},
    "a_context_outside_its_steps": {"no step": ("may only be called from within",)},
    "a_handler_of_a_finished_run": {"raw stream": ("already consumed",)},
    "construction": {
        "NoSteps": ("At least one Event of type StartEvent must be received by any step.",),
        "num_concurrent_runs=0": ("num_concurrent_runs must be an integer greater than 0",),
        "num_concurrent_runs=True": ("num_concurrent_runs must be an integer greater than 0",),
        "num_concurrent_runs='3'": ("num_concurrent_runs must be an integer greater than 0",),
        "unknown check": ("Unknown graph check names",),
    },
    "decoration": {
        "no_event": ("at least one parameter annotated as type Event",),
        "no_return": ("Return types of workflows step functions must be annotated",),
        "no_workers": ("num_workers must be an integer greater than 0",),
        "wrong_handler": ("must accept StepFailedEvent",),
        "no_recoveries": ("max_recoveries must be an integer >= 1",),
        "generator": ("Async-iterator fan-out",),
    },
    "validation": {
        "NeverProduced": ("The following events are consumed but never produced: A",),
        "NeverConsumed": ("The following events are produced but never consumed: A",),
        "Unreachable": (
            "Graph validation failed",
            "[reachability] Unreachable steps: island, shore",
            "[dead_end] Dead-end steps: island, shore",
        ),
    },
}
"""Errors whose sentence is our own, by scenario and key, with the fragments of it that programs match."""


def _with_class_names(value: Any) -> Any:
    """Names in step-state events are class names, always; the peer alternates with `<class 'module.Name'>`."""
    if isinstance(value, list):
        return [_with_class_names(item) for item in value]
    if isinstance(value, dict):
        return {key: _with_class_names(item) for key, item in value.items()}
    return _CLASS.sub(r"\1", value) if isinstance(value, str) else value


def _with_fragments(played: dict[str, Any], fragments: dict[str, tuple[str, ...]]) -> dict[str, Any]:
    kept = dict(played)
    for key, wanted in fragments.items():
        kind, text = played.get(key) or ("nothing", "")
        kept[key] = [kind, {fragment: fragment in text for fragment in wanted}]
    return kept


def _in_any_order(played: dict[str, Any]) -> dict[str, Any]:
    """The lines of the stream sorted, and step states without the number of their worker."""
    return {**played, "stream": sorted(([*line[:3], *line[4:]] for line in played["stream"]), key=repr)}


def comparable(name: str, played: Any) -> Any:
    """Return what both engines must agree on in scenario `name`."""
    played = _with_class_names(played)
    if not isinstance(played, dict) or "scenario failed" in played:
        return played
    if name in NOTHING_IN_COMMON:
        return sorted(played)
    if name in RESULT_ALONE:
        return {key: value for key, value in played.items() if key != "stream"}
    if name in SENTENCES:
        return _with_fragments(played, SENTENCES[name])
    return _in_any_order(played) if name in ORDER_IS_FREE else played


def listed() -> set[str]:
    """Return the names of all scenarios with a difference."""
    return ORDER_IS_FREE.keys() | RESULT_ALONE.keys() | NOTHING_IN_COMMON.keys() | SENTENCES.keys()


def reason(name: str) -> str | None:
    """Return how scenario `name` differs, in a few words; `None` if it does not."""
    for group in (NOTHING_IN_COMMON, RESULT_ALONE, ORDER_IS_FREE):
        if name in group:
            return group[name]
    return "some sentences have other words" if name in SENTENCES else None
