"""Pages of handlers, each answered by walking an index in the order of listings.

An index holds the handlers that share something (a workflow, a standing) in the order of their places. If several
values are wanted, SQLite walks as many stretches side by side and merges them; whatever else a query asks for is
looked at on the way. So a page costs about what it holds, unless something rare is looked for among much that is
frequent. Only handlers that are asked for by their ids, or by how those begin, are gathered first and then sorted.

A *standing* is one word for status and phase: the phase of a run that is alive, else how it ended.
"""

from __future__ import annotations

import json
import sqlite3
import sys
from typing import Any, get_args

from workflow_server.stores.base import HandlerQuery, place_of
from workflow_server.stores.sqlite.reading import RECORD, RESULT, Kinds, record_of
from workflow_server.wire.records import HandlerRecord, Phase, Status

_ALIVE = tuple(phase for phase in get_args(Phase) if phase != "done")
_OVER = tuple(status for status in get_args(Status) if status != "running")

_INDEXES = {
    "handler_id": "runs_current",
    "run_id": "sqlite_autoindex_runs_1",
    "standing": "runs_by_standing",
    "workflow": "runs_by_workflow",
}
"""The index for each column whose values can be asked for."""

MOST_STRETCHES = 16
"""How many stretches of an index are walked side by side."""

_LAST = (1 << 63) - 1
"""Greater than every place."""

Values = dict[str, Any]


def handlers(
    connection: sqlite3.Connection,
    kinds: Kinds,
    query: HandlerQuery,
    after: str | None,
    limit: int,
    *,
    newest_first: bool = False,
) -> tuple[list[HandlerRecord], str | None]:
    """Return a page of handlers, and the cursor for the next; see the contract."""
    values: Values = {"place": place_of(after, _LAST if newest_first else -1), "limit": limit + 1}
    walks = _walks(query, "<" if newest_first else ">", values)
    if not walks:
        return [], None
    rows = connection.execute(
        f"WITH page AS ({' UNION ALL '.join(walks)} ORDER BY place {'DESC' if newest_first else 'ASC'} LIMIT :limit) "  # noqa: S608  # constants
        f"SELECT {RECORD} FROM page CROSS JOIN runs r ON r.key = page.key {RESULT}",
        values,
    ).fetchall()
    rows.sort(key=lambda row: int(row[-1]), reverse=newest_first)
    page = rows[:limit]
    return [record_of(row, kinds) for row in page], str(page[-1][-1]) if len(rows) > limit else None


def _walks(query: HandlerQuery, beyond: str, values: Values) -> list[str]:
    """Return the statements that walk, none if nothing can match, and put into `values` what they name."""
    given = _given(query)
    if any(not wanted for wanted in given.values()):
        return []
    index, stretches = "runs_listed", [""]
    column = _column_to_walk_by(given, query)
    if column is not None:
        index, wanted = _INDEXES[column], given.pop(column)
        if len(wanted) <= MOST_STRETCHES:
            values.update({f"stretch{n}": one for n, one in enumerate(wanted)})
            stretches = [f"AND {column} = :stretch{n} " for n in range(len(wanted))]
        else:
            given[column] = wanted
    elif query.id_prefix:
        index, stretches = "runs_current", ["AND handler_id >= :prefix AND handler_id < :beyond_prefix "]
        values["beyond_prefix"] = _beyond(query.id_prefix)
    on_the_way = _conditions(query, given, values)
    return [
        f"SELECT key, place FROM runs INDEXED BY {index} "  # noqa: S608  # likewise
        f"WHERE current = 1 {stretch}AND place {beyond} :place {on_the_way}"
        for stretch in stretches
    ]


def _given(query: HandlerQuery) -> dict[str, list[str]]:
    """Return the values that are asked for, by column."""
    wanted = {
        "handler_id": query.handler_id_in,
        "run_id": query.run_id_in,
        "workflow": query.workflow_name_in,
        "standing": _standings(query),
    }
    return {column: list(dict.fromkeys(values)) for column, values in wanted.items() if values is not None}


def _standings(query: HandlerQuery) -> list[str] | None:
    if query.status_in is None and query.phase_in is None and query.is_idle is None:
        return None
    status, phase = query.status_in, query.phase_in
    of_alive = [one for one in _ALIVE if (phase is None or one in phase) and (status is None or "running" in status)]
    of_over = [one for one in _OVER if (phase is None or "done" in phase) and (status is None or one in status)]
    return [one for one in (*of_alive, *of_over) if query.is_idle is None or (one == "idle") == query.is_idle]


def _column_to_walk_by(given: dict[str, list[str]], query: HandlerQuery) -> str | None:
    """Choose what leaves the fewest handlers to look at; SQLite's own guess knows nothing of what is rare."""
    for column in ("handler_id", "run_id"):
        if column in given:
            return column
    if query.id_prefix:
        return None
    if "standing" in given and "completed" not in given["standing"]:
        return "standing"
    if len(given.get("workflow", ())) in range(1, MOST_STRETCHES + 1):
        return "workflow"
    return "standing" if "standing" in given else None


def _conditions(query: HandlerQuery, given: dict[str, list[str]], values: Values) -> str:
    """Return what is looked at on the way."""
    conditions: list[str] = []
    for column, wanted in given.items():
        values[column] = json.dumps(wanted)
        conditions.append(f"{column} IN (SELECT value FROM json_each(:{column}))")  # noqa: S608  # likewise
    if query.id_prefix:
        values["prefix"] = query.id_prefix
        conditions.append("substr(handler_id, 1, length(:prefix)) = :prefix")
    if query.started_after is not None:
        values["started_after"] = query.started_after
        conditions.append("started_at >= :started_after")
    if query.started_before is not None:
        values["started_before"] = query.started_before
        conditions.append("started_at < :started_before")
    return "".join(f"AND {condition} " for condition in conditions)


def _beyond(prefix: str) -> str | bytes:
    """Return what is greater than all that begins with `prefix`, in the order of code points."""
    head, last = prefix[:-1], ord(prefix[-1])
    if last == sys.maxunicode:
        return _beyond(head) if head else b""  # to SQLite, every blob is greater than every text
    following = last + 1
    return head + chr(0xE000 if 0xD800 <= following <= 0xDFFF else following)
