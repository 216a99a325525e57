"""A request goes ahead of its turn: the grant comes with the ring, and is no other than one that was asked for."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator

import pytest

from clawproof_langgraph import Coordinator
from clawproof_langgraph.backends.base import Answered
from clawproof_langgraph.backends.redis import RedisBackend
from clawproof_langgraph.events import EventFilter
from clawproof_langgraph.model import Begin, Granted, Queued, Replay, Withdraw
from clawproof_langgraph.testing.builders import again, ask, call, released, settled
from clawproof_langgraph.testing.faces import SyncFace
from tests.servers import Server
from tests.servers.proxy import Proxy
from tests.waiting import wait_until

LONG = 20.0


@pytest.fixture
def backend(redis_server: Server, namespace: str) -> Iterator[RedisBackend]:
    backend = RedisBackend(redis_server.url, namespace)
    yield backend
    backend.close()


def is_blocked(backend: RedisBackend) -> bool:
    return int(backend._connections.whole_client().info("clients")["blocked_clients"]) > 0


def waiting(backend: RedisBackend, request: Begin) -> Begin:
    """Get in line with the bell of this thread."""
    request = request._replace(bell=backend.take_bell().address)
    assert isinstance(backend.begin(request), Queued)
    return request


def test_the_grant_comes_with_the_ring(backend: RedisBackend) -> None:
    lease = SyncFace(backend).granted(call("a", "inventory/1", key="k1"))
    waiter = waiting(backend, call("b", "inventory/1", key="k2"))

    backend.settle(settled(lease))
    answered = backend.take_bell().wait("b", LONG, waiter)

    assert isinstance(answered, Answered)
    assert isinstance(answered.reply, Granted)
    assert [each.owner for each in backend.snapshot().leases] == ["b"], "it is claimed in the store"
    assert answered.reply.fence > lease.fence
    [started] = backend.events(EventFilter(types=("call.started",), call="b"))
    assert 0 < started.data["waited"] < LONG


async def test_the_grant_comes_with_the_ring_of_a_loop(backend: RedisBackend) -> None:
    bell = backend.loop_bell()
    lease = await backend.abegin(ask("a", "inventory/1"))
    waiter = ask("b", "inventory/1", bell=bell.address)
    assert isinstance(lease, Granted)
    assert isinstance(await backend.abegin(waiter), Queued)
    task = asyncio.create_task(bell.wait("b", LONG, waiter))
    await asyncio.sleep(0)

    await backend.asettle(released(lease))
    answered = await task

    assert isinstance(answered, Answered)
    assert isinstance(answered.reply, Granted)


async def test_a_grant_that_comes_while_its_owner_does_not_listen_wakes_him_when_he_does(backend: RedisBackend) -> None:
    bell = backend.loop_bell()
    lease = await backend.abegin(ask("a", "inventory/1"))
    waiter = ask("b", "inventory/1", bell=bell.address)
    assert isinstance(lease, Granted)
    assert isinstance(await backend.abegin(waiter), Queued)
    task = asyncio.create_task(bell.wait("b", LONG, waiter))
    await asyncio.to_thread(wait_until, lambda: is_blocked(backend))

    task.cancel()
    await asyncio.wait([task])
    await backend.asettle(released(lease))
    await asyncio.to_thread(wait_until, lambda: backend.snapshot().leases)

    assert await bell.wait("b", 2.0, waiter)
    assert isinstance(await backend.abegin(again(waiter)), Granted)


def test_a_lease_counts_from_its_grant_however_long_the_wait(backend: RedisBackend) -> None:
    lease = SyncFace(backend).granted(ask("a", "inventory/1"))
    began = time.monotonic()
    waiter = waiting(backend, ask("b", "inventory/1", ttl=1.0))
    threading.Timer(0.6, backend.settle, [released(lease)]).start()

    answered = backend.take_bell().wait("b", LONG, waiter)

    assert isinstance(answered, Answered)
    assert began + 0.5 < answered.asked_at <= time.monotonic()


def test_without_a_ring_the_request_is_answered_when_the_time_is_over(backend: RedisBackend) -> None:
    lease = SyncFace(backend).granted(ask("a", "inventory/1"))
    waiter = waiting(backend, ask("b", "inventory/1"))

    answered = backend.take_bell().wait("b", 0.1, waiter)

    assert isinstance(answered, Answered)
    assert isinstance(answered.reply, Queued)
    backend.settle(released(lease))


def test_a_request_that_was_given_up_is_not_granted_by_what_went_ahead(backend: RedisBackend) -> None:
    lease = SyncFace(backend).granted(ask("a", "inventory/1"))
    waiter = waiting(backend, ask("b", "inventory/1"))
    found: list[object] = []
    thread = threading.Thread(target=lambda: found.append(backend.take_bell().wait("b", 0.5, waiter)))
    thread.start()

    backend.withdraw(Withdraw("b"))
    backend.settle(released(lease))
    thread.join()

    assert not isinstance(found[0], Answered)
    assert backend.snapshot().leases == ()
    assert backend.snapshot().waiters == ()


def test_an_answer_that_went_ahead_and_was_lost_is_told_once(
    backend: RedisBackend, proxy: Proxy, namespace: str
) -> None:
    there = RedisBackend(proxy.url, namespace)
    lease = SyncFace(backend).granted(call("a", "inventory/1", key="k1"))
    waiter = waiting(there, call("b", "inventory/1", key="k1"))
    thread = threading.Thread(target=there.take_bell().wait, args=("b", LONG, waiter))
    thread.start()
    wait_until(lambda: is_blocked(backend))

    proxy.lose_replies()
    backend.settle(settled(lease, result=b"42"))
    thread.join()

    assert there.begin(again(waiter)) == Replay("k1", b"42")
    assert [event.call for event in backend.events(EventFilter(types=("call.replayed",)))] == ["b"]
    there.close()


def test_threads_that_wait_together_all_have_their_turn(redis_server: Server, namespace: str) -> None:
    turns: list[int] = []
    with Coordinator.from_url(redis_server.url, namespace=namespace) as coordinator:

        def take(number: int) -> None:
            with coordinator.lock("inventory/1", wait=LONG):
                turns.append(number)

        threads = [threading.Thread(target=take, args=(number,)) for number in range(8)]
        with coordinator.lock("inventory/1"):
            for thread in threads:
                thread.start()
            wait_until(lambda: len(coordinator.snapshot().waiters) == 8)
        for thread in threads:
            thread.join(LONG)

    assert sorted(turns) == list(range(8))


def test_a_short_lease_that_was_waited_for_long_is_held(redis_server: Server, namespace: str) -> None:
    with (
        Coordinator.from_url(redis_server.url, namespace=namespace) as here,
        Coordinator.from_url(redis_server.url, namespace=namespace) as there,
    ):
        holds = threading.Event()

        def hold() -> None:
            with here.lock("inventory/1"):
                holds.set()
                wait_until(lambda: here.snapshot().waiters and here.snapshot().waiters[0].waited > 0.8)

        holder = threading.Thread(target=hold)
        holder.start()
        holds.wait(LONG)
        with there.lock("inventory/1", ttl=0.5, wait=LONG) as lease:
            lease.check()
            assert lease.deadline > time.monotonic() + 0.3
        holder.join()
