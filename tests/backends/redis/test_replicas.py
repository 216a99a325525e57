"""With `replicas=n`, nothing is believed that fewer replicas have, and a failover loses nothing that was."""

from __future__ import annotations

import asyncio
import itertools
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import redis

from clawproof_langgraph import BackendUnavailable, ConfigurationError, Coordinator, Guard, ToolPolicy
from clawproof_langgraph.backends.redis import ReplicatedRedisBackend, connections, replicas
from clawproof_langgraph.errors import ClawproofWarning
from clawproof_langgraph.model import Granted, Replay, SettleReply
from clawproof_langgraph.testing.builders import again, ask, call, released, settled
from clawproof_langgraph.testing.faces import AsyncFace, Face, SyncFace
from tests.servers import Server, start_server
from tests.servers.cluster import Cluster, cluster
from tests.servers.sentinel import service
from tests.waiting import wait_until

_numbers = itertools.count()


class Pair:
    """A primary and its replica, which can be made to fall behind."""

    def __init__(self, primary: Server, replica: Server) -> None:
        self.primary, self.replica = primary, replica
        self._admin = redis.Redis(port=primary.port)
        self._at_replica = redis.Redis(port=replica.port)

    @property
    def url(self) -> str:
        return self.primary.url

    def pause(self) -> None:
        """Let the replica fall silent, though it stays connected."""
        self.replica.process.send_signal(signal.SIGSTOP)

    def leave(self) -> None:
        """Let the replica go away."""
        self._at_replica.execute_command("REPLICAOF", "127.0.0.1", 1)  # where nobody is
        wait_until(lambda: self._admin.info("replication")["connected_slaves"] == 0)

    def join(self) -> None:
        """Let the replica follow again."""
        self.replica.process.send_signal(signal.SIGCONT)
        self._at_replica.execute_command("REPLICAOF", "127.0.0.1", self.primary.port)
        wait_until(self._is_in_step)

    def _is_in_step(self) -> bool:
        self._admin.set("warm", 1)
        return int(self._admin.execute_command("WAIT", 1, 100)) == 1

    def cut(self) -> None:
        """Cut all connections of clients."""
        self._admin.execute_command("CLIENT", "KILL", "TYPE", "normal")

    def calls(self, command: str) -> int:
        """Tell how often a command was carried out."""
        row = self._admin.info("commandstats").get(f"cmdstat_{command}", {})
        return int(row.get("calls", 0))

    def close(self) -> None:
        self._admin.close()
        self._at_replica.close()


@pytest.fixture(scope="module")
def servers() -> Iterator[Pair]:
    primary = start_server("--repl-diskless-sync-delay", "0")
    replica = start_server("--replicaof", "127.0.0.1", str(primary.port))
    pair = Pair(primary, replica)
    yield pair
    pair.close()
    replica.process.send_signal(signal.SIGCONT)
    replica.stop()
    primary.stop()


@pytest.fixture
def pair(servers: Pair) -> Pair:
    """Give the pair with its replica in step."""
    servers.join()
    return servers


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "PATIENCE", 0.5)
    monkeypatch.setattr(replicas, "WITHIN", 0.1)


@pytest.fixture(params=[SyncFace, AsyncFace], ids=["sync", "async"])
def store(request: pytest.FixtureRequest, pair: Pair) -> Iterator[Face]:
    backend = ReplicatedRedisBackend(pair.url, f"replicas-{next(_numbers)}", replicas=1)
    face: Face = request.param(backend)
    yield face
    face.close()
    backend.close()


@contextmanager
def taken(pair: Pair) -> Iterator[Coordinator]:
    """Open a coordinator that asks for one replica."""
    with Coordinator.from_url(pair.url, namespace=f"replicas-{next(_numbers)}", replicas=1) as coordinator:
        yield coordinator


# --- a replica that keeps up ------------------------------------------------------------------------------------


