"""The API as values: requests become commands, outcomes become responses, one table of routes."""
