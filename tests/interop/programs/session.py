"""What a user does with the official client: `session.py URL` prints what each act gave, as one JSON object.

Runs in an environment that holds the client and nothing of ours.
"""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
from llama_agents.client import WorkflowClient
from office_events import Approval, Order
from workflows.events import StartEvent

Act = Callable[[WorkflowClient], Awaitable[Any]]


async def stream(client: WorkflowClient, handler_id: str, **options: Any) -> list[Any]:
    return [[event.type, event.value] async for event in client.get_workflow_events(handler_id, **options)]


async def first(client: WorkflowClient, handler_id: str, type_name: str) -> Any:
    events = client.get_workflow_events(handler_id)
    async for event in events:
        if event.type == type_name:
            await events.aclose()
            return event.value
    raise AssertionError(f"no {type_name}")


async def healthy(client: WorkflowClient) -> Any:
    return (await client.is_healthy()).status


async def list_workflows(client: WorkflowClient) -> Any:
    return (await client.list_workflows()).workflows


async def describe(client: WorkflowClient) -> Any:
    schema = await client.get_workflow_schema("ship")
    events = await client.get_workflow_events_schema("wait")
    graph = (await client.get_workflow_graph("ship")).graph
    return {
        "start": sorted(schema.start["properties"]),
        "stop": sorted(schema.stop["properties"]),
        "events": sorted(event["title"] for event in events.events),
        "nodes": sorted(node.id for node in graph.nodes),
        "edges": sorted((edge.source, edge.target) for edge in graph.edges),
    }


async def run_without_input(client: WorkflowClient) -> Any:
    handler = await client.run_workflow("greet")
    return [handler.status, handler.result.value, handler.error]


async def run_with_fields(client: WorkflowClient) -> Any:
    handler = await client.run_workflow("greet", start_event={"name": "Ada"})
    return handler.result.value


async def run_with_event(client: WorkflowClient) -> Any:
    handler = await client.run_workflow("ship", start_event=Order(item="lamp", pieces=2))
    return [handler.result.type, handler.result.types, handler.result.value, type(handler.result.load_event()).__name__]


async def run_in_background(client: WorkflowClient) -> Any:
    started = await client.run_workflow_nowait("ship", start_event=Order(item="lamp", pieces=3))
    events = await stream(client, started.handler_id)
    ended = await client.wait_for_handler(started.handler_id, timeout=10)
    return {"started": started.status, "events": events, "ended": [ended.status, ended.result.value]}


async def extras_in_an_event(client: WorkflowClient) -> Any:
    started = await client.run_workflow_nowait("greet", start_event=StartEvent(name="Eve"))
    return (await client.wait_for_handler(started.handler_id, timeout=10)).result.value


async def no_input_for_a_start_event_of_its_own(client: WorkflowClient) -> Any:
    started = await client.run_workflow_nowait("deliver")
    return (await client.wait_for_handler(started.handler_id, timeout=10)).result.value


async def internal_events(client: WorkflowClient) -> Any:
    started = await client.run_workflow_nowait("greet")
    await client.wait_for_handler(started.handler_id, timeout=10)
    return [name for name, _ in await stream(client, started.handler_id, include_internal_events=True)]


async def resume_a_stream(client: WorkflowClient) -> Any:
    started = await client.run_workflow_nowait("ship", start_event=Order(item="lamp", pieces=3))
    await client.wait_for_handler(started.handler_id, timeout=10)
    events = client.get_workflow_events(started.handler_id)
    async for _ in events:
        break
    await events.aclose()
    return await stream(client, started.handler_id, after_sequence=events.last_sequence)


async def nothing_left_of_a_stream(client: WorkflowClient) -> Any:
    started = await client.run_workflow("greet")
    return await stream(client, started.handler_id, after_sequence="now")


async def follow_from_now_on(client: WorkflowClient) -> Any:
    """What was before is not told; that it was, and where it ended, must not confuse the reader."""
    started = await client.run_workflow_nowait("wait")
    await first(client, started.handler_id, "ApprovalNeeded")
    events = client.get_workflow_events(started.handler_id, after_sequence="now")
    await asyncio.sleep(0.5)
    await client.send_event(started.handler_id, Approval(approved=True))
    return [[event.type, event.value] async for event in events]


async def get_results(client: WorkflowClient) -> Any:
    done = await client.run_workflow("greet")
    return [(await client.get_result(done.handler_id)) == done, (await client.get_handler(done.handler_id)) == done]


async def wait_in_vain(client: WorkflowClient) -> Any:
    started = await client.run_workflow_nowait("ask")
    waits = {
        "running": await failure(client.wait_for_handler(started.handler_id, timeout=0.2, poll_interval=0.05)),
        "unknown": (await failure(client.wait_for_handler("nobody")))[0],
        "failed": (await failure(client.wait_for_handler((await failing(client)), timeout=10)))[0],
        "backwards": await failure(client.wait_for_handler(started.handler_id, timeout=-1)),
    }
    waits["running"][1] = waits["running"][1].replace(started.handler_id, "…")
    return waits


async def failing(client: WorkflowClient) -> str:
    return (await client.run_workflow_nowait("fail")).handler_id


