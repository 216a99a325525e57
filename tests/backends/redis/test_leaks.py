"""What is left behind: keys that never expire, connections that nobody uses, grants that nobody has."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from contextvars import Context

import pytest
import redis

from clawproof_langgraph import Coordinator, WaitTimeout
from clawproof_langgraph.backends.redis import RedisBackend
from clawproof_langgraph.model import Kill, Note, State
from clawproof_langgraph.testing.builders import ask, call, settled
from clawproof_langgraph.testing.faces import SyncFace
from tests.backends.redis.workers import process, told
from tests.servers import Server, start_server
from tests.servers.proxy import Proxy, proxy_to
from tests.waiting import await_until, wait_until

KEPT = {"state", "index", "ends", "ages", "log", "secret"}
"""The kinds of keys that do not expire; the sweeps keep what is in them bounded."""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    server = start_server()
    yield server
    server.stop()


@pytest.fixture
def operator(server: Server) -> Iterator[redis.Redis]:
    client = redis.Redis(port=server.port, decode_responses=True)
    yield client
    client.close()


def connected(operator: redis.Redis) -> int:
    return int(operator.info("clients")["connected_clients"])


def test_every_key_expires_but_those_of_the_design(server: Server, operator: redis.Redis, namespace: str) -> None:
    with Coordinator.from_url(server.url, namespace=namespace) as coordinator:

        def work(number: int) -> None:
            for turn in range(5):
                with coordinator.lock(f"inventory/{(number + turn) % 3}"):
                    pass

        async def on_a_loop() -> None:
            async def once() -> None:
                async with coordinator.lock("inventory/0"):
                    await asyncio.sleep(0)

            await asyncio.gather(*[once() for _ in range(5)])

        threads = [threading.Thread(target=work, args=(number,)) for number in range(5)]
        for thread in threads:
            thread.start()
        asyncio.run(on_a_loop())
        for thread in threads:
            thread.join()
        coordinator.kill("orders")
        coordinator.revive("orders")
    backend = RedisBackend(server.url, namespace)
    store = SyncFace(backend)
    for state in State:
        store.settle(settled(store.granted(call(f"{state}-1", "inventory/1", key=state)), state))
    for fact in (Kill("sold-out"), Note("told")):
        store.record(fact)
    with process("hold", server.url, namespace, "30") as holder:
        told(holder)
        with process("wait", server.url, namespace) as waiter:
            told(waiter)
            wait_until(lambda: backend.snapshot().waiters)
    backend.close()

    keys = list(operator.scan_iter(f"clawproof:{{{namespace}}}:*"))
    lasting = {key.rpartition("}:")[2] for key in keys if operator.ttl(key) == -1}
    assert lasting == KEPT
    assert all(operator.ttl(key) <= 60 for key in keys if key.rpartition("}:")[2] not in KEPT)


def test_a_bell_that_nobody_hears_any_more_expires(server: Server, operator: redis.Redis, namespace: str) -> None:
    backend = RedisBackend(server.url, namespace)
    store = SyncFace(backend)
    lease = store.granted(call("a", "inventory/1", key="k"))
    store.queued(ask("b", "inventory/1", bell="of-a-dead-process"))
    store.settle(settled(lease))
    assert 0 < operator.ttl(f"clawproof:{{{namespace}}}:bell:of-a-dead-process") <= 60
    backend.close()


def test_nothing_is_left_of_what_has_ended(server: Server, operator: redis.Redis, namespace: str) -> None:
    """The state of a namespace in which nothing runs holds its clock and its records alone."""
    with Coordinator.from_url(server.url, namespace=namespace) as coordinator:
        for number in range(20):
            with (
                coordinator.lock(f"inventory/{number}", f"pricing/{number}"),
                coordinator.lock(f"zones/{number}", mode="shared"),
            ):
                pass
        with coordinator.lock("inventory/1"):
            threads = [threading.Thread(target=give_up, args=(coordinator,)) for _ in range(10)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
    prefix = f"clawproof:{{{namespace}}}:"
    wait_until(lambda: [field for field in operator.hkeys(prefix + "state") if field[0] != "s"] == ["c"])
    assert operator.exists(prefix + "index", prefix + "ages") == 0
    assert [member for member in operator.zrange(prefix + "ends", 0, -1) if member[0] != "s"] == []


def give_up(coordinator: Coordinator) -> None:
    with pytest.raises(WaitTimeout), coordinator.lock("inventory/1", wait=0.05):
        raise AssertionError("it is held")


# --- connections ------------------------------------------------------------------------------------------------


def test_a_coordinator_that_is_closed_has_no_connections(server: Server, operator: redis.Redis, namespace: str) -> None:
    before = connected(operator)
    for _ in range(10):
        with Coordinator.from_url(server.url, namespace=namespace) as coordinator, coordinator.lock("a") as lease:
            lease.heartbeat()
            give_up_waiting(coordinator)
    wait_until(lambda: connected(operator) == before)


def give_up_waiting(coordinator: Coordinator) -> None:
    thread = threading.Thread(target=lambda: _try(coordinator))
    thread.start()
    thread.join()


def _try(coordinator: Coordinator) -> None:
    with suppress(WaitTimeout), coordinator.lock("a", wait=0.05):
        pass


async def test_a_coordinator_that_is_closed_on_a_loop_has_no_connections(
    server: Server, operator: redis.Redis, namespace: str
) -> None:
    before = connected(operator)
    for _ in range(10):
        async with Coordinator.from_url(server.url, namespace=namespace) as coordinator, coordinator.lock("a"):
            with suppress(WaitTimeout):
                await asyncio.create_task(_atry(coordinator))
    await await_until(lambda: connected(operator) == before)


async def _atry(coordinator: Coordinator) -> None:
    async def apart() -> None:
        async with coordinator.lock("a", wait=0.05):
            pass

    await asyncio.create_task(apart(), context=Context())


def test_a_loop_that_has_ended_leaves_no_connections(server: Server, operator: redis.Redis, namespace: str) -> None:
    before = connected(operator)
    with Coordinator.from_url(server.url, namespace=namespace) as coordinator:

        async def use() -> None:
            async with coordinator.lock("a"):
                pass

        for _ in range(10):
            asyncio.run(use())
        wait_until(lambda: connected(operator) <= before + 2)
    wait_until(lambda: connected(operator) == before)


def test_connections_do_not_add_up_over_faults(server: Server, operator: redis.Redis, namespace: str) -> None:
    before = connected(operator)
    with proxy_to(server.port) as proxy, Coordinator.from_url(proxy.url, namespace=namespace) as coordinator:
        for _ in range(20):
            proxy.lose_replies()
            with coordinator.lock("a"):
                pass
            proxy.cut()
        wait_until(lambda: connected(operator) <= before + 3)
    wait_until(lambda: connected(operator) == before)


# --- cancelling -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lossy", [False, True], ids=["", "replies-lost"])
async def test_whenever_a_caller_is_cancelled_nothing_is_left(
    server: Server, operator: redis.Redis, namespace: str, lossy: bool
) -> None:
    seed = time.time_ns()
    print(f"seed {seed}")  # noqa: T201
    chance = random.Random(seed)
    before = connected(operator)
    with proxy_to(server.port) as proxy:
        async with Coordinator.from_url(proxy.url, namespace=namespace) as coordinator:
            for _ in range(60):
                await _cancelled_at_some_point(coordinator, proxy, chance, lossy=lossy)
            assert coordinator.snapshot().leases == ()
            assert coordinator.snapshot().waiters == ()
            async with coordinator.lock("a", "b", wait=0):
                pass
            assert coordinator.events(types=["lock.expired", "call.in_doubt"]) == []
    await await_until(lambda: connected(operator) == before)


async def _cancelled_at_some_point(
    coordinator: Coordinator, proxy: Proxy, chance: random.Random, *, lossy: bool
) -> None:
    async def use() -> None:
        async with coordinator.lock(chance.choice("ab"), wait=5):
            await asyncio.sleep(0.001)

    tasks = [asyncio.create_task(use()) for _ in range(4)]
    if lossy:
        proxy.lose_replies(chance.randrange(3))
    for task in chance.sample(tasks, 3):
        await asyncio.sleep(chance.random() * 0.004)
        task.cancel()
    for result in await asyncio.gather(*tasks, return_exceptions=True):
        assert result is None or isinstance(result, asyncio.CancelledError), result
