"""Which execution of a guarded node is the same call, and which is another one."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command, RetryPolicy, Send, interrupt

from clawproof_langgraph import Coordinator, Guard, ToolPolicy, current_call
from clawproof_langgraph.errors import FingerprintMismatch
from tests.langgraph.scripted import play, thread

from .state import Order

pytestmark = pytest.mark.filterwarnings("ignore::clawproof_langgraph.errors.ClawproofWarning")

RETRY = RetryPolicy(initial_interval=0, jitter=False, max_attempts=3)
ORDER: Order = {"order_id": "7"}


class Dock:
    """A node that ships, a graph around it, and the keys under which it was run.

    Args:
        before_returning: what else it does, once it has shipped.
        policy: fields of its policy.
    """

    def __init__(
        self, coordinator: Coordinator, before_returning: Callable[[], Any] = lambda: None, **policy: Any
    ) -> None:
        self.coordinator, self.keys, self._then = coordinator, [], before_returning
        terms = ToolPolicy(**{"locks": ["order/{order_id}"], "retry": False, **policy})
        self.node = Guard(coordinator).node(self._ship, terms, name="ship")

    keys: list[str]

    def _ship(self, state: Order) -> Order:
        call = current_call()
        assert call is not None
        self.keys.append(call.idempotency_key)
        self._then()
        return {"shipped": [state["order_id"]]}

    def graph(self, route: Any = None, saver: Any = None, **options: Any) -> Any:
        """Compile a graph of a step before the node, and the node."""
        builder = StateGraph(Order).add_node("take", lambda state: {"note": "taken"})
        builder.add_node("ship", self.node, **options)
        builder.add_edge(START, "take")
        builder.add_conditional_edges("take", lambda state: "ship", ["ship"])
        if route is not None:
            builder.add_conditional_edges("ship", route, ["ship", END])
        return builder.compile(checkpointer=saver or InMemorySaver())


def before_shipping(graph: Any) -> Any:
    """Find the newest checkpoint whose next step is to ship."""
    return next(each for each in graph.get_state_history(thread()) if each.next == ("ship",)).config


def raising(*errors: Exception) -> Callable[[], None]:
    """Make something that raises these errors, one each time."""
    left = list(errors)

    def step() -> None:
        if left:
            raise left.pop(0)

    return step


def test_a_resume_is_the_same_call(coordinator: Coordinator, mode: str) -> None:
    dock = Dock(coordinator, lambda: interrupt("sure?"))
    graph = dock.graph()

    play(graph, ORDER, thread(), mode=mode)
    assert not coordinator.snapshot().leases
    play(graph, Command(resume="yes"), thread(), mode=mode)

    assert len(dock.keys) == 2 and len(set(dock.keys)) == 1


def test_an_attempt_of_a_retry_policy_is_the_same_call(coordinator: Coordinator, mode: str) -> None:
    dock = Dock(coordinator, raising(ConnectionError(), ConnectionError()), effect="idempotent")

    play(dock.graph(retry_policy=RETRY), ORDER, thread(), mode=mode)

    assert len(dock.keys) == 3 and len(set(dock.keys)) == 1


def test_going_on_after_an_error_is_the_same_call(coordinator: Coordinator, mode: str) -> None:
    dock = Dock(coordinator, raising(ConnectionError()), effect="idempotent")
    graph = dock.graph()

    with pytest.raises(ConnectionError):
        play(graph, ORDER, thread(), mode=mode)
    play(graph, None, thread(), mode=mode)

    assert len(dock.keys) == 2 and len(set(dock.keys)) == 1


def test_replays_from_a_checkpoint_are_answered_and_not_run(coordinator: Coordinator, mode: str) -> None:
    dock = Dock(coordinator)
    graph = dock.graph()
    first = play(graph, ORDER, thread(), mode=mode)

    for _ in range(3):  # the next one begins with a copy of the last one's copy
        assert play(graph, None, before_shipping(graph), mode=mode) == first

    assert len(dock.keys) == 1


async def test_a_replay_is_known_where_only_the_loop_may_read_checkpoints(
    coordinator: Coordinator, tmp_path: Path
) -> None:
    dock = Dock(coordinator)
    async with AsyncSqliteSaver.from_conn_string(str(tmp_path / "checkpoints.db")) as saver:
        graph = dock.graph(saver=saver)
        await graph.ainvoke(ORDER, thread())
        for _ in range(2):
            history = [each async for each in graph.aget_state_history(thread())]
            await graph.ainvoke(None, next(each.config for each in history if each.next == ("ship",)))

    assert len(dock.keys) == 1


def test_a_replay_is_known_in_another_life_of_the_process(coordinator: Coordinator, tmp_path: Path) -> None:
    dock = Dock(coordinator)
    for value in (ORDER, None):
        with SqliteSaver.from_conn_string(str(tmp_path / "checkpoints.db")) as saver:
            graph = dock.graph(saver=saver)
            graph.invoke(value, thread() if value else before_shipping(graph))

    assert len(dock.keys) == 1


def test_a_fork_with_another_state_is_another_call(coordinator: Coordinator, mode: str) -> None:
    dock = Dock(coordinator)
    graph = dock.graph()
    play(graph, ORDER, thread(), mode=mode)

    play(graph, None, graph.update_state(before_shipping(graph), {"note": "again"}), mode=mode)
    play(graph, Command(update={"note": "and again"}), before_shipping(graph), mode=mode)

    assert len(set(dock.keys)) == 3


def test_a_replay_of_a_changed_fork_is_that_of_the_fork(coordinator: Coordinator) -> None:
    dock = Dock(coordinator)
    graph = dock.graph()
    graph.invoke(ORDER, thread())
    graph.invoke(Command(update={"note": "again"}), before_shipping(graph))

    graph.invoke(None, before_shipping(graph))

    assert len(set(dock.keys)) == len(dock.keys) == 2


def test_each_step_of_a_loop_is_another_call(coordinator: Coordinator, mode: str) -> None:
    dock = Dock(coordinator)

    play(dock.graph(lambda state: END if len(state["shipped"]) > 3 else "ship"), ORDER, thread(), mode=mode)

    assert len(dock.keys) == len(set(dock.keys)) == 4


def test_equal_tasks_that_were_sent_are_different_calls(coordinator: Coordinator, mode: str) -> None:
    dock = Dock(coordinator)
    builder = StateGraph(Order).add_node("ship", dock.node)
    builder.add_conditional_edges(START, lambda state: [Send("ship", ORDER)] * 3, ["ship"])
    graph = builder.compile(checkpointer=InMemorySaver())

    play(graph, ORDER, thread(), mode=mode)

    assert len(dock.keys) == len(set(dock.keys)) == 3


def test_equal_tasks_of_which_one_is_in_doubt_keep_apart(coordinator: Coordinator, mode: str) -> None:
    dock = Dock(coordinator, raising(ConnectionError()))
    builder = StateGraph(Order).add_node("ship", dock.node)
    builder.add_conditional_edges(START, lambda state: [Send("ship", ORDER)] * 3, ["ship"])
    graph = builder.compile(checkpointer=InMemorySaver())

    with pytest.raises(ConnectionError):
        play(graph, ORDER, {**thread(), "max_concurrency": 1}, mode=mode)
    (doubt,) = coordinator.snapshot().in_doubt
    coordinator.resolve(doubt.key, "applied", result={"shipped": ["found"]})
    state = play(graph, None, thread(), mode=mode)

    assert sorted(state["shipped"]) == ["7", "7", "found"] and len(set(dock.keys)) == 3


@pytest.mark.parametrize("kept", [True, False], ids=["kept", "not kept"])
def test_each_turn_is_another_call(coordinator: Coordinator, mode: str, kept: bool) -> None:
    dock = Dock(coordinator)
    builder = StateGraph(Order).add_node("ship", dock.node).add_edge(START, "ship")
    graph = builder.compile(checkpointer=InMemorySaver() if kept else None)

    for _ in range(3):
        play(graph, ORDER, thread(), mode=mode)

    assert len(dock.keys) == len(set(dock.keys)) == 3


def test_runs_that_chance_repeats_are_different_calls(coordinator: Coordinator) -> None:
    """LangGraph's versions are drawn from the `random` that users seed."""
    dock = Dock(coordinator)

    for _ in range(2):
        random.seed(7)
        dock.graph().invoke(ORDER, thread())

    assert len(set(dock.keys)) == 2


