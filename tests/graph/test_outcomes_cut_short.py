"""How a call settles when it is cancelled, interrupted, or loses its lease."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from langchain_core.tools import BaseTool, tool

from clawproof_langgraph import CallContext, Coordinator, LeaseLost, ToolPolicy
from clawproof_langgraph import current_call as running
from clawproof_langgraph.core.call import Terms, guarded_call
from clawproof_langgraph.errors import ClawproofWarning
from clawproof_langgraph.graph import results
from clawproof_langgraph.graph.body import ToolBody, ToolTraits
from clawproof_langgraph.testing.builders import call as ask_for
from tests.langgraph.scripted import call
from tests.waiting import PATIENCE, await_until, wait_until

from .faults import FaultyStore
from .stage import as_tool, doubts, guarded, types_of, use

POLICY = ToolPolicy(key="order/{order}", locks=["inventory/1"])
SHORT = ToolPolicy(key="order/{order}", locks=["inventory/1"], ttl=0.3)


def calling(tool: BaseTool, order: int = 7) -> asyncio.Task[Any]:
    """Start an async call."""
    return asyncio.create_task(tool.ainvoke(call(tool.name, order=order)))


@pytest.mark.parametrize("effect", ["once", "idempotent", "keyed"])
async def test_a_cancelled_async_tool_is_in_doubt_and_its_locks_are_free_only_when_it_has_ended(
    coordinator: Coordinator, effect: str
) -> None:
    started, cleaning, may_end = asyncio.Event(), asyncio.Event(), asyncio.Event()

    @tool
    async def place(order: int) -> str:
        """Place an order, and take a while to stop."""
        started.set()
        try:
            await asyncio.Future()
        finally:
            cleaning.set()
            await may_end.wait()

    task = calling(guarded(coordinator, place, POLICY.model_copy(update={"effect": effect})))
    await started.wait()
    task.cancel()
    await cleaning.wait()
    assert [lease.tool for lease in coordinator.snapshot().leases] == ["place"]
    may_end.set()

    with pytest.raises(asyncio.CancelledError):
        await task
    assert task.cancelled()
    assert coordinator.snapshot().leases == ()
    assert doubts(coordinator) == ["place"]


@pytest.mark.parametrize("effect", ["once", "idempotent"])
def test_an_interrupted_tool_is_in_doubt(coordinator: Coordinator, effect: str) -> None:
    error = KeyboardInterrupt()

    def place(order: int) -> str:
        """Be stopped from the keyboard."""
        raise error

    with pytest.raises(KeyboardInterrupt) as caught:
        use(guarded(coordinator, as_tool(place, "sync"), POLICY.model_copy(update={"effect": effect})), order=7)

    assert caught.value is error
    assert doubts(coordinator) == ["place"] and coordinator.snapshot().leases == ()


async def test_a_sync_tool_whose_await_is_cancelled_goes_on_under_its_lease_and_settles_when_it_ends(
    coordinator: Coordinator,
) -> None:
    started, release = threading.Event(), threading.Event()
    ran: list[int] = []

    @tool
    def place(order: int) -> str:
        """Place an order on a thread."""
        ran.append(order)
        started.set()
        assert release.wait(PATIENCE)
        return "placed"

    copy = guarded(coordinator, place, POLICY)
    task = calling(copy)
    await await_until(started.is_set)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert [lease.tool for lease in coordinator.snapshot().leases] == ["place"]
    assert doubts(coordinator) == []
    release.set()
    await await_until(lambda: not coordinator.snapshot().leases)
    assert types_of(coordinator, types=["call.done", "call.in_doubt"]) == ["call.done"]
    assert (await calling(copy)).content == "placed"
    assert ran == [7]


async def test_a_call_cancelled_while_queued_is_withdrawn_and_the_next_waiter_is_woken(
    coordinator: Coordinator,
) -> None:
    started, release = asyncio.Event(), asyncio.Event()
    ran: list[int] = []

    @tool
    async def place(order: int) -> str:
        """Place an order."""
        ran.append(order)
        started.set()
        await release.wait()
        return "placed"

    copy = guarded(coordinator, place, POLICY)
    holder = calling(copy, 1)
    await started.wait()
    waiters = []
    for order in (2, 3):
        waiters.append(calling(copy, order))
        await await_until(lambda order=order: len(coordinator.snapshot().waiters) == order - 1)

    waiters[0].cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiters[0]
    assert len(coordinator.snapshot().waiters) == 1
    release.set()
    await asyncio.wait_for(asyncio.gather(holder, waiters[1]), PATIENCE)

    assert ran == [1, 3] and doubts(coordinator) == []
    assert len(coordinator.events(types=["call.started"])) == 2


async def test_a_waiter_that_gives_up_lets_those_behind_it_in_at_once(coordinator: Coordinator) -> None:
    inside, release = asyncio.Semaphore(0), asyncio.Event()

    @tool
    async def look(order: int) -> str:
        """Look, together with other readers."""
        inside.release()
        await release.wait()
        return "seen"

    @tool
    async def place(order: int) -> str:
        """Place an order."""
        return "placed"

    reader = guarded(coordinator, look, ToolPolicy(effect="read", locks=["inventory/1"]))
    first = calling(reader)
    await inside.acquire()
    writer = calling(guarded(coordinator, place, POLICY))
    await await_until(lambda: len(coordinator.snapshot().waiters) == 1)
    behind = calling(reader)
    await await_until(lambda: len(coordinator.snapshot().waiters) == 2)

    writer.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writer

    assert coordinator.snapshot().waiters == ()
    await asyncio.wait_for(inside.acquire(), PATIENCE)
    release.set()
    assert [answer.content for answer in await asyncio.gather(first, behind)] == ["seen", "seen"]


async def test_a_sync_call_cancelled_while_queued_never_starts_its_thread(coordinator: Coordinator) -> None:
    ran: list[int] = []

    @tool
    def place(order: int) -> str:
        """Place an order."""
        ran.append(order)
        return "placed"

    held, release = asyncio.Event(), asyncio.Event()

    async def hold() -> None:
        async with coordinator.lock("inventory/1"):
            held.set()
            await release.wait()

    holder = asyncio.create_task(hold())
    await held.wait()
    task = calling(guarded(coordinator, place, POLICY))
    await await_until(lambda: coordinator.snapshot().waiters)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    release.set()
    await holder

    assert ran == [] and coordinator.snapshot().waiters == ()
    assert types_of(coordinator, types=["call.started"]) == []


async def test_an_async_tool_that_loses_its_lease_is_cancelled_and_the_caller_told(url: str) -> None:
    store = FaultyStore(url)
    ended: list[str] = []
    with Coordinator(store) as coordinator:

        @tool
        async def place(order: int) -> str:
            """Hang until cancelled."""
            store.forget_leases = True
            try:
                await asyncio.wait_for(asyncio.Future(), PATIENCE)
            except asyncio.CancelledError:
                ended.append("cancelled")
                raise
            return "never"

        copy = guarded(coordinator, place, SHORT)
        task = calling(copy)

        with pytest.raises(LeaseLost, match="inventory/1"):
            await task

        assert ended == ["cancelled"]
        assert not task.cancelled()
        assert doubts(coordinator) == ["place"]


async def test_an_async_tool_that_loses_its_lease_before_its_effect_began_is_free_to_run_again(url: str) -> None:
    store = FaultyStore(url)
    with Coordinator(store) as coordinator:

        @tool
        async def place(order: int) -> str:
            """Hang until cancelled, or say that the effect begins."""
            if store.forget_leases:
                await asyncio.wait_for(asyncio.Future(), PATIENCE)
            mine = running()
            assert mine is not None
            mine.effect_begins()
            return "placed"

        copy = guarded(coordinator, place, SHORT)
        store.forget_leases = True
        with pytest.raises(LeaseLost):
            await calling(copy)
        store.forget_leases = False

        assert doubts(coordinator) == []
        assert (await calling(copy)).content == "placed"


async def call_here(coordinator: Coordinator, code: Callable[[], Awaitable[Any]]) -> Any:
    """Call an async tool in the running task, as a node does; LangChain gives a tool a task of its own."""
    policy = ToolPolicy(effect="idempotent", retry=False)
    body = ToolBody(ToolTraits("pay", policy, mcp=False, marks_effect=False, gives_pair=False), coordinator, None, code)
    driver = coordinator.driver(body)
    driver.use_loop_bell()
    ask = ask_for(coordinator.new_owner(), "inventory/1", session=coordinator.session, ttl=0.3)
    return await driver.adrive(guarded_call(ask, Terms(policy.effect, wait=PATIENCE)))


@pytest.mark.parametrize("ending", ["returns", "raises", "is cancelled"])
async def test_a_lost_lease_leaves_no_cancellation_behind_in_the_task(url: str, ending: str) -> None:
    store = FaultyStore(url)
    with Coordinator(store) as coordinator:
        store.forget_leases = True

        async def code() -> str:
            try:
                await asyncio.wait_for(asyncio.Future(), PATIENCE)
            except asyncio.CancelledError:
                if ending == "is cancelled":
                    raise
                if ending == "raises":
                    raise ValueError("broken") from None
            return "placed"

        outcome = await call_here(coordinator, code)

        errors = {"returns": type(None), "raises": ValueError, "is cancelled": LeaseLost}
        assert type(getattr(outcome, "error", None)) is errors[ending]
        await no_cancellation_is_left()


async def test_a_lease_that_is_lost_as_the_tool_ends_cancels_nothing(url: str) -> None:
    """The heartbeat has asked the loop to cancel the tool, and the tool ends before the loop gets to it."""
    store = FaultyStore(url)
    with Coordinator(store) as coordinator:

        async def code() -> str:
            mine = running()
            assert mine is not None
            mine._lease.mark_lost("a moment ago")
            return "placed"

        assert (await call_here(coordinator, code)).value == "placed"
        await no_cancellation_is_left()


async def test_a_cancellation_from_outside_is_kept_beside_the_one_of_a_lost_lease(url: str) -> None:
    store = FaultyStore(url)
    with Coordinator(store) as coordinator:
        cleaning = asyncio.Event()

        async def code() -> None:
            try:
                await asyncio.Future()
            except asyncio.CancelledError:
                cleaning.set()
                await asyncio.Future()

        async def node() -> None:
            raise (await call_here(coordinator, code)).error

        store.forget_leases = True
        task = asyncio.create_task(node())
        await asyncio.wait_for(cleaning.wait(), PATIENCE)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

        assert task.cancelled() and task.cancelling() == 1


async def no_cancellation_is_left() -> None:
    """Make sure that the running task has none that is to come, or that a task group or a time-out would count."""
    await asyncio.sleep(0)
    task = asyncio.current_task()
    assert task is not None and task.cancelling() == 0


def test_an_interrupt_while_the_result_is_encoded_leaves_the_call_in_doubt(
    coordinator: Coordinator, monkeypatch: pytest.MonkeyPatch, face: str
) -> None:
    def place(order: int) -> str:
        """Place an order."""
        return "placed"

    def interrupted(value: Any) -> bytes:
        raise KeyboardInterrupt

    copy = guarded(coordinator, as_tool(place, face), POLICY)
    monkeypatch.setattr(results, "encode", interrupted)
    with pytest.raises(KeyboardInterrupt):
        use(copy, face, order=7)

    assert doubts(coordinator) == ["place"] and coordinator.snapshot().leases == ()


def test_a_sync_tool_that_loses_its_lease_runs_to_its_end_and_its_result_counts(url: str) -> None:
    store = FaultyStore(url)
    with Coordinator(store) as coordinator, ThreadPoolExecutor(1) as elsewhere:

        def other_fence() -> int:
            with coordinator.lock("inventory/1", wait=PATIENCE) as other:
                return other.fence

        def place(order: int) -> str:
            """Outlive the lease, while another takes the lock."""
            mine = running()
            assert mine is not None
            store.forget_leases = True
            wait_until(lambda: _is_lost(mine))
            assert elsewhere.submit(other_fence).result() > mine.fence
            return "placed"

        copy = guarded(coordinator, as_tool(place, "sync"), SHORT)
        with pytest.warns(ClawproofWarning, match="lease on inventory/1 was lost"):
            answer = use(copy, order=7)

        assert answer.content == "placed"
        assert types_of(coordinator, types=["lease.lost"]) == ["lease.lost"]
        assert doubts(coordinator) == []
        assert use(copy, order=7).content == "placed"


def _is_lost(mine: CallContext) -> bool:
    try:
        mine.check()
    except LeaseLost:
        return True
    return False
