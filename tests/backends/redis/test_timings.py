"""How long others wait for those who died, measured between processes."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial

import pytest

from clawproof_langgraph import Coordinator
from tests.backends.redis.workers import ended, process, told
from tests.servers import Server
from tests.waiting import wait_until

SLACK = 0.1
"""Seconds for the processes to hear of it."""
PASSED_ON = 1.6
"""Seconds after which a grant that is not taken up has passed on: one, and half a second until somebody sweeps."""
TRIES = 3
"""How often a figure is measured at most: a machine that is busy with something else shows longer ones."""


@pytest.fixture
def store(redis_server: Server, namespace: str) -> tuple[str, str]:
    return redis_server.url, namespace


@pytest.fixture
def coordinator(store: tuple[str, str]) -> Iterator[Coordinator]:
    url, namespace = store
    with Coordinator.from_url(url, namespace=namespace) as coordinator:
        yield coordinator


def owners(coordinator: Coordinator) -> list[str]:
    return [waiter.owner for waiter in coordinator.snapshot().waiters]


Measure = Callable[[], float]


@pytest.fixture
def best(capsys: pytest.CaptureFixture[str]) -> Callable[[str, Measure, float], float]:
    """Measure until a figure is below its limit, a few times at most; print it, and give it."""

    def measured(what: str, measure: Measure, limit: float) -> float:
        for _ in range(TRIES):
            took = measure()
            with capsys.disabled():
                print(f"\n{what} {took * 1000:.0f} ms")  # noqa: T201
            if took < limit:
                break
        return took

    return measured


Best = Callable[[str, Measure, float], float]


def test_what_a_dead_holder_had_passes_on_when_its_ttl_ends(
    store: tuple[str, str], coordinator: Coordinator, best: Best
) -> None:
    def measure() -> float:
        with process("hold", *store, "1.5") as holder:
            told(holder)
            with process("wait", *store) as waiter:
                told(waiter)
                wait_until(lambda: owners(coordinator))
                holder.send_signal(signal.SIGKILL)
                holder.wait()
                (lease,) = coordinator.snapshot().leases
                ends = time.time() + lease.remaining
                return ended(waiter) - ends

    late = best("a dead holder's lock passes on after the end of its TTL by", measure, 0.05)
    assert -0.05 < late < 0.05 + SLACK


def test_a_grant_that_is_not_taken_up_passes_on_after_a_second(
    store: tuple[str, str], coordinator: Coordinator, best: Best
) -> None:
    def measure() -> float:
        with ExitStack() as held, process("wait_deaf", *store) as deaf:
            held.enter_context(coordinator.lock("a"))
            told(deaf)
            with process("wait", *store) as waiter:
                told(waiter)
                wait_until(lambda: len(owners(coordinator)) == 2)
                released = time.time()
                held.close()
                return ended(waiter) - released

    took = best("an unclaimed grant passes on after", measure, 1.1)
    assert 1 - 0.05 < took < PASSED_ON + SLACK
    assert [event.type for event in coordinator.events(types=["call.in_doubt", "lock.expired"])] == []


def test_a_dead_waiter_is_out_of_the_queue_within_three_seconds(
    store: tuple[str, str], coordinator: Coordinator, best: Best
) -> None:
    def measure() -> float:
        with coordinator.lock("a"), process("wait", *store) as waiter:
            told(waiter)
            wait_until(lambda: owners(coordinator))
            waiter.send_signal(signal.SIGKILL)
            waiter.wait()
            died = time.time()
            wait_until(lambda: not owners(coordinator))
            return time.time() - died

    assert best("a dead waiter is out of the queue after", measure, 3.0) < 3 + SLACK


def two_waiters(store: tuple[str, str], coordinator: Coordinator, *, is_known: bool) -> float:
    """Kill the first of two waiters, release, and tell how long the second waited for its turn from then on.

    Args:
        store: its URL and the namespace.
        coordinator: holds what they wait for.
        is_known: whether the dead one is out of the queue when its turn comes.
    """
    with ExitStack() as held, ExitStack() as running:
        held.enter_context(coordinator.lock("a"))
        waiters = []
        for place in (1, 2):
            waiters.append(running.enter_context(process("wait", *store)))
            told(waiters[-1])
            wait_until(partial(_are_queued, coordinator, place))
        first, second = waiters
        first.send_signal(signal.SIGKILL)
        first.wait()
        if is_known:
            wait_until(partial(_are_queued, coordinator, 1))
        released = time.time()
        held.close()
        return ended(second) - released


def _are_queued(coordinator: Coordinator, count: int) -> bool:
    return len(owners(coordinator)) == count


def test_a_dead_waiter_is_passed_over_when_its_turn_comes(
    store: tuple[str, str], coordinator: Coordinator, best: Best
) -> None:
    measure = partial(two_waiters, store, coordinator, is_known=True)
    assert best("the next living waiter has its turn after", measure, 0.05) < SLACK


def test_a_waiter_that_died_just_now_costs_those_behind_it_little_more_than_a_second(
    store: tuple[str, str], coordinator: Coordinator, best: Best
) -> None:
    """Nobody knows yet that it is dead: it is handed the grant, and does not take it up."""
    measure = partial(two_waiters, store, coordinator, is_known=False)
    assert best("behind a waiter that has just died, the turn comes after", measure, PASSED_ON) < PASSED_ON + SLACK


def test_an_event_loop_that_is_blocked_keeps_its_lease(store: tuple[str, str], coordinator: Coordinator) -> None:
    ttl = 1.2

    async def block() -> None:
        with process("wait", *store) as rival:
            async with coordinator.lock("a", ttl=ttl) as lease:
                told(rival)
                wait_until(lambda: owners(coordinator))
                time.sleep(2.5 * ttl)  # noqa: ASYNC251 - the point of it: nothing else runs on this loop
                lease.check()
                assert rival.poll() is None
                assert [view.owner for view in coordinator.snapshot().leases] == [lease.owner]

    asyncio.run(block())
    assert coordinator.events(types=["lock.expired", "lease.lost"]) == []
