"""One step, many workers: parts of a job are done side by side, then put together.

In process:  python examples/parallel.py
Served:      workflow-server examples/parallel.py
             curl -X POST localhost:8080/workflows/thumbnails/run -d '{"start_event": {"pages": 6}}'
"""

import anyio
from llama_agents.server import WorkflowServer
from workflows import Context, Workflow, step
from workflows.events import Event, StartEvent, StopEvent


class Document(StartEvent):
    pages: int


class Page(Event):
    number: int


class Thumbnail(Event):
    page: int
    name: str


class ThumbnailWorkflow(Workflow):
    @step
    async def split(self, ev: Document, ctx: Context) -> Page | None:
        await ctx.store.set("pages", ev.pages)
        for number in range(1, ev.pages + 1):
            ctx.send_event(Page(number=number))
        return None

    @step(num_workers=3)
    async def draw(self, ev: Page) -> Thumbnail:
        # Three pages at a time; the others wait in line, first come, first served.
        await anyio.sleep(0.1)
        return Thumbnail(page=ev.number, name=f"page-{ev.number}.png")

    @step
    async def bind(self, ev: Thumbnail, ctx: Context) -> StopEvent | None:
        # `None` until the last one is there.
        thumbnails = ctx.collect_events(ev, [Thumbnail] * await ctx.store.get("pages"))
        if thumbnails is None:
            return None
        return StopEvent(result=sorted(thumbnail.name for thumbnail in thumbnails))


server = WorkflowServer()
server.add_workflow("thumbnails", ThumbnailWorkflow())


async def main() -> None:
    begin = anyio.current_time()
    names = await ThumbnailWorkflow().run(pages=6)
    print(f"{', '.join(names)} in {anyio.current_time() - begin:.1f} s instead of 0.6 s")


if __name__ == "__main__":
    anyio.run(main)
