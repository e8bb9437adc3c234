from workflow_server.client.client import *
