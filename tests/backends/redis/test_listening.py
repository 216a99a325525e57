"""Who listens for stops: on one connection, as long as the coordinator lives, whatever happens to the server."""

from __future__ import annotations

import itertools
import logging
import os
import threading
import time
from collections.abc import Iterator

import pytest
import redis

from clawproof_langgraph import AgentKilled, Coordinator, Lease
from clawproof_langgraph.backends.redis import RedisBackend, listening
from clawproof_langgraph.testing.builders import ask
from tests.servers import Server, start_server
from tests.servers.cluster import cluster
from tests.servers.proxy import Proxy, proxy_to
from tests.servers.sentinel import service
from tests.waiting import wait_until

_numbers = itertools.count()


@pytest.fixture
def namespace() -> str:
    return f"listening-{next(_numbers)}"


@pytest.fixture
def proxy(redis_server: Server) -> Iterator[Proxy]:
    with proxy_to(redis_server.port) as proxy:
        yield proxy


@pytest.fixture
def admin(redis_server: Server) -> Iterator[redis.Redis]:
    """A client that may do anything."""
    client = redis.Redis(port=redis_server.port)
    yield client
    client.close()


def is_stopped(lease: Lease) -> bool:
    try:
        lease.check()
    except AgentKilled:
        return True
    return False


def tell_and_wait(operator: Coordinator, lease: Lease) -> None:
    """Stop the lease's agent and let it go on, and see that its holder is told long before its next heartbeat."""
    operator.kill(lease.agent)
    wait_until(lambda: is_stopped(lease), within=5)
    operator.revive(lease.agent)
    wait_until(lambda: not is_stopped(lease), within=5)


def listeners() -> int:
    return sum(thread.name == "clawproof-listener" for thread in threading.enumerate())


def blocked(admin: redis.Redis) -> int:
    return int(admin.info("clients")["blocked_clients"])


# --- what it holds ----------------------------------------------------------------------------------------------


def test_it_holds_one_connection_and_gives_it_back() -> None:
    server = start_server()
    admin = redis.Redis(port=server.port)
    with Coordinator.from_url(server.url) as coordinator:
        coordinator.kill("else")
        assert len(admin.client_list()) == 2  # this one, and that of the commands
        with coordinator.lock("a", agent="orders"), coordinator.lock("b", agent="stock"):
            wait_until(lambda: blocked(admin) == 1)
            assert len(admin.client_list()) == 3

    wait_until(lambda: len(admin.client_list()) == 1)
    assert listeners() == 0
    admin.close()
    server.stop()


def test_a_server_that_answers_no_more_does_not_hold_up_closing(proxy: Proxy, namespace: str) -> None:
    backend = RedisBackend(proxy.url, namespace)
    heard = backend.listen("s1", lambda agent: None)
    proxy.black_hole()
    began = time.monotonic()

    heard.close()

    assert time.monotonic() - began < 1
    assert listeners() == 0
    proxy.flow()
    backend.close()


def test_a_server_that_is_gone_does_not_hold_up_closing(namespace: str) -> None:
    server = start_server()
    backend = RedisBackend(server.url, namespace)
    heard = backend.listen("s1", lambda agent: None)
    server.stop()
    began = time.monotonic()

    heard.close()

    assert time.monotonic() - began < 1
    assert listeners() == 0
    backend.close()


def test_closing_the_backend_ends_whoever_listens(redis_server: Server, namespace: str) -> None:
    backend = RedisBackend(redis_server.url, namespace)
    backend.listen("s1", lambda agent: None)
    backend.close()
    assert listeners() == 0


def test_the_word_goes_away_with_time(redis_server: Server, namespace: str, admin: redis.Redis) -> None:
    with Coordinator.from_url(redis_server.url, namespace=namespace) as coordinator:
        coordinator.kill("orders")
    assert 0 < admin.ttl(f"clawproof:{{{namespace}}}:stops") <= 60


