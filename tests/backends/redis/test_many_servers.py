"""A Cluster, and a service of Sentinels with a failover."""

from __future__ import annotations

import asyncio
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial

import pytest
import redis

from clawproof_langgraph import Coordinator, LeaseLost
from clawproof_langgraph.backends.redis import RedisBackend
from clawproof_langgraph.errors import ClawproofWarning
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


def _has_more(fences: list[int], than: int) -> bool:
    return len(fences) > than


def test_calls_go_on_while_their_namespace_moves_to_another_node(three_and_three: Cluster) -> None:
    over = threading.Event()
    failures: list[Exception] = []
    fences: list[int] = []

    def half_moved() -> None:
        time.sleep(0.2)  # for as long, whoever asks for several keys is asked to come again

    with Coordinator.from_url(three_and_three.url, namespace="moving") as coordinator:

        def work() -> None:
            try:
                while not over.is_set():
                    with coordinator.lock("inventory/1", wait=20) as lease:
                        fences.append(lease.fence)
            except Exception as exc:  # noqa: BLE001 - shown by the test
                failures.append(exc)

        async def on_a_loop() -> None:
            try:
                while not over.is_set():
                    async with coordinator.lock("inventory/1", wait=20) as lease:
                        fences.append(lease.fence)
            except Exception as exc:  # noqa: BLE001 - shown by the test
                failures.append(exc)

        threads = [threading.Thread(target=work) for _ in range(3)]
        threads.append(threading.Thread(target=lambda: asyncio.run(on_a_loop())))
        for thread in threads:
            thread.start()
        for turn in range(4):
            wait_until(partial(_has_more, fences, len(fences) + 10))
            if turn < 3:
                three_and_three.move("clawproof:{moving}:state", halfway=half_moved)
        over.set()
        for thread in threads:
            thread.join()
        assert failures == []
        assert fences == sorted(set(fences))
        assert coordinator.events(types=["lock.expired"]) == []


@pytest.mark.parametrize("others", [0, 1])
@pytest.mark.parametrize("remembers", [True, False])
def test_a_step_is_made_whole_while_its_namespace_is_about_to_move(
    three_and_three: Cluster, others: int, remembers: bool
) -> None:
    namespace = f"half-{others}-{remembers}"
    holder, waiting = RedisBackend(three_and_three.url, namespace), RedisBackend(three_and_three.url, namespace)
    granted(holder, "z", "k0")
    lease = SyncFace(holder).granted(ask("a", "inventory/1"))
    waiter = ask("b", "inventory/1", bell="nobody-listens")
    SyncFace(waiting).queued(waiter)
    for number in range(others):
        SyncFace(waiting).queued(ask(f"c{number}", "inventory/1", bell="nobody-listens"))

    with three_and_three.about_to_move(f"clawproof:{{{namespace}}}:state"):  # keys that are not there cannot be made
        assert (holder if remembers else waiting).settle(released(lease)) is SettleReply.SETTLED

    SyncFace(waiting).granted(again(waiter))
    assert [waiter.owner for waiter in holder.snapshot().waiters] == [f"c{number}" for number in range(others)]
    holder.close()
    waiting.close()


def test_a_lease_that_a_failover_has_lost_is_told_to_be_lost(watched: Service) -> None:
    primary = watched.primary()
    replicas = [server for server in watched.servers if server.port != primary]
    with Coordinator.from_url(watched.url) as coordinator:
        with coordinator.lock("inventory/1"):
            pass
        for replica in replicas:  # what happens from now on does not reach them
            replica.process.send_signal(signal.SIGSTOP)
        operator = redis.Redis(port=primary)
        operator.execute_command("CLIENT", "KILL", "TYPE", "replica")
        operator.close()
        with ExitStack() as held:
            lease = held.enter_context(coordinator.lock("inventory/2", ttl=8))
            next(server for server in watched.servers if server.port == primary).process.kill()
            for replica in replicas:
                replica.process.send_signal(signal.SIGCONT)

            wait_until(lambda: lease.lost)
            with pytest.raises(LeaseLost, match="no such lease"):
                lease.check()
            with pytest.warns(ClawproofWarning, match="was lost"):
                held.close()
        with coordinator.lock("inventory/2") as later:
            assert later.fence > lease.fence
    wait_until(lambda: watched.primary() != primary)


def test_a_failover_is_waited_out_and_fences_grow(watched: Service) -> None:
    backend = RedisBackend(watched.url)
    before = granted(backend, "a", "k1")
    primary = watched.primary()

    next(server for server in watched.servers if server.port == primary).process.kill()

    assert granted(backend, "b", "k2") > before
    wait_until(lambda: watched.primary() != primary)  # the Sentinels tell each other a moment later
    assert backend.begin(call("c", "order/k1", key="k1")) == Replay("k1", b"42")
    backend.close()
