"""The server's clock is one that somebody may set."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from clawproof_langgraph.backends.redis import RedisBackend
from clawproof_langgraph.testing.builders import again, ask, released
from clawproof_langgraph.testing.clock import ManualClock
from clawproof_langgraph.testing.faces import SyncFace
from tests.servers import Server

_numbers = itertools.count()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def store(redis_server: Server, clock: ManualClock) -> Iterator[SyncFace]:
    backend = RedisBackend(redis_server.url, f"clock-{next(_numbers)}", clock=clock)
    yield SyncFace(backend)
    backend.close()


def test_nobody_gets_what_is_held_because_the_clock_was_set_back(store: SyncFace, clock: ManualClock) -> None:
    lease = store.granted(ask("a", "inventory/1", ttl=30))
    clock.advance(-3600)
    waiter = ask("b", "inventory/1")

    store.queued(waiter)
    store.sweep()
    store.snapshot()
    assert [view.owner for view in store.snapshot().leases] == ["a"]

    store.settle(released(lease))
    assert store.granted(again(waiter)).fence > lease.fence


def test_what_a_dead_holder_has_is_free_its_time_after_the_clock_was_set_back(
    store: SyncFace, clock: ManualClock
) -> None:
    store.granted(ask("a", "inventory/1", ttl=30))
    clock.advance(-3600)
    store.sweep()

    clock.advance(29)
    waiter = ask("b", "inventory/1")
    store.queued(waiter)
    clock.advance(2)
    store.granted(again(waiter))
