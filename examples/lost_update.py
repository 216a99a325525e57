"""The lost update: two agents read that there are five units; one sells three and writes two, the other one and four.

Their models think between reading and writing, and no lock is held then. Without the guard, the second writes what
follows from a read that is out of date. With `requires_read` it is refused: the agent reads two, and writes one.

    python -m examples.lost_update
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.runnables import RunnableConfig
from langchain_core.tools import BaseTool, tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, tools_condition

from clawproof_langgraph import Coordinator, Guard, ToolPolicy


@dataclass
class Shop:
    """A stock that is read and set, and what was sold of it."""

    stock: int = 5
    sold: dict[str, int] = field(default_factory=dict)

    def tools(self, agent: str) -> list[BaseTool]:
        """Make an agent's tools."""

        @tool
        def get_stock(sku: str) -> int:
            """Tell how many units there are."""
            return self.stock

        @tool
        def sell(sku: str, quantity: int, left: int) -> str:
            """Sell units, and set how many are left."""
            self.stock = left
            self.sold[agent] = self.sold.get(agent, 0) + quantity
            return f"sold {quantity}, {left} left"

        return [get_stock, sell]


POLICIES = {
    "get_stock": ToolPolicy(effect="read", locks=["inventory/{sku}"]),
    "sell": ToolPolicy(locks=["inventory/{sku}"], requires_read=True, expected="1s"),
}


def seller(name: str, wanted: int, tools: ToolNode) -> Any:
    """Make an agent that reads the stock, and sells of it what it is to sell."""

    def model(state: MessagesState) -> dict[str, Any]:
        return {"messages": [_decide(state["messages"], wanted)]}

    builder = StateGraph(MessagesState)
    builder.add_node("model", model)
    builder.add_node("tools", tools)
    builder.add_edge(START, "model")
    builder.add_conditional_edges("model", tools_condition)
    builder.add_edge("tools", "model")
    return builder.compile(name=name, checkpointer=InMemorySaver())


def _decide(messages: list[Any], wanted: int) -> AIMessage:
    """Do what a model would: read, then sell; where a tool refuses, read again."""
    last = messages[-1]
    number = str(len(messages))
    if isinstance(last, HumanMessage) or (isinstance(last, ToolMessage) and last.status == "error"):
        call = {"name": "get_stock", "args": {"sku": "42"}, "id": number, "type": "tool_call"}
        return AIMessage("", tool_calls=[call])
    if isinstance(last, ToolMessage) and last.name == "get_stock":
        stock = int(last.text)
        quantity = min(wanted, stock)
        args = {"sku": "42", "quantity": quantity, "left": stock - quantity}
        return AIMessage("", tool_calls=[{"name": "sell", "args": args, "id": number, "type": "tool_call"}])
    return AIMessage("Done.")


def race(coordinator: Coordinator | None) -> tuple[Shop, list[str]]:
    """Let one agent read, the other read and sell, and then the first go on to sell.

    Args:
        coordinator: of the guard; None for no guard.

    Returns:
        The shop afterwards, and what the first agent was told by its tools.
    """
    shop = Shop()
    slow, fast = (
        seller("slow", 1, _tools(shop, "slow", coordinator)),
        seller("fast", 3, _tools(shop, "fast", coordinator)),
    )
    told: list[str] = []
    for step in slow.stream(_asked("Sell one."), _thread("slow"), stream_mode="updates"):
        told += [message.text for message in step.get("tools", {}).get("messages", [])]
        if "tools" in step and told == ["5"]:  # it has read five, and its model begins to think
            fast.invoke(_asked("Sell three."), _thread("fast"))
    return shop, told


def _asked(text: str) -> dict[str, Any]:
    return {"messages": [("user", text)]}


def _thread(name: str) -> RunnableConfig:
    return {"configurable": {"thread_id": name}}


def _tools(shop: Shop, agent: str, coordinator: Coordinator | None) -> ToolNode:
    if coordinator is None:
        return ToolNode(shop.tools(agent))  # clawproof: ignore[CP001, CP002, CP010] so it goes without the guard
    return Guard(coordinator, agent=agent, tools=POLICIES).tool_node(shop.tools(agent))


def main() -> None:
    """Show both."""
    for title, coordinator in (("Without the guard", None), ("With the guard", Coordinator.from_url("memory://"))):
        shop, told = race(coordinator)
        print(f"{title}, the slow agent is told:", *told, sep="\n  ")
        print(f"Of 5 units, {sum(shop.sold.values())} were sold, and {shop.stock} are left.\n")


if __name__ == "__main__":
    main()
