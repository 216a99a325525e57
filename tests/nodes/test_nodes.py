"""What a guarded node promises, and what its caller sees."""

from __future__ import annotations

import asyncio
import dataclasses
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from langchain_core.messages import AIMessage, ToolMessage
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph
from langgraph.types import Command, RetryPolicy, Send, interrupt
from pydantic import BaseModel

from clawproof_langgraph import Coordinator, Guard, NotApplied, Rejected, Retry, ToolPolicy, current_call
from clawproof_langgraph.codec import NotStorable
from clawproof_langgraph.errors import (
    AgentKilled,
    ClawproofWarning,
    ConfigurationError,
    LockOrderError,
    OutcomeUnknown,
    WaitTimeout,
)
from tests.graph.stage import doubts, types_of
from tests.langgraph.scripted import play, thread
from tests.waiting import wait_until

from .state import Order

pytestmark = pytest.mark.filterwarnings("ignore::clawproof_langgraph.errors.ClawproofWarning")
ORDER: Order = {"order_id": "7"}


def graph_of(node: Any, schema: Any = Order, **options: Any) -> Any:
    """Compile a graph of one node."""
    builder = StateGraph(schema).add_node("ship", node, **options).add_edge(START, "ship")
    return builder.compile(checkpointer=InMemorySaver())


def guarded(coordinator: Coordinator, node: Any, agent: str | None = None, **policy: Any) -> Any:
    """Guard a node."""
    terms = {"locks": ["order/{order_id}"], "retry": False, **policy}
    return Guard(coordinator, agent=agent, tools={}).node(node, ToolPolicy(**terms), name="ship")


def replayed(graph: Any, mode: str, config: Any = None) -> Any:
    """Run the first step once more."""
    first = next(each for each in graph.get_state_history(thread()) if each.next == ("ship",))
    return play(graph, None, first.config, mode=mode)


# --- locks ------------------------------------------------------------------------------------------------------


def test_locks_are_those_of_the_state(coordinator: Coordinator, mode: str) -> None:
    held: list[tuple[str, ...]] = []

    def ship(state: Any) -> Any:
        held.append(current_call().resources)  # type: ignore[union-attr]
        return {}

    locks = ["order/{order_id}", "item/{items[*].sku}"]
    state = {"order_id": "7", "items": [{"sku": "b"}, {"sku": "a"}]}
    builder = StateGraph(dict).add_node("ship", guarded(coordinator, ship, locks=locks)).add_edge(START, "ship")
    play(builder.compile(), state, mode=mode)

    assert held == [("item/a", "item/b", "order/7")]


class Model(BaseModel):
    order_id: str = ""
    shipped: list[str] = []


@dataclasses.dataclass
class Data:
    order_id: str = ""
    shipped: list[str] = dataclasses.field(default_factory=list)


@pytest.mark.parametrize("schema", [Order, Model, Data])
def test_the_state_may_be_a_mapping_a_model_or_a_dataclass(coordinator: Coordinator, mode: str, schema: Any) -> None:
    node = guarded(coordinator, lambda state: {"shipped": ["it"]}, log_fields=["order_id"])

    play(graph_of(node, schema), {"order_id": "7"}, thread(), mode=mode)

    (started,) = coordinator.events(types=["call.started"])
    assert started.resources == ("order/7",) and started.data["order_id"] == "7"


def test_nodes_of_one_resource_exclude_each_other(coordinator: Coordinator, mode: str) -> None:
    inside, most = [0], [0]
    lock = threading.Lock()

    def ship(state: Order) -> Order:
        with lock:
            inside[0] += 1
            most[0] = max(most[0], inside[0])
        threading.Event().wait(0.01)
        with lock:
            inside[0] -= 1
        return {"shipped": ["it"]}

    builder = StateGraph(Order).add_node("ship", guarded(coordinator, ship))
    builder.add_conditional_edges(START, lambda state: [Send("ship", ORDER)] * 8, ["ship"])
    state = play(builder.compile(checkpointer=InMemorySaver()), ORDER, thread(), mode=mode)

    assert most == [1] and len(state["shipped"]) == 8


async def test_more_sync_nodes_than_a_loop_has_threads_do_not_starve_their_holder(coordinator: Coordinator) -> None:
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
    builder = StateGraph(Order).add_node("ship", guarded(coordinator, lambda state: {"shipped": ["it"]}))
    builder.add_conditional_edges(START, lambda state: [Send("ship", ORDER)] * 12, ["ship"])

    state = await asyncio.wait_for(builder.compile().ainvoke(ORDER), 20)

    assert len(state["shipped"]) == 12


