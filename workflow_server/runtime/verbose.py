"""What `Workflow(verbose=True)` prints."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from workflow_server.engine.effects import Publication, StepChanged
from workflow_server.engine.message import Message
from workflow_server.events import StepState

log = logging.getLogger("workflows.verbose")


def tell(publications: Iterable[Publication]) -> None:
    """Print a line for each step that begins or ends and for the result; to the log instead if it listens."""
    for publication in publications:
        line = _line(publication)
        if line is None:
            continue
        if log.isEnabledFor(logging.INFO) and log.level != logging.NOTSET:
            log.info(line)
        else:
            print(line)  # noqa: T201  # asked for by the program


def _line(publication: Publication) -> str | None:
    fact = publication.fact
    if isinstance(fact, StepChanged) and fact.state is StepState.RUNNING:
        return f"[{fact.step}:{fact.worker}] started from {fact.input}"
    if isinstance(fact, StepChanged) and fact.output is not None:
        return f"[{fact.step}:{fact.worker}] complete with {fact.output}"
    if isinstance(fact, Message) and fact.kind.stops:
        return f"[result] {fact.event!r}"
    return None
