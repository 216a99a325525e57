"""All that act two adds to the agents of act one: a table of policies, and a wrapper around the tool node."""

from __future__ import annotations

from clawproof_langgraph import Coordinator, Guard, ToolPolicy

POLICIES = {
    "deliver": ToolPolicy(locks=["inventory/{sku}"]),
    "sell": ToolPolicy(locks=["inventory/{items[*].sku}"]),
    # A short ttl, so that nobody watching the demo waits long for the lease of the process that was killed.
    "charge": ToolPolicy(locks=["order/{order_id}"], key="payment/{order_id}", ttl="2s"),
}


def guard_for(agent: str, coordinator: Coordinator) -> Guard:
    """Guard an agent."""
    return Guard(coordinator, agent=agent, tools=POLICIES)
