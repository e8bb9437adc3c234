"""Workflows for the page's tests: one for each thing that the page has to show."""

from __future__ import annotations

import asyncio
from typing import Any, Literal

from pydantic import BaseModel, Field

from workflow_server import Context, Workflow, step
from workflow_server.events import Event, HumanResponseEvent, InputRequiredEvent, StartEvent, StopEvent


class GreetStart(StartEvent):
    name: str = Field(default="World", description="Whom to greet")


class Greeting(Event):
    text: str


class Greet(Workflow):
    """Greets somebody in two steps."""

    @step
    async def compose(self, ev: GreetStart) -> Greeting:
        return Greeting(text=f"Hello, {ev.name}!")

    @step
    async def deliver(self, ctx: Context[Any], ev: Greeting) -> StopEvent:
        ctx.write_event_to_stream(ev)
        return StopEvent(result=ev.text)


class Customer(BaseModel):
    name: str
    country: Literal["DE", "FR", "NL"] = "NL"


class OrderPlaced(StartEvent):
    customer: Customer
    articles: list[str] = Field(min_length=1)
    express: bool = False


class ArticleChecked(Event):
    article: str
    in_stock: bool


class PriceCalculated(Event):
    total: float
    currency: str = "EUR"


class OrderShipped(StopEvent):
    order_id: str
    parcels: int
    note: str | None = None


class Order(Workflow):
    """A run with a typed start, several steps and a typed end."""

    @step
    async def check_stock(self, ctx: Context[Any], ev: OrderPlaced) -> PriceCalculated:
        for article in ev.articles:
            await asyncio.sleep(0.02)
            ctx.write_event_to_stream(ArticleChecked(article=article, in_stock=True))
        return PriceCalculated(total=19.5 * len(ev.articles))

    @step
    async def ship(self, ctx: Context[Any], ev: PriceCalculated) -> OrderShipped:
        ctx.write_event_to_stream(ev)
        return OrderShipped(order_id="A-1043", parcels=2, note="Leave it with the neighbours")


class ApprovalAsked(InputRequiredEvent):
    prompt: str
    amount: float


class ApprovalGiven(HumanResponseEvent):
    approved: bool
    comment: str = ""


class Approval(Workflow):
    """Waits for a person."""

    @step
    async def ask(self, ev: StartEvent) -> ApprovalAsked:
        return ApprovalAsked(prompt="Pay this invoice?", amount=1250.0)

    @step
    async def settle(self, ev: ApprovalGiven) -> StopEvent:
        return StopEvent(result={"paid": ev.approved, "comment": ev.comment})


class Interview(Workflow):
    """Asks two questions in a row within one step."""

    @step
    async def interview(self, ctx: Context[Any], ev: StartEvent) -> StopEvent:
        answers: list[str] = []
        for question in ("What is your name?", "What is your quest?"):
            answer = await ctx.wait_for_event(
                HumanResponseEvent,
                waiter_event=InputRequiredEvent(prefix=question),
                waiter_id=question,
            )
            answers.append(str(answer.get("response")))
        return StopEvent(result=answers)


class Failing(Workflow):
    """Ends with an error."""

    @step
    async def divide(self, ev: StartEvent) -> StopEvent:
        raise ValueError("The price list is <b>empty</b>")


class Tick(Event):
    count: int


class Slow(Workflow):
    """Runs until somebody cancels it."""

    @step
    async def tick(self, ctx: Context[Any], ev: StartEvent) -> StopEvent:
        count = 0
        while True:
            ctx.write_event_to_stream(Tick(count=count))
            count += 1
            await asyncio.sleep(0.1)


class Many(Workflow):
    """Publishes as many events as it is told, and ends with a falsy result."""

    @step
    async def publish(self, ctx: Context[Any], ev: StartEvent) -> StopEvent:
        for count in range(int(ev.get("count", 3))):
            ctx.write_event_to_stream(Tick(count=count))
            if count % 500 == 0:
                await asyncio.sleep(0)
        return StopEvent(result=0)


WORKFLOWS: dict[str, type[Workflow]] = {
    "approval": Approval,
    "failing": Failing,
    "greet": Greet,
    "interview": Interview,
    "many": Many,
    "order": Order,
    "slow": Slow,
}
