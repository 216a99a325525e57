"""A guarded node does to its graph what it does without the guard."""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, Literal

import pytest
from langchain_core.runnables import RunnableConfig, RunnableLambda
from langgraph.cache.memory import InMemoryCache
from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime
from langgraph.store.base import BaseStore
from langgraph.types import CachePolicy, Command, RetryPolicy, Send, StreamWriter, TimeoutPolicy, interrupt

from clawproof_langgraph import Coordinator, Guard, ToolPolicy

from .comparing import Case, both
from .state import OnlyId, Order

pytestmark = pytest.mark.filterwarnings("ignore::clawproof_langgraph.errors.ClawproofWarning")

RETRY = RetryPolicy(initial_interval=0, jitter=False, max_attempts=3, retry_on=ConnectionError)
IDEMPOTENT = ToolPolicy(locks=["order/{order_id}"], effect="idempotent", retry=False)


def ship(state: Order) -> Order:
    return {"shipped": [state["order_id"]]}


async def aship(state: Order) -> Order:
    await asyncio.sleep(0)
    return {"shipped": [state["order_id"]]}


def injected(
    state: Order, config: RunnableConfig, *, runtime: Runtime, store: BaseStore, writer: StreamWriter
) -> Order:
    writer({"at": config["metadata"]["langgraph_node"]})
    runtime.stream_writer({"thread": runtime.execution_info.thread_id})
    return {"note": f"{store.get(('shop',), 'tax').value['rate']} {config['configurable']['thread_id']}"}


async def ainjected(state: Order, runtime: Runtime, config: RunnableConfig, writer: StreamWriter) -> Order:
    writer(config["metadata"]["langgraph_step"])
    item = await runtime.store.aget(("shop",), "tax")
    return {"note": str(item.value)}


def asks(state: Order) -> Order:
    return {"shipped": [state["order_id"]], "note": interrupt({"ship": state["order_id"]}) + interrupt("sure?")}


async def aasks(state: Order) -> Order:
    return {"shipped": [state["order_id"]], "note": interrupt({"ship": state["order_id"]})}


def commands(state: Order) -> Command[Literal["after", "__end__"]]:
    return Command(update={"shipped": ["it"]}, goto="after")


def to_many(state: Order) -> list[Any]:
    return [Command(update={"shipped": ["a"]}), {"shipped": ["b"]}, Command(goto=Send("after", {"order_id": "9"}))]


def asks_only_for_the_id(state: OnlyId) -> Order:
    return {"note": " ".join(sorted(state))}


def fails(times: int, error: type[Exception] = ConnectionError) -> Callable[[], Any]:
    """Make a node that fails so often."""

    def make() -> Any:
        left = [error("no")] * times

        def failing(state: Order) -> Order:
            if left:
                raise left.pop()
            return {"shipped": ["it"]}

        return failing

    return make


async def slow(state: Order, writer: StreamWriter) -> Order:
    writer("begun")
    await asyncio.sleep(30)
    return {}


async def beats(state: Order, runtime: Runtime) -> Order:
    for _ in range(4):
        await asyncio.sleep(0.05)
        runtime.heartbeat()
    return {"shipped": ["it"]}


def counts() -> Any:
    ran: list[int] = []

    def counting(state: Order) -> Order:
        ran.append(1)
        return {"shipped": [str(len(ran))]}

    return counting


def generates(state: Order) -> Iterator[Order]:
    yield {"shipped": ["a"]}
    yield {"shipped": ["b"]}


async def agenerates(state: Order) -> AsyncIterator[Order]:
    yield {"shipped": ["a"]}
    yield {"shipped": ["b"]}


class Ships:
    """A node that is an object."""

    def __call__(self, state: OnlyId, config: RunnableConfig) -> Command[Literal["after"]]:
        return Command(update={"shipped": [config["configurable"]["thread_id"]]}, goto="after")

    async def aship(self, state: Order) -> Order:
        return {"shipped": ["method"]}


def subgraph() -> Any:
    inner = StateGraph(Order).add_node("pack", lambda state: {"note": "packed"}).add_edge(START, "pack").compile()

    def ships_with_a_graph(state: Order) -> Order:
        return {"note": inner.invoke({"order_id": state["order_id"]})["note"]}

    return ships_with_a_graph


def hands_up(state: Order) -> Command[Any]:
    return Command(graph=Command.PARENT, update={"note": "up"})


def loops(builder: Any) -> None:
    builder.add_conditional_edges("ship", lambda state: END if len(state["shipped"]) > 2 else "ship", ["ship", END])


def after(state: Order) -> Order:
    return {"note": f"after {sorted(state)}"}


