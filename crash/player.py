"""Plays a run from its start to its end, as a client that does not let itself be put off.

    start -> (stream until it breaks off -> react to events -> stream again from the last sequence) -> result

Nothing is repeated that was acknowledged. What was not is looked up first, where that tells.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from random import Random
from typing import Any

from crash.client import Answer, Client, Refused, Unanswered, Unreached
from crash.kinds import COUNTER_RUNS, check_outcome, check_state
from crash.programs.mix_more import snapshot
from crash.record import RunRecord

PATIENCE_KILLS = 150
"""Kills after which a run that is not over counts as hanging."""


class GivenUp(Exception):
    """The harness has stopped; the run stays as it is."""


class Player:
    """Plays runs, one after another.

    Args:
        client: Reaches the server.
        random: Decides what a client may decide.
        halted: Whether to give up.
    """

    def __init__(self, client: Client, random: Random, halted: Callable[[], bool]) -> None:
        self._client = client
        self._random = random
        self._halted = halted

    def play(self, run: RunRecord) -> None:
        """Play a run to its end.

        Raises:
            Violation: A promise was broken.
            GivenUp: The harness has stopped.
        """
        self._start(run)
        while not run.over:
            with suppress(Unanswered):
                self._read(run)
                if not run.over:
                    # Streams end only so, or because the server stops.
                    run.note("the stream ended without an end")
            self._pause(run)
        if not run.purged:
            self._look_at_result(run)
            check_outcome(run)
            self.look_at_state(run)
            check_state(run)
            if run.kind != "counter" and self._random.random() < 0.1:
                self._remove(run, purge=True)

    def _pause(self, run: RunRecord | None = None) -> None:
        if self._halted():
            raise GivenUp
        if run is not None and run.clock.kills - run.begun > PATIENCE_KILLS:
            raise run.fail(f"it is not over after {PATIENCE_KILLS} kills")
        time.sleep(0.01)

    def insist(self, method: str, path: str) -> Answer:
        """Ask something that changes nothing until there is an answer."""
        while True:
            with suppress(Unanswered):
                answer = self._client.ask(method, path)
                if answer.status != 503:
                    return answer
            self._pause()

    # Starting

    def _start(self, run: RunRecord) -> None:
        body: dict[str, Any] = {"handler_id": run.handler_id, "start_event": {"size": run.size}}
        if run.kind == "put-away":
            body["context"] = snapshot(run.size)
        waits = run.kind == "chain" and self._random.random() < 0.3
        path = f"/workflows/{run.kind}/{'run' if waits else 'run-nowait'}"
        before = self._handler(run) if run.number > 1 else None
        asked = False
        while run.run_id is None:
            try:
                answer = self._client.ask("POST", path, body)
            except Unreached:
                pass
            except Unanswered as error:
                run.note(f"start unanswered: {error}")
                asked = True
            else:
                if answer.status == 200:
                    run.accepted(answer.json)
                    break
                if answer.status != 503 and not (answer.status == 409 and asked):
                    raise run.fail(f"start refused: {answer.status} {answer.text}")
                run.note(f"start: {answer.status}")
                asked = True
            self._pause(run)
            found = self._handler(run)
            if found is not None and (before is None or found["run_id"] != before["run_id"]):
                run.accepted(found)

    def _handler(self, run: RunRecord) -> Any:
        """Return the run's handler, or `None`."""
        answer = self.insist("GET", f"/handlers/{run.handler_id}")
        return None if answer.status == 404 else answer.json

    # Reading

    def _read(self, run: RunRecord) -> None:
        after = -1 if self._random.random() < 0.15 else run.last
        sse = self._random.random() < 0.5
        try:
            for event in self._client.events(run.handler_id, after, sse=sse):
                self._react(run, run.saw(event))
                if run.purged or self._random.random() < 0.02:
                    return
        except Refused as error:
            if error.answer.status != 503:
                raise run.fail(f"no stream: {error}") from None
        if run.ending is None and self._random.random() < 0.3:
            self.look_at_state(run)

    def _react(self, run: RunRecord, envelope: Any) -> None:
        if envelope["type"] == "Question":
            n = envelope["value"]["n"]
            if n not in run.replies:
                if self._random.random() < 0.2:
                    time.sleep(self._random.uniform(0, 0.4))  # long enough for the run to leave memory
                self._reply(run, n)
        elif envelope["type"] == "Note" and run.kind == "sleeper" and not run.cancelled:
            self._remove(run, purge=self._random.random() < 0.3)
        elif self._random.random() < 0.02:
            self.look_at_state(run)

    def look_at_state(self, run: RunRecord) -> None:
        """Have the state shown; that of the handler's current run."""
        answer = self.insist("GET", f"/handlers/{run.handler_id}/state")
        if answer.status != 200:
            raise run.fail(f"no state: {answer.status} {answer.text}")
        run.showed_state(answer.json["state"])

    # Sending

    def _reply(self, run: RunRecord, n: int) -> None:
        text = f"{n} of {run.handler_id}"
        value = {"n": n, "text": text, "size": run.size}
        body = {"event": {"type": "Reply", "value": value}}
        run.replies[n] = text
        asked = False
        while True:
            try:
                answer = self._client.ask("POST", f"/events/{run.handler_id}", body)
            except Unreached:
                pass
            except Unanswered as error:
                run.note(f"answer {n} unanswered: {error}")
                asked = True
            else:
                run.note(f"answer {n}: {answer.status}")
                if answer.status == 200:
                    return
                if answer.status == 409 and asked:
                    return  # it arrived the first time, and the run is over
                if answer.status != 503:
                    raise run.fail(f"answer {n} refused: {answer.status} {answer.text}")
            run.repeated |= asked
            self._pause(run)

    def _remove(self, run: RunRecord, *, purge: bool) -> None:
        """Cancel a run; with `purge`, whether it is over or not, remove all of it."""
        path = f"/handlers/{run.handler_id}/cancel?purge={'true' if purge else 'false'}"
        asked = False
        while True:
            try:
                answer = self._client.ask("POST", path)
            except Unreached:
                pass
            except Unanswered as error:
                run.note(f"cancel unanswered: {error}")
                asked = True
            else:
                run.note(f"cancel: {answer.status} {answer.text}")
                if answer.status == 200 or (answer.status == 404 and asked):
                    break
                if answer.status != 503:
                    raise run.fail(f"cancel refused: {answer.status} {answer.text}")
            self._pause(run)
        run.cancelled, run.purged = True, purge
        handler = self._handler(run)
        if purge and handler is not None:
            raise run.fail(f"it was purged, and is there: {handler}")
        if not purge and (handler is None or handler["status"] != "cancelled"):
            raise run.fail(f"it was cancelled, and is {handler}")

    # The end

    def _look_at_result(self, run: RunRecord) -> None:
        handler = self._handler(run)
        if handler is None:
            raise run.fail("its handler is gone")
        run.accepted(handler)
        expected = "cancelled" if run.kind == "sleeper" else "completed"
        if handler["status"] != expected:
            raise run.fail(f"it is {handler['status']} after its end, not {expected}")
        result = handler["result"]
        if expected == "completed" and (result is None or result["value"] != run.ending["value"]):
            raise run.fail(f"the stream ended with {run.ending}, the result is {result}")

    def look_again(self, run: RunRecord) -> None:
        """Compare all that the server tells of a run that is over with the record.

        Raises:
            Violation: They differ.
        """
        if run.purged:
            if self._handler(run) is not None:
                raise run.fail("it was purged, and is back")
            return
        latest = run.kind != "counter" or run.number == COUNTER_RUNS
        if latest:
            self._look_at_result(run)
            self.look_at_state(run)
            check_state(run)
        seen = [run.saw(event) for event in self._client.events(run.handler_id, -1, run_id=run.run_id)]
        if len(seen) != len(run.events):
            raise run.fail(f"{len(run.events)} events were seen, {len(seen)} are left")
