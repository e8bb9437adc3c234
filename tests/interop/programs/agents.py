"""LlamaIndex's own agents, with a model that says what a script tells it to say; prints what happened as JSON.

It runs where llama-index-core is installed, on whichever engine answers to the name `workflows` there.
"""

import asyncio
import json
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import workflows
from llama_index.core.agent.workflow import (
    AgentOutput,
    AgentStream,
    AgentWorkflow,
    FunctionAgent,
    ReActAgent,
    ToolCall,
    ToolCallResult,
)
from llama_index.core.base.llms.types import ChatMessage, ToolCallBlock
from llama_index.core.llms.mock import MockFunctionCallingLLM
from llama_index.core.workflow import Context, HumanResponseEvent, InputRequiredEvent, JsonSerializer


def calls(*wanted: tuple[str, dict[str, Any]]) -> ChatMessage:
    """Return what a model says when it wants tools called."""
    blocks = [
        ToolCallBlock(tool_call_id=f"call {n}", tool_name=name, tool_kwargs=kwargs)
        for n, (name, kwargs) in enumerate(wanted)
    ]
    return ChatMessage(role="assistant", blocks=blocks)


def says(text: str) -> ChatMessage:
    return ChatMessage(role="assistant", content=text)


heard: list[str] = []
"""What the model was told last."""


def model(*script: ChatMessage, streams: bool = True) -> MockFunctionCallingLLM:
    """Return a model that says the lines of its script, word by word if it `streams`."""
    lines = iter(script)

    def speak(messages: list[ChatMessage], **kwargs: Any) -> Any:
        heard[:] = [f"{message.role.value}: {message.content}" for message in messages]
        line = next(lines)
        if not streams:
            return line

        async def words() -> Any:
            if line.content is None:
                yield line
                return
            text = ""
            for word in line.content.split():
                text = f"{text} {word}".strip()
                yield ChatMessage(role="assistant", content=text)

        return words()

    return MockFunctionCallingLLM(response_generator=speak)


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


async def multiply(a: int, b: int) -> int:
    """Multiply two numbers."""
    await asyncio.sleep(0)
    return a * b


def fail() -> str:
    """Fail."""
    raise ValueError("the tool is broken")


async def ask(ctx: Context, what: str) -> str:
    """Ask the person."""
    reply = await ctx.wait_for_event(HumanResponseEvent, waiter_event=InputRequiredEvent(prefix=what))
    return f"they said {reply.response}"


async def note(ctx: Context, text: str) -> str:
    """Write a note into the agent's state."""
    async with ctx.store.edit_state() as state:
        state["state"]["notes"] = [*state["state"]["notes"], text]
    return "noted"


async def told(handler: Any) -> list[Any]:
    """Return what its stream shows."""
    seen: list[Any] = []
    async for event in handler.stream_events():
        match event:
            case ToolCallResult():
                seen.append(["result", event.tool_name, str(event.tool_output), event.tool_output.is_error])
            case ToolCall():
                seen.append(["call", event.tool_name, event.tool_kwargs])
            case AgentStream():
                seen.append(["stream", event.response])
            case AgentOutput():
                seen.append(["output", str(event), len(event.tool_calls)])
            case InputRequiredEvent():
                seen.append(["question", event.prefix])
                handler.ctx.send_event(HumanResponseEvent(response="blue"))
            case _:
                seen.append(type(event).__name__)
    return seen


async def a_function_agent_calls_tools_side_by_side() -> Any:
    llm = model(calls(("add", {"a": 1, "b": 2}), ("multiply", {"a": 3, "b": 4})), says("Three and twelve."))
    handler = FunctionAgent(tools=[add, multiply], llm=llm).run("What is it?")
    seen = await told(handler)
    return [sorted(map(str, seen)), str(await handler)]


async def an_agent_that_does_not_stream() -> Any:
    handler = FunctionAgent(llm=model(says("Hello."), streams=False), streaming=False).run("Hi")
    return [await told(handler), str(await handler)]


async def a_broken_tool() -> Any:
    handler = FunctionAgent(tools=[fail], llm=model(calls(("fail", {})), says("It broke."))).run("Try")
    return [await told(handler), str(await handler)]


async def an_unknown_tool() -> Any:
    handler = FunctionAgent(tools=[add], llm=model(calls(("nope", {})), says("There is none."))).run("Try")
    return [await told(handler), str(await handler)]


async def a_conversation_in_one_context() -> Any:
    agent = FunctionAgent(llm=model(says("Hello Ada."), says("You are Ada.")))
    ctx = Context(agent)
    first = str(await agent.run("I am Ada", ctx=ctx))
    second = str(await agent.run("Who am I?", ctx=ctx))
    assert first == "Hello Ada."
    return [second, list(heard)]


async def a_conversation_that_was_put_away() -> Any:
    agent = FunctionAgent(llm=model(says("Hello Ada."), says("You are Ada.")))
    ctx = Context(agent)
    await agent.run("I am Ada", ctx=ctx)
    kept = json.loads(json.dumps(ctx.to_dict(serializer=JsonSerializer())))
    again = Context.from_dict(agent, kept, serializer=JsonSerializer())
    return [str(await agent.run("Who am I?", ctx=again)), list(heard)]


async def a_person_is_asked() -> Any:
    handler = FunctionAgent(tools=[ask], llm=model(calls(("ask", {"what": "Color?"})), says("Blue."))).run("Ask")
    return [await told(handler), str(await handler)]


