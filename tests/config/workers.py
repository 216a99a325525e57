"""What other processes do: each function is the whole life of one."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

from clawproof_langgraph import Event, Guard

SEEN = "seen.txt"


def note(event: Event) -> None:
    """Be a sink: write down the event, and die of the one that says so before anybody knows."""
    with Path(SEEN).open("a") as file:
        print(f"{event.data.get('n')} {os.getpid()}", file=file)
    if event.data.get("n") == int(os.environ.get("DIE_OF", "-1")):
        os.kill(os.getpid(), signal.SIGKILL)


def alert(folder: str, die_of: int = -1) -> None:
    """Make a guard of the file in a folder, and stay."""
    os.chdir(folder)
    os.environ["DIE_OF"] = str(die_of)
    guard = Guard.from_file()
    Path(f"ready-{os.getpid()}").touch()
    threading.Event().wait(60)
    guard.coordinator.close()
