from workflow_server.definition.collect import *
