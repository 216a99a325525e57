"""The restock that came too late: an order agent reads "out of stock" while a delivery is being booked.

Without the guard it reads the stock in the midst of the booking, and turns the customer away. With it, the read shares
the resource with other readers only: it waits until the booking is over, and sells.

    python -m examples.restock
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import Any

from langchain_core.messages import AIMessage
from langchain_core.runnables import RunnableConfig
from langchain_core.tools import BaseTool, tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode

from clawproof_langgraph import Coordinator, Guard, ToolPolicy


@dataclass
class Warehouse:
    """A stock into which a delivery is booked, which takes its time.

    Args:
        seconds: how long.
    """

    seconds: float = 2.0
    stock: int = 0
    booking: threading.Event = field(default_factory=threading.Event)

    def for_supplier(self) -> list[BaseTool]:
        """Make the tools of who brings goods."""

        @tool
        def restock(sku: str, quantity: int) -> str:
            """Book a delivery."""
            self.booking.set()
            time.sleep(self.seconds)  # the pallets are counted
            self.stock += quantity
            return f"{self.stock} in stock"

        return [restock]

    def for_orders(self) -> list[BaseTool]:
        """Make the tools of who sells them."""

        @tool
        def get_stock(sku: str) -> int:
            """Tell how many units there are."""
            return self.stock

        return [get_stock]


POLICIES = {
    "restock": ToolPolicy(locks=["inventory/{sku}"], expected="5s"),
    "get_stock": ToolPolicy(effect="read", locks=["inventory/{sku}"]),
}


def run(tools: ToolNode, name: str, **args: Any) -> str:
    """Run one call of an agent."""
    builder = StateGraph(MessagesState)
    builder.add_node("tools", tools)
    builder.add_edge(START, "tools")
    call = {"name": name, "args": args, "id": name, "type": "tool_call"}
    app = builder.compile(checkpointer=InMemorySaver())
    config: RunnableConfig = {"configurable": {"thread_id": name}}
    return str(app.invoke({"messages": [AIMessage("", tool_calls=[call])]}, config)["messages"][-1].text)


def order(coordinator: Coordinator | None, seconds: float = 2.0) -> str:
    """Let an agent look at the stock while another one books a delivery; give what it tells the customer.

    Args:
        coordinator: of the guards; None for none.
        seconds: how long the booking takes.
    """
    warehouse = Warehouse(seconds)
    supply = _node(warehouse.for_supplier(), "supplier", coordinator)
    supplier = threading.Thread(target=run, args=(supply, "restock"), kwargs={"sku": "42", "quantity": 10})
    supplier.start()
    warehouse.booking.wait()
    began = time.monotonic()
    units = int(run(_node(warehouse.for_orders(), "orders", coordinator), "get_stock", sku="42"))
    waited = time.monotonic() - began
    supplier.join()
    return f"{'sold' if units else 'out of stock'} (after {waited:.1f} s)"


def _node(tools: list[BaseTool], agent: str, coordinator: Coordinator | None) -> ToolNode:
    if coordinator is None:
        return ToolNode(tools)  # clawproof: ignore[CP001, CP002, CP010] so it goes without the guard
    return Guard(coordinator, agent=agent, tools=POLICIES).tool_node(tools)


def main() -> None:
    """Show both."""
    print(f"Without the guard: {order(None)}")
    with Coordinator.from_url("memory://") as coordinator:
        print(f"With the guard:    {order(coordinator)}")
        late = coordinator.events(types=["deadlock.suspected"])  # a booking that took more than twice what is expected
        print(f"Bookings that seem to hang: {len(late)}")


if __name__ == "__main__":
    main()
