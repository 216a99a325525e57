"""What a scope cannot keep is told before anything runs, with the remedy."""

from __future__ import annotations

from typing import Any

import pytest
from langchain.agents import create_agent
from langchain_core.messages import HumanMessage
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph
from langgraph.types import interrupt

from clawproof_langgraph import Coordinator, Guard, Lock, ToolPolicy
from clawproof_langgraph.errors import (
    ConfigurationError,
)
from tests.graph.stage import types_of
from tests.langgraph.scripted import ScriptedModel, play, thread

from .scoped import ORDER, POLICY, Seen
from .state import Order

pytestmark = pytest.mark.filterwarnings("ignore::clawproof_langgraph.errors.ClawproofWarning")


@pytest.mark.parametrize("declared", [{}, {"interrupt_before": ["ship"]}, {"interrupt_after": "*"}])
def test_a_graph_that_interrupts_needs_a_checkpointer(
    coordinator: Coordinator, guard: Guard, seen: Seen, mode: str, declared: Any
) -> None:
    app = guard.scope(seen.graph(None if declared else (lambda state: {"note": interrupt("?")}), **declared), POLICY)

    with pytest.raises(
        ConfigurationError, match=r'was not run. Its node "(ship|\*)" may interrupt.*checkpointer='
    ) as told:
        play(app, ORDER, mode=mode)

    assert seen.held == [] and types_of(coordinator) == [], told


def test_a_human_in_an_agents_middleware_is_an_interrupt(coordinator: Coordinator, guard: Guard, mode: str) -> None:
    from langchain.agents.middleware import HumanInTheLoopMiddleware

    @tool
    def pay() -> str:
        """Pay."""
        return "paid"

    agent = create_agent(
        ScriptedModel(replies=[]), [pay], middleware=[HumanInTheLoopMiddleware(interrupt_on={"pay": True})]
    )

    with pytest.raises(ConfigurationError, match="may interrupt"):
        play(guard.scope(agent, ToolPolicy(locks=["order"])), {"messages": [HumanMessage("go")]}, mode=mode)


def test_a_node_that_is_a_scope_may_interrupt_if_the_graph_around_it_keeps_checkpoints(
    coordinator: Coordinator, guard: Guard, seen: Seen, mode: str
) -> None:
    inner = guard.scope(seen.graph(lambda state: {"note": interrupt("?")}), POLICY)
    builder = StateGraph(Order).add_node("inner", inner).add_edge(START, "inner")

    with pytest.raises(ConfigurationError, match="may interrupt"):
        play(builder.compile(), ORDER, mode=mode)
    play(builder.compile(checkpointer=InMemorySaver()), ORDER, thread(), mode=mode)

    assert len(seen.held) == 1


def test_a_field_that_neither_input_nor_state_has_is_told_before_anything_runs(
    coordinator: Coordinator, guard: Guard, seen: Seen, mode: str
) -> None:
    for compiled, config in (({}, None), ({"checkpointer": InMemorySaver()}, thread())):
        with pytest.raises(ConfigurationError, match=r'Graph "LangGraph" was not run.*order_id.*input of a run'):
            play(guard.scope(seen.graph(**compiled), POLICY), {"note": "n"}, config, mode=mode)

    assert seen.held == [] and types_of(coordinator) == []


BAD = [
    (ToolPolicy(), "holds nothing"),
    (ToolPolicy(locks=["a"], key="order/{order_id}"), "key says nothing to it"),
    (ToolPolicy(locks=["a"], emits="Shipped", log_fields=["a"]), "emits, log_fields"),
    (ToolPolicy(locks=["a"], effect="idempotent"), 'effect="idempotent"'),
    ({"locks": ["a"]}, "is a dict"),
]


@pytest.mark.parametrize(("policy", "told"), BAD)
def test_a_policy_that_a_scope_cannot_keep_is_refused(guard: Guard, seen: Seen, policy: Any, told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        guard.scope(seen.graph(), policy)


@pytest.mark.parametrize("graph", [StateGraph(Order), lambda state: {}, None])
def test_only_a_compiled_graph_has_a_scope(guard: Guard, graph: Any) -> None:
    with pytest.raises(ConfigurationError, match="call compile"):
        guard.scope(graph, ToolPolicy(locks=[Lock("a")]))
