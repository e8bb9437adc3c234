"""What each kind of run must come to, known before it begins."""

from __future__ import annotations

from typing import Any

from crash.record import RunRecord

KINDS = (
    "chain", "rounds", "progress", "fan", "lists", "dialog", "form", "timers", "counter", "sleeper", "stumbles",
    "supplied", "put-away",
)  # fmt: skip
COUNTER_RUNS = 3
"""How often a counter's handler runs."""

_NOTES_IN_ANY_ORDER = ("fan", "lists", "stumbles")


def check_outcome(run: RunRecord) -> None:
    """Compare a run that has ended, all its events seen, with what it had to come to.

    Raises:
        Violation: They differ.
    """
    if run.kind == "sleeper":
        expected_end, expected = "WorkflowCancelledEvent", None
    else:
        expected_end, expected = "StopEvent", _result(run)
    if run.ending["type"] != expected_end or run.ending["value"].get("result") != expected:
        raise run.fail(f"it ended with {run.ending} instead of {expected_end} {expected}")
    notes, expected_notes = [note["text"] for note in run.told("Note")], _notes(run)
    if run.kind in _NOTES_IN_ANY_ORDER:
        notes.sort()
        expected_notes.sort()
    if notes != expected_notes:
        raise run.fail(f"it told {notes} instead of {expected_notes}")
    _check_questions(run)
    if run.endings != 1:
        raise run.fail(f"it ended {run.endings} times")


def check_state(run: RunRecord) -> None:
    """Compare the state that a finished run left with what it had to be.

    Raises:
        Violation: They differ.
    """
    counted = list(range(1, run.size + 1))
    expected: dict[str, list[Any]]
    match run.kind:
        case "rounds" | "progress":
            expected = {"done": counted}
        case "form":
            expected = {"heard": _texts(run)}
        case "counter":
            expected = {"rounds": list(range(1, run.number + 1))}
        case "supplied":
            expected = {"done": counted, "signed": [f"drawer signs {n}" for n in counted]}
        case "put-away":
            expected = {"laid": counted}
        case "timers":
            # A try that was interrupted after its write counts, too.
            expected = {"tries": list(range(max(3, len(run.state.get("tries", ())))))}
        case _:
            expected = {}
    if run.state != expected:
        raise run.fail(f"it left the state {run.state} instead of {expected}")


def _texts(run: RunRecord) -> list[str]:
    return [run.replies[n] for n in sorted(run.replies)]


def _result(run: RunRecord) -> Any:
    counted = list(range(1, run.size + 1))
    match run.kind:
        case "chain":
            return run.size
        case "dialog" | "form":
            return _texts(run)
        case "timers":
            return [0, 1, 2]
        case "counter":
            return list(range(1, run.number + 1))
        case _:
            return counted


def _notes(run: RunRecord) -> list[str]:
    counted = range(1, run.size + 1)
    match run.kind:
        case "chain":
            return ["begin", *(f"{word} {n}" for n in counted for word in ("link", "linked"))]
        case "progress":
            return [f"{word} {n}" for n in counted for word in ("begin", "item")]
        case "fan":
            return [f"{word} {n}" for n in counted for word in ("sent", "begun", "worked")]
        case "lists":
            pieces = [f"{word} {sign * n}" for n in counted for sign in (1, -1) for word in ("begun", "worked")]
            return [*(f"opened {n}" for n in counted), *pieces]
        case "dialog":
            return [f"heard {n}" for n in counted]
        case "timers":
            return ["nobody came"]
        case "counter":
            return [f"round {run.number}"]
        case "sleeper":
            return ["good night"]
        case "stumbles":
            return [note for n in counted for note in _stumbles(n)]
        case "supplied":
            return [f"drawer signs {run.size}"]
        case "put-away":
            return [f"laid {run.size}", f"taken up {run.size}"]
        case _:
            return []


def _stumbles(n: int) -> list[str]:
    """What one load tells: it gets there at the third try, or is lifted twice, after three tries or after one."""
    if n % 3 == 1:
        return [f"{n} False {tries}" for tries in range(3)]
    attempts = 3 if n % 3 == 2 else 1
    return [f"{n} {again} {what}" for again in (False, True) for what in (*range(attempts), f"lifted after {attempts}")]


def _check_questions(run: RunRecord) -> None:
    asked = [question["n"] for question in run.told("Question")]
    expected = list(range(1, run.size + 1)) if run.kind in {"dialog", "form"} else []
    if run.kind == "form" and run.repeated:
        asked = sorted(set(asked))  # an answer that came twice may have been asked for the next one twice
    if asked != expected:
        raise run.fail(f"it asked {asked} instead of {expected}")
