"""Help for tests of workflows and of this project."""
