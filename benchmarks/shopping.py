"""The tool that is guarded, and the graph that calls it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from langchain_core.messages import AIMessage
from langchain_core.tools import BaseTool, StructuredTool
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode

from benchmarks.requests import Shop
from clawproof_langgraph import Coordinator, Guard, ToolPolicy
from clawproof_langgraph.policy import Effect

_ANSWER = "r" * 200


def _place_order(items: list[str]) -> str:
    """Order some items."""
    return _ANSWER


async def _aplace_order(items: list[str]) -> str:
    """Order some items."""
    return _ANSWER


def make_tool(*, native_async: bool) -> BaseTool:
    """Make a tool that does nothing; only a native one has a coroutine for event loops."""
    coroutine = _aplace_order if native_async else None
    return StructuredTool.from_function(_place_order, coroutine, name="place_order")


def make_guard(coordinator: Coordinator) -> Guard:
    """Make a guard that locks every item of an order."""
    policy = ToolPolicy(locks=["{items[*]}"], effect=Effect.KEYED)
    return Guard(coordinator, agent="orders", tools={"place_order": policy})


def make_graph(node: ToolNode) -> Any:
    """Compile a graph of one node."""
    builder = StateGraph(MessagesState)
    builder.add_node("tools", node)
    builder.add_edge(START, "tools")
    builder.add_edge("tools", END)
    return builder.compile()


def _tool_call(number: int, names: Sequence[str]) -> dict[str, Any]:
    return {"name": "place_order", "args": {"items": list(names)}, "id": f"call-{number}", "type": "tool_call"}


def _config(number: int) -> dict[str, Any]:
    return {"configurable": {"thread_id": f"thread-{number % 100}"}}


class Orders:
    """Makes inputs of the tool and of the graph, each of which is another intended call.

    Args:
        shop: names and numbers them.
        locks: how many resources each one takes.
    """

    def __init__(self, shop: Shop, locks: int) -> None:
        self._shop, self._locks = shop, locks

    def names(self, count: int) -> list[list[str]]:
        """Make what `coordinator.lock` takes."""
        return [self._shop.names(self._locks) for _ in range(count)]

    def tool_calls(self, count: int) -> list[tuple[dict[str, Any], Any]]:
        """Make what a tool takes: a tool call, and a config."""
        return [self._tool_input() for _ in range(count)]

    def states(self, count: int) -> list[tuple[dict[str, Any], Any]]:
        """Make what a graph takes: a state with the message of a model, and a config."""
        return [self._state() for _ in range(count)]

    def _tool_input(self) -> tuple[dict[str, Any], Any]:
        number = self._shop.number()
        return _tool_call(number, self._shop.names(self._locks)), _config(number)

    def _state(self) -> tuple[dict[str, Any], Any]:
        number = self._shop.number()
        calls = [_tool_call(number, self._shop.names(self._locks))]
        return {"messages": [AIMessage("", tool_calls=calls, id=f"ai-{number}")]}, _config(number)
