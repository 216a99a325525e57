"""A scope holds its locks while its graph runs, and gives them up with it."""

from __future__ import annotations

import asyncio
import threading
from contextlib import closing
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain_core.messages import HumanMessage
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph
from langgraph.types import Command, Send, interrupt

from clawproof_langgraph import Coordinator, Guard, ToolPolicy
from clawproof_langgraph.errors import (
    AgentKilled,
    LeaseLost,
    LockOrderError,
    WaitTimeout,
)
from clawproof_langgraph.middleware import CoordinationMiddleware
from clawproof_langgraph.runtime.context import current_frame
from tests.graph.stage import types_of
from tests.langgraph.scripted import ScriptedModel, call, play, says, thread
from tests.runtime.stores import holdings
from tests.waiting import wait_until

from .scoped import ORDER, POLICY, Seen, drawn, two_steps
from .state import OnlyShipped, Order

pytestmark = pytest.mark.filterwarnings("ignore::clawproof_langgraph.errors.ClawproofWarning")


# --- how long it holds ------------------------------------------------------------------------------------------


def test_a_run_holds_from_its_first_step_to_its_last(
    coordinator: Coordinator, guard: Guard, seen: Seen, mode: str
) -> None:
    state = play(guard.scope(seen.graph(), POLICY), ORDER, mode=mode)

    assert seen.held == [["order/7"]] * 2 and state["shipped"] == ["it", "it"]
    assert holdings(coordinator) == []
    assert types_of(coordinator) == ["lock.acquired", "lock.released"]


def test_a_stream_holds_until_it_is_drawn_to_its_end(
    coordinator: Coordinator, guard: Guard, seen: Seen, mode: str
) -> None:
    chunks = drawn(guard.scope(seen.graph(), POLICY), ORDER, mode, stream_mode="updates")
    assert holdings(coordinator) == []

    with closing(chunks):  # type: ignore[type-var]
        assert next(chunks) == {"take": {"shipped": ["it"]}}
        assert holdings(coordinator) == ["order/7"]
        assert list(chunks) == [{"ship": {"shipped": ["it"]}}]

    assert holdings(coordinator) == []


def test_a_stream_that_is_left_gives_its_locks_back(
    coordinator: Coordinator, guard: Guard, seen: Seen, mode: str
) -> None:
    chunks = drawn(guard.scope(seen.graph(), POLICY), ORDER, mode, stream_mode="updates")
    next(chunks)
    chunks.close()  # type: ignore[attr-defined]

    assert holdings(coordinator) == [] and len(seen.held) == 1


def test_who_draws_a_stream_is_not_inside_it(coordinator: Coordinator, guard: Guard, seen: Seen, mode: str) -> None:
    with closing(drawn(guard.scope(seen.graph(), POLICY), ORDER, mode)) as chunks:  # type: ignore[type-var]
        for _ in chunks:
            assert current_frame() is None
            with coordinator.lock("a", wait=0):  # inside, this would be against the order
                pass


def test_an_error_gives_the_locks_back(coordinator: Coordinator, guard: Guard, seen: Seen, mode: str) -> None:
    def fails(state: Order) -> Order:
        raise ConnectionError("lost")

    with pytest.raises(ConnectionError, match="lost"):
        play(guard.scope(seen.graph(fails), POLICY), ORDER, mode=mode)

    assert holdings(coordinator) == []


