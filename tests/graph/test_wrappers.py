"""The ways to put the guard around tools, and what calls of one graph mean to each other."""

import asyncio
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain_core.tools import BaseTool, tool
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode

from clawproof_langgraph import Coordinator, Guard, LockOrderError, ToolPolicy
from clawproof_langgraph.middleware import CoordinationMiddleware
from tests.langgraph.scripted import ScriptedModel, agent_loop, asks, call, play, results, says, thread, tools_only
from tests.waiting import PATIENCE, wait_until

from .stage import Build, as_tool, guarded, hooked, human, policies, ready_made, turn, types_of, use, wrapped

BUILDS = [hooked, wrapped, ready_made]


def reserve(sku: str) -> str:
    """Reserve."""
    return f"reserved {sku}"


RESERVE = ToolPolicy(locks=["inventory/{sku}"], emits="InventoryUpdated", log_fields=["sku"])


@pytest.mark.parametrize("build", BUILDS)
def test_every_way_to_guard_coordinates_the_call_alike(coordinator: Coordinator, build: Build, face: str) -> None:
    guard = Guard(coordinator, agent="orders", tools={"reserve": RESERVE})
    graph = build(guard, turn(call("reserve", sku="a")), [as_tool(reserve, face)])

    state = play(graph, human(), thread(), mode="sync" if face == "sync" else "async")

    assert results(state)[0].content == "reserved a"
    events = coordinator.events()
    assert [event.type for event in events] == [
        "lock.acquired",
        "call.started",
        "call.done",
        "InventoryUpdated",
        "lock.released",
    ]
    assert {(event.agent, event.thread, event.resources) for event in events} == {
        ("orders", "thread-1", ("inventory/a",))
    }
    assert events[3].data["sku"] == "a"


def test_a_tool_that_is_guarded_twice_on_its_way_is_guarded_once(coordinator: Coordinator, mode: str) -> None:
    guard = Guard(coordinator, tools={"reserve": RESERVE})
    once = guard.wrap_tool(reserve)
    again = guard.wrap_tool(once)

    play(hooked(guard, turn(call("reserve", sku="a")), [again]), human(), thread("a"), mode=mode)
    play(ready_made(guard, turn(call("reserve", sku="a")), [again]), human(), thread("b"), mode=mode)

    assert types_of(coordinator).count("call.started") == 2


def test_a_plain_function_is_made_a_tool(coordinator: Coordinator) -> None:
    copy = Guard(coordinator, tools={"reserve": RESERVE}).wrap_tool(reserve)

    assert copy.name == "reserve"
    assert use(copy, sku="a").content == "reserved a"


@pytest.mark.parametrize("build", BUILDS)
def test_parallel_calls_of_one_message_on_one_lock_are_rivals(
    coordinator: Coordinator, build: Build, mode: str
) -> None:
    inside: list[int] = []
    counted: list[int] = []

    def count(number: int) -> str:
        """Count; the first does not end before all others have come."""
        inside.append(number)
        if not counted:
            wait_until(lambda: len(coordinator.snapshot().waiters) == 3)
        counted.append(number)
        assert inside == [number]
        inside.clear()
        return str(number)

    guard = Guard(coordinator, agent="orders", tools={"count": ToolPolicy(locks=["counter"])})
    calls = [call("count", str(number), number=number) for number in range(4)]
    graph = build(guard, turn(*calls), [as_tool(count, "sync")])

    state = play(graph, human(), thread(), mode=mode)

    assert sorted(counted) == [0, 1, 2, 3]
    assert [message.content for message in results(state)] == ["0", "1", "2", "3"]


@pytest.mark.parametrize("policy", [ToolPolicy(locks=["shelf/{number}"]), ToolPolicy(effect="read", locks=["shelf"])])
def test_calls_on_different_locks_and_readers_of_one_run_together(
    coordinator: Coordinator, mode: str, policy: ToolPolicy
) -> None:
    together = threading.Barrier(2)

    def meet(number: int) -> str:
        """Return once the other call is here too."""
        together.wait(PATIENCE)
        return "met"

    node = Guard(coordinator, tools={"meet": policy}).tool_node([as_tool(meet, "sync")])
    calls = asks(call("meet", "1", number=1), call("meet", "2", number=2))

    state = play(tools_only(node), calls, mode=mode)

    assert [message.content for message in results(state)] == ["met", "met"]