async def test_a_sync_node_whose_run_was_cancelled_keeps_its_lock_until_it_ends(coordinator: Coordinator) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def ship(state: Order) -> Order:
        begun.set()
        go_on.wait(10)
        return {"shipped": ["it"]}

    graph = graph_of(guarded(coordinator, ship))
    task = asyncio.create_task(graph.ainvoke(ORDER, thread()))
    await asyncio.to_thread(begun.wait, 10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert coordinator.snapshot().leases
    go_on.set()
    await asyncio.to_thread(wait_until, lambda: not coordinator.snapshot().leases)
    assert doubts(coordinator) == []
    assert (await graph.ainvoke(None, thread()))["shipped"] == ["it"]


def test_tools_inside_a_node_share_its_locks_and_are_named_by_it(coordinator: Coordinator, mode: str) -> None:
    paid: list[str] = []

    @tool
    def pay(order_id: str) -> str:
        """Pay."""
        paid.append(current_call().idempotency_key)  # type: ignore[union-attr]
        return "paid"

    guard = Guard(coordinator, tools={"pay": ToolPolicy(locks=["order/{order_id}"])})
    pay_it = guard.wrap_tool(pay)
    fails = [ConnectionError()]

    def ship(state: Order) -> Order:
        pay_it.invoke({"order_id": state["order_id"]})
        if fails:
            raise fails.pop()
        return {}

    graph = graph_of(guarded(coordinator, ship, effect="delegate"))
    with pytest.raises(ConnectionError):
        play(graph, ORDER, thread(), mode=mode)
    play(graph, None, thread(), mode=mode)

    assert len(paid) == 1


# --- results ----------------------------------------------------------------------------------------------------

RESULTS: dict[str, Any] = {
    "update": {"shipped": ["it"], "note": "n"},
    "nothing": None,
    "messages": {"messages": [AIMessage("shipped", id="m-1")]},
    "answers": Command(update={"messages": [ToolMessage("done", tool_call_id="call-1", id="m-1")]}),
    "command": Command(update={"shipped": ["it"]}, goto="__end__"),
    "commands": [Command(update={"shipped": ["a"]}), Command(update={"shipped": ["b"]})],
    "send": Command(goto=Send("ship2", {"order_id": "9"})),
}


@pytest.mark.parametrize("result", RESULTS)
def test_a_replay_gives_what_the_node_returned(coordinator: Coordinator, mode: str, result: str) -> None:
    node = guarded(coordinator, lambda state: RESULTS[result], key="ship/{order_id}")

    first = play(node, ORDER, mode=mode)
    second = play(node, ORDER, mode=mode)

    assert first == second == RESULTS[result]
    assert types_of(coordinator, types=["call.done", "call.replayed"]) == ["call.done", "call.replayed"]


def test_a_result_that_is_not_stored_is_an_error_when_it_is_needed(coordinator: Coordinator, mode: str) -> None:
    ran: list[int] = []

    def ship(state: Order) -> Order:
        ran.append(1)
        return {"note": threading.Lock()}  # type: ignore[typeddict-item]

    node = guarded(coordinator, ship, key="ship/{order_id}")
    play(node, ORDER, mode=mode)

    with pytest.raises(NotStorable, match=r"already run for this step .*results=\[.*update_state"):
        play(node, ORDER, mode=mode)
    assert ran == [1]


# --- outcomes ---------------------------------------------------------------------------------------------------


def once(*errors: BaseException) -> tuple[Callable[[Order], Order], list[int]]:
    """Make a node that raises each of these once, and what counts its runs."""
    left, ran = list(errors), []

    def ship(state: Order) -> Order:
        ran.append(1)
        if left:
            raise left.pop(0)
        return {"shipped": ["it"]}

    return ship, ran


def test_a_once_node_that_failed_is_in_doubt_and_not_run_again(coordinator: Coordinator, mode: str) -> None:
    ship, ran = once(ConnectionError("lost"))
    graph = graph_of(guarded(coordinator, ship))

    with pytest.raises(ConnectionError, match="lost"):
        play(graph, ORDER, thread(), mode=mode)
    with pytest.raises(OutcomeUnknown, match="clawproof resolve") as refused:
        play(graph, None, thread(), mode=mode)
    coordinator.resolve(refused.value.key, "applied", result={"shipped": ["found"]})
    state = play(graph, None, thread(), mode=mode)

    assert ran == [1] and state["shipped"] == ["found"]


def test_a_node_may_say_that_nothing_happened(coordinator: Coordinator, mode: str) -> None:
    ship, ran = once(NotApplied("busy"))

    play(graph_of(guarded(coordinator, ship, retry=Retry(initial_delay=0))), ORDER, thread(), mode=mode)

    assert ran == [1, 1]


def test_an_error_before_the_effect_begins_leaves_no_doubt(coordinator: Coordinator) -> None:
    fails = [ValueError()]

    def ship(state: Order) -> Order:
        if fails:
            raise fails.pop()
        current_call().effect_begins()  # type: ignore[union-attr]
        return {"shipped": ["it"]}

    graph = graph_of(guarded(coordinator, ship))
    with pytest.raises(ValueError):  # noqa: PT011 - it says nothing
        graph.invoke(ORDER, thread())

    assert graph.invoke(None, thread())["shipped"] == ["it"]


def test_what_is_refused_for_good_is_refused_again(coordinator: Coordinator, mode: str) -> None:
    ship, ran = once(Rejected("no such order"))
    graph = graph_of(guarded(coordinator, ship))

    for value in (ORDER, None):
        with pytest.raises(Rejected, match="no such order"):
            play(graph, value, thread(), mode=mode)

    assert ran == [1]


def test_a_human_is_asked_what_became_of_a_node(coordinator: Coordinator, mode: str) -> None:
    ship, ran = once(ConnectionError("lost"))
    graph = graph_of(guarded(coordinator, ship, on_in_doubt="interrupt"))

    with pytest.raises(ConnectionError):
        play(graph, ORDER, thread(), mode=mode)
    asked = play(graph, None, thread(), mode=mode)
    state = play(graph, Command(resume="not_applied"), thread(), mode=mode)

    assert asked["__interrupt__"] and ran == [1, 1] and state["shipped"] == ["it"]


def test_an_interrupt_gives_the_locks_up(coordinator: Coordinator, mode: str) -> None:
    graph = graph_of(guarded(coordinator, lambda state: {"note": interrupt("sure?")}))

    play(graph, ORDER, thread(), mode=mode)
    with coordinator.lock("order/7", wait=0):
        pass
    state = play(graph, Command(resume="yes"), thread(), mode=mode)

    assert state["note"] == "yes"
    assert types_of(coordinator, types=["call.suspended", "call.done"]) == ["call.suspended", "call.done"]


def test_a_read_is_run_each_time_and_shares_its_locks(coordinator: Coordinator, mode: str) -> None:
    ship, ran = once()
    graph = graph_of(guarded(coordinator, ship, effect="read"))
    play(graph, ORDER, thread(), mode=mode)

    with coordinator.lock("order/7", mode="shared"):
        play(graph, None, graph.get_state_history(thread()).__next__().config, mode=mode)
        replayed(graph, mode)

    assert ran == [1, 1]


def test_a_success_emits_its_event(coordinator: Coordinator, mode: str) -> None:
    play(graph_of(guarded(coordinator, once()[0], emits="OrderShipped")), ORDER, thread(), mode=mode)

    (event,) = coordinator.events(types=["OrderShipped"])
    assert event.resources == ("order/7",) and event.thread == "thread-1"


# --- refusals are raised ----------------------------------------------------------------------------------------


def test_a_turn_that_does_not_come_is_raised(coordinator: Coordinator, mode: str) -> None:
    ship, ran = once()
    graph = graph_of(guarded(coordinator, ship, wait=0.05))
    taken, give_back = threading.Event(), threading.Event()

    def rival() -> None:
        with coordinator.lock("order/7"):
            taken.set()
            give_back.wait(10)

    other = threading.Thread(target=rival)
    other.start()
    taken.wait(10)
    with pytest.raises(WaitTimeout, match="order/7"):
        play(graph, ORDER, thread(), mode=mode)
    give_back.set()
    other.join()

    assert ran == []
    assert play(graph, None, thread(), mode=mode)["shipped"] == ["it"]


def test_a_stopped_agent_runs_no_node(coordinator: Coordinator, mode: str) -> None:
    ship, ran = once()
    coordinator.kill("orders", reason="maintenance")

    with pytest.raises(AgentKilled, match="maintenance"):
        play(graph_of(guarded(coordinator, ship, agent="orders")), ORDER, thread(), mode=mode)
    assert ran == []


def test_a_node_against_the_order_of_locks_is_raised(coordinator: Coordinator, mode: str) -> None:
    ship, ran = once()

    with coordinator.lock("pallet/1"), pytest.raises(LockOrderError, match=r"order/7.*pallet/1"):
        play(graph_of(guarded(coordinator, ship)), ORDER, thread(), mode=mode)

    assert ran == [] and "deadlock.prevented" in types_of(coordinator)


@pytest.mark.parametrize("state", [{}, {"order_id": ""}, {"order_id": ["a"]}])
def test_a_field_that_the_state_lacks_is_told_before_anything_runs(
    coordinator: Coordinator, mode: str, state: Any
) -> None:
    ship, ran = once()

    with pytest.raises(ConfigurationError, match=r'Node "ship" was not run.*order/\{order_id\}.*given the state'):
        play(graph_of(guarded(coordinator, ship)), {"note": "n", **state}, thread(), mode=mode)

    assert ran == [] and types_of(coordinator) == []


# --- what is around a node --------------------------------------------------------------------------------------


def test_what_weakens_the_promise_of_a_node_is_warned_of(coordinator: Coordinator, mode: str) -> None:
    ship, _ = once()
    graph = graph_of(guarded(coordinator, ship), retry_policy=RetryPolicy(max_attempts=2))

    with pytest.warns(ClawproofWarning, match='once node "ship"'):
        play(graph, ORDER, thread(), mode=mode)
