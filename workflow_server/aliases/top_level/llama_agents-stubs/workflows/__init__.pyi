from workflow_server import Context as Context
from workflow_server import Workflow as Workflow
from workflow_server import catch_error as catch_error
from workflow_server import step as step

__all__ = ["Context", "Workflow", "catch_error", "step"]
