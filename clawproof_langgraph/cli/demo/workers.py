"""What the operating system processes of the demo do; importing this stays cheap, so that the parent can name it."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clawproof_langgraph.cli.demo.shop import Shop
from clawproof_langgraph.cli.demo.store import Store
from clawproof_langgraph.cli.demo.workload import Seller, Shift, Supplier

if TYPE_CHECKING:
    from langchain_core.runnables import RunnableConfig
    from langgraph.prebuilt import ToolNode

    from clawproof_langgraph.cli.demo.agents import Agent

PRELOAD = [
    "clawproof_langgraph.cli.demo.agents",
    "clawproof_langgraph.cli.demo.guarding",
    "langgraph.checkpoint.sqlite",
]
"""What a fork server imports once, so that no worker pays for importing LangGraph again."""

MakeToolNode = Callable[[str], "ToolNode"]
"""Gives the tool node of the named agent."""


@dataclass(frozen=True, slots=True)
class Workplace:
    """What a process needs to know.

    Args:
        shop: the shop and its tools.
        store: where the guard keeps its locks; None for an act without a guard.
        checkpoints: the file of the checkpointer that outlives a crash.
    """

    shop: Shop
    store: Store | None
    checkpoints: Path


def stand_by() -> None:
    """Do nothing: a process that runs this shows that others can start."""


def run_shift(place: Workplace, shift: Shift, start: Barrier) -> None:
    """Run the agents of a process side by side, once all processes are ready."""
    _settle_in()
    with _tool_nodes(place) as tool_node, ThreadPoolExecutor(len(shift.suppliers) + len(shift.sellers)) as pool:
        jobs: list[Callable[[], None]] = [_supplier_job(supplier, tool_node) for supplier in shift.suppliers]
        jobs += [_seller_job(seller, tool_node) for seller in shift.sellers]
        start.wait(timeout=60)
        for future in [pool.submit(job) for job in jobs]:
            future.result()


def open_order(place: Workplace, seller: Seller) -> None:
    """Sell the seller's one order, with a checkpoint on disk after each step."""
    with _durable_agent(place, seller) as agent:
        _ask(agent, seller.orders[0].id, "A customer wants this order.")


def resume_order(place: Workplace, seller: Seller, answer: Connection) -> None:
    """Resume the thread of a process that died, and send the agent's last words."""
    with _durable_agent(place, seller) as agent:
        state = agent.invoke(None, _thread(seller.orders[0].id), durability="sync")
        answer.send(state["messages"][-1].text)


def finish_order(place: Workplace, seller: Seller, answer: Connection) -> None:
    """Ask the agent, as a person would, to finish an order that was left open, and send its last words."""
    with _durable_agent(place, seller) as agent:
        answer.send(_ask(agent, seller.orders[0].id, "The payment has been looked into: finish the order."))


def _supplier_job(supplier: Supplier, tool_node: MakeToolNode) -> Callable[[], None]:
    from langgraph.checkpoint.memory import InMemorySaver

    from clawproof_langgraph.cli.demo.agents import build_agent, supplier_script

    script = supplier_script(supplier.deliveries)
    agent = build_agent(supplier.name, script, tool_node(supplier.name), InMemorySaver())

    def job() -> None:
        _ask(agent, supplier.name, "Deliver what is due today.")

    return job


def _seller_job(seller: Seller, tool_node: MakeToolNode) -> Callable[[], None]:
    from langgraph.checkpoint.memory import InMemorySaver

    from clawproof_langgraph.cli.demo.agents import build_agent, seller_script

    node, saver = tool_node(seller.name), InMemorySaver()
    agents = {order.id: build_agent(seller.name, seller_script(order), node, saver) for order in seller.orders}

    def job() -> None:
        for order_id, agent in agents.items():
            _ask(agent, order_id, "A customer wants this order.")

    return job


@contextmanager
def _tool_nodes(place: Workplace) -> Iterator[MakeToolNode]:
    """Give the maker of tool nodes: the only place where the two acts differ."""
    from langgraph.prebuilt import ToolNode

    from clawproof_langgraph.cli.demo.agents import tools_of

    tools = tools_of(place.shop)
    if place.store is None:
        yield lambda _agent: ToolNode(tools)
        return
    from clawproof_langgraph.cli.demo.guarding import guard_for

    with place.store.open() as coordinator:
        yield lambda agent: guard_for(agent, coordinator).tool_node(tools)


@contextmanager
def _durable_agent(place: Workplace, seller: Seller) -> Iterator[Agent]:
    from langgraph.checkpoint.sqlite import SqliteSaver

    from clawproof_langgraph.cli.demo.agents import build_agent, seller_script

    _settle_in()
    with ExitStack() as stack:
        tool_node = stack.enter_context(_tool_nodes(place))
        saver = stack.enter_context(SqliteSaver.from_conn_string(str(place.checkpoints)))
        yield build_agent(seller.name, seller_script(seller.orders[0]), tool_node(seller.name), saver)


def _ask(agent: Agent, thread: str, request: str) -> str:
    state: dict[str, Any] = agent.invoke({"messages": [("user", request)]}, _thread(thread), durability="sync")
    return str(state["messages"][-1].text)


def _thread(name: str) -> RunnableConfig:
    return {"configurable": {"thread_id": name}}


def _settle_in() -> None:
    """Keep LangSmith from sending the demo's runs, and end with the parent, however that ends."""
    os.environ.update(LANGSMITH_TRACING="false", LANGCHAIN_TRACING_V2="false")
    threading.Thread(target=_end_with_parent, name="end-with-parent", daemon=True).start()


def _end_with_parent() -> None:
    if parent := multiprocessing.parent_process():
        parent.join()
        os._exit(1)
