"""What the tests of scopes share: a graph of two nodes that tells what is held while each runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

from langgraph.graph import START, StateGraph

from clawproof_langgraph import Coordinator, ToolPolicy
from tests.runtime.stores import holdings

from .state import Order

ORDER: Order = {"order_id": "7"}
POLICY = ToolPolicy(locks=["order/{order_id}"])


def two_steps(first: Any, second: Any, schema: Any = Order, **compiled: Any) -> Any:
    """Compile a graph of two nodes."""
    builder = StateGraph(Order, output_schema=schema).add_node("take", first).add_node("ship", second)
    return builder.add_edge(START, "take").add_edge("take", "ship").compile(**compiled)


class Seen:
    """Notes what is held while each node runs."""

    def __init__(self, coordinator: Coordinator) -> None:
        self.coordinator, self.held = coordinator, []

    held: list[list[str]]

    def node(self, state: Order) -> Order:
        self.held.append(holdings(self.coordinator))
        return {"shipped": ["it"]}

    def graph(self, second: Any = None, **compiled: Any) -> Any:
        return two_steps(self.node, second or self.node, **compiled)


def drawn(graph: Any, value: Any, mode: str, config: Any = None, **options: Any) -> Iterator[Any]:
    """Draw the chunks of a stream one by one, on a loop of its own where it is async."""
    if mode == "sync":
        yield from graph.stream(value, config, **options)
        return
    with asyncio.Runner() as runner:
        chunks: AsyncIterator[Any] = graph.astream(value, config, **options)

        async def following() -> Any:
            return await anext(chunks, None)

        try:
            while (chunk := runner.run(following())) is not None:
                yield chunk
        finally:
            runner.run(chunks.aclose())  # type: ignore[attr-defined]
