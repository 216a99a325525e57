"""The ways to a coordinated call, each with and without coordination, sync and async."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

from langchain_core.tools import BaseTool
from langgraph.prebuilt import ToolNode

from benchmarks.measure import Burst, Case, timed, timed_on
from benchmarks.requests import Shop
from benchmarks.shopping import Orders, make_graph, make_guard, make_tool
from clawproof_langgraph import Coordinator

LOCK: Final = "coordinator.lock"
TOOL: Final = "tool"
NODE: Final = "ToolNode"

SYNC: Final = "sync"
ASYNC: Final = "async"
MIXED: Final = "sync tool, async graph"

Loop = asyncio.AbstractEventLoop


class Way:
    """One way of calling, on one store.

    Args:
        kind: LOCK, TOOL or NODE.
        mode: SYNC, ASYNC or MIXED.
        coordinator: what coordinates it; None for the bare one.
        loop: where async calls run.
    """

    def __init__(self, kind: str, mode: str, coordinator: Coordinator | None, loop: Loop) -> None:
        self._kind, self._mode, self._loop = kind, mode, loop
        self._burst = self._lock(coordinator) if kind == LOCK else self._invoking(self._target(coordinator))

    def case(self, shop: Shop, locks: int) -> Case:
        """Make the case that times it with so many locks."""
        orders = Orders(shop, locks)
        inputs: dict[str, Callable[[int], Any]] = {LOCK: orders.names, TOOL: orders.tool_calls, NODE: orders.states}
        return Case(inputs[self._kind], self._burst)

    def _lock(self, coordinator: Coordinator | None) -> Burst:
        assert coordinator is not None, "a lock has no bare form"

        def hold(names: list[str]) -> None:
            with coordinator.lock(*names, agent="orders"):
                pass

        async def ahold(names: list[str]) -> None:
            async with coordinator.lock(*names, agent="orders"):
                pass

        return timed(hold) if self._mode == SYNC else timed_on(self._loop, ahold)

    def _target(self, coordinator: Coordinator | None) -> Any:
        tool: BaseTool = make_tool(native_async=self._mode != MIXED)
        if self._kind == TOOL:
            return tool if coordinator is None else make_guard(coordinator).wrap_tool(tool)
        return make_graph(ToolNode([tool]) if coordinator is None else make_guard(coordinator).tool_node([tool]))

    def _invoking(self, target: Any) -> Burst:
        def invoke(given: tuple[Any, Any]) -> Any:
            return target.invoke(*given)

        async def ainvoke(given: tuple[Any, Any]) -> Any:
            return await target.ainvoke(*given)

        return timed(invoke) if self._mode == SYNC else timed_on(self._loop, ainvoke)
