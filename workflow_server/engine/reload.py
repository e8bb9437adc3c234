"""A run comes back into memory: what was executing executes again, from the top of its step.

A step that was suspended in a wait stays suspended, now without anything in memory; only when it is answered does
its step run again, and finds the answer remembered. It runs again at once if what it requires of the answer is lost.
"""

from __future__ import annotations

from workflow_server.engine.effects import Reaction
from workflow_server.engine.inputs import Reloaded
from workflow_server.engine.routing import fill_slots
from workflow_server.engine.speech import recall_speech
from workflow_server.engine.state import ItemPhase, Run, WorkItem


def reload(run: Run, reloaded: Reloaded, reaction: Reaction) -> None:
    """Fence off all past executions and queue their items again, before all new work, in their old order."""
    for load in run.loads.values():
        load.busy.clear()
        load.answered.clear()
    interrupted = [item for item in run.items.values() if _must_run_again(run, item)]
    run.waiting.difference_update(item.id for item in interrupted)
    for item in sorted(interrupted, key=lambda item: item.place, reverse=True):
        item.phase, item.worker, item.waits_on = ItemPhase.QUEUED, None, []
        item.place = -run.next_place()
        run.loads[item.step].queued.appendleft(item.id)
    for item in run.items.values():
        item.incarnation += 1
        item.asleep = item.phase is ItemPhase.WAITING
        recall_speech(run, item, reloaded.published.get(item.id, ()))
        reaction.changed.add(item.key)
    for step in run.loads:
        fill_slots(run, reloaded.at, step, reaction)


def _must_run_again(run: Run, item: WorkItem) -> bool:
    if item.phase is ItemPhase.WAITING:
        return any(run.waits[key].requirements is None for key in item.waits_on)
    return item.phase in (ItemPhase.RUNNING, ItemPhase.ANSWERED)