def test_each_command_waits_once(store: Face, pair: Pair) -> None:
    store.settle(settled(store.granted(call("warm", "inventory/1", key="warm"))))
    before = pair.calls("evalsha"), pair.calls("wait")

    lease = store.granted(call("a", "inventory/1", key="k"))
    assert store.settle(settled(lease, result=b"42")) is SettleReply.SETTLED

    assert (pair.calls("evalsha"), pair.calls("wait")) == (before[0] + 2, before[1] + 2)


def test_nobody_waits_who_has_not_asked_for_it(pair: Pair) -> None:
    before = pair.calls("wait")
    with Coordinator.from_url(pair.url, namespace="plain") as coordinator, coordinator.lock("a"):
        pass
    assert pair.calls("wait") == before


def test_scripts_that_the_server_has_forgotten_are_sent_again(store: Face, pair: Pair) -> None:
    client = redis.Redis(port=pair.primary.port)
    client.script_flush()
    client.close()
    assert store.settle(settled(store.granted(call("a", "inventory/1", key="k")))) is SettleReply.SETTLED


def test_a_url_may_ask_for_it(pair: Pair) -> None:
    before = pair.calls("wait")
    with Coordinator.from_url(f"{pair.url}?replicas=1", namespace="by-url") as coordinator, coordinator.lock("a"):
        pass
    assert pair.calls("wait") == before + 2


# --- a replica that does not ------------------------------------------------------------------------------------


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("stop", [Pair.pause, Pair.leave])
def test_a_grant_that_no_replica_has_is_refused_and_says_so(
    store: Face, pair: Pair, stop: Callable[[Pair], None]
) -> None:
    stop(pair)
    with pytest.raises(BackendUnavailable, match=r"0 of 1 replicas acknowledged a write within 0.1 s.*replicas="):
        store.begin(call("a", "inventory/1", key="k"))


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("face", ["sync", "async"])
def test_no_tool_runs_and_nothing_is_held_after(pair: Pair, face: str) -> None:
    ran: list[str] = []

    def reserve(sku: str) -> str:
        """Take one."""
        ran.append(sku)
        return "taken"

    with taken(pair) as coordinator:
        pair.pause()
        guard = Guard(
            coordinator, agent="orders", tools={"reserve": ToolPolicy(locks=["inventory/{sku}"], key="{sku}")}
        )
        tool = guard.wrap_tool(_tool(reserve))
        with pytest.raises(BackendUnavailable, match="No tool runs"):
            _invoke(tool, face)

        assert ran == []
        assert coordinator.snapshot().leases == ()
        assert coordinator.snapshot().in_doubt == ()
        pair.join()
        assert _invoke(tool, face) == "taken"


def _tool(function: object) -> object:
    from langchain_core.tools import tool

    return tool(function)  # type: ignore[call-overload]


def _invoke(tool: object, face: str) -> object:
    if face == "sync":
        return tool.invoke({"sku": "1"})  # type: ignore[attr-defined]
    return asyncio.run(tool.ainvoke({"sku": "1"}))  # type: ignore[attr-defined]


def test_a_grant_is_refused_before_its_lease_could_end(store: Face, pair: Pair) -> None:
    """Whoever withdraws it must find it alive: ended, it would be the doubt of a call that never ran."""
    pair.pause()
    began = time.monotonic()
    with pytest.raises(BackendUnavailable, match=r"within 0.5 s"):
        store.begin(call("a", "inventory/1", key="k", ttl=2))
    assert time.monotonic() - began < 2


def test_a_replica_that_is_back_in_time_costs_a_wait_and_one_grant(
    store: Face, pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replicas, "WITHIN", 0.1)
    pair.pause()
    threading.Timer(0.5, pair.join).start()

    lease = store.granted(call("a", "inventory/1", key="k"))

    assert [event.fence for event in store.log("lock.acquired")] == [lease.fence]
    assert store.settle(settled(lease, result=b"42")) is SettleReply.SETTLED
    assert len(store.log("call.done")) == 1