def test_forks_that_chance_repeats_are_different_calls(coordinator: Coordinator) -> None:
    dock = Dock(coordinator)
    graph = dock.graph()
    graph.invoke(ORDER, thread())
    start = before_shipping(graph)

    for note in ("one", "another"):
        random.seed(7)
        graph.invoke(Command(update={"note": note}), start)

    assert len(set(dock.keys)) == 3


def test_a_resume_that_changes_the_state_begins_another_call(coordinator: Coordinator, mode: str) -> None:
    dock = Dock(coordinator, lambda: interrupt("sure?"))
    graph = dock.graph()

    play(graph, ORDER, thread(), mode=mode)
    play(graph, Command(resume="yes", update={"order_id": "8"}), thread(), mode=mode)

    assert len(set(dock.keys)) == 2
    assert [event.resources for event in coordinator.events(types=["call.done"])] == [("order/8",)]


def test_a_business_key_says_what_is_the_same(coordinator: Coordinator, mode: str) -> None:
    dock = Dock(coordinator, key="ship/{order_id}")

    states = [play(dock.graph(), {**ORDER, "note": name}, thread(name), mode=mode) for name in ("a", "b")]

    assert dock.keys == ["ship/7"]
    assert [state["shipped"] for state in states] == [["7"], ["7"]]


