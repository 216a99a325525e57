"""Graphs with an event inbox."""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Any, TypedDict

from langgraph.graph import START, StateGraph
from pydantic import BaseModel

from clawproof_langgraph import Coordinator, Guard


class Gathering(TypedDict, total=False):
    """Keeps all events."""

    events: Annotated[list[Any], operator.add]
    events_cursor: dict[str, Any]


class Latest(TypedDict, total=False):
    """Keeps the events of the last run."""

    events: list[Any]
    events_cursor: dict[str, Any]


@dataclass
class AsDataclass:
    """Keeps all events, in a dataclass."""

    events: Annotated[list[Any], operator.add] = field(default_factory=list)
    events_cursor: dict[str, Any] | None = None


class AsModel(BaseModel):
    """Keeps all events, in a pydantic model."""

    events: Annotated[list[dict[str, Any]], operator.add] = []
    events_cursor: dict[str, Any] | None = None


STATES = [Gathering, AsDataclass, AsModel]


def with_inbox(inbox: Any, state: Any = Gathering, work: Callable[[Any], Any] | None = None, **compiled: Any) -> Any:
    """Compile a graph that looks for events, and then works."""
    builder = StateGraph(state)
    builder.add_node("inbox", inbox)
    builder.add_node("work", work or (lambda state: {}))
    builder.add_edge(START, "inbox")
    builder.add_edge("inbox", "work")
    return builder.compile(**compiled)


def guard_of(coordinator: Coordinator, **options: Any) -> Guard:
    """Make a guard without tools."""
    return Guard(coordinator, tools={}, **options)


def thread(name: str = "t") -> dict[str, Any]:
    """Name a thread of a graph."""
    return {"configurable": {"thread_id": name}}


def numbers(state: Any) -> list[int]:
    """Give what the events in a state say."""
    return [event["data"]["n"] for event in state["events"]]
