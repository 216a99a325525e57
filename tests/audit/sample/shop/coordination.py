"""One coordinator and one guard for all agents of the shop."""

from clawproof_langgraph import Guard
from clawproof_langgraph.middleware import CoordinationMiddleware

guard = Guard.from_file("clawproof.toml")
coordination = CoordinationMiddleware(guard)
