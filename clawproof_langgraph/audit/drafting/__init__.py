"""A first configuration file for a project that exists: what can be told of its tools, and why each guess."""

from clawproof_langgraph.audit.drafting.file import draft

__all__ = ["draft"]
