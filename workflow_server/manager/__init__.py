"""Handlers: commands in, outcomes out. Knows workflows, runs and the store; knows nothing of HTTP."""
