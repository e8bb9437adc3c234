"""The command line for people: `workflow-server run URL NAME`, and `list`, `show`, `events`, `send`, `cancel`.

What a program may want to read goes to stdout, as text for people or, with `--json`, as JSON; what only people want
(progress, mistakes) goes to stderr. The exit status is the outcome of the run:

    0  completed, or done what was asked        3  cancelled
    1  failed                                   4  still running
    2  wrong usage                              5  the server refused, or could not be reached
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from workflow_server.client.connecting import need_httpx
from workflow_server.client.patience import Patience
from workflow_server.client.sync import SyncWorkflowClient
from workflow_server.wire.envelopes import EventEnvelopeWithMetadata
from workflow_server.wire.models import HandlerData

_STATUS = {"completed": 0, "failed": 1, "cancelled": 3, "running": 4}
_REFUSED = 5
_INTERRUPTED = 130
_UNREAD = 141
"""What shells report for a program whose reader has left, as `head` does when it has enough."""
_SO_FAR = Patience(silence=1.0, errors_break=False)
"""Reads what is there: a second without news is the end of it."""

Row = Sequence[str]


def main(arguments: Sequence[str]) -> int:
    """Do what a command line says and return the exit status.

    Raises:
        SystemExit: The usage is wrong (status 2), or help was asked for (0).
    """
    options = _parser().parse_args(arguments)
    try:
        httpx = need_httpx()
    except ImportError as error:
        return _complain(str(error))
    url = options.url if "://" in options.url else f"http://{options.url}"
    try:
        status: int = options.act(SyncWorkflowClient(base_url=url, failures="return"), options)
        sys.stdout.flush()
    except httpx.HTTPStatusError as error:
        return _complain(_reason(error.response))
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or the interpreter complains when it leaves
        return _UNREAD
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        return _complain(f"{url} can't be reached: {error}")
    except ValueError as error:
        return _complain(str(error))
    except KeyboardInterrupt:
        return _INTERRUPTED
    return status


def _complain(sentence: str) -> int:
    print(f"workflow-server: {sentence}", file=sys.stderr)
    return _REFUSED


def _reason(response: Any) -> str:
    try:
        return str(response.json()["detail"])
    except (ValueError, KeyError, TypeError):  # no server of ours answered
        return f"{response.status_code} {response.reason_phrase} from {response.url}"


# ---------------------------------------------------------------------------------------------------------- arguments


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="workflow-server",
        description="Ask a running server. The server itself is started by: workflow-server FILE[:name]",
        epilog="Exit status: 0 completed, 1 failed, 2 wrong usage, 3 cancelled, 4 still running, 5 refused or away.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    run = _command(commands, "run", "start a workflow and wait for its end", _run)
    run.add_argument("name", metavar="NAME", help="the workflow")
    run.add_argument(
        "--input", metavar="JSON", type=_json, help="fields of the start event; @FILE reads a file, - stdin"
    )
    run.add_argument("--handler-id", metavar="ID", help="the handler to begin, or to go on with")
    run.add_argument("--key", metavar="KEY", help="idempotency key: the same start happens once")
    run.add_argument("--follow", action="store_true", help="show the events as they come")
    run.add_argument("--no-wait", action="store_true", help="return when the run is accepted")
    found = _command(commands, "list", "list handlers, newest first", _list)
    found.add_argument("--status", action="append", help="only such (may be given again, as the next two)")
    found.add_argument("--workflow", action="append", metavar="NAME", help="only of this workflow")
    found.add_argument("--phase", action="append", help="only in this phase")
    found.add_argument("--limit", type=int, default=50, help="how many at most (default 50)")
    show = _command(commands, "show", "show a handler", _show)
    show.add_argument("handler", metavar="HANDLER")
    show.add_argument("--wait", action="store_true", help="until its run is over")
    events = _command(commands, "events", "show the events of a run", _events)
    events.add_argument("handler", metavar="HANDLER")
    events.add_argument("--follow", action="store_true", help="until the run is over, also over restarts")
    events.add_argument("--after", type=int, default=-1, metavar="N", help="begin after this sequence number")
    events.add_argument("--internal", action="store_true", help="what the engine says about itself, too")
    send = _command(commands, "send", "send an event to a run", _send)
    send.add_argument("handler", metavar="HANDLER")
    send.add_argument("type", metavar="TYPE", help="the event's class")
    send.add_argument("--value", metavar="JSON", type=_json, default={}, help="its fields; @FILE reads a file, - stdin")
    send.add_argument("--step", metavar="NAME", help="the one step that it is for")
    send.add_argument("--waiter-id", metavar="ID", help="the one question that it answers")
    send.add_argument("--key", metavar="KEY", help="idempotency key: the same event happens once")
    cancel = _command(commands, "cancel", "cancel a run", _cancel)
    cancel.add_argument("handler", metavar="HANDLER")
    cancel.add_argument("--purge", action="store_true", help="and remove the handler with all that hangs on it")
    return parser


def _command(
    commands: Any, name: str, help: str, act: Callable[[SyncWorkflowClient, argparse.Namespace], int]
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(name, help=help, description=help.capitalize() + ".")
    parser.add_argument("url", metavar="URL", help="where the server is, as http://127.0.0.1:8080")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(act=act)
    return parser


def _json(text: str) -> Any:
    if text == "-":
        text = sys.stdin.read()
    elif text.startswith("@"):
        try:
            text = Path(text[1:]).read_text(encoding="utf-8")
        except OSError as error:
            raise argparse.ArgumentTypeError(f"{text[1:]} can't be read: {error.strerror}") from error
    try:
        value = json.loads(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise argparse.ArgumentTypeError(f"{text!r} is not a JSON object")
    return value  # pyright: ignore[reportUnknownVariableType]


# ----------------------------------------------------------------------------------------------------------- commands


def _run(client: SyncWorkflowClient, options: argparse.Namespace) -> int:
    handler = client.run_workflow_nowait(
        options.name, options.handler_id, options.input or {}, idempotency_key=options.key
    )
    if options.no_wait:
        _show_handler(handler, as_json=options.json)
        return 0
    try:
        _watch(client, handler, show=options.follow, as_json=options.json)
    except KeyboardInterrupt:
        print(f"\nThe run goes on; its handler is {handler.handler_id}.", file=sys.stderr)
        raise
    handler = client.wait_for_handler(handler.handler_id)
    _show_handler(handler, as_json=options.json)
    return _STATUS[handler.status]


def _watch(client: SyncWorkflowClient, handler: HandlerData, *, show: bool, as_json: bool) -> None:
    """Follow a run to its end, showing its events or, to a person who waits, how many there were."""
    counts = not show and sys.stderr.isatty()
    seen = 0
    with client.events(handler.handler_id) as events:
        for event in events:
            seen += 1
            if show:
                _show_event(events.last_sequence, event, as_json=as_json)
            elif counts:
                line = f"\r{handler.workflow_name} {handler.handler_id}: {seen} events, the last a {event.type} "
                print(line, end="", file=sys.stderr, flush=True)
    if counts:
        print(file=sys.stderr)


def _list(client: SyncWorkflowClient, options: argparse.Namespace) -> int:
    found = client.get_handlers(options.status, options.workflow, phase=options.phase, limit=options.limit)
    if options.json:
        print(found.model_dump_json(indent=2))
        return 0
    rows = [("HANDLER", "WORKFLOW", "STATUS", "STARTED", "TOOK", "")]
    for one in found.handlers:
        state = one.status if one.status != "running" or one.phase is None else one.phase
        rows.append((one.handler_id, one.workflow_name, state, _moment(one.started_at), _took(one), one.error or ""))
    _table(rows)
    if found.next_cursor is not None:
        print(f"(the newest {len(found.handlers)}; --limit shows more)", file=sys.stderr)
    return 0


def _show(client: SyncWorkflowClient, options: argparse.Namespace) -> int:
    handler = client.wait_for_handler(options.handler) if options.wait else client.get_handler(options.handler)
    _show_handler(handler, as_json=options.json)
    if handler.status == "running" and not options.json:
        for question in client.get_waiting(options.handler).waiting:
            asked = "" if question.prompt is None else f": {_compact(question.prompt.value)}"
            print(f"waits for    {question.type} in {question.step} as {question.waiter_id}{asked}")
    return _STATUS[handler.status]


def _events(client: SyncWorkflowClient, options: argparse.Namespace) -> int:
    patience = Patience() if options.follow else _SO_FAR
    try:
        with client.events(
            options.handler,
            include_internal_events=options.internal,
            after_sequence=options.after,
            patience=patience,
        ) as events:
            for event in events:
                _show_event(events.last_sequence, event, as_json=options.json)
    except TimeoutError:
        pass  # that was all so far
    return _STATUS[client.get_handler(options.handler).status] if options.follow else 0


def _send(client: SyncWorkflowClient, options: argparse.Namespace) -> int:
    event = {"type": options.type, "value": options.value}
    sent = client.send_event(
        options.handler, event, options.step, waiter_id=options.waiter_id, idempotency_key=options.key
    )
    print(sent.model_dump_json() if options.json else sent.status)
    return 0


def _cancel(client: SyncWorkflowClient, options: argparse.Namespace) -> int:
    done = client.cancel_handler(options.handler, options.purge)
    print(done.model_dump_json() if options.json else done.status)
    if done.unstopped:
        print(f"workflow-server: still at it: {', '.join(done.unstopped)}", file=sys.stderr)
    return 0


# ------------------------------------------------------------------------------------------------------------- output


def _show_handler(handler: HandlerData, *, as_json: bool) -> None:
    if as_json:
        print(handler.model_dump_json())
        return
    shown = {
        "handler": handler.handler_id,
        "workflow": handler.workflow_name,
        "status": handler.status if handler.phase in (None, "done") else f"{handler.status} ({handler.phase})",
        "started": f"{_moment(handler.started_at)}, took {_took(handler)}",
        "error": handler.error,
        "result": None if handler.result is None else _compact(handler.result.value),
    }
    for name, value in shown.items():
        if value is not None:
            print(f"{name:<12} {value}")


def _show_event(sequence: Any, event: EventEnvelopeWithMetadata, *, as_json: bool) -> None:
    line = event.model_dump_json() if as_json else f"{sequence:>5}  {event.type}  {_compact(event.value)}"
    print(line, flush=True)


def _compact(value: dict[str, Any]) -> str:
    bare = value["result"] if value.keys() == {"result"} else value
    return json.dumps(bare, ensure_ascii=False)


def _table(rows: Sequence[Row]) -> None:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print("  ".join(f"{text:<{width}}" for text, width in zip(row, widths, strict=True)).rstrip())


def _moment(text: str) -> str:
    return datetime.fromisoformat(text).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def _took(handler: HandlerData) -> str:
    if handler.completed_at is None:
        return "-"
    took = datetime.fromisoformat(handler.completed_at) - datetime.fromisoformat(handler.started_at)
    return f"{took.total_seconds():.1f} s"
