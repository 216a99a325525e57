"""A server in trouble is waited out where the trouble passes, and named where it does not."""

from __future__ import annotations

import asyncio
import itertools
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from clawproof_langgraph import BackendUnavailable, Coordinator, LeaseLost
from clawproof_langgraph.backends.redis import RedisBackend, connections
from clawproof_langgraph.errors import ClawproofWarning
from clawproof_langgraph.model import Granted, Renew, Replay, SettleReply, State, Sweep
from clawproof_langgraph.testing.builders import ask, call, released, settled
from clawproof_langgraph.testing.faces import AsyncFace, Face, SyncFace
from tests.servers import Server, replica_of, start_server
from tests.servers.proxy import Proxy, proxy_to
from tests.waiting import wait_until

_numbers = itertools.count()
SHORT = 0.3
"""Seconds of a trouble that passes."""
DURABLE = ("--appendonly", "yes", "--appendfsync", "always", "--enable-debug-command", "yes")


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    server = start_server("--enable-debug-command", "yes", "--lua-time-limit", "10")
    yield server
    server.stop()


@pytest.fixture
def operator(server: Server) -> Iterator[redis.Redis]:
    """Give a client that makes the trouble."""
    client = redis.Redis(port=server.port, retry=Retry(NoBackoff(), 0))
    yield client
    client.close()


@pytest.fixture(params=[SyncFace, AsyncFace], ids=["sync", "async"])
def store(request: pytest.FixtureRequest, server: Server) -> Iterator[Face]:
    backend = RedisBackend(server.url, f"trouble-{next(_numbers)}")
    face: Face = request.param(backend)
    yield face
    face.close()
    backend.close()


@contextmanager
def after(seconds: float, work: Callable[[], object]) -> Iterator[None]:
    """Do something while the block runs, and see that it was waited for."""
    timer, began = threading.Timer(seconds, work), time.monotonic()
    timer.start()
    yield
    timer.join()
    assert time.monotonic() - began >= seconds


def whole_life(store: Face) -> None:
    """Run a call from begin to settle, its replay, and what goes beside it."""
    lease = store.granted(call("a", "inventory/1", key="k"))
    assert store.renew(Renew("s1", (("a", 30.0),))).lost == frozenset()
    assert store.settle(settled(lease, result=b"42")) is SettleReply.SETTLED
    assert store.begin(call("b", "inventory/1", key="k")) == Replay("k", b"42")
    assert len(store.log("call.done")) == 1
    assert store.snapshot().leases == ()


# --- trouble that passes ----------------------------------------------------------------------------------------


def test_a_server_that_is_stopped_and_goes_on(store: Face, server: Server) -> None:
    server.process.send_signal(signal.SIGSTOP)
    with after(SHORT, lambda: server.process.send_signal(signal.SIGCONT)):
        whole_life(store)


def test_a_server_that_pauses_its_clients(store: Face, operator: redis.Redis) -> None:
    operator.execute_command("CLIENT", "PAUSE", int(SHORT * 1000), "ALL")
    whole_life(store)


def test_a_server_that_is_busy_with_a_script_of_somebody(store: Face, server: Server, operator: redis.Redis) -> None:
    store.snapshot()

    def hog() -> None:
        client = redis.Redis(port=server.port)
        with pytest.raises(redis.ResponseError, match="killed"):
            client.eval("while true do end", 0)
        client.close()

    thread = threading.Thread(target=hog)
    thread.start()
    wait_until(lambda: _busy(operator))
    with after(SHORT, lambda: operator.execute_command("SCRIPT", "KILL")):
        whole_life(store)
    thread.join()


def _busy(operator: redis.Redis) -> bool:
    try:
        operator.ping()
    except redis.ResponseError as exc:
        return str(exc).startswith("BUSY")
    return False


def test_a_server_that_forgets_its_scripts_all_the_time(store: Face, operator: redis.Redis) -> None:
    over = threading.Event()

    def forget() -> None:
        while not over.is_set():
            operator.script_flush()

    thread = threading.Thread(target=forget)
    thread.start()
    try:
        whole_life(store)
    finally:
        over.set()
        thread.join()


