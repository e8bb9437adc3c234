from workflow_server.definition.retry_policy import *
