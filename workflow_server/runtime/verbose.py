"""What `Workflow(verbose=True)` prints, and what any run warns of in the log."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable

from workflow_server.engine.effects import LogIgnored, Publication, StepChanged
from workflow_server.engine.message import Message
from workflow_server.events import StepState

log = logging.getLogger("workflows.verbose")
_log = logging.getLogger("workflow_server")


def teller() -> Callable[[str], None]:
    """Return what takes the lines: the log if it listens now, else `print`."""
    return log.info if log.isEnabledFor(logging.INFO) else print


def tell(publications: Iterable[Publication], say: Callable[[str], None]) -> None:
    """Say a line for each step that begins or ends, and for the result."""
    for publication in publications:
        line = _line(publication)
        if line is not None:
            say(line)


def _line(publication: Publication) -> str | None:
    fact = publication.fact
    if isinstance(fact, StepChanged) and fact.state is StepState.RUNNING:
        return f"[{fact.step}:{fact.worker}] started from {fact.input}"
    if isinstance(fact, StepChanged) and fact.output is not None:
        output = "no result" if fact.output == "NoneType" else fact.output
        return f"[{fact.step}:{fact.worker}] complete with {output}"
    if isinstance(fact, Message) and fact.kind.stops:
        return f"[result] {fact.event!r}"
    return None


def warn_ignored(ignored: LogIgnored) -> None:
    """Warn that a collect step does not get an event."""
    where = "sent outside any collection stream, with ctx.send_event for example"
    if ignored.in_stream:
        where = "sent in a stream that the step does not collect from"
    _log.warning("%s is ignored for collect step %r: it was %s", ignored.event, ignored.collector, where)
