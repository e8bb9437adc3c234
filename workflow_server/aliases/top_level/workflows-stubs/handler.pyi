from workflow_server.runtime.handler import *
