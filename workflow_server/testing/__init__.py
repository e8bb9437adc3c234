"""Help for tests of workflows, and the tests that every store must pass.

runner          one run, with all it published
virtual_time    clocks that jump
crash_points    a crash after every commit
store_contract, listing_contract, durable_store_contract   what a store must do
"""

from workflow_server.testing.runner import WorkflowTestRunner

__all__ = ["WorkflowTestRunner"]
