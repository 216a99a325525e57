"""What other processes do in the tests of the Redis backend: each function below is the whole life of one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from clawproof_langgraph import Coordinator
from clawproof_langgraph.backends.redis import RedisBackend
from clawproof_langgraph.testing.builders import ask
from clawproof_langgraph.testing.faces import SyncFace
from tests.waiting import PATIENCE


@contextmanager
def process(name: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Run one of the functions below, until the end of the block at most."""
    command = [sys.executable, "-m", "tests.backends.redis.workers", name, *arguments]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        yield running
    finally:
        running.kill()
        running.wait()
        assert running.stdout is not None
        running.stdout.close()


def told(running: subprocess.Popen[str]) -> float:
    """Wait for a line that a process prints, and give the time in it."""
    assert running.stdout is not None
    return float(running.stdout.readline())


def ended(running: subprocess.Popen[str]) -> float:
    """Do what `told` does, and wait for the end of the process, so that it holds nothing any more."""
    time_told = told(running)
    running.wait(PATIENCE)
    return time_told


def tell() -> None:
    """Print the time."""
    print(time.time(), flush=True)  # noqa: T201


def hold(url: str, namespace: str, ttl: str) -> None:
    """Take a lock and keep it until killed."""
    with Coordinator.from_url(url, namespace=namespace) as coordinator, coordinator.lock("a", ttl=float(ttl)):
        tell()
        signal.pause()


def wait(url: str, namespace: str) -> None:
    """Wait for a lock, tell when it came, and give it back."""
    with Coordinator.from_url(url, namespace=namespace) as coordinator:
        tell()
        with coordinator.lock("a", wait=60):
            tell()


def wait_deaf(url: str, namespace: str) -> None:
    """Queue up, and look alive, but never take up what is handed over."""
    coordinator = Coordinator.from_url(url, namespace=namespace)
    backend = RedisBackend(url, namespace)
    waiter = ask(f"deaf-{os.getpid()}", "a", session=coordinator.session)
    SyncFace(backend).queued(waiter)
    coordinator._heartbeat.add_waiter(waiter.owner, "")
    tell()
    signal.pause()


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