async def test_calls_that_wait_leave_the_only_worker_thread_to_the_holder(coordinator: Coordinator) -> None:
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
    copy = guarded(coordinator, as_tool(reserve, "thread"), ToolPolicy(locks=["inventory/1"]))
    calls = [copy.ainvoke(call("reserve", str(number), sku=str(number))) for number in range(6)]

    answers = await asyncio.wait_for(asyncio.gather(*calls), PATIENCE)

    assert len(answers) == 6


def test_guarding_a_tool_without_arguments_warns_of_nothing(coordinator: Coordinator) -> None:
    @tool
    def look() -> str:
        """Look."""
        return "seen"

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert use(guarded(coordinator, look, ToolPolicy(key="look"))).content == "seen"


class Nested:
    """A tool that calls another, both guarded by the same guard."""

    def __init__(self, coordinator: Coordinator, outer: ToolPolicy, inner: ToolPolicy) -> None:
        self.guard = Guard(coordinator, tools=policies(order=outer, reserve=inner))
        self.inner = self.guard.wrap_tool(as_tool(reserve, "sync"))

    def tool(self, face: str) -> BaseTool:
        def order(sku: str) -> str:
            """Order, by reserving."""
            return f"ordered: {self.inner.invoke({'sku': sku})}"

        return self.guard.wrap_tool(as_tool(order, face))


@pytest.mark.parametrize("held", [["inventory/a"], ["inventory/a", "order/1"], ["a-first"]])
def test_a_nested_tool_may_take_what_its_caller_holds_and_what_sorts_behind(
    coordinator: Coordinator, face: str, held: list[str]
) -> None:
    nested = Nested(coordinator, ToolPolicy(locks=held), ToolPolicy(locks=["inventory/{sku}"]))

    assert use(nested.tool(face), face, sku="a").content == "ordered: reserved a"
    assert types_of(coordinator).count("call.done") == 2


def test_a_nested_lock_against_the_order_is_refused_with_both_names_and_an_event(
    coordinator: Coordinator, face: str
) -> None:
    nested = Nested(coordinator, ToolPolicy(locks=["order/1"]), ToolPolicy(locks=["inventory/{sku}"]))

    with pytest.raises(LockOrderError, match='"inventory/a" while holding "order/1"') as caught:
        use(nested.tool(face), face, sku="a")

    assert (caught.value.wanted, caught.value.held) == ("inventory/a", "order/1")
    assert "deadlock.prevented" in types_of(coordinator)


def test_the_event_of_a_prevented_deadlock_tells_thread_and_agent_of_the_call(
    coordinator: Coordinator, mode: str
) -> None:
    nested = Nested(coordinator, ToolPolicy(locks=["order/1"]), ToolPolicy(locks=["inventory/{sku}"]))
    model = turn(call("order", sku="a"))
    middleware = [CoordinationMiddleware(nested.guard)]
    graph = create_agent(model, [nested.tool("sync")], middleware=middleware, name="orders")

    with pytest.raises(LockOrderError):
        play(graph, human(), thread(), mode=mode)

    (event,) = coordinator.events(types=["deadlock.prevented"])
    assert (event.agent, event.thread, event.data["tool"]) == ("orders", "thread-1", "reserve")


def test_the_event_of_a_prevented_lock_of_a_tools_own_code_tells_them_too(coordinator: Coordinator, mode: str) -> None:
    def ship() -> str:
        """Lock what sorts before."""
        with coordinator.lock("inventory/a"):
            return "shipped"

    guard = Guard(coordinator, tools={"ship": ToolPolicy(locks=["order/1"])})
    tool = as_tool(ship, "sync", name="ship")
    graph = create_agent(turn(call("ship")), [tool], middleware=[CoordinationMiddleware(guard)], name="orders")

    with pytest.raises(LockOrderError):
        play(graph, human(), thread(), mode=mode)

    (event,) = coordinator.events(types=["deadlock.prevented"])
    assert (event.agent, event.thread) == ("orders", "thread-1")
    assert event.data == {"wanted": "inventory/a", "held": "order/1", "tool": "ship"}


def test_a_nested_call_does_not_make_a_shared_lock_exclusive(coordinator: Coordinator) -> None:
    nested = Nested(
        coordinator, ToolPolicy(effect="read", locks=["inventory/{sku}"]), ToolPolicy(locks=["inventory/{sku}"])
    )

    with pytest.raises(LockOrderError, match="shared"):
        use(nested.tool("sync"), sku="a")


