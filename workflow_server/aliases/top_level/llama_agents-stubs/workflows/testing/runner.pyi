from workflow_server.testing.runner import *
