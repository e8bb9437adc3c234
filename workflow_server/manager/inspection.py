"""Looking into a run without touching it: its state, its input, what it waits for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, assert_never, cast

from workflow_server.api.commands import GetInput, GetState, GetWaiting
from workflow_server.api.outcomes import InputFound, Outcome, Question, QuestionsFound, Refusal, Refused, StateFound
from workflow_server.engine.inputs import WaitName
from workflow_server.engine.parts import encode_part
from workflow_server.manager.active_run import ActiveRun
from workflow_server.manager.served import ServedWorkflow
from workflow_server.runtime.states import WHOLE
from workflow_server.stores.base import AbstractWorkflowStore
from workflow_server.wire.records import HandlerRecord

Inspect = GetState | GetInput | GetWaiting


async def inspect(
    command: Inspect,
    record: HandlerRecord,
    store: AbstractWorkflowStore,
    live: ActiveRun | None,
    served: ServedWorkflow | None,
) -> Outcome:
    """Return what `command` asks of a run.

    Args:
        command: What is asked.
        record: The handler.
        store: Where its run is.
        live: The run, if it is in memory.
        served: Its workflow, if it is still served.
    """
    match command:
        case GetState():
            return _state(await store.state(record.run_id))
        case GetInput():
            start = await store.start_event(record.run_id)
            if start is None:
                return Refused(Refusal.NOT_FOUND, f"Handler {record.handler_id!r} has no input on record")
            return InputFound(start)
        case GetWaiting():
            parts = await _wait_parts(record, store, live)
            return QuestionsFound(tuple(_question(record.run_id, key, fields, served) for key, fields in parts))
        case _:
            assert_never(command)


def _state(image: Mapping[str, str]) -> StateFound:
    values = {key: json.loads(text) for key, text in image.items()}
    whole = values.get(WHOLE)
    if isinstance(whole, dict) and "qualified_name" in whole:
        tagged = cast("dict[str, Any]", whole)
        return StateFound(tagged["value"], tagged["qualified_name"])
    return StateFound(values)


async def _wait_parts(
    record: HandlerRecord, store: AbstractWorkflowStore, live: ActiveRun | None
) -> list[tuple[str, dict[str, Any]]]:
    """Return the open waits as stored, in the order of their beginning."""
    if live is not None and not live.journal.pending:  # what is not committed yet is not told
        texts = {key: encode_part(wait) for key, wait in live.runner.run.waits.items()}
    else:
        stored = await store.load(record.run_id)
        texts = {} if stored is None else dict(stored.parts)
    waits = [(key, json.loads(text)) for key, text in texts.items() if key.startswith(_WAIT)]
    open_waits = [(key, fields) for key, fields in waits if not fields["answered"]]
    return sorted(open_waits, key=lambda wait: wait[1]["place"])


_WAIT = "wait/"


def _waiter_id(run_id: str, key: str, place: int) -> str:
    """Name a wait as no other wait of any run is ever named; see `wait_named`."""
    return f"{run_id}/{place}/{key.removeprefix(_WAIT)}"


def wait_named(waiter_id: str, run_id: str) -> WaitName | None:
    """Return the wait of a run that `waiter_id` names, `None` if it can be none of that run."""
    run, _, rest = waiter_id.partition("/")
    place, _, key = rest.partition("/")
    is_one = run == run_id and place.isascii() and place.isdecimal() and len(place) < 20
    return WaitName(_WAIT + key, int(place)) if is_one else None


def _question(run_id: str, key: str, fields: dict[str, Any], served: ServedWorkflow | None) -> Question:
    prompt = fields["prompt"]
    return Question(
        waiter_id=_waiter_id(run_id, key, fields["place"]),
        step=fields["step"],
        qualified_name=fields["awaits"],
        prompt=None if prompt is None else (prompt["name"], json.dumps(prompt["value"])),
        schema=None if served is None else served.schema_of(fields["awaits"]),
        due=fields["due"],
    )
