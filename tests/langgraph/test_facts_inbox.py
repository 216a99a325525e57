"""What an event inbox rests on: how a node finds the fields of the state, and that unknown ones are dropped."""

from __future__ import annotations

import operator
from typing import Annotated, Any, TypedDict

from langchain_core.runnables import RunnableConfig
from langgraph.channels import BinaryOperatorAggregate, LastValue
from langgraph.graph import START, StateGraph


class State(TypedDict, total=False):
    """Has a plain field, and one with a reducer."""

    plain: int
    added: Annotated[list[int], operator.add]


class Part(TypedDict, total=False):
    """Lacks a field."""

    added: list[int]


def seen(look: Any, **options: Any) -> Any:
    """Run a graph with one node; give what the node sees and what becomes of the state."""
    found: list[Any] = []

    def node(state: Any, config: RunnableConfig) -> dict[str, Any]:
        found.append(look(state, config["configurable"]["__pregel_read"]))
        return {"added": [2], "misspelt": 1}

    builder = StateGraph(State)
    builder.add_node("look", node, **options)
    builder.add_edge(START, "look")
    state = builder.compile().invoke({"plain": 1, "added": [1]})
    return found[0], state


def test_a_node_finds_the_channels_of_its_graph() -> None:
    channels, _ = seen(lambda state, read: read.args[1])
    assert type(channels["plain"]) is LastValue
    assert type(channels["added"]) is BinaryOperatorAggregate
    assert "misspelt" not in channels


def test_a_node_reads_fields_that_its_own_schema_lacks() -> None:
    (state, value), _ = seen(lambda state, read: (state, read(["plain"], False)), input_schema=Part)
    assert state == {"added": [1]}
    assert value == {"plain": 1}


def test_what_the_state_has_no_field_for_is_dropped_in_silence() -> None:
    _, state = seen(lambda state, read: None)
    assert state == {"plain": 1, "added": [1, 2]}
