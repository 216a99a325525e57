"""A primary with two replicas, and three Sentinels that watch over them."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import redis

from tests.servers import Server, free_port, replica_of, server_program, start_server
from tests.waiting import wait_until

_SERVICE = "store"


class Service:
    """The servers of a service, and its Sentinels."""

    def __init__(self, servers: list[Server], sentinels: list[Server]) -> None:
        self.servers, self.sentinels = servers, sentinels

    @property
    def url(self) -> str:
        hosts = ",".join(f"127.0.0.1:{sentinel.port}" for sentinel in self.sentinels)
        return f"redis+sentinel://{hosts}/{_SERVICE}"

    def primary(self) -> int:
        """Ask the Sentinels for the port of the primary."""
        client = redis.Redis(port=self.sentinels[0].port, decode_responses=True)
        try:
            return int(client.execute_command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", _SERVICE)[1])
        finally:
            client.close()


@contextmanager
def service() -> Iterator[Service]:
    """Run a service until the end of the block."""
    with ExitStack() as running:
        servers = [start_server()]
        running.callback(servers[0].stop)
        for _ in range(2):
            servers.append(start_server(*replica_of(servers[0])))
            running.callback(servers[-1].stop)
        wait_until(lambda: _replicas(servers[0]) == 2, within=30)
        sentinels = []
        for _ in range(3):
            sentinels.append(start_sentinel(servers[0].port))
            running.callback(sentinels[-1].stop)
        wait_until(lambda: all(_is_complete(sentinel) for sentinel in sentinels), within=30)
        yield Service(servers, sentinels)


def start_sentinel(primary: int) -> Server:
    """Start a Sentinel that watches over the server at a port."""
    folder, port = tempfile.TemporaryDirectory(), free_port()
    settings = Path(folder.name) / "sentinel.conf"
    settings.write_text(
        f"port {port}\nbind 127.0.0.1\nsentinel monitor {_SERVICE} 127.0.0.1 {primary} 2\n"
        f"sentinel down-after-milliseconds {_SERVICE} 500\nsentinel failover-timeout {_SERVICE} 3000\n"
    )
    process = subprocess.Popen([server_program(), str(settings), "--sentinel"], stdout=subprocess.DEVNULL)
    return Server(port, process, folder)


def _replicas(server: Server) -> int:
    client = redis.Redis(port=server.port)
    try:
        return sum(
            1
            for name, state in client.info("replication").items()
            if name.startswith("slave") and isinstance(state, dict) and state["state"] == "online"
        )
    finally:
        client.close()


def _is_complete(sentinel: Server) -> bool:
    client = redis.Redis(port=sentinel.port, decode_responses=True)
    try:
        row = client.execute_command("SENTINEL", "MASTER", _SERVICE)
        facts = row if isinstance(row, dict) else dict(zip(row[::2], row[1::2], strict=True))
        return int(facts["num-slaves"]) == 2 and int(facts["num-other-sentinels"]) == 2
    except redis.ConnectionError:
        return False
    finally:
        client.close()
