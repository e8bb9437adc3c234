"""Resources: steps are given a catalogue and its settings, made once for all runs.

In process:  python examples/resources.py
Served:      workflow-server examples/resources.py
             curl -X POST localhost:8080/workflows/look-up/run -d '{"start_event": {"word": "tea"}}'
"""

import json
import tempfile
from pathlib import Path
from typing import Annotated

import anyio
from llama_agents.server import WorkflowServer
from pydantic import BaseModel
from workflows import Workflow, step
from workflows.events import StartEvent, StopEvent
from workflows.resource import Resource, ResourceConfig

# A real program has a file of its own; this one makes it, so that it runs anywhere.
SETTINGS = Path(tempfile.mkdtemp()) / "settings.json"
SETTINGS.write_text(json.dumps({"catalogue": {"language": "fr", "words": {"tea": "le thé", "pen": "le stylo"}}}))


class Question(StartEvent):
    word: str


class Settings(BaseModel):
    language: str
    words: dict[str, str]


class Catalogue:
    """Stands for what takes long to open: a model, a database, an index."""

    opened = 0

    def __init__(self, settings: Settings) -> None:
        Catalogue.opened += 1
        self.settings = settings

    def look_up(self, word: str) -> str:
        """Return the translation of a word."""
        return self.settings.words.get(word, "?")


async def open_catalogue(settings: Annotated[Settings, ResourceConfig(str(SETTINGS), "catalogue")]) -> Catalogue:
    """Open the catalogue of the settings' language."""
    await anyio.sleep(0.01)
    return Catalogue(settings)


class DictionaryWorkflow(Workflow):
    @step
    async def look_up(self, ev: Question, catalogue: Annotated[Catalogue, Resource(open_catalogue)]) -> StopEvent:
        return StopEvent(result=catalogue.look_up(ev.word))


server = WorkflowServer()
server.add_workflow("look-up", DictionaryWorkflow())


async def main() -> None:
    workflow = DictionaryWorkflow()
    for word in ("tea", "pen", "ink"):
        print(word, await workflow.run(word=word))
    print(f"opened {Catalogue.opened} time")


if __name__ == "__main__":
    anyio.run(main)
