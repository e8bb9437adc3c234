"""Workflows for the page's tests: one for each thing that the page has to show."""

from __future__ import annotations

from typing import Any, Literal

import anyio.lowlevel
from pydantic import BaseModel, Field

from workflow_server import Context, Workflow, step
from workflow_server.events import Event, HumanResponseEvent, InputRequiredEvent, StartEvent, StopEvent
from workflow_server.server import WorkflowServer


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
    name: str = Field(min_length=2)
    country: Literal["DE", "FR", "NL"] = "NL"


class OrderPlaced(StartEvent):
    customer: Customer
    articles: list[str] = Field(min_length=1)
    express: bool = False
    priority: int = Field(default=3, ge=1, le=5)
    note: str | None = Field(default=None, description="For the driver")


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
            await anyio.sleep(0.02)
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
            await anyio.sleep(0.1)


class Last(Event):
    pass


class Many(Workflow):
    """Publishes as many events as it is told, and ends with a falsy result."""

    @step
    async def publish(self, ctx: Context[Any], ev: StartEvent) -> StopEvent:
        for count in range(int(ev.get("count", 3))):
            ctx.write_event_to_stream(Tick(count=count))
            if count % 500 == 0:
                await anyio.lowlevel.checkpoint()
        return StopEvent(result=0)


class ReportWanted(StartEvent):
    """What the report is about."""

    pages: int = Field(default=6, ge=1, le=50)


class PageWanted(Event):
    number: int


class PageDrawn(Event):
    number: int
    attempts: int


class PagesBound(Event):
    pages: int


class Patient:
    """Tries again twice, after a moment."""

    def next(self, elapsed_time: float, attempts: int, error: Exception) -> float | None:
        return 0.05 if attempts < 3 else None


class Report(Workflow):
    """Draws pages side by side, some of them not at the first attempt, and binds them."""

    @step
    async def split(self, ctx: Context[Any], ev: ReportWanted) -> PageWanted | None:
        """Ask for every page."""
        await ctx.store.set("pages", ev.pages)
        await anyio.sleep(0.06)
        for number in range(1, ev.pages + 1):
            ctx.send_event(PageWanted(number=number))
        return None

    @step(num_workers=3, retry_policy=Patient())
    async def draw(self, ctx: Context[Any], ev: PageWanted) -> PageDrawn:
        """Draw one page; every third one needs a second attempt."""
        attempts = ctx.retry_info().retry_number + 1
        await anyio.sleep(0.08 + 0.02 * (ev.number % 4))
        if ev.number % 3 == 0 and attempts == 1:
            raise ConnectionError(f"The printer did not answer for page {ev.number}")
        ctx.write_event_to_stream(PageDrawn(number=ev.number, attempts=attempts))
        return PageDrawn(number=ev.number, attempts=attempts)

    @step
    async def bind(self, ctx: Context[Any], ev: PageDrawn) -> PagesBound | None:
        drawn = ctx.collect_events(ev, [PageDrawn] * await ctx.store.get("pages"))
        await ctx.store.set("drawn", len(drawn or []))
        return PagesBound(pages=len(drawn)) if drawn else None

    @step
    async def check(self, ev: PagesBound) -> PageWanted | StopEvent:
        """Have the first page drawn again if the report is too short to be true."""
        await anyio.sleep(0.05)
        return StopEvent(result=f"{ev.pages} pages")


class Crowd(Workflow):
    """As many executions as it is told, a few at a time; three events for each."""

    @step
    async def begin(self, ctx: Context[Any], ev: StartEvent) -> Tick | None:
        await ctx.store.set("left", int(ev.get("count", 3)))
        for count in range(int(ev.get("count", 3))):
            ctx.send_event(Tick(count=count))
        return None

    @step(num_workers=4)
    async def take(self, ctx: Context[Any], ev: Tick) -> Last | None:
        async with ctx.store.edit_state() as state:
            state.left -= 1
            return Last() if state.left == 0 else None

    @step
    async def end(self, ev: Last) -> StopEvent:
        return StopEvent(result=0)


WORKFLOWS: dict[str, type[Workflow]] = {
    "approval": Approval,
    "crowd": Crowd,
    "failing": Failing,
    "greet": Greet,
    "interview": Interview,
    "many": Many,
    "order": Order,
    "report": Report,
    "slow": Slow,
}


def make_server(**options: Any) -> WorkflowServer:
    """Return a server with all of them."""
    server = WorkflowServer(shutdown_grace=0.1, **options)
    for name, workflow in WORKFLOWS.items():
        extra = [HumanResponseEvent] if name == "interview" else None
        server.add_workflow(name, workflow(timeout=None), additional_events=extra)
    return server
