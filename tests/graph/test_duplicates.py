"""How often one intended payment happens with the guard, where plain LangGraph makes it twice or more."""

import asyncio
import threading
from typing import Any

import pytest
from langchain_core.tools import BaseTool, tool
from langgraph.types import Command, RetryPolicy, interrupt

from clawproof_langgraph import Coordinator, Guard, ToolPolicy
from tests.langgraph.scripted import asks, call, play, results, thread, tools_only
from tests.waiting import PATIENCE, await_until

from .stage import Build, hooked, human, ready_made, turn, wrapped

pytestmark = pytest.mark.filterwarnings("ignore:A RetryPolicy on node:clawproof_langgraph.errors.ClawproofWarning")

BUILDS = [hooked, wrapped, ready_made]
SEEING_MESSAGES = [hooked, ready_made]
POLICIES = {
    "pay": ToolPolicy(locks=["account/1"]),
    "approve": ToolPolicy(effect="read"),
    "pay_then_ask": ToolPolicy(effect="delegate"),
    "break_once": ToolPolicy(effect="idempotent", retry=False),
}


class Account:
    """Tools whose payments are counted, and their guard."""

    def __init__(self, coordinator: Coordinator) -> None:
        self.paid: list[str] = []
        self.broken = True
        self.guard = Guard(coordinator, tools=POLICIES)

    def tools(self) -> list[BaseTool]:
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
            """Pay with a guarded tool, and ask only then."""
            self.guard.wrap_tool(pay).invoke({})
            return interrupt("was that right?")

        @tool
        def break_once() -> str:
            """Lose the connection, the first time."""
            broken, self.broken = self.broken, False
            if broken:
                raise ConnectionError("reply lost")
            return "ok"

        return [pay, approve, pay_then_ask, break_once]


def contents(state: Any) -> list[Any]:
    return [message.content for message in results(state)]


@pytest.mark.parametrize("build", BUILDS)
def test_a_sibling_that_interrupts_does_not_pay_again(coordinator: Coordinator, build: Build, mode: str) -> None:
    account = Account(coordinator)
    graph = build(account.guard, turn(call("pay", "1"), call("approve", "2")), account.tools())

    play(graph, human(), thread(), mode=mode)
    state = play(graph, Command(resume="yes"), thread(), mode=mode)

    assert len(account.paid) == 1
    assert contents(state) == ["paid", "yes"]


@pytest.mark.parametrize("build", BUILDS)
def test_a_guarded_payment_before_an_interrupt_in_the_same_tool_is_made_once(
    coordinator: Coordinator, build: Build, mode: str
) -> None:
    account = Account(coordinator)
    graph = build(account.guard, turn(call("pay_then_ask")), account.tools())

    play(graph, human(), thread(), mode=mode)
    state = play(graph, Command(resume="yes"), thread(), mode=mode)

    assert len(account.paid) == 1
    assert contents(state) == ["yes"]


@pytest.mark.parametrize("build", BUILDS)
def test_an_effect_of_the_body_itself_before_an_interrupt_happens_again_as_in_plain_langgraph(
    coordinator: Coordinator, build: Build, mode: str
) -> None:
    # The body runs from its start. What must not repeat is put into a guarded call of its own, as above.
    paid: list[str] = []

    @tool
    def pay_and_ask() -> str:
        """Pay unguarded, and ask."""
        paid.append("once")
        return interrupt("was that right?")

    guard = Guard(coordinator, tools={"pay_and_ask": ToolPolicy()})
    graph = build(guard, turn(call("pay_and_ask")), [pay_and_ask])

    play(graph, human(), thread(), mode=mode)
    play(graph, Command(resume="yes"), thread(), mode=mode)

    assert len(paid) == 2


@pytest.mark.parametrize("build", [hooked, wrapped])
def test_a_retry_policy_does_not_pay_again_when_a_sibling_fails(
    coordinator: Coordinator, build: Build, mode: str
) -> None:
    account = Account(coordinator)
    node = account.guard.tool_node(account.tools()) if build is hooked else account.guard.wrap_tools(account.tools())
    policy = RetryPolicy(initial_interval=0, jitter=False)
    graph = tools_only(node, node={"retry_policy": policy})

    state = play(graph, asks(call("pay", "1"), call("break_once", "2")), thread(), mode=mode)

    assert len(account.paid) == 1
    assert contents(state) == ["paid", "ok"]


@pytest.mark.parametrize("build", BUILDS)
def test_going_on_after_a_sibling_failed_does_not_pay_again(coordinator: Coordinator, build: Build, mode: str) -> None:
    account = Account(coordinator)
    graph = build(account.guard, turn(call("pay", "1"), call("break_once", "2")), account.tools())

    with pytest.raises(ConnectionError):
        play(graph, human(), thread(), mode=mode)
    state = play(graph, None, thread(), mode=mode)

    assert len(account.paid) == 1
    assert contents(state) == ["paid", "ok"]


