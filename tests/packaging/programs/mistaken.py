"""Mistakes that a type checker sees only if it knows the real types; each line marked so must be reported."""

from llama_agents.server import MemoryWorkflowStore, WorkflowServer
from llama_agents.server.server import WorkflowServer as Leaf
from llama_agents.workflows.events import StopEvent as SameStopEvent
from pydantic import BaseModel
from workflows import Context, Workflow, step
from workflows.errors import WorkflowTimeoutError
from workflows.events import StartEvent, StopEvent
from workflows.server import WorkflowServer as SameServer


class State(BaseModel):
    count: int = 0


class Mistaken(Workflow):
    @step
    async def only(self, ev: StartEvent, ctx: Context[State]) -> StopEvent:
        state = await ctx.store.get_state()
        print(state.cuont)  # mistake
        print(ctx.stroe)  # mistake
        return StopEvent(result=state.count)


server: WorkflowServer = SameServer()
leaf: WorkflowServer = Leaf()
server.add_workflow(1, Mistaken())  # mistake
server.add_workflow("mistaken", StartEvent())  # mistake
WorkflowServer(workflow_stroe=MemoryWorkflowStore())  # mistake
same: StopEvent = SameStopEvent()
other: int = WorkflowTimeoutError()  # mistake
Mistaken(timeout="soon")  # mistake
