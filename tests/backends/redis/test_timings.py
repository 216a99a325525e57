"""How long others wait for those who died, measured between processes."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable, Iterator

import pytest

from clawproof_langgraph import Coordinator
from tests.backends.redis.workers import process, told
from tests.servers import Server
from tests.waiting import wait_until

SLACK = 0.5
"""Seconds that a busy machine may take on top."""

Show = Callable[[str, float], None]


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


@pytest.fixture
def show(capsys: pytest.CaptureFixture[str]) -> Callable[[str, float], None]:
    """Print a figure, whatever pytest captures."""

    def shown(what: str, seconds: float) -> None:
        with capsys.disabled():
            print(f"\n{what} {seconds * 1000:.0f} ms")  # noqa: T201

    return shown


def test_what_a_dead_holder_had_passes_on_when_its_ttl_ends(
    store: tuple[str, str], coordinator: Coordinator, show: Show
) -> None:
    with process("hold", *store, "1.5") as holder:
        told(holder)
        with process("wait", *store) as waiter:
            told(waiter)
            wait_until(lambda: owners(coordinator))
            holder.send_signal(signal.SIGKILL)
            holder.wait()
            (lease,) = coordinator.snapshot().leases
            ends = time.time() + lease.remaining
            late = told(waiter) - ends
    show("a dead holder's lock passes on after the end of its TTL by", late)
    assert -0.05 < late < 0.05 + SLACK


def test_a_grant_that_is_not_taken_up_passes_on_after_a_second(
    store: tuple[str, str], coordinator: Coordinator, show: Show
) -> None:
    lock = coordinator.lock("a")
    lock.__enter__()
    with process("wait_deaf", *store) as deaf:
        told(deaf)
        with process("wait", *store) as waiter:
            told(waiter)
            wait_until(lambda: len(owners(coordinator)) == 2)
            released = time.time()
            lock.__exit__(None, None, None)
            took = told(waiter) - released
    show("an unclaimed grant passes on after", took)
    assert 1 - 0.05 < took < 1.05 + SLACK
    assert [event.type for event in coordinator.events(types=["call.in_doubt", "lock.expired"])] == []


def test_a_dead_waiter_is_out_of_the_queue_within_three_seconds(
    store: tuple[str, str], coordinator: Coordinator, show: Show
) -> None:
    with coordinator.lock("a"), process("wait", *store) as waiter:
        told(waiter)
        wait_until(lambda: owners(coordinator))
        waiter.send_signal(signal.SIGKILL)
        waiter.wait()
        died = time.time()
        wait_until(lambda: not owners(coordinator))
        took = time.time() - died
    show("a dead waiter is out of the queue after", took)
    assert took < 3 + SLACK


def test_a_dead_waiter_is_passed_over_when_its_turn_comes(
    store: tuple[str, str], coordinator: Coordinator, show: Show
) -> None:
    lock = coordinator.lock("a")
    lock.__enter__()
    with process("wait", *store) as first:
        told(first)
        wait_until(lambda: len(owners(coordinator)) == 1)
        with process("wait", *store) as second:
            told(second)
            wait_until(lambda: len(owners(coordinator)) == 2)
            first.send_signal(signal.SIGKILL)
            first.wait()
            wait_until(lambda: len(owners(coordinator)) == 1)
            released = time.time()
            lock.__exit__(None, None, None)
            took = told(second) - released
    show("the next living waiter has its turn after", took)
    assert took < SLACK


def test_a_waiter_that_died_just_now_costs_those_behind_it_a_second(
    store: tuple[str, str], coordinator: Coordinator, show: Show
) -> None:
    """Nobody knows yet that it is dead: it is handed the grant, and does not take it up."""
    lock = coordinator.lock("a")
    lock.__enter__()
    with process("wait", *store) as first:
        told(first)
        wait_until(lambda: len(owners(coordinator)) == 1)
        with process("wait", *store) as second:
            told(second)
            wait_until(lambda: len(owners(coordinator)) == 2)
            first.send_signal(signal.SIGKILL)
            first.wait()
            released = time.time()
            lock.__exit__(None, None, None)
            took = told(second) - released
    show("behind a waiter that has just died, the turn comes after", took)
    assert took < 1.05 + SLACK


def test_an_event_loop_that_is_blocked_keeps_its_lease(store: tuple[str, str], coordinator: Coordinator) -> None:
    ttl = 0.6

    async def block() -> None:
        async with coordinator.lock("a", ttl=ttl) as lease:
            with process("wait", *store) as rival:
                told(rival)
                wait_until(lambda: owners(coordinator))
                time.sleep(2.5 * ttl)  # noqa: ASYNC251 - the point of it: nothing else runs on this loop
                lease.check()
                assert rival.poll() is None
                assert [view.owner for view in coordinator.snapshot().leases] == [lease.owner]

    asyncio.run(block())
    assert coordinator.events(types=["lock.expired", "lease.lost"]) == []
