"""Runs the same graph with a node as it is and guarded, and tells what LangGraph made of it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph
from langgraph.store.memory import InMemoryStore
from langgraph.types import Interrupt

from clawproof_langgraph import Coordinator, Guard, ToolPolicy
from tests.langgraph.scripted import thread

from .state import Order

_GENERATED = re.compile(r"\b[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}\b|\b[0-9a-f]{32}\b")
"""Ids that LangGraph makes anew in each run."""

MODES = ["values", "updates", "custom", "tasks", "debug"]
_ANEW = ("timestamp", "ts", "checkpoint", "parent_checkpoint", "config", "parent_config", "created_at", "metadata")


@dataclass
class Case:
    """A graph with one node that may be guarded.

    Args:
        node: makes the node anew for each run.
        options: of `add_node`.
        compiled: of `compile`; a class is made anew for each run.
        inputs: what the graph is given, one after another.
        more: nodes behind it, by name.
        build: what else is done to the builder, such as an edge.
        policy: of the guard.
        modes: in which it can run at all.
        ordered: whether its chunks come in a certain order.
    """

    node: Callable[[], Any]
    options: dict[str, Any] = field(default_factory=dict)
    compiled: dict[str, Any] = field(default_factory=dict)
    inputs: tuple[Any, ...] = ({"order_id": "7"},)
    more: dict[str, Any] = field(default_factory=dict)
    build: Callable[[Any], object] = lambda builder: None
    policy: ToolPolicy = field(default_factory=lambda: ToolPolicy(locks=["order/{order_id}"], retry=False))
    modes: tuple[str, ...] = ("sync", "async")
    ordered: bool = True

    def graph(self, guard: Guard | None) -> Any:
        """Compile it."""
        node, builder = self.node(), StateGraph(Order)
        builder.add_node("ship", guard.node(node, self.policy, name="ship") if guard else node, **self.options)
        for name, other in self.more.items():
            builder.add_node(name, other)
        builder.add_edge(START, "ship")
        self.build(builder)
        store = InMemoryStore()
        store.put(("shop",), "tax", {"rate": 7})
        compiled = {name: value() if isinstance(value, type) else value for name, value in self.compiled.items()}
        return builder.compile(**{"checkpointer": InMemorySaver(), "store": store, **compiled})


def both(coordinator: Coordinator, case: Case, mode: str) -> tuple[Any, Any]:
    """Run a case without and with the guard, and give what came of each."""
    guard = Guard(coordinator)
    return outcome(case, None, mode), outcome(case, guard, mode)


def outcome(case: Case, guard: Guard | None, mode: str) -> Any:
    """Run a case and tell what came of it: its chunks, its state and its drawing, or the exception."""
    try:
        graph = case.graph(guard)
    except Exception as error:  # noqa: BLE001 - what is raised is what is compared
        return _shown(error)
    ends: list[Any] = [graph.get_graph().draw_mermaid(), graph.builder.nodes["ship"].input_schema]
    for value in case.inputs:
        try:
            chunks = _stream(graph, value) if mode == "sync" else asyncio.run(_astream(graph, value))
        except BaseException as error:  # noqa: BLE001 - as above
            ends.append(_shown(error))
        else:
            ends.append(_shown(chunks) if case.ordered else sorted(map(str, _shown(chunks))))
        ends.append(_shown(graph.get_state(thread()).values))
    return ends


def _stream(graph: Any, value: Any) -> list[Any]:
    return list(graph.stream(value, thread(), stream_mode=MODES, subgraphs=True))


async def _astream(graph: Any, value: Any) -> list[Any]:
    return [chunk async for chunk in graph.astream(value, thread(), stream_mode=MODES, subgraphs=True)]


def _shown(value: Any) -> Any:
    match value:
        case BaseException():
            notes = [_shown(note) for note in getattr(value, "__notes__", ()) if not note.startswith("clawproof")]
            return type(value), _shown(str(value)), notes
        case Interrupt():
            return Interrupt, value.value
        case dict():
            return {name: _shown(each) for name, each in value.items() if name not in _ANEW}
        case list() | tuple():
            return [_shown(each) for each in value]
        case str():
            return re.sub(r"\d+\.\d+ ?s", "some time", _GENERATED.sub("generated", value))
        case _:
            return value
