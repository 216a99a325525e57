"""A Cluster of three primaries with a replica each."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import pairwise

import redis

from tests.servers import Server, start_server
from tests.waiting import wait_until

_SLOTS = (0, 5461, 10923, 16384)


class Cluster:
    """The servers of a Cluster, primaries first."""

    def __init__(self, servers: list[Server]) -> None:
        self.servers = servers
        self._homes: dict[int, int] = {}

    @property
    def url(self) -> str:
        return "redis+cluster://" + ",".join(f"127.0.0.1:{server.port}" for server in self.servers[:2])

    def move(self, key: str, *, halfway: Callable[[], object] = lambda: None) -> None:
        """Move the slot of a key to another primary; `halfway` is called when half of its keys are there."""
        clients, names, slot, source, target = self._begin_to_move(key)
        self._homes[slot] = target
        first = True
        while keys := clients[source].execute_command("CLUSTER", "GETKEYSINSLOT", slot, 3):
            address = ("127.0.0.1", self.servers[target].port)
            clients[source].execute_command("MIGRATE", *address, "", 0, 5000, "KEYS", *keys)
            if first:
                halfway()
            first = False
        for client in (clients[target], clients[source]):
            client.execute_command("CLUSTER", "SETSLOT", slot, "NODE", names[target])
        for client in clients:
            client.close()

    @contextmanager
    def about_to_move(self, key: str) -> Iterator[None]:
        """Have a slot be on its way to another primary, with all its keys still there; in the end, it stays."""
        clients, _, slot, source, target = self._begin_to_move(key)
        try:
            yield
        finally:
            for client in (clients[source], clients[target]):
                client.execute_command("CLUSTER", "SETSLOT", slot, "STABLE")
            for client in clients:
                client.close()

    def _begin_to_move(self, key: str) -> tuple[list[redis.Redis], list[str], int, int, int]:
        clients = [redis.Redis(port=server.port, decode_responses=True) for server in self.servers[:3]]
        names = [str(client.execute_command("CLUSTER", "MYID")) for client in clients]
        slot = int(clients[0].execute_command("CLUSTER", "KEYSLOT", key))
        source = self._homes.get(slot, bisect(_SLOTS, slot) - 1)
        target = (source + 1) % 3
        clients[target].execute_command("CLUSTER", "SETSLOT", slot, "IMPORTING", names[source])
        clients[source].execute_command("CLUSTER", "SETSLOT", slot, "MIGRATING", names[target])
        return clients, names, slot, source, target


@contextmanager
def cluster() -> Iterator[Cluster]:
    """Run a Cluster until the end of the block."""
    with ExitStack() as running:
        servers = []
        for _ in range(6):
            server = start_server("--cluster-node-timeout", "1000", cluster=True)
            running.callback(server.stop)
            servers.append(server)
        clients = [redis.Redis(port=server.port, decode_responses=True) for server in servers]
        _join(clients, servers)
        for client in clients:
            client.close()
        yield Cluster(servers)


def _join(clients: list[redis.Redis], servers: list[Server]) -> None:
    for client, (first, end) in zip(clients, pairwise(_SLOTS), strict=False):
        client.execute_command("CLUSTER", "ADDSLOTS", *range(first, end))
    for server in servers[1:]:
        clients[0].execute_command("CLUSTER", "MEET", "127.0.0.1", server.port, server.bus)
    wait_until(lambda: all(_known(client) == len(servers) for client in clients), within=30)
    names = [client.execute_command("CLUSTER", "MYID") for client in clients]
    for replica, primary in zip(clients[3:], names[:3], strict=True):
        replica.execute_command("CLUSTER", "REPLICATE", primary)
    wait_until(lambda: all(_state(client) == "ok" for client in clients), within=30)
    wait_until(lambda: all(_is_in_step(client) for client in clients[3:]), within=30)


def _info(client: redis.Redis) -> dict[str, str]:
    lines = str(client.execute_command("CLUSTER", "INFO")).split()
    return dict([line.split(":", 1) for line in lines])


def _known(client: redis.Redis) -> int:
    return int(_info(client)["cluster_known_nodes"])


def _state(client: redis.Redis) -> str:
    return _info(client)["cluster_state"]


def _is_in_step(replica: redis.Redis) -> bool:
    return replica.info("replication").get("master_link_status") == "up"
