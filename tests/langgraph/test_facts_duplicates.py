"""How often one intended payment happens in plain LangGraph, which is what the guard is for."""

import asyncio
import threading
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain_core.messages import HumanMessage
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.prebuilt import ToolNode
from langgraph.types import Command, RetryPolicy, interrupt

from .scripted import PATIENCE, ScriptedModel, agent_loop, asks, call, play, says, thread, tools_only

MODES = ["sync", "async"]


def human() -> dict[str, Any]:
    return {"messages": [HumanMessage("pay")]}


class Account:
    """Tools whose payments are counted."""

    def __init__(self) -> None:
        self.paid: list[str] = []
        self.broken = True

    def tools(self) -> list[Any]:
        @tool
        def pay() -> str:
            """Pay."""
            self.paid.append("once")
            return "paid"

        @tool
        def approve() -> str:
            """Ask a human."""
            return interrupt("approve?")

        @tool
        def pay_then_ask() -> str:
            """Pay, and ask only then."""
            self.paid.append("once")
            return interrupt("was that right?")

        @tool
        def break_once() -> str:
            """Lose the connection, the first time."""
            broken, self.broken = self.broken, False
            if broken:
                raise ConnectionError("reply lost")
            return "ok"

        return [pay, approve, pay_then_ask, break_once]


def hand_written(account: Account, *calls: Any) -> Any:
    model = ScriptedModel(replies=[says(*calls), says(text="done"), says(text="done")])
    return agent_loop(model, ToolNode(account.tools()), checkpointer=InMemorySaver())


def ready_made(account: Account, *calls: Any) -> Any:
    model = ScriptedModel(replies=[says(*calls), says(text="done"), says(text="done")])
    return create_agent(model, account.tools(), checkpointer=InMemorySaver())


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("build", "times"), [(hand_written, 2), (ready_made, 1)])
def test_a_sibling_that_interrupts(build: Any, times: int, mode: str) -> None:
    account = Account()
    graph = build(account, call("pay", "1"), call("approve", "2"))

    play(graph, human(), thread(), mode=mode)
    play(graph, Command(resume="yes"), thread(), mode=mode)

    assert len(account.paid) == times


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("build", [hand_written, ready_made])
def test_an_effect_before_an_interrupt_in_the_same_tool_happens_twice(build: Any, mode: str) -> None:
    account = Account()
    graph = build(account, call("pay_then_ask"))

    play(graph, human(), thread(), mode=mode)
    play(graph, Command(resume="yes"), thread(), mode=mode)

    assert len(account.paid) == 2


@pytest.mark.parametrize("mode", MODES)
def test_a_retry_policy_pays_again_when_a_sibling_fails(mode: str) -> None:
    account = Account()
    policy = RetryPolicy(initial_interval=0, jitter=False)
    graph = tools_only(account.tools(), node={"retry_policy": policy})

    play(graph, asks(call("pay", "1"), call("break_once", "2")), mode=mode)

    assert len(account.paid) == 2


@pytest.mark.parametrize(("build", "times"), [(hand_written, 2), (ready_made, 1)])
def test_going_on_after_a_sibling_failed(build: Any, times: int) -> None:
    account = Account()
    graph = build(account, call("pay", "1"), call("break_once", "2"))

    with pytest.raises(ConnectionError):
        graph.invoke(human(), thread())
    graph.invoke(None, thread())

    assert len(account.paid) == times


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("build", [hand_written, ready_made])
def test_a_replay_from_before_the_tools_pays_again(build: Any, mode: str) -> None:
    account = Account()
    graph = build(account, call("pay"))
    play(graph, human(), thread(), mode=mode)
    before_tools = next(s for s in graph.get_state_history(thread()) if s.next == ("tools",))

    play(graph, None, before_tools.config, mode=mode)

    assert len(account.paid) == 2


async def test_an_async_tool_in_flight_when_its_sibling_fails_pays_again_when_the_run_goes_on() -> None:
    paid: list[str] = []
    in_flight = asyncio.Event()
    failures = [ConnectionError("reply lost")]

    @tool
    async def pay() -> str:
        """Pay, and wait for the receipt."""
        paid.append("once")
        in_flight.set()
        return await asyncio.Future() if len(paid) == 1 else "paid"

    @tool
    async def fail_once() -> str:
        """Fail while the sibling waits."""
        await asyncio.wait_for(in_flight.wait(), PATIENCE)
        if failures:
            raise failures.pop()
        return "ok"

    model = ScriptedModel(replies=[says(call("pay", "1"), call("fail_once", "2")), says(text="done")])
    agent = create_agent(model, [pay, fail_once], checkpointer=InMemorySaver())

    with pytest.raises(ConnectionError):
        await agent.ainvoke(human(), thread())
    await agent.ainvoke(None, thread())

    assert len(paid) == 2


async def test_a_sync_tool_in_flight_under_ainvoke_pays_again_while_its_first_run_still_goes_on() -> None:
    lock = threading.Lock()
    paid: list[int] = []
    running: set[int] = set()
    overlaps: list[set[int]] = []
    in_flight, release = threading.Event(), threading.Event()
    failures = [ConnectionError("reply lost")]

    @tool
    def pay() -> str:
        """Pay, and wait for the receipt, the first time."""
        with lock:
            attempt = len(paid) + 1
            paid.append(attempt)
            running.add(attempt)
            overlaps.append(set(running))
        in_flight.set()
        if attempt == 1:
            assert release.wait(PATIENCE)
        release.set()
        with lock:
            running.discard(attempt)
        return "paid"

    @tool
    async def fail_once() -> str:
        """Fail while the sibling waits."""
        assert await asyncio.to_thread(in_flight.wait, PATIENCE)
        if failures:
            raise failures.pop()
        return "ok"

    model = ScriptedModel(replies=[says(call("pay", "1"), call("fail_once", "2")), says(text="done")])
    agent = create_agent(model, [pay, fail_once], checkpointer=InMemorySaver())

    with pytest.raises(ConnectionError):
        await agent.ainvoke(human(), thread())
    await agent.ainvoke(None, thread())

    assert overlaps == [{1}, {1, 2}]
