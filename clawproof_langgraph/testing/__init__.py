"""For tests: a fresh coordinator as a pytest fixture, and the conformance suite for backends."""
