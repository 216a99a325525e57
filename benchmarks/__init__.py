"""What coordination costs: `python -m benchmarks.overhead` and `python -m benchmarks.handoff`."""
