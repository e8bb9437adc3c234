"""Fan-out by list: chapters fan out into paragraphs, and what is counted comes back in, level by level.

In process:  python examples/fan_out.py
Served:      workflow-server examples/fan_out.py
             curl -X POST localhost:8080/workflows/report/run -d '{"start_event": {"chapters": ["One. Two", "Three"]}}'
"""

from typing import Annotated

import anyio
from llama_agents.server import WorkflowServer
from workflows import Workflow, step
from workflows.collect import Collect, Take
from workflows.events import Event, StartEvent, StopEvent


class Book(StartEvent):
    chapters: list[str]


class Chapter(Event):
    number: int
    text: str


class Paragraph(Event):
    chapter: int
    text: str


class Counted(Event):
    chapter: int
    words: int


class ChapterCounted(Event):
    number: int
    words: int


class Headline(Event):
    text: str


class Totals(Event):
    words: dict[int, int]


class ReportWorkflow(Workflow):
    @step
    async def open(self, ev: Book) -> list[Chapter]:
        # Each element is a member of a stream: what comes of all of them is collected by `total`.
        return [Chapter(number=number, text=text) for number, text in enumerate(ev.chapters, 1)]

    @step
    async def split(self, ev: Chapter) -> list[Paragraph]:
        # A stream in the stream, one for each chapter; it comes out again with `chapter`.
        return [Paragraph(chapter=ev.number, text=text) for text in ev.text.split(".")]

    @step(num_workers=3)
    async def count(self, ev: Paragraph) -> Counted:
        await anyio.sleep(0.01)
        return Counted(chapter=ev.chapter, words=len(ev.text.split()))

    @step
    async def chapter(self, counted: list[Counted]) -> ChapterCounted:
        return ChapterCounted(number=counted[0].chapter, words=sum(one.words for one in counted))

    @step
    async def headline(self, first: Annotated[list[Chapter], Collect(Take(1))]) -> Headline:
        # As soon as the first chapter is there; it takes nothing away from the others.
        return Headline(text=first[0].text.partition(".")[0])

    @step
    async def total(self, chapters: list[ChapterCounted]) -> Totals:
        return Totals(words={one.number: one.words for one in sorted(chapters, key=lambda one: one.number)})

    @step
    async def report(self, totals: Totals, headline: Headline) -> StopEvent:
        # Two parameters, two events: a step that joins what was done apart.
        return StopEvent(result={"headline": headline.text, "words": totals.words})


server = WorkflowServer()
server.add_workflow("report", ReportWorkflow())


async def main() -> None:
    print(await ReportWorkflow().run(chapters=["It was late. The door stood open", "Nobody came. Nobody ever does"]))


if __name__ == "__main__":
    anyio.run(main)
