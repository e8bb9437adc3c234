"""Workflows as data: what steps declare, what a workflow is made of, whether it holds together."""
