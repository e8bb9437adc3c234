import asyncio
from llama_agents.server import SqliteWorkflowStore, WorkflowServer
from pydantic import BaseModel, Field
from workflows import Context, Workflow, step
from workflows.events import Event, StartEvent, StopEvent


class ProgressEvent(Event):
    item: str
    index: int
    total: int


class ProcessInput(StartEvent):
    inputs: list[str] = Field(
        default_factory=lambda: ["alpha", "beta", "gamma"]
    )


class ProcessOutput(StopEvent):
    processed: list[str]


class ProcessingState(BaseModel):
    processed: list[str] = Field(default_factory=list)


class DurableProcessingWorkflow(Workflow):
    @step
    async def process_inputs(
        self, ev: ProcessInput, ctx: Context[ProcessingState]
    ) -> ProcessOutput:
        state = await ctx.store.get_state()
        processed = list(state.processed)

        for i, item in enumerate(ev.inputs):
            if item in processed:
                continue

            await asyncio.sleep(1)  # simulate work
            result = f"processed:{item}"
            processed.append(result)

            async with ctx.store.edit_state() as s:
                s.processed = list(processed)

            ctx.write_event_to_stream(
                ProgressEvent(item=result, index=i + 1, total=len(ev.inputs))
            )

        return ProcessOutput(processed=processed)


async def main() -> None:
    store = SqliteWorkflowStore(db_path="durable_handlers.db")
    server = WorkflowServer(workflow_store=store)
    server.add_workflow("processing", DurableProcessingWorkflow(timeout=120))
    await server.serve(host="localhost", port=8000)


if __name__ == "__main__":
    asyncio.run(main())