AFTER = {"after": after}
CASES = {
    "sync": Case(lambda: ship),
    "async": Case(lambda: aship, modes=("async",)),
    "async-invoked": Case(lambda: aship, modes=("sync",)),
    "injected": Case(lambda: injected),
    "injected-async": Case(lambda: ainjected, modes=("async",)),
    "interrupts": Case(lambda: asks, inputs=({"order_id": "7"}, Command(resume="a"), Command(resume="b"))),
    "interrupts-async": Case(lambda: aasks, inputs=({"order_id": "7"}, Command(resume="a")), modes=("async",)),
    "command": Case(lambda: commands, more=AFTER),
    "commands-and-sends": Case(lambda: to_many, more=AFTER, options={"destinations": ("after",)}),
    "inferred-schema": Case(lambda: asks_only_for_the_id),
    "given-schema": Case(lambda: lambda state: {"note": repr(sorted(state))}, options={"input_schema": OnlyId}),
    "raises": Case(fails(9, ValueError)),
    "goes-on-after-an-error": Case(fails(1), inputs=({"order_id": "7"}, None), policy=IDEMPOTENT),
    "retried": Case(fails(2), options={"retry_policy": RETRY}, policy=IDEMPOTENT),
    "retried-in-vain": Case(fails(9), options={"retry_policy": RETRY}, policy=IDEMPOTENT),
    "handled": Case(fails(9), options={"error_handler": lambda state: {"note": "handled"}}),
    "timed-out": Case(lambda: slow, options={"timeout": 0.05}, modes=("async",)),
    "a-sync-node-has-no-timeout": Case(lambda: ship, options={"timeout": 0.05}),
    "beats": Case(
        lambda: beats, options={"timeout": TimeoutPolicy(idle_timeout=0.15, refresh_on="heartbeat")}, modes=("async",)
    ),
    "cached": Case(
        counts, options={"cache_policy": CachePolicy()}, compiled={"cache": InMemoryCache}, build=loops,
    ),
    "deferred": Case(lambda: ship, options={"defer": True}, more=AFTER, build=lambda b: b.add_edge(START, "after")),
    "loops": Case(counts, build=loops),
    "sent": Case(lambda: ship, ordered=False, build=lambda b: b.add_conditional_edges(
        START, lambda state: [Send("ship", {"order_id": "8"}), Send("ship", {"order_id": "8"})], ["ship"]
    )),
    "generator": Case(lambda: generates),
    "async-generator": Case(lambda: agenerates, modes=("async",)),
    "object": Case(Ships, more=AFTER),
    "method": Case(lambda: Ships().aship, modes=("async",)),
    "partial": Case(lambda: functools.partial(lambda suffix, state: {"note": suffix}, "it")),
    "lambda": Case(lambda: lambda state: {"note": "it"}),
    "runnable": Case(lambda: RunnableLambda(ship) | RunnableLambda(lambda update: update)),
    "runnable-async": Case(lambda: RunnableLambda(aship), modes=("async",)),
    "returns-a-runnable": Case(lambda: lambda state: RunnableLambda(ship)),
    "graph-inside": Case(subgraph),
    "to-no-parent": Case(lambda: hands_up),
    "wrong-result": Case(lambda: lambda state: 7),
    "stopped-before": Case(lambda: ship, compiled={"interrupt_before": ["ship"]}, inputs=({"order_id": "7"}, None)),
    "stopped-after": Case(lambda: ship, compiled={"interrupt_after": ["ship"]}, inputs=({"order_id": "7"}, None)),
}  # fmt: skip


NEVER_RUN = ("async-invoked", "a-sync-node-has-no-timeout")


@pytest.mark.parametrize("url", ["memory://"])  # what LangGraph sees has nothing to do with the store
@pytest.mark.parametrize(("name", "mode"), [(name, mode) for name, case in CASES.items() for mode in case.modes])
def test_chunks_state_drawing_and_errors_are_those_without_the_guard(
    coordinator: Coordinator, name: str, mode: str
) -> None:
    bare, guarded = both(coordinator, CASES[name], mode)

    assert guarded == bare
    assert coordinator.events(types=["call.started"]) or name in NEVER_RUN


@pytest.mark.parametrize("function", [ship, aship, injected, ainjected, commands, Ships(), Ships().aship])
def test_a_guarded_node_has_the_signature_of_its_function(coordinator: Coordinator, function: Any) -> None:
    guarded = Guard(coordinator).node(function, ToolPolicy(), name="ship")

    assert inspect.signature(guarded) == inspect.signature(function)


def test_a_guarded_node_is_called_like_its_function(coordinator: Coordinator) -> None:
    guard = Guard(coordinator)
    wrote: list[Any] = []

    def writes(state: Order, config: RunnableConfig, *, writer: StreamWriter) -> Order:
        writer(config["tags"])
        return {"note": state["order_id"]}

    assert guard.node(ship, ToolPolicy())({"order_id": "7"}) == {"shipped": ["7"]}
    assert asyncio.run(guard.node(aship, ToolPolicy())({"order_id": "7"})) == {"shipped": ["7"]}
    assert guard.node(writes, ToolPolicy())({"order_id": "7"}, {"tags": ["a"]}, writer=wrote.append) == {"note": "7"}
    assert wrote == [["a"]]
    assert [event.data["tool"] for event in coordinator.events(types=["call.done"])] == ["ship", "aship", "writes"]


def test_a_node_takes_the_name_of_its_function_in_the_graph(coordinator: Coordinator) -> None:
    builder = StateGraph(Order).add_node(Guard(coordinator).node(ship, ToolPolicy()))

    assert list(builder.nodes) == ["ship"]


async def test_events_of_a_run_are_those_without_the_guard(coordinator: Coordinator) -> None:
    async def heard(guard: Guard | None) -> list[Any]:
        graph = CASES["injected"].graph(guard)
        config = {"configurable": {"thread_id": "1"}}
        return [
            (event["event"], event["name"], event["data"].get("chunk"))
            async for event in graph.astream_events({"order_id": "7"}, config, version="v2")
        ]

    assert await heard(Guard(coordinator)) == await heard(None)