def test_a_child_of_a_fork_listens_for_itself(redis_server: Server, namespace: str) -> None:
    with (
        Coordinator.from_url(redis_server.url, namespace=namespace) as coordinator,
        coordinator.lock("a", agent="orders", ttl=30) as lease,
    ):
        wait_until(lambda: listeners() == 1)
        if not (child := os.fork()):
            try:
                with coordinator.lock("b", agent="stock", ttl=30) as own:
                    wait_until(lambda: listeners() == 1)
                    tell_and_wait(coordinator, own)
                os._exit(0)
            finally:
                os._exit(1)
        assert os.waitpid(child, 0)[1] == 0
        tell_and_wait(coordinator, lease)


# --- who may ----------------------------------------------------------------------------------------------------


def limited(server: Server, admin: redis.Redis, *rules: str) -> str:
    """Make a user with some rules, and give the URL of the server for it."""
    admin.execute_command("ACL", "SETUSER", "limited", "reset", "on", ">secret", "~clawproof:*", "+@all", *rules)
    return f"redis://limited:secret@127.0.0.1:{server.port}/0"


def test_no_channel_is_needed(redis_server: Server, namespace: str, admin: redis.Redis) -> None:
    url = limited(redis_server, admin, "resetchannels")
    with (
        Coordinator.from_url(url, namespace=namespace) as holder,
        Coordinator.from_url(url, namespace=namespace) as operator,
        holder.lock("a", agent="orders", ttl=30) as lease,
    ):
        tell_and_wait(operator, lease)


def test_a_user_that_may_not_listen_is_told_by_the_heartbeat(
    redis_server: Server, namespace: str, admin: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    url = limited(redis_server, admin, "-xread")
    with (
        caplog.at_level(logging.WARNING),
        Coordinator.from_url(url, namespace=namespace) as holder,
        Coordinator.from_url(url, namespace=namespace) as operator,
        holder.lock("a", agent="orders", ttl=1.5) as lease,
    ):
        wait_until(lambda: "told at the next heartbeat" in caplog.text)
        wait_until(lambda: listeners() == 0)
        tell_and_wait(operator, lease)


# --- what happens to the server ---------------------------------------------------------------------------------


def test_a_connection_that_was_cut_is_made_anew_and_nothing_is_missed(
    proxy: Proxy, redis_server: Server, namespace: str, admin: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listening, "_FIRST_PAUSE", 1.0)  # the word comes while nobody listens
    with (
        Coordinator.from_url(proxy.url, namespace=namespace) as holder,
        Coordinator.from_url(redis_server.url, namespace=namespace) as operator,
        holder.lock("a", agent="orders", ttl=60) as lease,
    ):
        wait_until(lambda: blocked(admin) >= 1)
        proxy.cut()
        tell_and_wait(operator, lease)


def test_a_lease_of_an_agent_that_was_stopped_before_anybody_listened(redis_server: Server, namespace: str) -> None:
    backend = RedisBackend(redis_server.url, namespace)
    heard: list[str] = []
    backend.begin(ask("a", "inventory/1", agent="orders"))
    with Coordinator.from_url(redis_server.url, namespace=namespace) as operator:
        operator.kill("orders")

    backend.listen("s1", heard.append)

    wait_until(lambda: heard == ["orders"])
    backend.close()


@pytest.mark.parametrize("namespace", ["shop", "warehouse", "crm"])
def test_it_listens_on_a_cluster(three_and_three: str, namespace: str) -> None:
    with (
        Coordinator.from_url(three_and_three, namespace=namespace) as holder,
        Coordinator.from_url(three_and_three, namespace=namespace) as operator,
        holder.lock("a", agent="orders", ttl=30) as lease,
    ):
        tell_and_wait(operator, lease)


@pytest.fixture(scope="module")
def three_and_three() -> Iterator[str]:
    with cluster() as running:
        yield running.url


def test_it_listens_to_the_new_primary_after_a_failover() -> None:
    with (
        service() as watched,
        Coordinator.from_url(watched.url) as holder,
        Coordinator.from_url(watched.url) as operator,
        holder.lock("a", agent="orders", ttl=60) as lease,
    ):
        tell_and_wait(operator, lease)
        primary = watched.primary()
        next(server for server in watched.servers if server.port == primary).process.kill()
        wait_until(lambda: watched.primary() != primary, within=30)
        operator.kill("orders")  # goes on until there is a new primary
        wait_until(lambda: is_stopped(lease), within=10)