def test_two_nodes_with_one_business_key_do_not_answer_each_other(coordinator: Coordinator) -> None:
    dock = Dock(coordinator, key="order/{order_id}")
    policy = ToolPolicy(locks=["order/{order_id}"], key="order/{order_id}")
    other = Guard(coordinator).node(lambda state: {"shipped": ["billed"]}, policy, name="bill")
    builder = StateGraph(Order).add_node("bill", other).add_edge(START, "bill")
    dock.graph().invoke(ORDER, thread())

    with pytest.raises(FingerprintMismatch):
        builder.compile().invoke(ORDER)


def test_a_call_whose_checkpoint_was_lost_is_known_again_by_the_state(coordinator: Coordinator) -> None:
    dock = Dock(coordinator, raising(ConnectionError()), effect="keyed")
    builder = StateGraph(Order).add_node("ship", dock.node).add_edge(START, "ship")

    with pytest.raises(ConnectionError):
        builder.compile(checkpointer=InMemorySaver()).invoke(ORDER, thread())
    builder.compile(checkpointer=InMemorySaver()).invoke(ORDER, thread())

    assert len(dock.keys) == 2 and len(set(dock.keys)) == 1


def test_another_state_is_no_repetition_of_a_call_that_is_not_settled(coordinator: Coordinator) -> None:
    dock = Dock(coordinator, raising(ConnectionError()), effect="keyed")
    builder = StateGraph(Order).add_node("ship", dock.node).add_edge(START, "ship")
    graph = builder.compile(checkpointer=InMemorySaver())

    with pytest.raises(ConnectionError):
        graph.invoke({**ORDER, "note": "one"}, thread())
    graph.invoke({**ORDER, "note": "another"}, thread())

    assert len(set(dock.keys)) == 2


def test_the_nodes_of_a_graph_in_a_replayed_step_are_run_again(coordinator: Coordinator) -> None:
    """A graph inside a node starts over in a replay, and whatever it decides is decided anew."""
    dock = Dock(coordinator)
    inner = StateGraph(Order).add_node("ship", dock.node).add_edge(START, "ship").compile()
    builder = StateGraph(Order).add_node("inner", inner).add_edge(START, "inner")
    graph = builder.compile(checkpointer=InMemorySaver())
    graph.invoke(ORDER, thread())

    graph.invoke(None, next(each for each in graph.get_state_history(thread()) if each.next == ("inner",)).config)

    assert len(set(dock.keys)) == 2


def test_a_graph_that_is_resumed_keeps_the_calls_of_its_nodes(coordinator: Coordinator, mode: str) -> None:
    dock = Dock(coordinator, lambda: interrupt("sure?"))
    inner = StateGraph(Order).add_node("ship", dock.node).add_edge(START, "ship").compile()
    graph = StateGraph(Order).add_node("inner", inner).add_edge(START, "inner").compile(checkpointer=InMemorySaver())

    play(graph, ORDER, thread(), mode=mode)
    play(graph, Command(resume="yes"), thread(), mode=mode)

    assert len(dock.keys) == 2 and len(set(dock.keys)) == 1


def test_a_state_without_a_hash_is_warned_of(coordinator: Coordinator) -> None:
    with pytest.warns(UserWarning, match="key_fields"):
        Dock(coordinator).node.invoke({**ORDER, "rounds": object()})
