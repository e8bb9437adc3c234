"""LlamaIndex's own agents, installed from the package index without their engine, on ours under its import names."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from bench.environment import AGENTS, Unavailable, interpreter, ours

pytestmark = pytest.mark.interop

PROGRAMS = Path(__file__).parent / "programs"
CALL = "AgentInput", ["stream", ""], ["output", "", 1]
"""What a stream shows up to the call of one tool."""


@pytest.fixture(scope="module")
def gave() -> dict[str, Any]:
    """What each scenario of `programs/agents.py` gave."""
    try:
        python = interpreter(AGENTS)
    except Unavailable as error:
        pytest.skip(f"LlamaIndex's agents are not to be had: {error}")
    done = subprocess.run(
        [str(python), "agents.py"], cwd=PROGRAMS, env=ours(), capture_output=True, text=True, timeout=180, check=False
    )
    assert done.returncode == 0, done.stderr
    played: dict[str, Any] = json.loads(done.stdout)
    return played


def test_they_run_on_our_engine(gave: dict[str, Any]) -> None:
    assert gave["engine"] == "workflow_server.runtime.workflow"


def test_a_function_agent_streams_and_calls_tools(gave: dict[str, Any]) -> None:
    """Two tools are called side by side, so the order of what they show is free."""
    shown = [
        "AgentInput",
        "AgentInput",
        "StopEvent",
        "['call', 'add', {'a': 1, 'b': 2}]",
        "['call', 'multiply', {'a': 3, 'b': 4}]",
        "['output', '', 2]",
        "['output', 'Three and twelve.', 0]",
        "['result', 'add', '3', False]",
        "['result', 'multiply', '12', False]",
        "['stream', '']",
        "['stream', 'Three and twelve.']",
        "['stream', 'Three and']",
        "['stream', 'Three']",
    ]
    assert gave["a_function_agent_calls_tools_side_by_side"] == [shown, "Three and twelve."]


def test_an_agent_that_does_not_stream(gave: dict[str, Any]) -> None:
    shown = ["AgentInput", ["output", "Hello.", 0], "StopEvent"]
    assert gave["an_agent_that_does_not_stream"] == [shown, "Hello."]


@pytest.mark.parametrize(
    ("scenario", "tool", "error", "answer"),
    [
        ("a_broken_tool", "fail", "the tool is broken", "It broke."),
        ("an_unknown_tool", "nope", "Tool nope not found. Please select a tool that is available.", "There is none."),
    ],
)
def test_an_agent_learns_that_a_tool_failed(
    gave: dict[str, Any], scenario: str, tool: str, error: str, answer: str
) -> None:
    shown, said = gave[scenario]
    assert shown[:5] == [*CALL, ["call", tool, {}], ["result", tool, error, True]]
    assert said == answer


@pytest.mark.parametrize("scenario", ["a_conversation_in_one_context", "a_conversation_that_was_put_away"])
def test_a_conversation_is_remembered_in_its_context(gave: dict[str, Any], scenario: str) -> None:
    assert gave[scenario][-2] == "You are Ada."
    assert gave[scenario][-1] == ["user: I am Ada", "assistant: Hello Ada.", "user: Who am I?"]


def test_a_tool_asks_a_person(gave: dict[str, Any]) -> None:
    """The tool waits in place: its call is shown once."""
    shown, said = gave["a_person_is_asked"]
    asked = [["call", "ask", {"what": "Color?"}], ["question", "Color?"], ["result", "ask", "they said blue", False]]
    assert shown[:6] == [*CALL, *asked]
    assert said == "Blue."


def test_an_agent_goes_on_from_a_snapshot_taken_while_it_asks(gave: dict[str, Any]) -> None:
    """The tool runs again with the answer; the question is not asked a second time."""
    assert gave["a_question_that_was_put_away"] == [[["result", "ask", "they said red", False]], "Blue."]


def test_agents_hand_over_to_each_other(gave: dict[str, Any]) -> None:
    notes = {"notes": ["water is wet"]}
    assert gave["agents_hand_over"] == [["note", "handoff"], "Water is wet.", "writer", notes]


def test_a_react_agent(gave: dict[str, Any]) -> None:
    assert gave["a_react_agent"] == "Three."


def test_an_agent_that_goes_on_and_on_is_stopped(gave: dict[str, Any]) -> None:
    assert gave["too_many_iterations"] == ["WorkflowRuntimeError", "Max iterations of 3 reached! Ei"]


def test_the_result_tells_of_the_tools(gave: dict[str, Any]) -> None:
    assert gave["the_result_tells_of_the_tools"] == ["Four.", ["add"]]


def test_an_agent_survives_the_restart_of_its_server(gave: dict[str, Any]) -> None:
    """Its state holds its memory, a class that no signature names."""
    assert gave["an_agent_behind_a_server"] == [["3", "they said green"], "completed", "Three and green."]
