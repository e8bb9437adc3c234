"""A run that tells how far it is.

In process:  python examples/progress.py
Served:      workflow-server examples/progress.py
             curl -X POST localhost:8080/workflows/count/run-nowait -d '{"start_event": {"texts": ["a b", "c"]}}'
             curl -N 'localhost:8080/events/<handler_id>?after_sequence=-1'
"""

import anyio
from llama_agents.server import WorkflowServer
from workflows import Context, Workflow, step
from workflows.events import Event, StartEvent, StopEvent


class CountWords(StartEvent):
    texts: list[str]


class Counted(Event):
    done: int
    total: int
    words: int


class WordCount(StopEvent):
    words: int


class CountingWorkflow(Workflow):
    @step
    async def count(self, ev: CountWords, ctx: Context) -> WordCount:
        words = 0
        for done, text in enumerate(ev.texts, start=1):
            await anyio.sleep(0.1)  # stands for the real work
            words += len(text.split())
            # Published at once: every reader of the run's stream sees it while the step goes on.
            ctx.write_event_to_stream(Counted(done=done, total=len(ev.texts), words=words))
        return WordCount(words=words)


server = WorkflowServer()
server.add_workflow("count", CountingWorkflow())


async def main() -> None:
    handler = CountingWorkflow().run(texts=["to be", "or not to be", "that is the question"])
    async for event in handler.stream_events():
        if isinstance(event, Counted):
            print(f"{event.done}/{event.total}: {event.words} words so far")
    result = await handler
    print(f"{result.words} words")


if __name__ == "__main__":
    anyio.run(main)
