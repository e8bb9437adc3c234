"""Has pytest explain what fails in the contract that stores share."""

import pytest

pytest.register_assert_rewrite(
    "workflow_server.testing.batches",
    "workflow_server.testing.durable_store_contract",
    "workflow_server.testing.key_contract",
    "workflow_server.testing.listing_contract",
    "workflow_server.testing.store_contract",
)
