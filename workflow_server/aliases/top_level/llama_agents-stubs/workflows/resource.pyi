from workflow_server.runtime.resource import *
