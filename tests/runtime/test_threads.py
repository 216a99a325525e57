"""A sync body under an event loop: it runs on a thread, and cancelling its caller does not stop that thread."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from clawproof_langgraph import Coordinator, current_call
from clawproof_langgraph.core.call import Terms, guarded_call
from clawproof_langgraph.model import Replay
from clawproof_langgraph.policy import Effect
from tests.runtime.stores import FlakyStore, aperform, held, new_ask, perform
from tests.waiting import await_until, wait_until


def once(ask: Any, wait: float = 5.0) -> Any:
    """Make the program of a once tool."""
    return guarded_call(ask, Terms(Effect.ONCE, wait))


def start(coordinator: Coordinator, function: Callable[..., Any], *, blocking: bool) -> asyncio.Task[Any]:
    """Start a call on the running loop."""
    return asyncio.create_task(aperform(coordinator, once, function, blocking=blocking, key="k", ttl=1.0))


async def test_a_sync_body_runs_on_a_thread_and_sees_its_call(coordinator: Coordinator) -> None:
    def body(lease: Any, attempt: int) -> list[Any]:
        call = current_call()
        assert call is not None
        return [threading.current_thread() is threading.main_thread(), call.fence == lease.fence]

    outcome = await start(coordinator, body, blocking=True)

    assert outcome.value == [False, True]
    assert current_call() is None


async def test_cancelled_before_its_thread_was_free_it_never_runs_and_gives_its_turn_back(
    coordinator: Coordinator,
) -> None:
    free = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        asyncio.get_running_loop().set_default_executor(pool)
        pool.submit(free.wait)
        ran: list[int] = []
        task = start(coordinator, lambda lease, attempt: ran.append(1), blocking=True)
        await await_until(lambda: coordinator.snapshot().leases)
        await asyncio.sleep(0)

        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        free.set()

    assert ran == []
    snapshot = coordinator.snapshot()
    assert (snapshot.leases, snapshot.in_doubt) == ((), ())
    assert not coordinator._heartbeat._leases


async def test_cancelled_after_it_began_it_goes_on_under_its_lease_and_settles(coordinator: Coordinator) -> None:
    began, finish = threading.Event(), threading.Event()

    def body(lease: Any, attempt: int) -> str:
        began.set()
        finish.wait(5)
        lease.check()
        return "finished"

    task = start(coordinator, body, blocking=True)
    await await_until(began.is_set)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert coordinator.snapshot().leases, "the tool still runs"
    finish.set()
    await await_until(lambda: not coordinator.snapshot().leases)
    outcome = await start(coordinator, lambda lease, attempt: "again", blocking=True)
    assert isinstance(outcome, Replay) and outcome.result == b'1"finished"'


async def test_a_pool_that_takes_no_more_work_gives_the_turn_back(coordinator: Coordinator) -> None:
    pool = ThreadPoolExecutor(1)
    asyncio.get_running_loop().set_default_executor(pool)
    pool.shutdown()

    with pytest.raises(RuntimeError, match="shutdown"):
        await start(coordinator, lambda lease, attempt: "x", blocking=True)

    assert coordinator.snapshot().leases == ()


async def test_an_async_body_that_is_cancelled_is_in_doubt_and_keeps_no_lock(coordinator: Coordinator) -> None:
    began = asyncio.Event()

    async def body(lease: Any, attempt: int) -> None:
        began.set()
        await asyncio.Event().wait()

    task = start(coordinator, body, blocking=False)
    await began.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    snapshot = coordinator.snapshot()
    assert snapshot.leases == ()
    assert [doubt.key for doubt in snapshot.in_doubt] == ["k"]


@pytest.mark.parametrize("blocking", [True, False], ids=["thread", "loop"])
async def test_cancelled_while_queued_it_leaves_the_queue(
    coordinator: Coordinator, store: FlakyStore, blocking: bool
) -> None:
    with held(store):
        task = start(coordinator, lambda lease, attempt: pytest.fail("it ran"), blocking=blocking)
        await await_until(lambda: coordinator.snapshot().waiters)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert coordinator.snapshot().waiters == ()

    assert coordinator.snapshot().leases == ()
    assert not coordinator._heartbeat._bells


def test_an_interrupt_while_queued_leaves_the_queue(
    coordinator: Coordinator, store: FlakyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("clawproof_langgraph.runtime.drive._PULSE", 0.01)

    def interrupt() -> None:
        raise KeyboardInterrupt

    driver = coordinator.driver(pulse=interrupt)
    ask = new_ask(coordinator, "inventory/1", bell=driver.take_bell())
    with held(store), pytest.raises(KeyboardInterrupt):
        driver.drive(once(ask))

    assert (coordinator.snapshot().waiters, coordinator.snapshot().leases) == ((), ())
    assert store.bells_out == 0


@pytest.mark.parametrize("face", ["sync", "async"])
def test_a_long_wait_shows_that_it_is_no_hang(
    coordinator: Coordinator, store: FlakyStore, monkeypatch: pytest.MonkeyPatch, face: str
) -> None:
    monkeypatch.setattr("clawproof_langgraph.runtime.drive._PULSE", 0.01)
    pulses: list[int] = []
    driver = coordinator.driver(pulse=lambda: pulses.append(1))

    def wait_here() -> None:
        driver.drive(once(new_ask(coordinator, "inventory/1", bell=driver.take_bell()), 0.1))

    async def wait_on_loop() -> None:
        await driver.adrive(once(new_ask(coordinator, "inventory/1", bell=driver.use_loop_bell()), 0.1))

    with held(store), pytest.raises(TimeoutError):
        asyncio.run(wait_on_loop()) if face == "async" else wait_here()

    assert 2 <= len(pulses) <= 11


def test_many_threads_and_loops_share_one_coordinator(coordinator: Coordinator) -> None:
    inside, worst, done = [0], [0], []

    def body(lease: Any, attempt: int) -> None:
        inside[0] += 1
        worst[0] = max(worst[0], inside[0])
        inside[0] -= 1
        done.append(lease.fence)

    def work(mode: str) -> None:
        for _ in range(5):
            perform(mode, coordinator, once, body)

    threads = [threading.Thread(target=work, args=(mode,)) for mode in ["sync", "async", "thread"] * 3]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)

    assert (worst[0], len(done)) == (1, 45)
    assert done == sorted(set(done)), "each grant has a higher fence than the one before"
    wait_until(lambda: not coordinator._heartbeat._leases)
