"""A sync body under an event loop: it runs on a thread, and cancelling its caller does not stop that thread."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from clawproof_langgraph import Coordinator, current_call
from clawproof_langgraph.core.call import Terms, guarded_call
from clawproof_langgraph.core.steps import Returned
from clawproof_langgraph.errors import BackendUnavailable, ClawproofWarning
from clawproof_langgraph.model import Replay
from clawproof_langgraph.policy import Effect
from tests.runtime.stores import Code, FlakyStore, aperform, held, new_ask, perform
from tests.waiting import PATIENCE, await_until, wait_until


def once(ask: Any, wait: float = 5.0) -> Any:
    """Make the program of a once tool."""
    return guarded_call(ask, Terms(Effect.ONCE, wait))


async def driven(coordinator: Coordinator, resource: str, function: Callable[..., Any]) -> Any:
    """Make a call of a blocking body on the running loop."""
    driver = coordinator.driver(Code(coordinator, function, blocking=True))
    return await driver.adrive(once(new_ask(coordinator, resource, bell=driver.use_loop_bell())))


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


async def test_cancelled_before_its_thread_began_it_never_runs_and_gives_its_turn_back(
    coordinator: Coordinator, monkeypatch: pytest.MonkeyPatch
) -> None:
    late: list[Callable[[], Any]] = []

    def start_later(work: Callable[[], Any]) -> Future[Any]:
        late.append(work)
        return Future()

    monkeypatch.setattr(coordinator._threads, "start", start_later)
    task = start(coordinator, lambda lease, attempt: pytest.fail("it ran"), blocking=True)
    await await_until(lambda: late)

    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    snapshot = coordinator.snapshot()
    assert (snapshot.leases, snapshot.in_doubt) == ((), ())
    assert not coordinator._heartbeat._leases
    with pytest.raises(asyncio.CancelledError):
        late[0]()


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


async def test_a_coordinator_closed_before_the_thread_began_gives_the_turn_back(coordinator: Coordinator) -> None:
    coordinator._threads.close(patience=0)

    with pytest.raises(BackendUnavailable, match="open a new one") as caught:
        await start(coordinator, lambda lease, attempt: pytest.fail("it ran"), blocking=True)

    assert caught.value.closed
    assert coordinator.snapshot().leases == ()


async def test_a_system_that_gives_no_more_threads_gives_the_turn_back(
    coordinator: Coordinator, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_more(work: Callable[[], Any]) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(coordinator._threads._pool, "submit", no_more)
    with pytest.raises(RuntimeError, match="can't start new thread"):
        await driven(coordinator, "inventory/1", lambda lease, attempt: pytest.fail("it ran"))

    assert coordinator.snapshot().leases == ()


async def test_code_that_waits_for_a_lock_in_the_loops_own_threads_does_not_starve_its_holder(
    coordinator: Coordinator,
) -> None:
    def wait_for_the_holder() -> str:
        wait_until(lambda: coordinator.events(types=["call.started"]))
        with coordinator.lock("inventory/1", wait=3):
            return "next"

    def body(lease: Any, attempt: int) -> str:
        wait_until(lambda: len(coordinator.snapshot().waiters) == 2)
        return "first"

    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(2) as pool:
        loop.set_default_executor(pool)
        waiters = [loop.run_in_executor(None, wait_for_the_holder) for _ in range(2)]
        outcome = await start(coordinator, body, blocking=True)
        assert outcome.value == "first"
        assert await asyncio.gather(*waiters) == ["next", "next"]


async def test_every_granted_call_has_a_thread_at_once(coordinator: Coordinator) -> None:
    calls = 60
    together = threading.Barrier(calls)

    def meet(lease: Any, attempt: int) -> str:
        together.wait(PATIENCE)
        return "met"

    met = await asyncio.gather(*(driven(coordinator, f"inventory/{number}", meet) for number in range(calls)))
    assert [outcome.value for outcome in met] == ["met"] * calls


async def test_threads_are_used_again(coordinator: Coordinator) -> None:
    used = set()
    for _ in range(50):
        used.add((await driven(coordinator, "inventory/1", lambda lease, attempt: threading.get_ident())).value)
    assert len(used) < 25


async def test_closing_lets_a_call_that_its_caller_has_left_end_and_settle(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'state.db'}"
    coordinator = Coordinator.from_url(url)
    began, finish = threading.Event(), threading.Event()

    def body(lease: Any, attempt: int) -> str:
        began.set()
        assert finish.wait(PATIENCE)
        return "finished"

    task = start(coordinator, body, blocking=True)
    await await_until(began.is_set)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    closing = asyncio.create_task(coordinator.aclose())
    await await_until(lambda: coordinator._closed)
    finish.set()
    await closing

    with Coordinator.from_url(url) as reopened:
        assert [event.type for event in reopened.events(types=["call.done", "call.in_doubt"])] == ["call.done"]


async def test_closing_waits_for_a_call_whose_caller_was_interrupted_just_when_its_thread_began(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite:///{tmp_path / 'state.db'}"
    coordinator = Coordinator.from_url(url)
    began, finish = threading.Event(), threading.Event()
    submit = coordinator._threads._pool.submit

    def interrupted(work: Callable[[], Any]) -> Future[Any]:
        submit(work)
        assert began.wait(PATIENCE)
        raise KeyboardInterrupt

    def body(lease: Any, attempt: int) -> str:
        began.set()
        assert finish.wait(PATIENCE)
        return "finished"

    monkeypatch.setattr(coordinator._threads._pool, "submit", interrupted)
    with pytest.raises(KeyboardInterrupt):
        await aperform(coordinator, once, body, blocking=True, key="k")
    closing = asyncio.create_task(coordinator.aclose())
    await await_until(lambda: coordinator._closed)
    finish.set()
    await closing

    with Coordinator.from_url(url) as reopened:
        assert [event.type for event in reopened.events(types=["call.done", "call.in_doubt"])] == ["call.done"]


async def test_a_call_that_outlives_the_closing_ends_with_its_result_and_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("clawproof_langgraph.coordinator._LAST_CALLS", 0.05)
    coordinator = Coordinator.from_url(f"sqlite:///{tmp_path / 'state.db'}")
    began, finish = threading.Event(), threading.Event()

    def body(lease: Any, attempt: int) -> str:
        began.set()
        assert finish.wait(PATIENCE)
        return "finished"

    task = asyncio.create_task(aperform(coordinator, once, body, blocking=True, key="k", ttl=600.0))
    await await_until(began.is_set)
    coordinator.close()
    finish.set()

    with pytest.warns(ClawproofWarning, match="though it took effect"):
        assert (await task).value == "finished"


def test_a_call_that_closes_its_coordinator_does_not_wait_for_itself(
    monkeypatch: pytest.MonkeyPatch, coordinator: Coordinator
) -> None:
    monkeypatch.setattr("clawproof_langgraph.coordinator._LAST_CALLS", PATIENCE)
    began = time.monotonic()
    outcome = perform("thread", coordinator, once, lambda lease, attempt: coordinator.close())

    assert isinstance(outcome, Returned)
    assert time.monotonic() - began < PATIENCE


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
    assert not coordinator._heartbeat._waiters


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
