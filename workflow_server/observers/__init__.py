"""Observers that speak to tools of others; each needs a library that is loaded only when it is wanted."""
