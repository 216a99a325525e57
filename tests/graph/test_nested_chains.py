"""A call inside a call, however it comes there: what the outer one holds it may take, but not make more of it."""

import asyncio
import contextvars
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from langchain_core.tools import BaseTool, tool
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.types import Send

from clawproof_langgraph import Coordinator, Guard, Lock, LockOrderError, ToolPolicy
from tests.langgraph.scripted import asks, call, says, tools_only

from .stage import policies, types_of


@pytest.fixture
def coordinator() -> Iterator[Coordinator]:
    with Coordinator.from_url("memory://") as made:
        yield made


class Chain:
    """A tool that has another one called inside it."""

    def __init__(self, coordinator: Coordinator, outer: Lock, reach: Callable[["Chain"], Awaitable[None]]) -> None:
        self.ran: list[str] = []
        self.reach = reach
        self.guard = Guard(
            coordinator,
            agent="orders",
            tools=policies(order=ToolPolicy(locks=[outer]), reserve=ToolPolicy(locks=["inventory/{sku}"])),
        )

    @property
    def inner(self) -> BaseTool:
        @tool
        def reserve(sku: str) -> str:
            """Reserve."""
            self.ran.append(sku)
            return "reserved"

        return reserve

    async def run(self) -> None:
        @tool
        async def order(sku: str) -> str:
            """Order, by reserving."""
            await self.reach(self)
            return "ordered"

        await self.guard.wrap_tool(order).ainvoke({"sku": "a"})


async def directly(chain: Chain) -> None:
    chain.guard.wrap_tool(chain.inner).invoke({"sku": "a"})


async def in_a_thread(chain: Chain) -> None:
    with ThreadPoolExecutor() as threads:
        context = contextvars.copy_context()
        threads.submit(context.run, chain.guard.wrap_tool(chain.inner).invoke, {"sku": "a"}).result()


async def in_a_worker_of_the_loop(chain: Chain) -> None:
    await asyncio.to_thread(chain.guard.wrap_tool(chain.inner).invoke, {"sku": "a"})


async def in_a_task(chain: Chain) -> None:
    await asyncio.create_task(chain.guard.wrap_tool(chain.inner).ainvoke({"sku": "a"}))


async def in_a_sub_graph(chain: Chain) -> None:
    tools_only(chain.guard.tool_node([chain.inner])).invoke(asks(call("reserve", sku="a")))


async def in_a_sub_graph_on_the_loop(chain: Chain) -> None:
    await tools_only(chain.guard.tool_node([chain.inner])).ainvoke(asks(call("reserve", sku="a")))


async def in_branches_of_a_send(chain: Chain) -> None:
    def branches(state: MessagesState) -> list[Send]:
        asked = [says(call("reserve", f"c{number}", sku="a"), message_id=f"m{number}") for number in range(2)]
        return [Send("tools", {"messages": [each]}) for each in asked]

    builder = StateGraph(MessagesState)
    builder.add_node("tools", chain.guard.tool_node([chain.inner]))
    builder.add_conditional_edges(START, branches, ["tools"])
    await builder.compile().ainvoke({"messages": []})


WAYS = pytest.mark.parametrize(
    "reach",
    [
        directly,
        in_a_thread,
        in_a_worker_of_the_loop,
        in_a_task,
        in_a_sub_graph,
        in_a_sub_graph_on_the_loop,
        in_branches_of_a_send,
    ],
)


@WAYS
async def test_what_the_outer_call_holds_is_entered(coordinator: Coordinator, reach: Any) -> None:
    chain = Chain(coordinator, Lock("inventory/{sku}"), reach)

    await asyncio.wait_for(chain.run(), 10)

    assert set(chain.ran) == {"a"}
    assert "deadlock.prevented" not in types_of(coordinator)


@WAYS
async def test_a_shared_lock_is_not_made_exclusive(coordinator: Coordinator, reach: Any) -> None:
    chain = Chain(coordinator, Lock("inventory/{sku}", "shared"), reach)

    with pytest.raises(LockOrderError, match=r'Take it exclusively from the start: Lock\("inventory/a"\)'):
        await asyncio.wait_for(chain.run(), 10)

    assert chain.ran == []
    event = coordinator.events(types=["deadlock.prevented"])[0]
    assert (event.agent, event.resources) == ("orders", ("inventory/a",))
    assert event.data == {"wanted": "inventory/a", "held": "inventory/a", "tool": "reserve"}
    assert not coordinator.snapshot().leases and not coordinator.snapshot().waiters


@WAYS
async def test_what_sorts_before_is_not_taken(coordinator: Coordinator, reach: Any) -> None:
    chain = Chain(coordinator, Lock("order/{sku}"), reach)

    with pytest.raises(LockOrderError, match=r'"inventory/a" while holding "order/a".*list them in the policy'):
        await asyncio.wait_for(chain.run(), 10)

    assert chain.ran == []
    assert coordinator.events(types=["deadlock.prevented"])[0].data["held"] == "order/a"
