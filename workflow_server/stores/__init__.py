"""Where runs are kept: the contract in `base`, and one module or package a store."""
