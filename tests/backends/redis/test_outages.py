"""The server goes away in the middle, and comes back or does not."""

from __future__ import annotations

import asyncio
import itertools
import os
import threading
import time
from collections.abc import Iterator

import pytest
import redis

from clawproof_langgraph import BackendUnavailable
from clawproof_langgraph.backends.redis import RedisBackend, connections
from clawproof_langgraph.model import Granted, Queued, Replay, SettleReply
from clawproof_langgraph.testing.builders import again, ask, call, released, settled
from clawproof_langgraph.testing.faces import AsyncFace, Face, SyncFace
from tests.servers import Server, start_server
from tests.servers.proxy import Proxy, proxy_to
from tests.waiting import wait_until

_numbers = itertools.count()


@pytest.fixture
def proxy(redis_server: Server) -> Iterator[Proxy]:
    with proxy_to(redis_server.port) as proxy:
        yield proxy


@pytest.fixture(params=[SyncFace, AsyncFace], ids=["sync", "async"])
def store(request: pytest.FixtureRequest, proxy: Proxy) -> Iterator[Face]:
    """A store that is reached through the proxy."""
    backend = RedisBackend(proxy.url, f"outage-{next(_numbers)}")
    face: Face = request.param(backend)
    yield face
    face.close()
    backend.close()


def test_connections_that_were_cut_are_made_anew(store: Face, proxy: Proxy) -> None:
    lease = store.granted(call("a", "inventory/1", key="k"))
    proxy.cut()
    assert store.settle(settled(lease, result=b"42")) is SettleReply.SETTLED
    proxy.cut()
    assert store.begin(call("b", "inventory/1", key="k")) == Replay("k", b"42")


def test_a_server_that_answers_no_more_is_unavailable_in_time(
    store: Face, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "PATIENCE", 0.5)
    silent = RedisBackend(f"{proxy.url}?socket_timeout=0.2", "silent")
    proxy.black_hole()
    began = time.monotonic()

    with pytest.raises(BackendUnavailable, match="No tool runs without it"):
        silent.begin(ask("a", "inventory/1"))

    assert time.monotonic() - began < 3
    proxy.flow()
    silent.close()


def test_scripts_that_the_server_has_forgotten_are_sent_again(store: Face, redis_server: Server) -> None:
    lease = store.granted(call("a", "inventory/1", key="k"))
    client = redis.Redis(port=redis_server.port)
    client.script_flush()
    client.close()

    assert store.settle(settled(lease)) is SettleReply.SETTLED


def test_what_was_acknowledged_outlives_a_server_that_is_killed() -> None:
    server = start_server("--appendonly", "yes", "--appendfsync", "always")
    backend = RedisBackend(server.url)
    store = SyncFace(backend)
    held = store.granted(ask("holder", "inventory/1"))
    store.settle(settled(store.granted(call("a", "inventory/2", key="k")), result=b"42"))
    server.process.kill()
    server.process.wait()
    threading.Timer(0.3, lambda: server.restart("--appendonly", "yes", "--appendfsync", "always")).start()

    assert store.begin(call("b", "inventory/2", key="k")) == Replay("k", b"42")
    assert isinstance(store.begin(ask("c", "inventory/1")), Queued)
    assert store.settle(released(held)) is SettleReply.SETTLED
    assert store.granted(again(ask("c", "inventory/1"))).fence > held.fence
    backend.close()
    server.stop()


def test_a_waiter_whose_connection_is_cut_still_gets_its_turn(store: Face, proxy: Proxy) -> None:
    bell = store.backend.take_bell()
    waiter = ask("b", "inventory/1", bell=bell.address)
    lease = store.granted(ask("a", "inventory/1"))
    store.queued(waiter)
    threading.Timer(0.2, proxy.cut).start()
    began = time.monotonic()
    bell.wait("b", 20)
    assert time.monotonic() - began < 10

    store.settle(released(lease))

    bell.wait("b", 5)
    store.granted(again(waiter))


def test_a_child_of_a_fork_has_connections_of_its_own(redis_server: Server) -> None:
    backend = RedisBackend(redis_server.url, f"fork-{next(_numbers)}")
    lease = SyncFace(backend).granted(ask("parent", "inventory/1"))
    if not (child := os.fork()):
        reply = backend.begin(ask("child", "inventory/2", session="s2"))
        os._exit(0 if isinstance(reply, Granted) else 1)
    assert backend.settle(released(lease)) is SettleReply.SETTLED

    assert os.waitpid(child, 0)[1] == 0
    assert [view.owner for view in backend.snapshot().leases] == ["child"]
    backend.close()


def test_threads_that_work_and_wait_are_told_at_once_that_their_store_was_closed(redis_server: Server) -> None:
    backends = [RedisBackend(redis_server.url, f"outage-{next(_numbers)}") for _ in range(10)]
    told: list[BaseException] = []

    def work(backend: RedisBackend, number: int) -> None:
        store, requests = SyncFace(backend), itertools.count()
        try:
            while True:
                request = ask(f"{number}-{next(requests)}", "inventory/1", bell=backend.take_bell().address)
                reply = store.begin(request)
                while isinstance(reply, Queued):
                    backend.take_bell().wait(request.owner, 20, again(request))
                    reply = store.begin(again(request))
                store.settle(released(reply))
        except BaseException as error:  # noqa: BLE001 - whatever comes is looked at
            told.append(error)

    threads = [threading.Thread(target=work, args=(each, number)) for each in backends for number in range(4)]
    for thread in threads:
        thread.start()
    wait_until(lambda: all(backend.snapshot().waiters for backend in backends))
    began = time.monotonic()
    for backend in backends:
        backend.close()
    for thread in threads:
        thread.join()

    assert {type(error) for error in told} == {BackendUnavailable}, told
    assert time.monotonic() - began < 4


class SlowToClose:
    """A client that takes a few turns of its loop to close."""

    closed = False

    async def aclose(self) -> None:
        for _ in range(10):
            await asyncio.sleep(0)
        self.closed = True


def test_a_loop_that_ends_together_with_its_store_waits_until_all_is_closed() -> None:
    loop, clients, client = asyncio.new_event_loop(), connections._LoopClients(), SlowToClose()
    loop.run_until_complete(clients.client("commands", lambda: client))

    loop.call_soon(clients.close_soon)
    loop.run_until_complete(loop.shutdown_asyncgens())

    assert client.closed
    assert not asyncio.all_tasks(loop)
    loop.close()