def test_a_server_that_takes_no_more_clients_for_a_while(server: Server, operator: redis.Redis) -> None:
    before = operator.config_get("maxclients")["maxclients"]
    backend = RedisBackend(server.url, f"trouble-{next(_numbers)}")
    operator.config_set("maxclients", 1)
    try:
        with after(SHORT, lambda: operator.config_set("maxclients", before)):
            assert isinstance(backend.begin(ask("a", "inventory/1")), Granted)
    finally:
        operator.config_set("maxclients", before)
        backend.close()


def test_an_eviction_policy_that_was_changed_meanwhile_is_told_to_the_next_who_opens(
    store: Face, server: Server, operator: redis.Redis
) -> None:
    operator.config_set("maxmemory-policy", "volatile-ttl")
    try:
        whole_life(store)
        with pytest.raises(Exception, match='maxmemory-policy "volatile-ttl"'):
            RedisBackend(server.url)
    finally:
        operator.config_set("maxmemory-policy", "noeviction")


# --- out of memory ----------------------------------------------------------------------------------------------


@pytest.fixture
def full(operator: redis.Redis) -> Iterator[Callable[[], None]]:
    """Give what makes the memory full, until the end of the test."""
    yield lambda: operator.config_set("maxmemory", "1mb") and None
    operator.config_set("maxmemory", "0")


def test_nothing_begins_when_the_memory_is_full(
    store: Face, full: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "PATIENCE", SHORT)
    full()
    with pytest.raises(BackendUnavailable, match=r"out of memory.*give it more"):
        store.begin(call("a", "inventory/1", key="k"))


def test_what_runs_when_the_memory_gets_full_keeps_its_lease_and_can_end(store: Face, full: Callable[[], None]) -> None:
    done = store.granted(call("done", "inventory/1", key="k"))
    plain = store.granted(ask("plain", "inventory/2"))
    failed = store.granted(call("failed", "inventory/3", key="f"))
    store.queued(ask("waiter", "inventory/2"))
    store.queued(ask("leaves", "inventory/2"))
    full()

    owners = ("done", "plain", "failed")
    assert store.renew(Renew("s1", tuple((owner, 30.0) for owner in owners), waiting=True)).lost == frozenset()
    assert store.settle(settled(done, result=b"42" * 100)) is SettleReply.SETTLED
    assert store.settle(settled(failed, State.FAILED)) is SettleReply.SETTLED
    assert store.settle(released(plain)) is SettleReply.SETTLED
    store.sweep(Sweep())
    assert store.snapshot().leases == ()
    assert store.turns() == {"waiter"}


# --- a server that starts again ---------------------------------------------------------------------------------


def test_a_server_that_loads_its_data(namespace: str) -> None:
    server = start_server(*DURABLE)
    backend = RedisBackend(server.url, namespace)
    store = SyncFace(backend)
    lease = store.granted(call("a", "inventory/1", key="k"))
    operator = redis.Redis(port=server.port, retry=Retry(NoBackoff(), 0))
    operator.execute_command("DEBUG", "POPULATE", 5000, "filler", 100)
    operator.execute_command("BGREWRITEAOF")
    wait_until(lambda: not operator.info("persistence")["aof_rewrite_in_progress"])
    server.process.kill()
    server.process.wait()
    server.restart(*DURABLE, "--key-load-delay", "200", "--loading-process-events-interval-bytes", "1024")
    wait_until(lambda: _is_loading(operator))

    assert store.settle(settled(lease, result=b"42")) is SettleReply.SETTLED
    assert store.begin(call("b", "inventory/1", key="k")) == Replay("k", b"42")
    operator.close()
    backend.close()
    server.stop()


def _is_loading(operator: redis.Redis) -> bool:
    try:
        operator.get("x")
    except redis.exceptions.BusyLoadingError:
        return True
    except redis.ConnectionError:
        return False
    return False


