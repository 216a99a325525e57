"""What is no node, or a policy that a node cannot keep, is told where it is said, with the remedy."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph
from langgraph.types import RetryPolicy

from clawproof_langgraph import Guard, ToolPolicy
from clawproof_langgraph.errors import ConfigurationError

from .state import Order


def ship(state: Order) -> Order:
    return {"shipped": ["it"]}


class Ships:
    """Ships when it is called."""

    def __call__(self, state: Order) -> Order:
        return ship(state)


@tool
def pay(order_id: str) -> str:
    """Pay."""
    return "paid"


GRAPH = StateGraph(Order).add_node(ship).add_edge(START, "ship").compile(name="shipping")

BAD: list[tuple[Any, Any, str]] = [
    (GRAPH, ToolPolicy(), r'"shipping" is a graph: guard.scope\(graph, policy\) holds locks'),
    (pay, ToolPolicy(), r'"pay" is a tool; make a node with guard.tool_node\(\[pay\]\)'),
    (lambda state: {}, ToolPolicy(), r'has no name of its own: write guard.node\(..., name="ship"\)'),
    (Ships(), ToolPolicy(), "has no name of its own"),
    (Ships, ToolPolicy(), "is no node; give a function of the state"),
    ("ship", ToolPolicy(), "is no node"),
    (None, ToolPolicy(), "is no node"),
    (ship, {"locks": ["a"]}, 'The policy of node "ship" is a dict'),
    (ship, None, 'The policy of node "ship" is a NoneType'),
]


@pytest.mark.parametrize("url", ["memory://"])
@pytest.mark.parametrize(("node", "policy", "told"), BAD)
def test_what_cannot_be_guarded_is_refused(guard: Guard, node: Any, policy: Any, told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        guard.node(node, policy)


@pytest.mark.parametrize("name", ["", 7])
def test_a_name_is_a_text(guard: Guard, name: Any) -> None:
    with pytest.raises(ConfigurationError, match="does not name a node"):
        guard.node(ship, ToolPolicy(), name=name)


def test_a_node_is_guarded_once(guard: Guard) -> None:
    with pytest.raises(ConfigurationError, match='Node "ship" is guarded already'):
        guard.node(guard.node(ship, ToolPolicy()), ToolPolicy())


def test_a_retry_policy_around_a_node_in_doubt_is_found_before_anything_runs(guard: Guard) -> None:
    retry = RetryPolicy(max_attempts=2)
    once = StateGraph(Order).add_node(guard.node(ship, ToolPolicy()), retry_policy=retry).add_edge(START, "ship")
    again = (
        StateGraph(Order)
        .add_node(guard.node(ship, ToolPolicy(effect="idempotent")), retry_policy=retry)
        .add_edge(START, "ship")
    )
    inside = StateGraph(Order).add_node("inner", guard.scope(once.compile(), ToolPolicy(locks=["a"])))
    app = inside.add_edge(START, "inner").compile(checkpointer=InMemorySaver())

    assert [(found.kind, found.where) for found in guard.check(app)] == [("retry-policy", "inner > ship")]
    assert guard.check(again.compile()) == []
    assert Guard(guard.coordinator, tools={}).check(app) == [], "it is another guard's"
