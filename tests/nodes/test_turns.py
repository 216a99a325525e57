"""One run at a time for each thread: the others wait, or are refused."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph
from langgraph.types import Command, Send, interrupt

from clawproof_langgraph import Coordinator, Guard, ToolPolicy
from clawproof_langgraph.errors import ConfigurationError, LockOrderError, WaitTimeout
from tests.langgraph.scripted import play, thread
from tests.runtime.stores import holdings
from tests.waiting import wait_until

from .scoped import ORDER, Seen, two_steps
from .state import Order

pytestmark = pytest.mark.filterwarnings("ignore::clawproof_langgraph.errors.ClawproofWarning")
CLASHES = [{"on_conflict": "queue", "wait": "50ms"}, {"on_conflict": "reject"}]


class Counter:
    """A graph whose node reads, waits and writes, and so loses updates of runs beside it."""

    def __init__(self) -> None:
        self.rounds: dict[str, int] = {}
        self.begun, self.go_on = threading.Event(), threading.Event()

    def count(self, state: Order, config: RunnableConfig) -> Order:
        name = config["configurable"]["thread_id"]
        before = self.rounds.get(name, 0)
        threading.Event().wait(0.005)
        self.rounds[name] = before + 1
        return {"rounds": state.get("rounds", 0) + 1}

    def graph(self) -> Any:
        builder = StateGraph(Order).add_node("count", self.count).add_edge(START, "count")
        return builder.compile(checkpointer=InMemorySaver())

    def stopping(self) -> Any:
        """Make a graph that goes on when it is told to."""

        def stop(state: Order) -> Order:
            self.begun.set()
            self.go_on.wait(10)
            return {"shipped": ["it"]}

        return StateGraph(Order).add_node("stop", stop).add_edge(START, "stop").compile(checkpointer=InMemorySaver())


def at_once(app: Any, mode: str, *threads: str) -> None:
    """Run a turn of each thread at the same time."""
    if mode == "async":

        async def all_of_them() -> None:
            await asyncio.gather(*(app.ainvoke(ORDER, thread(name)) for name in threads))

        return asyncio.run(all_of_them())
    runs = [threading.Thread(target=app.invoke, args=(ORDER, thread(name))) for name in threads]
    for run in runs:
        run.start()
    for run in runs:
        run.join(30)
    return None


def test_the_runs_of_a_thread_go_one_after_the_other(coordinator: Coordinator, guard: Guard, mode: str) -> None:
    counter = Counter()
    app = guard.serialize_threads(counter.graph())

    at_once(app, mode, *["a"] * 6, *["b"] * 6)

    assert counter.rounds == {"a": 6, "b": 6}
    assert [app.get_state(thread(name)).values["rounds"] for name in "ab"] == [6, 6]


@pytest.mark.parametrize("terms", CLASHES, ids=["queue", "reject"])
def test_a_run_that_comes_too_early_is_refused_and_told_of_the_thread(
    coordinator: Coordinator, guard: Guard, mode: str, terms: Any
) -> None:
    counter = Counter()
    app = guard.serialize_threads(counter.stopping(), **terms)
    first = threading.Thread(target=app.invoke, args=(ORDER, thread("customer-7")))
    first.start()
    counter.begun.wait(10)

    with pytest.raises(WaitTimeout, match="thread/customer-7") as refused:
        play(app, ORDER, thread("customer-7"), mode=mode)
    counter.go_on.set()
    play(app, ORDER, thread("customer-8"), mode=mode)
    first.join(10)
    state = play(app, ORDER, thread("customer-7"), mode=mode)

    assert state["shipped"] == ["it", "it"], "the refused run did nothing"
    assert any("another run of this thread" in note for note in refused.value.__notes__)


def test_an_interrupt_ends_the_turn(coordinator: Coordinator, guard: Guard, mode: str) -> None:
    def asks(state: Order) -> Order:
        return {"note": interrupt("sure?")}

    app = guard.serialize_threads(two_steps(asks, lambda state: {}, checkpointer=InMemorySaver()), on_conflict="reject")

    play(app, ORDER, thread(), mode=mode)
    assert holdings(coordinator) == []
    assert play(app, Command(resume="yes"), thread(), mode=mode)["note"] == "yes"


def test_graphs_of_one_thread_inside_a_run_are_no_conflict(coordinator: Coordinator, guard: Guard, mode: str) -> None:
    def packed() -> Any:
        return guard.serialize_threads(
            two_steps(lambda state: {}, lambda state: {"shipped": ["it"]}), on_conflict="reject"
        )

    def pack(state: Order) -> Order:
        return {"shipped": packed().invoke(ORDER)["shipped"]}

    builder = StateGraph(Order).add_node("pack", pack)
    builder.add_conditional_edges(START, lambda state: [Send("pack", ORDER)] * 3, ["pack"])
    graph = builder.compile(checkpointer=InMemorySaver())

    for app in (graph, guard.serialize_threads(graph, on_conflict="reject")):
        assert play(app, ORDER, thread("a" if app is graph else "b"), mode=mode)["shipped"] == ["it"] * 3


def test_a_run_on_its_own_thread_from_inside_of_itself_does_not_wait_for_itself(
    coordinator: Coordinator, guard: Guard, mode: str
) -> None:
    left = [1]

    def again(state: Order) -> Order:
        if left:
            left.pop()
            app.invoke(ORDER, thread())
        return {"shipped": ["it"]}

    builder = StateGraph(Order).add_node("again", again).add_edge(START, "again")
    app = guard.serialize_threads(builder.compile(checkpointer=InMemorySaver()), on_conflict="reject")

    play(app, ORDER, thread(), mode=mode)

    assert left == []


def test_runs_on_the_thread_of_the_run_around_them_may_overlap(
    coordinator: Coordinator, guard: Guard, mode: str
) -> None:
    both = threading.Barrier(2)

    def meet(state: Order) -> Order:
        both.wait(10)
        return {}

    inner = guard.serialize_threads(two_steps(meet, lambda state: {}), on_conflict="reject")

    def calls(state: Order) -> Order:
        inner.invoke(ORDER, thread())
        return {"shipped": ["it"]}

    builder = StateGraph(Order).add_node("calls", calls)
    builder.add_conditional_edges(START, lambda state: [Send("calls", ORDER)] * 2, ["calls"])
    app = guard.serialize_threads(builder.compile(checkpointer=InMemorySaver()), on_conflict="reject")

    assert play(app, ORDER, thread(), mode=mode)["shipped"] == ["it"] * 2


def test_guarded_nodes_nest_in_the_turn_of_their_thread(coordinator: Coordinator, guard: Guard, mode: str) -> None:
    seen = Seen(coordinator)
    node = guard.node(seen.node, ToolPolicy(locks=["a/{order_id}"]), name="ship")
    graph = two_steps(node, seen.node, checkpointer=InMemorySaver())
    app = guard.serialize_threads(guard.scope(graph, ToolPolicy(locks=["A/{order_id}"])))

    play(app, ORDER, thread("z"), mode=mode)

    assert [sorted(held) for held in seen.held] == [["!thread/z", "A/7", "a/7"], ["!thread/z", "A/7"]]


def test_a_run_from_under_a_lock_is_told_that_it_could_deadlock(
    coordinator: Coordinator, guard: Guard, mode: str
) -> None:
    app = guard.serialize_threads(Counter().graph())

    with coordinator.lock("inventory/1"), pytest.raises(LockOrderError, match=r"thread/a.*inventory/1"):
        play(app, ORDER, thread("a"), mode=mode)


def test_a_stream_holds_the_turn_until_it_is_drawn(coordinator: Coordinator, guard: Guard) -> None:
    app = guard.serialize_threads(Counter().graph(), on_conflict="reject")
    chunks = app.stream(ORDER, thread(), stream_mode="values")
    next(chunks)

    with pytest.raises(WaitTimeout):
        app.invoke(ORDER, thread())
    list(chunks)
    app.invoke(ORDER, thread())


async def test_a_run_that_waits_leaves_the_loop_alone_and_can_be_cancelled(
    coordinator: Coordinator, guard: Guard
) -> None:
    counter = Counter()
    app = guard.serialize_threads(counter.stopping())
    first = asyncio.create_task(app.ainvoke(ORDER, thread()))
    await asyncio.to_thread(counter.begun.wait, 10)
    second = asyncio.create_task(app.ainvoke(ORDER, thread()))
    await asyncio.to_thread(wait_until, lambda: coordinator.snapshot().waiters)

    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    counter.go_on.set()
    await first

    assert holdings(coordinator) == [] and not coordinator.snapshot().waiters


@pytest.mark.parametrize("config", [None, {"configurable": {}}, {"configurable": {"thread_id": ""}}])
def test_a_run_without_a_thread_is_refused_before_anything_runs(guard: Guard, mode: str, config: Any) -> None:
    counter = Counter()

    with pytest.raises(ConfigurationError, match=r'was not run: .*"thread_id"'):
        play(guard.serialize_threads(counter.graph()), ORDER, config, mode=mode)

    assert counter.rounds == {}


def test_a_thread_that_is_bound_to_the_graph_counts(coordinator: Coordinator, guard: Guard, mode: str) -> None:
    seen = Seen(coordinator)
    app = guard.serialize_threads(seen.graph(checkpointer=InMemorySaver())).with_config(thread("bound"))

    play(app, ORDER, mode=mode)

    assert seen.held == [["!thread/bound"]] * 2


BAD: list[tuple[dict[str, Any], str]] = [
    ({"on_conflict": "wait"}, r'on_conflict="wait" is not known; there are: queue, reject'),
    ({"on_conflict": "reject", "wait": 5}, r'"reject" does not wait; remove wait=5'),
    ({"ttl": 0}, "ttl must be more than zero"),
    ({"wait": "soon"}, "wait"),
]


@pytest.mark.parametrize(("terms", "told"), BAD)
def test_terms_that_do_not_fit_are_refused(guard: Guard, terms: Any, told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        guard.serialize_threads(Counter().graph(), **terms)


def test_only_a_compiled_graph_has_turns(guard: Guard) -> None:
    with pytest.raises(ConfigurationError, match=r"serialize_threads\(\) takes a compiled graph.*call compile"):
        guard.serialize_threads(StateGraph(Order))  # type: ignore[type-var]
