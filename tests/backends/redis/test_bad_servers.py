"""A server or a URL that cannot be used is refused at once, with what to do."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from clawproof_langgraph import BackendUnavailable, ConfigurationError, Coordinator
from clawproof_langgraph.backends.redis import RedisBackend, connections
from tests.servers import Server, free_port, start_server


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "PATIENCE", 0.3)


@pytest.fixture(scope="module")
def locked_server() -> Iterator[Server]:
    server = start_server("--requirepass", "secret", password="secret")
    yield server
    server.stop()


def test_a_url_opens_a_store(redis_server: Server) -> None:
    with Coordinator.from_url(redis_server.url, namespace="opened") as coordinator, coordinator.lock("inventory/1"):
        assert len(coordinator.snapshot().leases) == 1


def test_a_server_that_is_not_there(impatient: None) -> None:
    began = time.monotonic()
    with pytest.raises(BackendUnavailable, match=r"redis://127\.0\.0\.1:\d+.*No tool runs without it"):
        RedisBackend(f"redis://127.0.0.1:{free_port()}/0")
    assert time.monotonic() - began < 3


@pytest.mark.parametrize("who", ["", ":wrong@", "nobody:wrong@"])
def test_a_wrong_password_is_told_at_once_and_not_shown(locked_server: Server, who: str) -> None:
    with pytest.raises(ConfigurationError, match="check user and password") as caught:
        RedisBackend(f"redis://{who}127.0.0.1:{locked_server.port}/0")
    assert "wrong@" not in str(caught.value)


def test_the_right_password(locked_server: Server) -> None:
    backend = RedisBackend(f"redis://:secret@127.0.0.1:{locked_server.port}/0")
    assert "secret" not in backend.name
    backend.close()


def test_a_server_that_drops_keys_is_refused_unless_that_is_allowed() -> None:
    server = start_server("--maxmemory-policy", "allkeys-lru")
    try:
        with pytest.raises(ConfigurationError, match=r'maxmemory-policy "allkeys-lru".*noeviction.*eviction=allow'):
            Coordinator.from_url(server.url)
        Coordinator.from_url(server.url + "?eviction=allow").close()
    finally:
        server.stop()


def test_an_unknown_word_on_eviction_is_refused(redis_server: Server) -> None:
    with pytest.raises(ConfigurationError, match='eviction="maybe"'):
        Coordinator.from_url(redis_server.url + "?eviction=maybe")


@pytest.mark.parametrize("namespace", ["a{b", "a}b", "{a}"])
def test_a_namespace_with_braces_is_refused(redis_server: Server, namespace: str) -> None:
    with pytest.raises(ConfigurationError, match="braces"):
        RedisBackend(redis_server.url, namespace)


def test_a_cluster_url_to_one_server_is_refused(redis_server: Server) -> None:
    with pytest.raises(ConfigurationError, match=r"no Cluster.*redis://"):
        RedisBackend(f"redis+cluster://127.0.0.1:{redis_server.port}")


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("redis://host:notaport", "cannot be read"),
        ("redis://host/db?socket_timeout=soon", "cannot be read"),
        ("redis+sentinel://host:26379", "names no service"),
        ("redis+cluster://", "names no host"),
    ],
)
def test_a_url_that_cannot_be_read(url: str, told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        RedisBackend(url)


def test_tls_to_a_server_without_it(redis_server: Server, impatient: None) -> None:
    with pytest.raises(BackendUnavailable):
        RedisBackend(f"rediss://127.0.0.1:{redis_server.port}/0")
