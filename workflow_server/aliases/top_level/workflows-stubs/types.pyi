from workflow_server.types import *
