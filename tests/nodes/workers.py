"""What other processes do in the tests of nodes and runs: each function is the whole life of one."""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
import time
from pathlib import Path
from typing import Any

from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph

from clawproof_langgraph import Coordinator, Guard, ToolPolicy

from .state import Order

TTL = 4.0
KINDS = ["node", "scope", "thread"]


class Section:
    """A stretch of code in which there must be one at a time, in all processes; it counts, carelessly.

    A lock of the file system tells of two at once; the one of a process that was killed ends with it.
    """

    def __init__(self, folder: Path, dies: bool) -> None:
        self.counter, self._file, self._dies = folder / "counter", folder / "occupied", dies

    def enter(self) -> None:
        """Add one to the counter, or be killed in the midst of it."""
        with self._file.open("a") as mark:
            try:
                fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                with (self._file.parent / "overlaps").open("a") as overlaps:
                    overlaps.write(f"{os.getpid()}\n")
                raise
            before = int(self.counter.read_text())
            time.sleep(0.005)
            if self._dies and before >= 3:
                os.kill(os.getpid(), signal.SIGKILL)
            self.counter.write_text(str(before + 1))


def graph_of(kind: str, guard: Guard, section: Section) -> Any:
    """Compile a graph with two steps, of which one is the section: under a guarded node, a scope, or a turn."""

    def count(state: Order) -> Order:
        section.enter()
        return {"shipped": ["it"]}

    node: Any = count
    if kind == "node":
        policy = ToolPolicy(locks=["order/{order_id}"], effect="idempotent", retry=False, ttl=TTL, wait=60)
        node = guard.node(count, policy)
    builder = StateGraph(Order).add_node("take", lambda state: {}).add_node("count", node)
    graph: Any = builder.add_edge(START, "take").add_edge("take", "count").compile(checkpointer=InMemorySaver())
    if kind == "scope":
        return guard.scope(graph, ToolPolicy(locks=["order/{order_id}"], ttl=TTL, wait=60))
    return guard.serialize_threads(graph, ttl=TTL, wait=60) if kind == "thread" else graph


def run(url: str, kind: str, folder: str, runs: int, dies: bool) -> None:
    """Run a graph so often at the same time, and end when all have ended."""
    with Coordinator.from_url(url, namespace=Path(folder).name) as coordinator:
        app = graph_of(kind, Guard(coordinator), Section(Path(folder), dies))

        async def all_of_them() -> None:
            threads = ["one"] * runs if kind == "thread" else [f"{os.getpid()}-{number}" for number in range(runs)]
            configs = [{"configurable": {"thread_id": name}} for name in threads]
            await asyncio.gather(*(app.ainvoke({"order_id": "7"}, config) for config in configs))

        asyncio.run(all_of_them())
