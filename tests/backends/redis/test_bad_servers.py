"""A server or a URL that cannot be used is refused at once, with what to do."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from clawproof_langgraph import BackendUnavailable, ConfigurationError, Coordinator
from clawproof_langgraph.backends.redis import RedisBackend, connections
from tests.servers import Server, free_port, start_server
from tests.servers.proxy import Proxy
from tests.servers.sentinel import start_sentinel
from tests.waiting import wait_until


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
    with pytest.raises(ConfigurationError, match=r"check user and password|it wants a password") as caught:
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
    with pytest.raises(ConfigurationError, match=r"no Cluster.*redis://host"):
        RedisBackend(f"redis+cluster://127.0.0.1:{redis_server.port}")


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("redis://host:notaport", "cannot be read"),
        ("redis://host/db?socket_timeout=soon", "cannot be read"),
        ("redis://host/orders", "no number of a database"),
        ("redis://host?sokcet_timeout=3", "sokcet_timeout"),
        ("unix:///nowhere.sock?sokcet_timeout=3", "sokcet_timeout"),
        ("redis://host?decode_responses=true", "decode_responses has no place"),
        ("redis+cluster://host?encoding=latin-1", "encoding has no place"),
        ("redis+sentinel://host:26379", "names no service"),
        ("redis+sentinel://host:26379/store?sokcet_timeout=3", "sokcet_timeout"),
        ("redis+sentinel://host:26379/store/orders", "cannot be read"),
        ("redis+cluster://", "names no host"),
        ("redis+cluster://host?sokcet_timeout=3", "sokcet_timeout"),
        ("redis+cluster://host?max_connections=many", "max_connections"),
        ("redis+cluster://host:port", "cannot be read"),
    ],
)
def test_a_url_that_cannot_be_read(url: str, told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        RedisBackend(url)


@pytest.mark.parametrize("character", ["/", "#", "?"])
@pytest.mark.parametrize("host", ["redis://user:s3{}cret@127.0.0.1:1/0", "redis+sentinel://:s3{}cret@127.0.0.1:1/shop"])
def test_no_part_of_a_password_that_is_not_encoded_is_shown(host: str, character: str) -> None:
    with pytest.raises(ConfigurationError, match="percent-encoded") as told:
        Coordinator.from_url(host.format(character)).close()
    assert "s3" not in str(told.value)
    assert "cret" not in str(told.value)


def test_sentinels_that_do_not_answer_are_told_in_a_line(impatient: None) -> None:
    with pytest.raises(BackendUnavailable, match="No master found for 'shop' at its Sentinels") as told:
        Coordinator.from_url("redis+sentinel://:s3cret@127.0.0.1:1/shop").close()
    assert "object at" not in str(told.value)


@pytest.mark.parametrize("url", ["unix:///nowhere.sock", "redis://no.such.host.invalid", "redis+cluster://127.0.0.1:1"])
def test_an_address_where_nobody_is(impatient: None, url: str) -> None:
    with pytest.raises(BackendUnavailable, match="No tool runs without it"):
        RedisBackend(url)


def test_a_host_that_there_cannot_be() -> None:
    with pytest.raises(ConfigurationError, match="names a host that there cannot be"):
        RedisBackend("redis://" + "a" * 70 + ".example")


def test_a_server_that_is_too_old(proxy: Proxy) -> None:
    proxy.change = lambda data: re.sub(rb"redis_version:\d\.\d", b"redis_version:6.0", data)
    with pytest.raises(ConfigurationError, match=r"is Redis 6\.0.*takes Redis 6\.2, or Valkey"):
        RedisBackend(proxy.url)


def test_a_node_of_a_cluster_is_not_taken_for_one_server() -> None:
    server = start_server(cluster=True)
    with pytest.raises(ConfigurationError, match=r"is a node of a Cluster; write redis\+cluster://"):
        RedisBackend(server.url)
    server.stop()


def test_a_sentinel_is_not_taken_for_a_server() -> None:
    sentinel = start_sentinel(free_port())
    wait_until(lambda: _listens(sentinel.port))
    with pytest.raises(ConfigurationError, match=r"is a Sentinel.*redis\+sentinel://"):
        RedisBackend(sentinel.url)
    sentinel.stop()


def _listens(port: int) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0


def test_a_server_is_not_taken_for_a_sentinel(redis_server: Server) -> None:
    with pytest.raises(ConfigurationError, match=r"is no Sentinel.*redis://"):
        RedisBackend(f"redis+sentinel://127.0.0.1:{redis_server.port}/store")


def test_a_service_that_no_sentinel_knows(impatient: None) -> None:
    sentinel = start_sentinel(free_port())
    wait_until(lambda: _listens(sentinel.port))
    with pytest.raises(BackendUnavailable, match="No master found for 'other'"):
        RedisBackend(f"redis+sentinel://127.0.0.1:{sentinel.port}/other")
    sentinel.stop()


@pytest.mark.parametrize(
    "answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"220 smtp.example\r\n", b"\x15\x03\x01\x00\x02\x02F"]
)
def test_somebody_else_who_answers(answer: bytes) -> None:
    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                client.recv(1000)
                client.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, daemon=True).start()
        with pytest.raises(ConfigurationError, match=r"does not speak the protocol of Redis.*rediss://"):
            RedisBackend(f"redis://127.0.0.1:{listener.getsockname()[1]}/0")
        listener.shutdown(socket.SHUT_RDWR)
