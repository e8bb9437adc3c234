"""Databases that older versions wrote load for ever, and their runs end; `tests_support.golden_runs` made them."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests_support.golden_runs import server_on
from tests_support.in_process import events, finished, serving
from workflow_server.stores.sqlite import schema

FILES = sorted((Path(__file__).parent / "golden").glob("*.sqlite3"))


def asked(path: Path, question: str) -> Any:
    with closing(sqlite3.connect(f"{path.as_uri()}?immutable=1", uri=True)) as database:
        return database.execute(question).fetchone()[0]


def test_there_is_one_of_each_older_schema() -> None:
    kept = [f"schema-{version}.sqlite3" for version in range(1, len(schema.MIGRATIONS))]
    assert [file.name for file in FILES][: len(kept)] == kept
    assert [asked(file, "PRAGMA user_version") for file in FILES] == list(range(1, len(FILES) + 1))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
async def test_its_runs_are_there_and_end(file: Path, tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    shutil.copy(file, path)
    async with serving(server_on(path)) as client:

        async def answer(handler_id: str, event: dict[str, Any]) -> None:
            answered = await client.post(f"/events/{handler_id}", json={"event": event})
            assert answered.status_code == 200, answered.text

        async def result_of(handler_id: str) -> Any:
            handler = await finished(client, handler_id)
            assert handler["status"] == "completed", handler
            return handler["result"]["value"]["result"]

        async def pieces_of(handler_id: str, **query: Any) -> list[int]:
            told = await events(client, handler_id, **query)
            return [event["value"]["n"] for event in told if event["type"] == "Piece"]

        listed = (await client.get("/handlers")).json()["handlers"]
        assert [handler["handler_id"] for handler in listed] == [
            "blocked", "released", "continued", "failed", "cancelled", "asking", "interrupted", "gathering", "stumbled",
        ]  # fmt: skip
        by_id = {handler["handler_id"]: handler for handler in listed}
        assert (by_id["failed"]["status"], by_id["failed"]["error"]) == ("failed", "told to fail")
        assert by_id["cancelled"]["status"] == "cancelled"

        assert await result_of("continued") == 2
        assert [event["value"].get("n") for event in await events(client, "continued") if event["type"] == "Piece"] == [
            2
        ]
        assert (await client.get("/handlers/continued/state")).json()["state"] == {"times": 2}
        for handler_id in ("asking", "released", "blocked"):
            await answer(handler_id, {"type": "Answer", "value": {"text": "Ada"}})
            assert await result_of(handler_id) == "Ada (é 漢 🎈)"
        assert await result_of("interrupted") == [0, 1, 2, 3]
        assert await pieces_of("interrupted") == [0, 1, 2, 3]
        await answer("gathering", {"type": "Piece", "value": {"n": 3}})
        assert await result_of("gathering") == [1, 2, 3]
        assert await result_of("stumbled") == "the second time"
        # And it goes on from there.
        again = await client.post("/workflows/count/run", json={"handler_id": "continued"})
        assert again.json()["result"]["value"] == {"result": 3}
