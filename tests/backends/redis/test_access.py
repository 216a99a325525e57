"""Who may come in, and how: TLS, users, passwords and what they may do."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
import redis

from clawproof_langgraph import BackendUnavailable, ConfigurationError, Coordinator
from clawproof_langgraph.backends.redis import RedisBackend, connections
from clawproof_langgraph.model import Kill, Note, Renew, Revive, Sweep, Withdraw
from clawproof_langgraph.testing.builders import again, ask, call, released, settled
from clawproof_langgraph.testing.faces import SyncFace
from tests.servers import Server, start_server
from tests.servers.tls import Authority, make_authority, tls_to

DOCUMENT = Path(__file__).parents[3] / "docs" / "redis.md"
FAST = 2.0
"""Seconds that a refusal may take."""


# --- TLS --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("tls") / "authority")


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("tls") / "stranger")


@pytest.fixture(scope="module")
def tls_port(redis_server: Server, authority: Authority) -> Iterator[int]:
    with tls_to(redis_server.port, authority) as port:
        yield port


def test_a_store_behind_tls(tls_port: int, authority: Authority, namespace: str) -> None:
    url = f"rediss://127.0.0.1:{tls_port}/0?ssl_ca_certs={quote(str(authority.ca))}"
    with Coordinator.from_url(url, namespace=namespace) as coordinator:
        with coordinator.lock("inventory/1") as lease:
            lease.heartbeat()

        async def on_a_loop() -> None:
            async with coordinator.lock("inventory/1"):
                pass

        asyncio.run(on_a_loop())
        assert len(coordinator.events(types=["lock.released"])) == 2


def test_waiters_are_woken_behind_tls(tls_port: int, authority: Authority, namespace: str) -> None:
    backend = RedisBackend(f"rediss://127.0.0.1:{tls_port}/0?ssl_ca_certs={quote(str(authority.ca))}", namespace)
    store = SyncFace(backend)
    lease = store.granted(ask("a", "inventory/1"))
    bell = backend.take_bell()
    waiter = ask("b", "inventory/1", bell=bell.address)
    store.queued(waiter)
    store.settle(released(lease))

    began = time.monotonic()
    assert bell.wait("b", 20)
    assert time.monotonic() - began < FAST
    store.granted(again(waiter))
    backend.close()


@pytest.mark.parametrize("known", ["", "stranger"])
def test_a_server_whose_authority_is_not_known_is_refused_at_once(
    tls_port: int, stranger: Authority, known: str
) -> None:
    query = f"?ssl_ca_certs={quote(str(stranger.ca))}" if known else ""
    began = time.monotonic()
    with pytest.raises(ConfigurationError, match=r"do not agree on TLS.*ssl_ca_certs"):
        RedisBackend(f"rediss://127.0.0.1:{tls_port}/0{query}")
    assert time.monotonic() - began < FAST


def test_a_server_under_another_name_is_refused_at_once(tls_port: int, authority: Authority) -> None:
    began = time.monotonic()
    with pytest.raises(ConfigurationError, match=r"do not agree on TLS.*localhost"):
        RedisBackend(f"rediss://localhost:{tls_port}/0?ssl_ca_certs={quote(str(authority.ca))}")
    assert time.monotonic() - began < FAST


def test_a_file_of_authorities_that_is_not_there(tls_port: int) -> None:
    with pytest.raises(ConfigurationError, match="ssl_ca_certs"):
        RedisBackend(f"rediss://127.0.0.1:{tls_port}/0?ssl_ca_certs=/nowhere.pem")


def test_tls_to_a_server_without_it_is_told_soon(redis_server: Server) -> None:
    began = time.monotonic()
    with pytest.raises(BackendUnavailable, match="if it speaks no TLS, write redis://"):
        RedisBackend(f"rediss://127.0.0.1:{redis_server.port}/0")
    assert time.monotonic() - began < connections._OPENING + FAST


def test_no_tls_to_a_server_with_it_is_told_soon(tls_port: int) -> None:
    began = time.monotonic()
    with pytest.raises((ConfigurationError, BackendUnavailable), match="rediss://"):
        RedisBackend(f"redis://127.0.0.1:{tls_port}/0")
    assert time.monotonic() - began < connections._OPENING + FAST


# --- users ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def guarded_server() -> Iterator[Server]:
    server = start_server()
    operator = redis.Redis(port=server.port)
    operator.execute_command("ACL", "SETUSER", "agents", *documented_rules(), ">s3cr:t/@")
    operator.execute_command("ACL", "SETUSER", "reader", "on", ">pw", "~*", "+@read", "+info", "+config")
    operator.execute_command("ACL", "SETUSER", "elsewhere", "on", ">pw", "~other:*", "+@all")
    operator.execute_command("ACL", "SETUSER", "scriptless", "on", ">pw", "~*", "+@all", "-xadd")
    operator.close()
    yield server
    server.stop()


def documented_rules() -> list[str]:
    """Read the rules for a user out of the documentation."""
    found = re.search(r"ACL SETUSER agents (.*?) >password", DOCUMENT.read_text())
    assert found, "the documentation shows how to make a user"
    return found[1].split()


def test_the_documented_rules_are_enough(guarded_server: Server, namespace: str) -> None:
    url = f"redis://agents:{quote('s3cr:t/@', safe='')}@127.0.0.1:{guarded_server.port}/0"
    backend = RedisBackend(url, namespace)
    store = SyncFace(backend)
    lease = store.granted(call("a", "inventory/1", key="k"))
    bell = backend.take_bell()
    for owner in ("b", "c"):
        store.queued(ask(owner, "inventory/1", bell=bell.address))
    store.renew(Renew("s1", (("a", 30.0),), waiting=True))
    store.withdraw(Withdraw("c", "timeout"))
    store.settle(settled(lease, result=b"42"))
    assert bell.wait("b", 10)
    backend.ring(bell.address, "b")
    store.record(Kill("x"))
    store.record(Revive("x"))
    store.record(Note("told"))
    store.sweep(Sweep(keep_events=0.0, keep_results=0.0))
    assert backend.begin(call("d", "inventory/2", key="k2", scope="s"))
    assert len(store.snapshot().leases) == 1
    assert store.log()
    assert "s3cr" not in backend.name
    backend.close()


@pytest.mark.parametrize("user", ["reader", "elsewhere", "scriptless"])
def test_a_user_who_may_too_little_is_told_what_he_needs(guarded_server: Server, user: str) -> None:
    url = f"redis://{user}:pw@127.0.0.1:{guarded_server.port}/0"
    with pytest.raises((ConfigurationError, BackendUnavailable), match=r"forbids a.*redis\.md"):  # noqa: PT012
        backend = RedisBackend(url)
        backend.begin(ask("a", "inventory/1"))


def test_databases_are_apart_and_have_bounds(redis_server: Server, namespace: str) -> None:
    address = f"redis://127.0.0.1:{redis_server.port}"
    one, other = RedisBackend(f"{address}/1", namespace), RedisBackend(f"{address}?db=2", namespace)
    SyncFace(one).granted(ask("a", "inventory/1"))
    SyncFace(other).granted(ask("a", "inventory/1"))
    for backend in (one, other):
        backend.close()
    with pytest.raises(ConfigurationError, match="no such database"):
        RedisBackend(f"{address}/4711")


def test_a_socket_of_the_machine(tmp_path: Path, namespace: str) -> None:
    path = tmp_path / "store.sock"
    server = start_server("--unixsocket", str(path))
    with Coordinator.from_url(f"unix://{path}?db=0", namespace=namespace) as coordinator, coordinator.lock("a"):
        assert len(coordinator.snapshot().leases) == 1
    server.stop()
