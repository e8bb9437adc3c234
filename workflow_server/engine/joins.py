"""Joins: steps with several event parameters, given one event for each.

Events wait at their join, in order of arrival, until there is one for each parameter. Events of one class are as good
as each other, so the first come is tried first; which class fills which parameter is searched for only where the step
takes subclasses, so that a parameter of a base class does not take away what another one needs.

An event that waits here has left its stream: the set belongs to the stream of the event that completes it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from itertools import islice

from workflow_server.engine.effects import Reaction
from workflow_server.engine.message import Message
from workflow_server.engine.routing import Lineage, add_item
from workflow_server.engine.shape import StepShape
from workflow_server.engine.state import Run
from workflow_server.engine.stream_parts import Partner


def meet(run: Run, at: float, join: StepShape, message: Message, lineage: Lineage, reaction: Reaction) -> None:
    """Have an event wait at a join, or complete a set with it."""
    partner = Partner(join.name, run.next_place(), message)
    run.add_partner(partner)
    reaction.changed.add(partner.key)
    chosen = _complete_set(join, run.partners_at[join.name], join.slots, Counter())
    if chosen is None:
        return
    for one in chosen:
        run.remove_partner(one)
        reaction.changed.add(one.key)
    given = tuple(one.message for one in chosen)
    add_item(run, at, join.name, message, reaction, lineage, given)


def _complete_set(
    join: StepShape, held: Mapping[str, Mapping[int, Partner]], slots: tuple[str, ...], used: Counter[str]
) -> tuple[Partner, ...] | None:
    """Return one partner for each of `slots`, or `None`.

    Args:
        join: The step.
        held: What waits there, by the routing name of the class, in order of arrival.
        slots: What is still to be filled: routing names of classes.
        used: How many of each class are taken already.
    """
    if not slots:
        return ()
    wanted, *others = slots
    first = (next(islice(waiting.values(), used[name], None), None) for name, waiting in held.items())
    fitting = [one for one in first if one is not None and _fits(join, one, wanted)]
    for one in sorted(fitting, key=lambda one: one.place):
        name = one.message.kind.name
        rest = _complete_set(join, held, tuple(others), used + Counter((name,)))
        if rest is not None:
            return one, *rest
    return None


def _fits(join: StepShape, partner: Partner, wanted: str) -> bool:
    kind = partner.message.kind
    return kind.name == wanted or (join.subclasses and wanted in kind.lineage)
