"""Six agents close the books of a shop for the night: `python examples/orchestrator.py`.

Counting, restocking and pricing use the same resources; reports come after what they report. Nobody waits in vain,
nothing that is in conflict runs at once, and a failed task takes only those along that depend on it.
"""

from __future__ import annotations

import sys
import time
from typing import Any

from langchain_core.runnables import Runnable, RunnableLambda
from langgraph.checkpoint.memory import InMemorySaver

from clawproof_langgraph import Coordinator
from clawproof_langgraph.orchestrator import Task, build_orchestrator

SCALE = 0.1
"""Seconds that stand for a minute of an agent's work."""

AGENTS = ["counter", "buyer", "pricer", "cashier", "auditor", "writer"]


def agent(name: str) -> Runnable[Any, Any]:
    """Make an agent that takes its time, as those with a model do; put a graph or `create_agent(...)` here."""

    def work(minutes: float) -> str:
        time.sleep(minutes * SCALE)
        if minutes == 0:
            raise ConnectionError("the bank does not answer")
        return f"{name} is done"

    return RunnableLambda(work)


def task(name: str, who: str, minutes: float, *resources: str, after: tuple[str, ...] = (), **shared: Any) -> Task:
    """Make a task."""
    uses = {**dict.fromkeys(resources, "exclusive"), **dict.fromkeys(shared.get("reads", ()), "shared")}
    return Task(id=name, agent=who, input=minutes, resources=uses, after=after)  # type: ignore[typeddict-item]


TASKS = [
    task("count-east", "counter", 3, "inventory/east"),
    task("count-west", "counter", 1, "inventory/west"),
    task("restock-west", "buyer", 2, "inventory/west", after=("count-west",)),
    task("restock-east", "buyer", 1, "inventory/east"),
    task("price", "pricer", 1, "pricing", reads=("inventory/west",)),
    task("settle", "cashier", 0, "till"),
    task("pay-suppliers", "cashier", 1, "till", after=("settle",)),
    task("audit", "auditor", 1, reads=("inventory/east", "inventory/west", "pricing"), after=("restock-west", "price")),
    task("report", "writer", 1, after=("audit", "restock-east")),
]


def drawn(started: float, ended: float, first: float) -> str:
    """Draw when a task ran, a column for each third of a minute."""
    before, length = (started - first) / SCALE * 3, (ended - started) / SCALE * 3
    return " " * round(before) + "█" * max(round(length), 1)


def main() -> int:
    """Run the tasks, and show when each ran and how it ended."""
    with Coordinator.from_url("memory://") as coordinator:
        agents = {name: agent(name) for name in AGENTS}
        app = build_orchestrator(agents, coordinator, checkpointer=InMemorySaver())
        night = {"configurable": {"thread_id": "tonight"}}
        results = app.invoke({"tasks": TASKS}, night, durability="sync")["results"]

    first = min(result["started"] for result in results.values())
    for name in (task["id"] for task in TASKS):
        result = results[name]
        bar = drawn(result["started"], result["ended"], first) if result["status"] != "skipped" else ""
        print(f"{name:14} {result['agent']:8} {result['status']:8}|{bar:26}| {result['error']}")
    lost = sorted(name for name, result in results.items() if result["status"] != "done")
    return 0 if lost == ["pay-suppliers", "settle"] else 1


if __name__ == "__main__":
    sys.exit(main())
