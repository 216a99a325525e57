"""The server's clock is one that somebody may set."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest
import redis

from clawproof_langgraph.backends.redis import RedisBackend
from clawproof_langgraph.model import Renew, SettleReply
from clawproof_langgraph.testing.builders import again, ask, call, released, settled
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


def test_what_a_clock_that_jumps_forward_ends_is_told_and_passes_on(store: SyncFace, clock: ManualClock) -> None:
    lease = store.granted(call("a", "inventory/1", key="k", ttl=30))
    clock.advance(3600)

    assert store.renew(Renew("s1", (("a", 30.0),))).lost == frozenset(), "nobody else has it: it lives on"

    clock.advance(3600)
    other = store.granted(call("b", "inventory/1", key="other", ttl=30))
    assert other.fence > lease.fence
    assert store.renew(Renew("s1", (("a", 30.0),))).lost == {"a"}
    assert store.settle(settled(lease, result=b"42")) is SettleReply.LATE
    assert [event.call for event in store.log("call.done")] == ["a"]


def test_fences_and_cursors_grow_whatever_the_clock_does(store: SyncFace, clock: ManualClock) -> None:
    fences = []
    for jump in (0, 3600, -7200, 0, 86400, -86400, 1):
        clock.advance(jump)
        lease = store.granted(ask("a", f"inventory/{len(fences)}"))
        store.settle(released(lease))
        fences.append(lease.fence)
    assert fences == sorted(set(fences))
    cursors = [event.cursor for event in store.log()]
    assert cursors == sorted(set(cursors))


def test_a_waiter_outlives_a_clock_that_was_set_back(store: SyncFace, clock: ManualClock) -> None:
    lease = store.granted(ask("a", "inventory/1", session="elsewhere"))
    waiter = ask("b", "inventory/1")
    store.queued(waiter)
    clock.advance(-3600)
    store.queued(again(waiter))

    store.settle(released(lease))
    store.sweep()
    assert store.turns() == {"b"}
    store.granted(again(waiter))


def test_a_sweep_looks_at_few_of_those_that_live(store: SyncFace, redis_server: Server) -> None:
    for number in range(300):
        store.granted(ask(f"a{number}", f"inventory/{number}", ttl=3600))
    operator = redis.Redis(port=redis_server.port)
    operator.config_resetstat()

    store.sweep()

    asked = operator.info("commandstats")
    assert 0 < asked["cmdstat_hget"]["calls"] < 100
    operator.close()