async def a_question_that_was_put_away() -> Any:
    agent = FunctionAgent(tools=[ask], llm=model(calls(("ask", {"what": "Color?"})), says("Blue.")))
    handler = agent.run("Ask")
    async for event in handler.stream_events():
        if isinstance(event, InputRequiredEvent):
            break
    kept = json.loads(json.dumps(handler.ctx.to_dict()))
    await handler.cancel_run()
    again = agent.run(ctx=Context.from_dict(agent, kept))
    again.ctx.send_event(HumanResponseEvent(response="red"))
    seen = await told(again)
    return [[one for one in seen if one[0] in ("question", "result")], str(await again)]


async def agents_hand_over() -> Any:
    researcher = FunctionAgent(
        name="researcher",
        description="Finds things",
        tools=[note],
        llm=model(
            calls(("note", {"text": "water is wet"})),
            calls(("handoff", {"to_agent": "writer", "reason": "found it"})),
        ),
    )
    writer = FunctionAgent(name="writer", description="Writes things", llm=model(says("Water is wet.")))
    workflow = AgentWorkflow(
        agents=[researcher, writer], root_agent="researcher", initial_state={"notes": []}, timeout=10
    )
    handler = workflow.run(user_msg="Is water wet?")
    seen = await told(handler)
    result = await handler
    names = [one[1] for one in seen if one[0] == "result"]
    return [names, str(result), result.current_agent_name, await handler.ctx.store.get("state")]


async def a_react_agent() -> Any:
    llm = model(
        says('Thought: I need a tool.\nAction: add\nAction Input: {"a": 1, "b": 2}'),
        says("Thought: I can answer without using any more tools.\nAnswer: Three."),
        streams=False,
    )
    handler = ReActAgent(tools=[add], llm=llm, streaming=False).run("1 + 2?")
    return str(await handler)


async def too_many_iterations() -> Any:
    llm = model(*(calls(("add", {"a": 1, "b": 1})) for _ in range(9)))
    handler = FunctionAgent(tools=[add], llm=llm).run("Count", max_iterations=3)
    try:
        await handler
    except Exception as error:
        return [type(error).__name__, str(error)[:31]]
    return None


async def the_result_tells_of_the_tools() -> Any:
    llm = model(calls(("add", {"a": 2, "b": 2})), says("Four."))
    answer = await FunctionAgent(tools=[add], llm=llm).run("2 + 2?")
    return [str(answer), [call.tool_name for call in answer.tool_calls]]


@asynccontextmanager
async def served(agent: Any, folder: str) -> AsyncGenerator[httpx.AsyncClient]:
    """Serve an agent from a folder, and yield a client."""
    from llama_agents.server import SqliteWorkflowStore, WorkflowServer

    server = WorkflowServer(workflow_store=SqliteWorkflowStore(db_path=str(Path(folder, "runs.db"))))
    server.add_workflow("agent", agent, additional_events=[HumanResponseEvent])
    transport = httpx.ASGITransport(app=server.app)
    async with server.contextmanager(), httpx.AsyncClient(transport=transport, base_url="http://here") as client:
        yield client


async def an_agent_behind_a_server() -> Any:
    """Its server stops while a person is asked, and another one goes on with what is stored."""
    llm = model(calls(("add", {"a": 1, "b": 2}), ("ask", {"what": "Color?"})), says("Three and green."))
    with TemporaryDirectory() as folder:
        async with served(FunctionAgent(tools=[add, ask], llm=llm), folder) as client:
            start = {"user_msg": "1 + 2, and which color?", "chat_history": None, "max_iterations": None}
            answer = await client.post("/workflows/agent/run-nowait", json={"handler_id": "h", "start_event": start})
            assert answer.status_code == 200, answer.text
            while not (await client.get("/handlers/h/waiting")).json()["waiting"]:  # noqa: ASYNC110  # over HTTP
                await asyncio.sleep(0.01)
        async with served(FunctionAgent(tools=[add, ask], llm=llm), folder) as client:
            event = {"type": "HumanResponseEvent", "value": {"response": "green"}}
            answer = await client.post("/events/h", json={"event": event})
            assert answer.status_code == 200, answer.text
            stream = await client.get("/events/h?after_sequence=-1&sse=false")
            handler = (await client.get("/handlers/h")).json()
    told = [json.loads(line) for line in stream.text.splitlines()]
    results = [one["value"]["tool_output"]["blocks"][0]["text"] for one in told if one["type"] == "ToolCallResult"]
    return [results, handler["status"], handler["result"]["value"]["result"]["response"]["blocks"][0]["text"]]


SCENARIOS: list[Callable[[], Any]] = [
    a_function_agent_calls_tools_side_by_side,
    an_agent_that_does_not_stream,
    a_broken_tool,
    an_unknown_tool,
    a_conversation_in_one_context,
    a_conversation_that_was_put_away,
    a_person_is_asked,
    a_question_that_was_put_away,
    agents_hand_over,
    a_react_agent,
    too_many_iterations,
    the_result_tells_of_the_tools,
]
if workflows.Workflow.__module__.startswith("workflow_server."):
    SCENARIOS.append(an_agent_behind_a_server)


async def main() -> None:
    import workflows

    played: dict[str, Any] = {"engine": str(Path(workflows.Workflow.__module__))}
    for scenario in SCENARIOS:
        try:
            played[scenario.__name__] = await asyncio.wait_for(scenario(), 20)
        except Exception as error:
            import traceback

            traceback.print_exc(file=sys.stderr)
            played[scenario.__name__] = f"{type(error).__name__}: {error}"
    print(json.dumps(played))


asyncio.run(main())
