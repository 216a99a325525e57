"""What other processes do: each function is the whole life of one."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from clawproof_langgraph import Coordinator


def write(url: str, writer: int, count: int) -> None:
    """Publish so many events, and take a lock now and then: its events come in twos."""
    with Coordinator.from_url(url) as coordinator:
        for number in range(count):
            coordinator.publish("Counted", data={"writer": writer, "n": number})
            if number % 7 == 0:
                with coordinator.lock(f"thing/{writer}"):
                    pass


def read_and_die(url: str, name: str, seen: str, lives: int) -> None:
    """Note each event in a file before asking for the next one, and be killed after so many."""
    with Coordinator.from_url(url) as coordinator, Path(seen).open("a") as file:
        for count, event in enumerate(coordinator.subscribe(name, timeout=10), start=1):
            print(event.cursor, file=file, flush=True)
            if count == lives:
                os.kill(os.getpid(), signal.SIGKILL)
