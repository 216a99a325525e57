"""The command `clawproof`: what an operator sees and does."""

from clawproof_langgraph.cli.command import main

__all__ = ["main"]
