"""Retries and a rescue: an unreliable shop is asked again, and a price is guessed if it stays silent.

In process:  python examples/retries.py
Served:      workflow-server examples/retries.py
             curl -X POST localhost:8080/workflows/quote/run -d '{"start_event": {"failures": 9}}'
"""

import anyio
from llama_agents.server import WorkflowServer
from workflows import Context, Workflow, catch_error, step
from workflows.events import Event, StartEvent, StepFailedEvent, StopEvent
from workflows.retry_policy import (
    retry_if_exception_type,
    retry_policy,
    stop_after_attempt,
    wait_exponential,
    wait_random,
)


class Inquiry(StartEvent):
    failures: int = 2
    """How often the shop does not answer."""


class Price(Event):
    amount: float
    source: str


class QuoteWorkflow(Workflow):
    @step(
        retry_policy=retry_policy(
            # Only this is worth another attempt; the jitter keeps a crowd from coming back all at once.
            retry=retry_if_exception_type(ConnectionError),
            wait=wait_exponential(multiplier=0.01, max=30) + wait_random(0, 0.01),
            stop=stop_after_attempt(4),
        )
    )
    async def ask_the_shop(self, ev: Inquiry, ctx: Context) -> Price:
        attempts = ctx.retry_info().retry_number
        if attempts < ev.failures:
            raise ConnectionError("the shop does not answer")
        return Price(amount=12.5, source=f"the shop, after {attempts} failures")

    @catch_error(for_steps=["ask_the_shop"])
    async def guess(self, ev: StepFailedEvent) -> Price:
        return Price(amount=10.0, source=f"a guess, because after {ev.attempts} attempts {ev.exception}")

    @step
    async def tell(self, ev: Price) -> StopEvent:
        return StopEvent(result=f"{ev.amount} ({ev.source})")


server = WorkflowServer()
server.add_workflow("quote", QuoteWorkflow())


async def main() -> None:
    print(await QuoteWorkflow().run())
    print(await QuoteWorkflow().run(failures=9))


if __name__ == "__main__":
    anyio.run(main)
