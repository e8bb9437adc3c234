"""Start and stop events of one's own: what a run needs, and what it gives, with types.

In process:  python examples/start_and_stop.py
Served:      workflow-server examples/start_and_stop.py
             curl -X POST localhost:8080/workflows/convert/run -d '{"start_event": {"celsius": 21.5}}'
             curl localhost:8080/workflows/convert/schema
"""

import anyio
from llama_agents.server import WorkflowServer
from pydantic import Field
from workflows import Workflow, step
from workflows.events import StartEvent, StopEvent


class Reading(StartEvent):
    """A temperature."""

    celsius: float = Field(ge=-273.15, description="Degrees Celsius")


class Converted(StopEvent):
    fahrenheit: float
    words: str


class ConversionWorkflow(Workflow):
    @step
    async def convert(self, ev: Reading) -> Converted:
        fahrenheit = ev.celsius * 9 / 5 + 32
        return Converted(fahrenheit=fahrenheit, words="warm" if ev.celsius > 20 else "cold")


server = WorkflowServer()
server.add_workflow("convert", ConversionWorkflow())


async def main() -> None:
    # The result of a run that ends with a subclass of StopEvent is the event itself.
    converted = await ConversionWorkflow().run(celsius=21.5)
    print(f"{converted.fahrenheit} degrees Fahrenheit, {converted.words}")
    converted = await ConversionWorkflow().run(start_event=Reading(celsius=-40))
    print(f"{converted.fahrenheit} degrees Fahrenheit, {converted.words}")


if __name__ == "__main__":
    anyio.run(main)