async def test_a_cancelled_run_gives_the_locks_back(coordinator: Coordinator, guard: Guard, seen: Seen) -> None:
    begun = asyncio.Event()

    async def slow(state: Order) -> Order:
        begun.set()
        await asyncio.sleep(30)
        return {}

    task = asyncio.create_task(guard.scope(seen.graph(slow), POLICY).ainvoke(ORDER))
    await asyncio.wait_for(begun.wait(), 10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert holdings(coordinator) == []


@pytest.mark.parametrize("declared", [{}, {"interrupt_before": ["ship"]}, {"interrupt_after": ["take"]}])
def test_an_interrupt_gives_the_locks_up_and_a_resume_takes_them(
    coordinator: Coordinator, guard: Guard, seen: Seen, mode: str, declared: Any
) -> None:
    def asks(state: Order) -> Order:
        return seen.node(state) if declared or interrupt("sure?") else {}

    app = guard.scope(seen.graph(asks, checkpointer=InMemorySaver(), **declared), POLICY)

    play(app, ORDER, thread(), mode=mode)
    assert holdings(coordinator) == []
    state = play(app, None if declared else Command(resume="yes"), thread(), mode=mode)

    assert state["shipped"] == ["it", "it"] and seen.held == [["order/7"]] * 2
    assert holdings(coordinator) == []


def test_a_resume_of_a_node_that_is_a_scope_takes_its_locks(
    coordinator: Coordinator, guard: Guard, seen: Seen, mode: str
) -> None:
    inner = seen.graph(lambda state: seen.node(state) if interrupt("sure?") else {})
    builder = StateGraph(Order).add_node("inner", guard.scope(inner, POLICY)).add_edge(START, "inner")
    app = builder.compile(checkpointer=InMemorySaver())

    play(app, ORDER, thread(), mode=mode)
    assert holdings(coordinator) == [] and app.get_state(thread(), subgraphs=True).tasks[0].state.next == ("ship",)
    play(app, Command(resume="yes"), thread(), mode=mode)

    assert seen.held == [["order/7"]] * 2 and holdings(coordinator) == []


def test_a_turn_names_its_locks_by_the_state_of_its_thread(
    coordinator: Coordinator, guard: Guard, seen: Seen, mode: str
) -> None:
    app = guard.scope(seen.graph(checkpointer=InMemorySaver()), POLICY)
    play(app, ORDER, thread(), mode=mode)

    play(app, {"note": "again"}, thread(), mode=mode)
    play(app, {"order_id": "8"}, thread(), mode=mode)

    assert [held for (held,) in seen.held] == ["order/7", "order/7", "order/7", "order/7", "order/8", "order/8"]


def test_each_input_of_a_batch_takes_its_own_turn(
    coordinator: Coordinator, guard: Guard, seen: Seen, mode: str
) -> None:
    app = guard.scope(seen.graph(), POLICY)
    inputs = [ORDER] * 4

    states = app.batch(inputs) if mode == "sync" else asyncio.run(app.abatch(inputs))

    assert [state["shipped"] for state in states] == [["it", "it"]] * 4
    assert seen.held == [["order/7"]] * 8, "and never two at once"


# --- what is inside and beside it -------------------------------------------------------------------------------


def test_guarded_tools_inside_enter_the_locks_of_the_scope(coordinator: Coordinator, mode: str) -> None:
    stock = {"a": 5}

    @tool
    def take(sku: str) -> str:
        """Take one unit."""
        left = stock[sku]
        threading.Event().wait(0.005)
        stock[sku] = left - 1
        return f"{left - 1} left"

    guard = Guard(coordinator, tools={"take": ToolPolicy(locks=["stock/{sku}"])})
    both = says(call("take", "1", sku="a"), call("take", "2", sku="a"), call("take", "3", sku="a"))
    model = ScriptedModel(replies=[both, says(text="done")])
    agent = create_agent(model, [take], middleware=[CoordinationMiddleware(guard)])
    scoped = guard.scope(agent, ToolPolicy(locks=["order/7", "stock/a"]))

    state = play(scoped, {"messages": [HumanMessage("go")]}, thread(), mode=mode)

    assert stock == {"a": 2}, "the siblings exclude each other"
    assert [message.content for message in state["messages"][2:5]] and "deadlock.prevented" not in types_of(coordinator)


def test_a_tool_that_locks_what_sorts_before_the_scope_is_told_so(coordinator: Coordinator, mode: str) -> None:
    guard = Guard(coordinator)
    node = guard.node(lambda state: {}, ToolPolicy(locks=["inventory/1"]), name="take")
    app = guard.scope(two_steps(node, node), POLICY)

    with pytest.raises(LockOrderError, match=r"inventory/1.*order/7.*list them in the policy of the outer"):
        play(app, ORDER, mode=mode)


def test_scopes_against_the_order_are_refused_before_anything_runs(
    coordinator: Coordinator, guard: Guard, seen: Seen, mode: str
) -> None:
    inner = guard.scope(seen.graph(), ToolPolicy(locks=["customer/1"]))
    builder = StateGraph(Order).add_node("inner", inner).add_edge(START, "inner")

    with pytest.raises(LockOrderError, match=r"customer/1.*order/7"):
        play(guard.scope(builder.compile(), POLICY), ORDER, mode=mode)

    assert seen.held == [] and "deadlock.prevented" in types_of(coordinator)


def test_a_scope_in_a_scope_enters_what_is_held(coordinator: Coordinator, guard: Guard, seen: Seen, mode: str) -> None:
    builder = StateGraph(Order).add_node("inner", guard.scope(seen.graph(), POLICY)).add_edge(START, "inner")

    play(guard.scope(builder.compile(), POLICY), ORDER, mode=mode)

    assert seen.held == [["order/7", "order/7"]] * 2


def test_scopes_beside_each_other_take_turns(coordinator: Coordinator, guard: Guard, seen: Seen, mode: str) -> None:
    builder = StateGraph(Order).add_node("inner", guard.scope(seen.graph(schema=OnlyShipped), POLICY))
    builder.add_conditional_edges(START, lambda state: [Send("inner", ORDER)] * 4, ["inner"])

    play(builder.compile(), ORDER, mode=mode)

    assert seen.held == [["order/7"]] * 8


def test_readers_share_a_scope(coordinator: Coordinator, guard: Guard, seen: Seen, mode: str) -> None:
    app = guard.scope(seen.graph(), ToolPolicy(locks=["order/{order_id}"], effect="read"))

    with coordinator.lock("order/7", mode="shared"):
        play(app, ORDER, mode=mode)

    assert seen.held == [["order/7", "order/7"]] * 2


def test_a_turn_that_does_not_come_is_raised_and_nothing_was_run(
    coordinator: Coordinator, guard: Guard, seen: Seen, mode: str
) -> None:
    app = guard.scope(seen.graph(), ToolPolicy(locks=["order/{order_id}"], wait=0.05))
    taken, give_back = threading.Event(), threading.Event()

    def rival() -> None:
        with coordinator.lock("order/7"):
            taken.set()
            give_back.wait(10)

    other = threading.Thread(target=rival)
    other.start()
    taken.wait(10)
    with pytest.raises(WaitTimeout, match="order/7"):
        play(app, ORDER, mode=mode)
    give_back.set()
    other.join()

    assert seen.held == []


# --- what ends it early -----------------------------------------------------------------------------------------


def test_a_run_that_lost_its_locks_begins_no_other_step(
    coordinator: Coordinator, guard: Guard, seen: Seen, mode: str
) -> None:
    def loses(state: Order) -> Order:
        for lease in coordinator._heartbeat._leases.values():
            lease.mark_lost("the test says so")
        return {}

    app = guard.scope(two_steps(loses, seen.node, checkpointer=InMemorySaver()), POLICY)

    with pytest.raises(LeaseLost, match="order/7"):
        play(app, ORDER, thread(), mode=mode)
    assert seen.held == []
    state = play(app, None, thread(), mode=mode)

    assert state["shipped"] == ["it"] and seen.held == [["order/7"]]


def test_a_stopped_agent_begins_no_run_and_no_other_step(coordinator: Coordinator, seen: Seen, mode: str) -> None:
    guard = Guard(coordinator, agent="orders", tools={})

    def stops(state: Order) -> Order:
        coordinator.kill("orders", reason="maintenance")
        (lease,) = coordinator._heartbeat._leases.values()
        wait_until(lambda: lease._killed)
        return {}

    with pytest.raises(AgentKilled, match="maintenance"):
        play(guard.scope(two_steps(stops, seen.node), POLICY), ORDER, mode=mode)
    with pytest.raises(AgentKilled, match="maintenance"):
        play(guard.scope(seen.graph(), POLICY), ORDER, mode=mode)

    assert seen.held == [] and holdings(coordinator) == []
