"""Subscriptions while the server goes away and comes back, and on a Cluster."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis

from clawproof_langgraph import Coordinator, Event
from clawproof_langgraph.backends.redis import connections, servers
from clawproof_langgraph.subscription import Subscription
from tests.servers import Server, start_server
from tests.servers.cluster import cluster
from tests.servers.proxy import Proxy, proxy_to
from tests.waiting import wait_until

_numbers = itertools.count()
AOF = ("--appendonly", "yes", "--appendfsync", "always")
Next = Callable[[Subscription], Event]


@pytest.fixture
def proxy(redis_server: Server) -> Iterator[Proxy]:
    with proxy_to(redis_server.port) as proxy:
        yield proxy


@pytest.fixture
def namespace() -> str:
    return f"cut-{next(_numbers)}"


@pytest.fixture
def reader(proxy: Proxy, namespace: str) -> Iterator[Coordinator]:
    """A coordinator that reaches the server through the proxy."""
    with Coordinator.from_url(proxy.url, namespace=namespace) as made:
        yield made


@pytest.fixture
def writer(redis_server: Server, namespace: str) -> Iterator[Coordinator]:
    """One that reaches it directly."""
    with Coordinator.from_url(redis_server.url, namespace=namespace) as made:
        yield made


@pytest.fixture(params=["sync", "async"])
def take(request: pytest.FixtureRequest) -> Iterator[Next]:
    """Wait for the next event in one of the ways."""
    runner = asyncio.Runner()
    yield next if request.param == "sync" else lambda events: runner.run(anext(events))
    runner.close()


def blocked(server: Server) -> bool:
    """Tell whether somebody waits on the server."""
    client = redis.Redis(port=server.port)
    found = int(client.info("clients")["blocked_clients"])
    client.close()
    return found > 0


def test_a_reader_whose_connection_is_cut_reads_on(
    reader: Coordinator, writer: Coordinator, proxy: Proxy, redis_server: Server, take: Next
) -> None:
    events = reader.subscribe("view")
    with ThreadPoolExecutor() as pool:
        for number in range(3):
            found = pool.submit(take, events)
            wait_until(lambda: blocked(redis_server))
            proxy.cut()
            writer.publish("Counted", data={"n": number})
            assert found.result(10).data == {"n": number}


def test_a_connection_that_falls_silent_is_given_up_in_time(
    writer: Coordinator, proxy: Proxy, namespace: str, monkeypatch: pytest.MonkeyPatch, take: Next
) -> None:
    monkeypatch.setattr(servers, "_TIMEOUT", 0.2)
    monkeypatch.setattr(connections, "LONGEST_WAIT", 0.2)
    with Coordinator.from_url(proxy.url, namespace=namespace) as reader, ThreadPoolExecutor() as pool:
        events = reader.subscribe("view")
        proxy.black_hole()
        found = pool.submit(take, events)
        writer.publish("Counted", data={"n": 1})
        threading.Timer(1.0, proxy.flow).start()
        assert found.result(10).data == {"n": 1}


def test_a_server_that_is_killed_and_restarted_loses_neither_events_nor_positions(take: Next) -> None:
    server = start_server(*AOF)
    with Coordinator.from_url(server.url) as coordinator, ThreadPoolExecutor() as pool:
        events = coordinator.subscribe("view")
        for number in range(3):
            coordinator.publish("Counted", data={"n": number})
        assert [take(events).data["n"] for _ in range(3)] == [0, 1, 2]
        events.ack()
        found = pool.submit(take, events)
        wait_until(lambda: blocked(server))

        server.process.kill()
        server.process.wait()
        server.restart(*AOF)
        coordinator.publish("Counted", data={"n": 3})

        assert found.result(15).data == {"n": 3}
        events.ack()
        events.close()
        assert coordinator.subscribe("view").cursor == coordinator.events()[-1].cursor
    server.stop()


def test_waiting_has_connections_of_its_own(writer: Coordinator, redis_server: Server) -> None:
    """Commands of other threads do not wait for a reader that waits."""
    with ThreadPoolExecutor() as pool:
        found = [pool.submit(writer.subscribe(f"view-{number}").poll, 10) for number in range(5)]
        wait_until(lambda: blocked(redis_server))
        cursors = [writer.publish("Counted") for _ in range(50)]
        events = [each.result(10) for each in found]
    assert {event.cursor for event in events if event} <= set(cursors)
    assert all(events)


def test_a_cluster_has_subscriptions(take: Next) -> None:
    with cluster() as running, Coordinator.from_url(running.url, namespace="shop") as coordinator:
        events = coordinator.subscribe("view")
        threading.Timer(0.3, coordinator.publish, ("Counted",)).start()
        assert take(events).type == "Counted"
        events.close()
