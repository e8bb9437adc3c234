"""An interrupted step does not speak twice.

What a step has sent and published since its last state write is remembered. If it is interrupted and runs again
from its top, a send equal to any remembered one *is* that one; publications match in order, up to the first that
differs. A state write makes the memory empty: a step that keeps its progress is trusted to look there. A retry
after a failure is a new attempt, and speaks anew.

Sends are remembered as parts, by digest, because what they set off may be over by the time of the reload.
Publications are remembered by the stream itself, where each bears the item that published it.
"""

from __future__ import annotations

from collections import Counter, deque
from hashlib import blake2b

from workflow_server.engine.effects import Reaction
from workflow_server.engine.inputs import Published, Sent
from workflow_server.engine.state import Recall, Run, Utterance, WorkItem


def digest_of(sent: Sent) -> str | None:
    """Return what a send is recognised by, or `None` in a run that is not stored."""
    message = sent.message
    if message.value is None:
        return None
    text = "\0".join((sent.step or "", message.kind.name, message.value))
    return blake2b(text.encode(), digest_size=12).hexdigest()


def was_sent(run: Run, item: WorkItem, sent: Sent) -> bool:
    """Tell whether an interrupted execution of `item` has made this very send, and count it as repeated."""
    recall = run.recalls.get(item.id)
    digest = None if recall is None else digest_of(sent)
    if recall is None or digest is None or recall.sends[digest] == 0:
        return False
    recall.sends[digest] -= 1
    return True


def remember_send(run: Run, item: WorkItem, sent: Sent, reaction: Reaction) -> None:
    """Remember a send that was delivered."""
    digest = digest_of(sent)
    if digest is None:
        return
    place = run.next_place()
    key = f"said/{item.id}/{place}"
    run.utterances[key] = Utterance(key, item.id, place, digest)
    item.holds.add(key)
    reaction.changed.add(key)


def was_published(run: Run, item: WorkItem, published: Published) -> bool:
    """Tell whether an interrupted execution of `item` has published this event at this place."""
    recall = run.recalls.get(item.id)
    if recall is None or not recall.publications:
        return False
    message = published.message
    if recall.publications[0] == (message.kind.qualified_name, message.value):
        recall.publications.popleft()
        return True
    recall.publications.clear()
    return False


def forget_speech(run: Run, item: WorkItem, reaction: Reaction) -> None:
    """Forget what `item` has said so far: from now on it is not taken for a repetition."""
    run.recalls.pop(item.id, None)
    for key in [key for key in item.holds if key in run.utterances]:
        del run.utterances[key]
        item.holds.discard(key)
        reaction.changed.add(key)
    item.since = run.next_sequence


def recall_speech(run: Run, item: WorkItem, published: tuple[tuple[str, str], ...]) -> None:
    """Have the next execution of `item` be taken for a repetition, as far as it says the same."""
    said = Counter(run.utterances[key].digest for key in item.holds if key in run.utterances)
    if said or published:
        run.recalls[item.id] = Recall(said, deque(published))
