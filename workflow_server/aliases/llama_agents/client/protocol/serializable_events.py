"""`llama_agents.client.protocol.serializable_events` is `workflow_server.wire.envelopes`."""

import sys
from importlib import import_module

sys.modules[__name__] = import_module("workflow_server.wire.envelopes")