def test_leases_that_went_away_with_the_data_of_a_server_are_told_to_be_lost(namespace: str) -> None:
    server = start_server()
    with Coordinator.from_url(server.url, namespace=namespace) as coordinator:
        with ExitStack() as held:
            lease = held.enter_context(coordinator.lock("inventory/1", ttl=3))
            server.process.kill()
            server.process.wait()
            server.restart()
            wait_until(lambda: lease.lost)
            with pytest.raises(LeaseLost, match="no such lease"):
                lease.check()
            with pytest.warns(ClawproofWarning, match="was lost"):
                held.close()
        with coordinator.lock("inventory/1") as later:
            assert later.fence > lease.fence, "fences grow over the loss of all data"
    server.stop()


def test_processes_agree_on_fingerprints_after_the_data_of_a_server_went_away(namespace: str) -> None:
    server = start_server()
    old, other = RedisBackend(server.url, namespace), RedisBackend(server.url, namespace)
    server.process.kill()
    server.process.wait()
    server.restart()

    SyncFace(old).granted(ask("a", "inventory/1"))
    new = RedisBackend(server.url, namespace)
    SyncFace(other).queued(ask("b", "inventory/1"))

    assert old.secret == new.secret == other.secret
    for backend in (old, new, other):
        backend.close()
    server.stop()


@pytest.mark.parametrize("kind", [SyncFace, AsyncFace], ids=["sync", "async"])
def test_a_newcomer_decides_on_the_secret_if_it_comes_first(namespace: str, kind: type[Face]) -> None:
    server = start_server()
    old = RedisBackend(server.url, namespace)
    server.process.kill()
    server.process.wait()
    server.restart()
    new = RedisBackend(server.url, namespace)

    store = kind(old)
    store.granted(ask("a", "inventory/1"))

    assert old.secret == new.secret
    store.close()
    for backend in (old, new):
        backend.close()
    server.stop()


# --- an address that leads elsewhere ----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [SyncFace, AsyncFace], ids=["sync", "async"])
def test_a_primary_that_has_become_a_replica_is_left_for_the_one_at_its_address(
    redis_server: Server, server: Server, proxy: Proxy, namespace: str, kind: type[Face]
) -> None:
    replica = start_server(*replica_of(server))
    operator = redis.Redis(port=replica.port)
    operator.replicaof("NO", "ONE")
    with proxy_to(replica.port) as address:
        backend = RedisBackend(address.url, namespace)
        store = kind(backend)
        before = store.granted(ask("a", "inventory/1"))
        address.target = redis_server.port  # as a name of a managed service is moved
        operator.replicaof("127.0.0.1", str(server.port))

        assert store.granted(ask("b", "inventory/1")).fence > before.fence
        store.close()
        backend.close()
    operator.close()
    replica.stop()


def test_a_replica_is_named(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "PATIENCE", SHORT)
    replica = start_server(*replica_of(server))
    wait_until(lambda: redis.Redis(port=replica.port).info("replication")["master_link_status"] == "up")
    with pytest.raises(BackendUnavailable, match=r"is a replica.*name the primary"):
        RedisBackend(replica.url)
    replica.stop()


# --- many threads -----------------------------------------------------------------------------------------------


def test_few_connections_serve_many_threads(server: Server, operator: redis.Redis) -> None:
    before = operator.info("clients")["connected_clients"]
    url = f"{server.url}?max_connections=3"
    with Coordinator.from_url(url, namespace=f"trouble-{next(_numbers)}") as coordinator:
        failures: list[Exception] = []

        def work(number: int) -> None:
            try:
                for _ in range(5):
                    with coordinator.lock(f"inventory/{number % 8}", wait=20):
                        pass
            except Exception as exc:  # noqa: BLE001 - shown by the test
                failures.append(exc)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(40)]
        for thread in threads:
            thread.start()
        most = 0
        while any(thread.is_alive() for thread in threads):
            most = max(most, operator.info("clients")["connected_clients"] - before)
        assert failures == []
        assert most <= 3 + 3 + 2, "commands, the heartbeat's, the bell's and the opening one"


async def test_few_connections_serve_many_tasks(server: Server) -> None:
    url = f"{server.url}?max_connections=3"
    async with Coordinator.from_url(url, namespace=f"trouble-{next(_numbers)}") as coordinator:

        async def work(number: int) -> None:
            for _ in range(5):
                async with coordinator.lock(f"inventory/{number % 8}", wait=20):
                    pass

        await asyncio.gather(*[work(number) for number in range(40)])