def before_tools(graph: Any) -> Any:
    return next(state for state in graph.get_state_history(thread()) if state.next == ("tools",)).config


@pytest.mark.parametrize("build", SEEING_MESSAGES)
def test_a_replay_from_an_earlier_checkpoint_does_not_pay_again(
    coordinator: Coordinator, build: Build, mode: str
) -> None:
    account = Account(coordinator)
    graph = build(account.guard, turn(call("pay")), account.tools())
    play(graph, human(), thread(), mode=mode)

    state = play(graph, None, before_tools(graph), mode=mode)

    assert len(account.paid) == 1
    assert contents(state) == ["paid"]


def test_a_tool_that_sees_no_messages_pays_again_on_a_replay_unless_it_has_a_business_key(
    coordinator: Coordinator,
) -> None:
    for policy, times in ((ToolPolicy(), 2), (ToolPolicy(key="invoice-7"), 1)):
        account = Account(coordinator)
        guard = Guard(coordinator, tools=POLICIES | {"pay": policy})
        graph = wrapped(guard, turn(call("pay")), account.tools())
        graph.invoke(human(), thread())

        graph.invoke(None, before_tools(graph))

        assert len(account.paid) == times


class Receipt:
    """An async payment that waits for its receipt, and a sibling that fails meanwhile, once."""

    def __init__(self) -> None:
        self.paid: list[str] = []
        self.in_flight, self.arrived = asyncio.Event(), asyncio.Event()
        self.failures = [ConnectionError("reply lost")]

    def tools(self) -> list[BaseTool]:
        @tool
        async def pay() -> str:
            """Pay, and wait for the receipt."""
            self.paid.append("once")
            self.in_flight.set()
            await self.arrived.wait()
            return "paid"

        @tool
        async def break_once() -> str:
            """Fail while the sibling waits."""
            await asyncio.wait_for(self.in_flight.wait(), PATIENCE)
            if self.failures:
                raise self.failures.pop()
            return "ok"

        return [pay, break_once]


async def test_an_async_tool_cancelled_because_its_sibling_failed_is_not_run_again(coordinator: Coordinator) -> None:
    receipt = Receipt()
    guard = Guard(coordinator, tools=POLICIES)
    agent = ready_made(guard, turn(call("pay", "1"), call("break_once", "2")), receipt.tools())

    with pytest.raises(ConnectionError):
        await agent.ainvoke(human(), thread())
    state = await agent.ainvoke(None, thread())

    answer, sibling = results(state)
    assert len(receipt.paid) == 1
    assert answer.status == "error"
    assert "unknown" in answer.content and "must not be repeated" in answer.content
    assert sibling.content == "ok"


async def test_an_async_tool_that_outlives_its_failed_run_is_waited_for_and_its_result_is_used(
    coordinator: Coordinator,
) -> None:
    receipt = Receipt()
    guard = Guard(coordinator, tools=POLICIES)
    graph = hooked(guard, turn(call("pay", "1"), call("break_once", "2")), receipt.tools())

    with pytest.raises(ConnectionError):
        await graph.ainvoke(human(), thread())
    going_on = asyncio.create_task(graph.ainvoke(None, thread()))
    await await_until(lambda: coordinator.snapshot().waiters)
    receipt.arrived.set()
    state = await going_on

    assert len(receipt.paid) == 1
    assert contents(state) == ["paid", "ok"]


@pytest.mark.parametrize("build", SEEING_MESSAGES)
async def test_a_sync_tool_in_flight_under_ainvoke_is_waited_for_and_its_result_is_used(
    coordinator: Coordinator, build: Build
) -> None:
    paid: list[str] = []
    in_flight, release = threading.Event(), threading.Event()
    failures = [ConnectionError("reply lost")]

    @tool
    def pay() -> str:
        """Pay, and wait for the receipt."""
        paid.append("once")
        in_flight.set()
        assert release.wait(PATIENCE)
        return "paid"

    @tool
    async def break_once() -> str:
        """Fail while the sibling waits."""
        assert await asyncio.to_thread(in_flight.wait, PATIENCE)
        if failures:
            raise failures.pop()
        return "ok"

    guard = Guard(coordinator, tools=POLICIES)
    graph = build(guard, turn(call("pay", "1"), call("break_once", "2")), [pay, break_once])

    with pytest.raises(ConnectionError):
        await graph.ainvoke(human(), thread())
    going_on = asyncio.create_task(graph.ainvoke(None, thread()))
    await await_until(lambda: coordinator.snapshot().waiters)
    release.set()
    state = await going_on

    assert len(paid) == 1
    assert contents(state) == ["paid", "ok"]