async def test_nested_siblings_are_rivals_although_their_caller_holds_the_lock(coordinator: Coordinator) -> None:
    inside: list[int] = []

    @tool
    async def count(number: int) -> str:
        """Count, giving the sibling every chance to come in."""
        inside.append(number)
        assert len(inside) == 1
        await asyncio.sleep(0)
        inside.remove(number)
        return "counted"

    guard = Guard(coordinator, tools=policies(order=ToolPolicy(locks=["counter"]), count=ToolPolicy(locks=["counter"])))
    copy = guard.wrap_tool(count)

    @tool
    async def order() -> str:
        """Count twice at once."""
        return str(await asyncio.gather(*(copy.ainvoke({"number": number}) for number in range(2))))

    answer = await asyncio.wait_for(guard.wrap_tool(order).ainvoke(call("order")), PATIENCE)

    assert answer.content == "['counted', 'counted']"


def named(build: str, guard: Guard) -> Any:
    """Build an agent called `orders` in one of the ways in which LangGraph agents have names."""
    replies = [says(call("reserve", sku="a")), says(text="done")]
    node = guard.tool_node([as_tool(reserve, "sync")])
    match build:
        case "create_agent":
            middleware = [CoordinationMiddleware(guard)]
            return create_agent(
                ScriptedModel(replies=replies), [as_tool(reserve, "sync")], middleware=middleware, name="orders"
            )
        case "message":
            replies[0].name = "orders"
            return agent_loop(ScriptedModel(replies=replies), node)
        case _:
            builder = StateGraph(MessagesState)
            builder.add_node("orders", agent_loop(ScriptedModel(replies=replies), node))
            builder.add_edge(START, "orders")
            builder.add_edge("orders", END)
            return builder.compile()


@pytest.mark.parametrize("build", ["create_agent", "message", "node"])
def test_the_agent_is_found_where_langgraph_names_it(coordinator: Coordinator, mode: str, build: str) -> None:
    play(named(build, Guard(coordinator, tools={"reserve": RESERVE})), human(), mode=mode)

    assert {event.agent for event in coordinator.events()} == {"orders"}


@pytest.mark.parametrize("build", ["create_agent", "message", "node"])
def test_the_agent_that_the_guard_names_goes_before_any_other(coordinator: Coordinator, build: str) -> None:
    named(build, Guard(coordinator, agent="mine", tools={"reserve": RESERVE})).invoke(human())

    assert {event.agent for event in coordinator.events()} == {"mine"}


def test_a_tool_node_over_a_list_of_messages_is_guarded_too(coordinator: Coordinator) -> None:
    node = Guard(coordinator, tools={"reserve": RESERVE}).tool_node([as_tool(reserve, "sync")])
    builder = StateGraph(MessagesState)
    builder.add_node("tools", lambda state: {"messages": node.invoke(state["messages"])})
    builder.add_edge(START, "tools")
    builder.add_edge("tools", END)

    state = builder.compile().invoke(asks(call("reserve", sku="a")))

    assert results(state)[0].content == "reserved a"
    assert types_of(coordinator).count("call.done") == 1


def test_a_tool_that_an_inner_wrapper_puts_in_place_of_another_is_guarded(coordinator: Coordinator, mode: str) -> None:
    guard = Guard(coordinator, tools={"reserve": RESERVE})
    other = as_tool(reserve, "sync")

    def outer(request: Any, handler: Any) -> Any:
        return guard.wrap_tool_call(request, lambda made: handler(made.override(tool=other)))

    async def aouter(request: Any, handler: Any) -> Any:
        return await guard.awrap_tool_call(request, lambda made: handler(made.override(tool=other)))

    node = ToolNode([as_tool(reserve, "sync")], wrap_tool_call=outer, awrap_tool_call=aouter)
    play(tools_only(node), asks(call("reserve", sku="a")), mode=mode)

    assert types_of(coordinator).count("call.done") == 1


def test_two_equal_calls_of_one_message_do_not_wait_for_a_renewal_of_each_other(
    coordinator: Coordinator, mode: str
) -> None:
    """Whether the other may be its dead predecessor is asked at once, and not a third of a TTL later."""
    guard = Guard(coordinator, tools={"reserve": ToolPolicy(ttl=30.0)})
    both = threading.Barrier(2)

    def meet(sku: str) -> str:
        """Reserve."""
        both.wait(PATIENCE)
        return sku

    graph = tools_only(guard.tool_node([as_tool(meet, "sync", name="reserve")]))
    began = time.monotonic()
    play(graph, asks(call("reserve", "1", sku="a"), call("reserve", "2", sku="a")), thread(), mode=mode)

    assert time.monotonic() - began < 5
