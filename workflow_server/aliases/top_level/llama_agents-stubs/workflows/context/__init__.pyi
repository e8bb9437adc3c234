from workflow_server.runtime.context import Context as Context
from workflow_server.serializers import BaseSerializer as BaseSerializer
from workflow_server.serializers import JsonSerializer as JsonSerializer
from workflow_server.serializers import PickleSerializer as PickleSerializer

__all__ = ["BaseSerializer", "Context", "JsonSerializer", "PickleSerializer"]
