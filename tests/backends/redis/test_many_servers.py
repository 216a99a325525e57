"""A Cluster, and a service of Sentinels with a failover."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from clawproof_langgraph.backends.redis import RedisBackend
from clawproof_langgraph.events import EventFilter
from clawproof_langgraph.model import Granted, Replay, SettleReply
from clawproof_langgraph.testing.builders import again, ask, call, released, settled
from clawproof_langgraph.testing.faces import SyncFace
from tests.servers.cluster import Cluster, cluster
from tests.servers.sentinel import Service, service
from tests.waiting import wait_until


@pytest.fixture(scope="module")
def three_and_three() -> Iterator[Cluster]:
    with cluster() as running:
        yield running


@pytest.fixture
def watched() -> Iterator[Service]:
    with service() as running:
        yield running


def granted(backend: RedisBackend, owner: str, key: str) -> int:
    """Run a call from begin to settle, and tell its fence."""
    lease = SyncFace(backend).granted(call(owner, f"order/{key}", key=key))
    assert backend.settle(settled(lease, result=b"42")) is SettleReply.SETTLED
    return lease.fence


@pytest.mark.parametrize("namespace", ["shop", "warehouse", "crm"])
def test_namespaces_live_on_a_cluster(three_and_three: Cluster, namespace: str) -> None:
    backend = RedisBackend(three_and_three.url, namespace)
    granted(backend, "a", "k")
    lease = SyncFace(backend).granted(ask("b", "inventory/1"))
    bell = backend.take_bell()
    waiter = ask("c", "inventory/1", bell=bell.address)
    SyncFace(backend).queued(waiter)

    backend.settle(released(lease))

    assert bell.wait("c", 20)
    SyncFace(backend).granted(again(waiter))
    assert backend.begin(call("d", "order/k", key="k")) == Replay("k", b"42")
    assert [event.call for event in backend.events(EventFilter(types=("call.done",)))] == ["a"]
    assert [lease.owner for lease in backend.snapshot().leases] == ["c"]
    backend.close()


def test_event_loops_reach_a_cluster(three_and_three: Cluster) -> None:
    backend = RedisBackend(three_and_three.url, "loops")

    async def scenario() -> None:
        lease = await backend.abegin(call("a", "order/1", key="k"))
        assert isinstance(lease, Granted)
        assert await backend.asettle(settled(lease, result=b"42")) is SettleReply.SETTLED

    asyncio.run(scenario())
    backend.close()


def test_a_failover_is_waited_out_and_fences_grow(watched: Service) -> None:
    backend = RedisBackend(watched.url)
    before = granted(backend, "a", "k1")
    primary = watched.primary()

    next(server for server in watched.servers if server.port == primary).process.kill()

    assert granted(backend, "b", "k2") > before
    wait_until(lambda: watched.primary() != primary)  # the Sentinels tell each other a moment later
    assert backend.begin(call("c", "order/k1", key="k1")) == Replay("k1", b"42")
    backend.close()
