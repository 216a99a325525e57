"""A graph with a scope is in all else the graph that it was."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.func import entrypoint
from langgraph.graph import START, StateGraph
from langgraph.types import Command, StreamWriter, interrupt

from clawproof_langgraph import Coordinator, Guard
from tests.langgraph.scripted import play, thread

from .scoped import ORDER, POLICY, Seen, drawn, two_steps
from .state import Order

pytestmark = pytest.mark.filterwarnings("ignore::clawproof_langgraph.errors.ClawproofWarning")


def inner_graph() -> Any:
    """Compile a graph that packs and asks."""

    def pack(state: Order, writer: StreamWriter) -> Order:
        writer("packing")
        return {"note": "packed"}

    return two_steps(pack, lambda state: {"shipped": [interrupt("sure?")]})


@pytest.mark.parametrize("url", ["memory://"])
def test_drawings_chunks_states_and_histories_are_those_of_the_graph(coordinator: Coordinator, mode: str) -> None:
    guard = Guard(coordinator)

    def told(wrap: Callable[[Any], Any]) -> Any:
        builder = StateGraph(Order).add_node("inner", wrap(inner_graph())).add_edge(START, "inner")
        app = wrap(builder.compile(checkpointer=InMemorySaver()))
        chunks = [
            (tuple(name.split(":")[0] for name in namespace), kind, str(chunk)[:60] if kind != "updates" else None)
            for value in (ORDER, Command(resume="yes"))
            for namespace, kind, chunk in drawn(
                app, value, mode, thread(), stream_mode=["values", "updates", "custom"], subgraphs=True
            )
        ]
        state = app.get_state(thread(), subgraphs=True)
        return [
            app.get_graph(xray=True).draw_mermaid(),
            chunks,
            state.values,
            len(list(app.get_state_history(thread()))),
            [name for name, _ in app.get_subgraphs(recurse=True)],
            app.get_input_jsonschema(),
            app.name,
            type(app).__name__,
        ]

    assert told(lambda graph: guard.scope(graph, POLICY)) == told(lambda graph: graph)


async def test_the_events_of_a_run_are_those_of_the_graph(coordinator: Coordinator, guard: Guard) -> None:
    async def heard(app: Any) -> list[Any]:
        return [(each["event"], each["name"]) async for each in app.astream_events(ORDER, version="v2")]

    graph = two_steps(lambda state: {}, lambda state: {})

    assert await heard(guard.scope(graph, POLICY)) == await heard(graph)


def test_a_graph_with_a_config_bound_to_it_keeps_its_scope(
    coordinator: Coordinator, guard: Guard, seen: Seen, mode: str
) -> None:
    app = guard.scope(seen.graph(checkpointer=InMemorySaver()), POLICY).with_config(thread())

    play(app, ORDER, mode=mode)
    play(app, {"note": "again"}, mode=mode)

    assert seen.held == [["order/7"]] * 4


def test_the_graph_itself_holds_nothing(coordinator: Coordinator, guard: Guard, seen: Seen, mode: str) -> None:
    graph = seen.graph()
    guard.scope(graph, POLICY)

    play(graph, ORDER, mode=mode)

    assert seen.held == [[], []]


def test_a_workflow_of_functions_may_have_a_scope(coordinator: Coordinator, guard: Guard, seen: Seen) -> None:
    @entrypoint()
    def ship(order: Order) -> Order:
        return seen.node(order)

    assert guard.scope(ship, POLICY).invoke(ORDER) == {"shipped": ["it"]}
    assert seen.held == [["order/7"]]
