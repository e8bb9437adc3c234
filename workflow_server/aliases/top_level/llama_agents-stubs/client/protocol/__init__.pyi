from workflow_server.aliases.llama_agents.client.protocol import *
