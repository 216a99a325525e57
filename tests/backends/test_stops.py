"""A stop reaches running calls at once, from wherever it comes, and so does the word that they may go on."""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from clawproof_langgraph import AgentKilled, Coordinator, Lease
from tests.backends.stopping import Operator, operator
from tests.servers import Server
from tests.waiting import await_until, wait_until

AT_ONCE = 0.2
"""Seconds from the operator's command to what `check()` says; the next heartbeat is ten seconds away."""
TTL = 30
ROUNDS = 3
"""Of which the best counts: other work on the machine proves nothing."""

_numbers = itertools.count()


@pytest.fixture(params=["redis", "sqlite"])
def place(request: pytest.FixtureRequest, redis_server: Server, tmp_path: Path) -> tuple[str, str]:
    """Give the URL and the namespace of a store that processes share."""
    url = redis_server.url if request.param == "redis" else f"sqlite:///{tmp_path / 'state.db'}?synchronous=normal"
    return url, f"stops-{next(_numbers)}"


@pytest.fixture
def coordinator(place: tuple[str, str]) -> Iterator[Coordinator]:
    """Give the coordinator of this process."""
    url, namespace = place
    with Coordinator.from_url(url, namespace=namespace) as made:
        yield made


@pytest.fixture
def elsewhere(place: tuple[str, str]) -> Iterator[Operator]:
    """Give an operator in another process."""
    with operator(*place) as made:
        yield made


def is_stopped(lease: Lease) -> bool:
    """Tell whether the lease's agent is told to stop."""
    try:
        lease.check()
    except AgentKilled:
        return True
    return False


def test_a_stop_from_another_process_reaches_a_running_call_at_once(
    coordinator: Coordinator, elsewhere: Operator
) -> None:
    stops, revivals = [], []
    with coordinator.lock("a", agent="orders", ttl=TTL) as lease, coordinator.lock("b", agent="else", ttl=TTL) as other:
        for _ in range(ROUNDS):
            began = elsewhere.kill("orders")
            wait_until(lambda: is_stopped(lease), within=5)
            stops.append(time.monotonic() - began)
            began = elsewhere.revive("orders")
            wait_until(lambda: not is_stopped(lease), within=5)
            revivals.append(time.monotonic() - began)
            other.check()

    assert min(stops) < AT_ONCE, stops
    assert min(revivals) < AT_ONCE, revivals


async def test_a_stop_from_another_process_reaches_a_running_async_call_at_once(
    coordinator: Coordinator, elsewhere: Operator
) -> None:
    stops, revivals = [], []
    async with coordinator.lock("a", agent="orders", ttl=TTL) as lease:
        for _ in range(ROUNDS):
            began = await asyncio.to_thread(elsewhere.kill, "orders")
            await await_until(lambda: is_stopped(lease), within=5)
            stops.append(time.monotonic() - began)
            began = await asyncio.to_thread(elsewhere.revive, "orders")
            await await_until(lambda: not is_stopped(lease), within=5)
            revivals.append(time.monotonic() - began)

    assert min(stops) < AT_ONCE, stops
    assert min(revivals) < AT_ONCE, revivals


def test_a_stop_by_the_holders_own_coordinator_is_told_at_once(coordinator: Coordinator) -> None:
    with coordinator.lock("a", agent="orders", ttl=TTL) as lease:
        coordinator.kill("orders")
        wait_until(lambda: is_stopped(lease), within=5)
        coordinator.revive("orders")
        wait_until(lambda: not is_stopped(lease), within=5)


def test_a_stop_is_told_to_all_who_share_a_memory() -> None:
    url = f"memory://stops-{next(_numbers)}"
    with (
        Coordinator.from_url(url) as one,
        Coordinator.from_url(url) as other,
        one.lock("a", agent="orders", ttl=TTL) as lease,
    ):
        other.kill("orders")
        wait_until(lambda: is_stopped(lease), within=5)
        other.revive("orders")
        wait_until(lambda: not is_stopped(lease), within=5)


def listeners() -> int:
    """Count the threads that listen."""
    return sum(thread.name == "clawproof-listener" for thread in threading.enumerate())


def test_only_a_coordinator_with_leases_of_agents_listens(coordinator: Coordinator) -> None:
    coordinator.kill("orders")
    with coordinator.lock("a"):
        assert listeners() == 0
    with coordinator.lock("a", agent="stock"), coordinator.lock("b", agent="stock"):
        assert listeners() == 1


def test_listening_ends_with_the_coordinator_and_does_not_hold_it_up(place: tuple[str, str]) -> None:
    url, namespace = place
    coordinator = Coordinator.from_url(url, namespace=namespace)
    with coordinator.lock("a", agent="orders"):
        assert listeners() == 1
    began = time.monotonic()

    coordinator.close()

    assert time.monotonic() - began < 1
    assert listeners() == 0