def test_a_grant_that_was_handed_over_is_one(store: Face, pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    lease = store.granted(ask("a", "inventory/1"))
    waiter = ask("b", "inventory/1")
    store.queued(waiter)
    store.settle(released(lease))
    pair.pause()
    monkeypatch.setattr(connections, "PATIENCE", 0.5)
    monkeypatch.setattr(replicas, "WITHIN", 0.1)

    with pytest.raises(BackendUnavailable, match="0 of 1 replicas"):
        store.begin(again(waiter))


@pytest.mark.usefixtures("impatient")
def test_who_is_not_granted_anything_need_not_wait_for_replicas(store: Face, pair: Pair) -> None:
    store.settle(settled(store.granted(call("a", "inventory/1", key="k")), result=b"42"))
    store.granted(ask("b", "inventory/1"))
    pair.pause()

    store.queued(ask("c", "inventory/1"))
    assert store.begin(call("d", "inventory/1", key="k")) == Replay("k", b"42")


@pytest.mark.usefixtures("impatient")
def test_an_outcome_that_no_replica_has_is_recorded_again_until_one_has_it(store: Face, pair: Pair) -> None:
    lease = store.granted(call("a", "inventory/1", key="k"))
    pair.pause()
    for _ in range(2):  # the second time, there is nothing to write, and the connection has written nothing
        with pytest.raises(BackendUnavailable, match="0 of 1 replicas"):
            store.settle(settled(lease, result=b"42"))
        pair.cut()
    pair.join()

    assert store.settle(settled(lease, result=b"42")) is SettleReply.SETTLED

    assert len(store.log("call.done")) == 1


@pytest.mark.usefixtures("impatient")
def test_a_plain_lock_of_which_no_replica_knows_the_end_was_not_lost(store: Face, pair: Pair) -> None:
    lease = store.granted(ask("a", "inventory/1"))
    pair.pause()
    with pytest.raises(BackendUnavailable):
        store.settle(released(lease))
    pair.join()
    assert store.settle(released(lease)) is SettleReply.SETTLED


@pytest.mark.usefixtures("impatient")
def test_a_result_of_which_no_replica_hears_reaches_its_caller_all_the_same(pair: Pair) -> None:
    def reserve(sku: str) -> str:
        """Take one."""
        pair.pause()
        return "taken"

    with taken(pair) as coordinator:
        policy = ToolPolicy(locks=["inventory/{sku}"], key="{sku}", ttl=1)
        tool = Guard(coordinator, agent="orders", tools={"reserve": policy}).wrap_tool(_tool(reserve))
        with pytest.warns(ClawproofWarning, match="could not record it"):
            assert _invoke(tool, "sync") == "taken"


# --- failover ---------------------------------------------------------------------------------------------------


def test_a_failover_keeps_the_lease_and_the_record() -> None:
    with service() as watched:
        backend = ReplicatedRedisBackend(watched.url, replicas=1)
        store = SyncFace(backend)
        held = store.granted(ask("holder", "inventory/1", ttl=60))
        store.settle(settled(store.granted(call("a", "inventory/2", key="k")), result=b"42"))
        primary = watched.primary()

        next(server for server in watched.servers if server.port == primary).process.kill()

        assert store.begin(call("b", "inventory/2", key="k")) == Replay("k", b"42")
        wait_until(lambda: watched.primary() != primary)
        store.queued(ask("c", "inventory/1"))
        assert store.settle(released(held)) is SettleReply.SETTLED
        assert store.granted(again(ask("c", "inventory/1"))).fence > held.fence
        backend.close()


@pytest.fixture(scope="module")
def three_and_three() -> Iterator[Cluster]:
    with cluster() as running:
        yield running


@pytest.mark.parametrize("namespace", ["shop", "warehouse", "crm"])
@pytest.mark.parametrize("kind", [SyncFace, AsyncFace], ids=["sync", "async"])
def test_replicas_of_a_cluster(three_and_three: Cluster, namespace: str, kind: type[Face]) -> None:
    backend = ReplicatedRedisBackend(three_and_three.url, namespace, replicas=1)
    store = kind(backend)
    key = kind.__name__
    assert store.settle(settled(store.granted(call(key, "inventory/1", key=key)), result=b"42")) is SettleReply.SETTLED
    assert store.begin(call(key + "2", "inventory/1", key=key)) == Replay(key, b"42")
    store.close()
    backend.close()


def test_more_replicas_than_a_cluster_has_for_a_slot(three_and_three: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "PATIENCE", 0.5)
    monkeypatch.setattr(replicas, "WITHIN", 0.1)
    backend = ReplicatedRedisBackend(three_and_three.url, "many", replicas=2)
    with pytest.raises(BackendUnavailable, match="1 of 2 replicas"):
        backend.begin(ask("a", "inventory/1"))
    backend.close()


@pytest.mark.parametrize("kind", [SyncFace, AsyncFace], ids=["sync", "async"])
def test_a_namespace_that_has_moved_is_followed(three_and_three: Cluster, kind: type[Face]) -> None:
    """The client of a Cluster is told by the first command that it sends to the wrong server."""
    namespace = f"moving-{kind.__name__}"
    backend = ReplicatedRedisBackend(three_and_three.url, namespace, replicas=1)
    store = kind(backend)
    store.granted(ask("a", "inventory/1"))
    client = redis.RedisCluster(host="127.0.0.1", port=three_and_three.servers[0].port)
    slot = client.keyslot(f"clawproof:{{{namespace}}}:")
    primaries = three_and_three.servers[:3]
    admins = [redis.Redis(port=server.port, decode_responses=True) for server in primaries]
    owner = client.get_node_from_key(f"clawproof:{{{namespace}}}:").port
    target = next(index for index, server in enumerate(primaries) if server.port != owner)
    source = next(index for index, server in enumerate(primaries) if server.port == owner)
    _move(admins, source, target, slot, primaries[target].port)

    assert isinstance(store.begin(ask("b", "inventory/2")), Granted)

    for admin in [*admins, client]:
        admin.close()
    store.close()
    backend.close()


def _move(admins: list[redis.Redis], source: int, target: int, slot: int, port: int) -> None:
    names = [admin.execute_command("CLUSTER", "MYID") for admin in admins]
    admins[target].execute_command("CLUSTER", "SETSLOT", slot, "IMPORTING", names[source])
    admins[source].execute_command("CLUSTER", "SETSLOT", slot, "MIGRATING", names[target])
    while keys := admins[source].execute_command("CLUSTER", "GETKEYSINSLOT", slot, 100):
        admins[source].execute_command("MIGRATE", "127.0.0.1", port, "", 0, 5000, "KEYS", *keys)
    for admin in (admins[target], admins[source]):
        admin.execute_command("CLUSTER", "SETSLOT", slot, "NODE", names[target])


# --- bad input --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrong", ["one", "-1", "1.5", ""])
def test_a_url_with_something_else_than_a_number_is_refused(redis_server: Server, wrong: str) -> None:
    with pytest.raises(ConfigurationError, match="no number of replicas; write, for example, replicas=1"):
        Coordinator.from_url(f"{redis_server.url}?replicas={wrong}")


@pytest.mark.parametrize("wrong", [-1, 1.5, True, "one"])
def test_something_else_than_a_number_is_refused(redis_server: Server, wrong: object) -> None:
    with pytest.raises(ConfigurationError, match="no number of replicas"):
        Coordinator.from_url(redis_server.url, replicas=wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("url", ["memory://", "memory://shared", "sqlite:///x.db"])
def test_a_store_without_replicas_says_so(url: str) -> None:
    with pytest.raises(ConfigurationError, match="replicas=2 asks for replicas of a Redis or Valkey server"):
        Coordinator.from_url(url, replicas=2)


def test_a_user_that_may_not_wait_is_told_so_and_holds_nothing(redis_server: Server) -> None:
    admin = redis.Redis(port=redis_server.port)
    admin.execute_command("ACL", "SETUSER", "hasty", "reset", "on", ">secret", "~clawproof:*", "+@all", "-wait")
    url = f"redis://hasty:secret@127.0.0.1:{redis_server.port}/0"
    with Coordinator.from_url(url, namespace="hasty", replicas=1) as coordinator:
        with pytest.raises(BackendUnavailable, match="'wait'"), coordinator.lock("a"):
            pytest.fail("it was not acknowledged")
        assert coordinator.snapshot().leases == ()
    admin.close()
