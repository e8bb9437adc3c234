"""What this project adds to the shared name `llama_agents`: `server`, and `workflows` under one more name."""
