from workflow_server.runtime.workflow import *