async def unknown_everywhere(client: WorkflowClient) -> Any:
    acts = {
        "run_workflow": client.run_workflow("nothing"),
        "run_workflow_nowait": client.run_workflow_nowait("nothing"),
        "get_workflow_schema": client.get_workflow_schema("nothing"),
        "get_workflow_events_schema": client.get_workflow_events_schema("nothing"),
        "get_workflow_graph": client.get_workflow_graph("nothing"),
        "get_handler": client.get_handler("nobody"),
        "get_result": client.get_result("nobody"),
        "send_event": client.send_event("nobody", Approval(approved=True)),
        "cancel_handler": client.cancel_handler("nobody"),
        "purge": client.cancel_handler("nobody", purge=True),
    }
    return {name: await failure(act) for name, act in acts.items()}


async def refused_arguments(client: WorkflowClient) -> Any:
    return {
        "context": (await failure(client.run_workflow("greet", context={"state": {"x": 1}})))[0],
        "status": (await failure(client.get_handlers(status=["asleep"])))[0],  # type: ignore[list-item]
        "no workflow": (await client.get_handlers(workflow_name=["nothing"])).handlers,
    }


async def answer_a_question(client: WorkflowClient) -> Any:
    started = await client.run_workflow_nowait("ask")
    question = await first(client, started.handler_id, "ApprovalNeeded")
    sent = await client.send_event(started.handler_id, Approval(approved=True))
    ended = await client.wait_for_handler(started.handler_id, timeout=10)
    return [question, sent.status, ended.result.value]


async def answer_a_waiting_step(client: WorkflowClient) -> Any:
    started = await client.run_workflow_nowait("wait")
    question = await first(client, started.handler_id, "ApprovalNeeded")
    await client.send_event(started.handler_id, {"type": "Approval", "value": {"approved": False}})
    ended = await client.wait_for_handler(started.handler_id, timeout=10)
    return [question, ended.result.value]


async def continue_a_handler(client: WorkflowClient) -> Any:
    questions = []
    for _ in range(2):
        started = await client.run_workflow_nowait("ask", handler_id="continued")
        questions.append((await first(client, started.handler_id, "ApprovalNeeded"))["question"])
        await client.send_event(started.handler_id, Approval(approved=True), step="decide")
        await client.wait_for_handler(started.handler_id, timeout=10)
    return questions


async def cancel(client: WorkflowClient) -> Any:
    started = await client.run_workflow_nowait("endless")
    await first(client, started.handler_id, "Packed")
    cancelled = (await client.cancel_handler(started.handler_id)).status
    again = await failure(client.cancel_handler(started.handler_id))
    events = await stream(client, started.handler_id)
    purged = (await client.cancel_handler(started.handler_id, purge=True)).status
    return [cancelled, again, events, purged, await failure(client.get_handler(started.handler_id))]


async def list_handlers(client: WorkflowClient) -> Any:
    await client.run_workflow("greet", handler_id="listed")
    await failure(client.run_workflow("fail", handler_id="listed too"))
    found = await client.get_handlers(workflow_name=["greet", "fail"], status=["completed", "failed"])
    mine = [handler for handler in found.handlers if handler.handler_id.startswith("listed")]
    return [[handler.handler_id, handler.workflow_name, handler.status, handler.error] for handler in mine]


async def failure(act: Awaitable[Any]) -> Any:
    try:
        return ["no error", repr(await act)]
    except httpx.HTTPStatusError as error:
        return [error.response.status_code, error.response.json()]
    except Exception as error:
        return [type(error).__name__, str(error)]


async def failing_runs(client: WorkflowClient) -> Any:
    shown = {}
    for name in ("fail", "late"):
        status, body = await failure(client.run_workflow(name))
        shown[name] = [status, body["status"], body["error"], body["result"]]
        shown[f"{name} later"] = (await failure(client.get_handler(body["handler_id"])))[0]
        shown[f"{name} stream"] = (await stream(client, body["handler_id"]))[-1][0]
    return shown


async def mistakes(client: WorkflowClient) -> Any:
    done = (await client.run_workflow("greet")).handler_id
    asking = (await client.run_workflow_nowait("ask")).handler_id
    answer = Approval(approved=True)

    async def read_unknown() -> Any:
        return await stream(client, "nobody")

    return {
        "unknown workflow": await failure(client.run_workflow("nothing")),
        "unknown handler": await failure(client.get_handler("nobody")),
        "unknown handler's events": await failure(read_unknown()),
        "wrong fields": (await failure(client.run_workflow("ship", start_event={"pieces": 1})))[0],
        "running already": await failure(client.run_workflow_nowait("ask", handler_id=asking)),
        "completed already": await failure(client.send_event(done, answer)),
        "unknown event": (await failure(client.send_event(asking, {"type": "Nope", "value": {}})))[0],
        "wrong event fields": (await failure(client.send_event(asking, {"type": "Approval", "value": {}})))[0],
        "unknown step": (await failure(client.send_event(asking, answer, step="nowhere")))[0],
    }


ACTS: list[Act] = [
    healthy,
    list_workflows,
    describe,
    run_without_input,
    run_with_fields,
    run_with_event,
    run_in_background,
    extras_in_an_event,
    no_input_for_a_start_event_of_its_own,
    internal_events,
    resume_a_stream,
    nothing_left_of_a_stream,
    follow_from_now_on,
    get_results,
    wait_in_vain,
    unknown_everywhere,
    refused_arguments,
    answer_a_question,
    answer_a_waiting_step,
    continue_a_handler,
    cancel,
    list_handlers,
    failing_runs,
    mistakes,
]


async def main(url: str) -> None:
    client = WorkflowClient(base_url=url)
    gave = {}
    for act in ACTS:
        try:
            gave[act.__name__] = await asyncio.wait_for(act(client), 20)
        except Exception as error:
            gave[act.__name__] = f"{type(error).__name__}: {error}"
    print(json.dumps(gave))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
