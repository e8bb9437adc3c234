from workflow_server.runtime.state_store import *
