"""What `http.connection.Connection.next_event` returns beside a `Request`, and how a refusal is worded."""

from __future__ import annotations

import json
from enum import Enum

from workflow_server.http.messages import Refused, Request, Response
from workflow_server.valueclass import dataclass


class Phase(Enum):
    """What a connection waits for."""

    IDLE = "idle"
    """A request; nothing of it has come yet."""
    HEAD = "head"
    BODY = "body"


@dataclass(frozen=True, slots=True)
class NeedData:
    """Nothing can be said before more bytes, or the end, have come."""

    phase: Phase
    send: bytes = b""
    """To be sent first: the client waits to be told that its body is wanted (100 Continue)."""


@dataclass(frozen=True, slots=True)
class Working:
    """There is more to parse, but others should run first."""


@dataclass(frozen=True, slots=True)
class Closed:
    """No request will come any more, and nothing is left to be sent."""


HttpEvent = Request | Refused | NeedData | Working | Closed


def refusal(refused: Refused) -> Response:
    """Return the response that tells a client why it was refused."""
    body = json.dumps({"detail": refused.detail}).encode()
    return Response(refused.status, (("content-type", "application/json"), *refused.headers), body)
