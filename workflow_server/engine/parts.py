"""A run's state as stored text, and back.

Each part is one JSON object that a person can read; what follows from the parts is not stored. A stored event
is its routing name with its dump, spliced in as the text it already is. Reading back an event needs its class,
which only the workflow's code has, so a function that finds it is given.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, assert_never

from pydantic_core import PydanticSerializationError, to_json

from workflow_server.engine.inputs import Answer, Failure
from workflow_server.engine.loading import LoadError, check_part, derive
from workflow_server.engine.message import Message
from workflow_server.engine.shape import Shape
from workflow_server.engine.state import Contribution, ItemPhase, Part, Run, Utterance, Wait, WorkItem
from workflow_server.engine.stream_parts import Member, Partner, Stream
from workflow_server.errors import SerializationError
from workflow_server.events import Event, load_exception
from workflow_server.serializers import JsonSerializer

_SERIALIZER = JsonSerializer()

Dump = Callable[[Event], str]
"""Makes JSON text of an event."""

ReadMessage = Callable[[str, str], Message]
"""Makes a message from the routing name of its class and its dump as JSON text."""


def encode_part(part: Part, dump: Dump = Event.model_dump_json) -> str:
    """Return `part` as JSON text.

    Args:
        part: The part.
        dump: Makes JSON text of the events of a run that is not stored; those of a stored run are text already.
    """
    match part:
        case WorkItem():
            return _encode_item(part, dump)
        case Wait():
            return _encode_wait(part, dump)
        case Contribution():
            completed = part.completed
            return _splice(
                {"buffer": part.buffer, "item": part.item, "place": part.place},
                message=encode_message(part.message, dump),
                completed="null"
                if completed is None
                else f"[{','.join(encode_message(one, dump) for one in completed)}]",
            )
        case Utterance():
            return _text({"item": part.item, "place": part.place, "digest": part.digest})
        case Stream():
            return _text(
                {
                    "step": part.step,
                    "place": part.place,
                    "parent": part.parent,
                    "awaited": part.awaited,
                    "recoveries": part.recoveries,
                }
            )
        case Member():
            fields = {"stream": part.stream, "collector": part.collector, "place": part.place}
            return _splice(fields, message=encode_message(part.message, dump))
        case Partner():
            return _splice({"step": part.step, "place": part.place}, message=encode_message(part.message, dump))
        case _:
            assert_never(part)


def _encode_item(item: WorkItem, dump: Dump) -> str:
    failure = item.last_failure
    return _splice(
        {
            "step": item.step,
            "place": item.place,
            "phase": item.phase.value,
            "worker": item.worker,
            "incarnation": item.incarnation,
            "failures": item.failures,
            "last_failure": None if failure is None else [failure.type, failure.text],
            "last_failed_at": item.last_failed_at,
            "first_started": item.first_started,
            "not_before": item.not_before,
            "waits_on": item.waits_on,
            "recoveries": item.recoveries,
            "since": item.since,
            "stream": item.stream,
        },
        message=encode_message(item.message, dump),
        given=f"[{','.join(encode_message(one, dump) for one in item.given)}]",
    )


def _encode_wait(wait: Wait, dump: Dump) -> str:
    return _splice(
        {
            "step": wait.step,
            "awaits": wait.awaits,
            "subclasses": wait.subclasses,
            "place": wait.place,
            "holders": wait.holders,
            "due": wait.due,
            "answered": wait.answer is not None,
            "requirements": _requirements(wait),
        },
        prompt="null" if wait.prompt is None else f'{{"name":{json.dumps(wait.prompt[0])},"value":{wait.prompt[1]}}}',
        answer=encode_message(wait.answer.message if wait.answer else None, dump),
    )


def _requirements(wait: Wait) -> Any:
    """Return what can be told of the requirements; in a stored run that is all of them, others were refused."""
    try:
        return _SERIALIZER.serialize_value(wait.requirements)
    except SerializationError:
        return None


def encode_head(run: Run) -> str:
    """Return what a run has beside its parts, as JSON text; a run that has ended is not loaded again."""
    return _text(
        {
            "started": run.started,
            "next_item": run.next_item,
            "next_sequence": run.next_sequence,
            "places": run.places,
            "idle": run.idle,
        }
    )


def _text(fields: dict[str, Any]) -> str:
    """Return a JSON object of `fields`."""
    try:
        return to_json(fields).decode()
    except PydanticSerializationError:
        # Half of a surrogate pair, in what a wait requires: UTF-8 has no bytes for it, JSON has an escape.
        return json.dumps(fields)


def _splice(fields: dict[str, Any], **texts: str) -> str:
    """Return a JSON object of `fields` and of `texts`, which are JSON already."""
    added = "".join(f',"{name}":{text}' for name, text in texts.items())
    return _text(fields)[:-1] + added + "}"


def encode_message(message: Message | None, dump: Dump = Event.model_dump_json) -> str:
    """Return an event as JSON text: the routing name of its class, and its dump."""
    if message is None:
        return "null"
    value = message.value if message.value is not None else dump(message.event)
    return f'{{"name":{json.dumps(message.kind.name)},"value":{value}}}'


class PartReader:
    """Reads parts back.

    Args:
        read_message: Makes messages.
        serializer: Reads the values that waits require.
    """

    def __init__(self, read_message: ReadMessage, serializer: JsonSerializer = _SERIALIZER) -> None:
        self._serializer = serializer
        self._read_message = read_message

    def load_run(self, shape: Shape, head: str, parts: Mapping[str, str]) -> Run:
        """Return the run that was stored as `head` and `parts`.

        Args:
            shape: The workflow's routing.
            head: What `encode_head` made.
            parts: What `encode_part` made, by key.

        Raises:
            LoadError: A part can't be read, or does not fit the workflow any more; the text names it.
        """
        run = Run(shape)
        try:
            fields = json.loads(head)
            run.next_item, run.next_sequence = fields["next_item"], fields["next_sequence"]
            run.places, run.idle, run.started = fields["places"], fields["idle"], fields["started"]
        except KeyError as error:
            raise LoadError(f"head: it has no {error}") from error
        except (ValueError, TypeError) as error:
            raise LoadError(f"head: {error}") from error
        loaded = [self._located(key, text, shape) for key, text in parts.items()]
        try:
            loaded.sort(key=lambda part: part.place)
            derive(run, loaded)
        except (LookupError, TypeError) as error:
            raise LoadError(f"the parts do not fit together: {error!r}") from error
        return run

    def _located(self, key: str, text: str, shape: Shape) -> Part:
        """Read a part; what is wrong with it names its key."""
        try:
            part = self._part(key, json.loads(text))
            check_part(part, shape)
        except KeyError as error:
            raise LoadError(f"{key}: it has no {error}") from error
        except Exception as error:
            raise LoadError(f"{key}: {error}") from error
        return part

    def _part(self, key: str, fields: dict[str, Any]) -> Part:
        family, _, rest = key.partition("/")
        if family == "item":
            return self._item(int(rest), fields)
        if family == "wait":
            return self._wait(key, fields)
        if family == "said":
            return Utterance(key, fields["item"], fields["place"], fields["digest"])
        if family == "stream":
            return self._stream(int(rest), fields)
        if family == "member":
            return Member(fields["stream"], fields["collector"], fields["place"], self._need(fields["message"]))
        if family == "partner":
            return Partner(fields["step"], fields["place"], self._need(fields["message"]))
        completed = fields["completed"]
        return Contribution(
            key=key,
            buffer=fields["buffer"],
            item=fields["item"],
            place=fields["place"],
            message=self._message(fields["message"]),
            completed=None if completed is None else [self._need(one) for one in completed],
        )

    def _item(self, id: int, fields: dict[str, Any]) -> WorkItem:
        failure = None
        if fields["last_failure"] is not None:
            kind, text = fields["last_failure"]
            failure = Failure(load_exception({"exception_type": kind, "exception_message": text}), kind, text)
        return WorkItem(
            id=id,
            step=fields["step"],
            message=self._need(fields["message"]),
            place=fields["place"],
            phase=ItemPhase(fields["phase"]),
            worker=fields["worker"],
            incarnation=fields["incarnation"],
            failures=fields["failures"],
            last_failure=failure,
            last_failed_at=fields["last_failed_at"],
            first_started=fields["first_started"],
            not_before=fields["not_before"],
            waits_on=fields["waits_on"],
            recoveries=tuple((name, count) for name, count in fields["recoveries"]),
            since=fields["since"],
            stream=fields.get("stream"),
            given=tuple(self._need(one) for one in fields.get("given", ())),
        )

    @staticmethod
    def _stream(id: int, fields: dict[str, Any]) -> Stream:
        return Stream(
            id=id,
            step=fields["step"],
            place=fields["place"],
            parent=fields["parent"],
            awaited=fields["awaited"],
            recoveries=tuple((name, count) for name, count in fields["recoveries"]),
        )

    def _wait(self, key: str, fields: dict[str, Any]) -> Wait:
        prompt = fields["prompt"]
        return Wait(
            key=key,
            step=fields["step"],
            awaits=fields["awaits"],
            subclasses=fields["subclasses"],
            place=fields["place"],
            holders=fields["holders"],
            requirements=self._serializer.deserialize_value(fields["requirements"]),
            prompt=None if prompt is None else (prompt["name"], json.dumps(prompt["value"])),
            due=fields["due"],
            answer=Answer(self._message(fields["answer"])) if fields["answered"] else None,
        )

    def _message(self, fields: dict[str, Any] | None) -> Message | None:
        return None if fields is None else self._need(fields)

    def _need(self, fields: dict[str, Any]) -> Message:
        return self._read_message(fields["name"], json.dumps(fields["value"]))
