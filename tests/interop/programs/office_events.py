"""The events that the office and its clients exchange."""

from workflows.events import Event, HumanResponseEvent, InputRequiredEvent, StartEvent, StopEvent


class Order(StartEvent):
    item: str
    pieces: int = 1


class Round(StartEvent):
    stops: list[str] = ["north", "south"]


class Packed(Event):
    piece: int


class Shipped(StopEvent):
    item: str
    pieces: int


class ApprovalNeeded(InputRequiredEvent):
    question: str


class Approval(HumanResponseEvent):
    approved: bool
