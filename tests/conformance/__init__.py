"""The published conformance suite and the state machine, run over every backend of the package."""
