from workflow_server.definition.step import *
