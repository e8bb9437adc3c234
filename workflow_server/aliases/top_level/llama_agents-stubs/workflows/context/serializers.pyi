from workflow_server.serializers import *
