"""What other processes do in the tests of the file: each function is the whole life of one."""

from __future__ import annotations

import time
from pathlib import Path

from clawproof_langgraph import Coordinator


def increment(url: str, counter: str, times: int) -> None:
    """Add one to the number in a file, under a lock that alone keeps others out."""
    path = Path(counter)
    with Coordinator.from_url(url) as coordinator:
        for _ in range(times):
            with coordinator.lock("counter", ttl=30, wait=60):
                path.write_text(str(int(path.read_text()) + 1))


def hold(url: str, ttl: float) -> None:
    """Take a lock and keep it until killed."""
    with Coordinator.from_url(url) as coordinator, coordinator.lock("a", ttl=ttl):
        while True:
            time.sleep(1)
