"""What other processes do: each function is the whole life of one."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path
from typing import Any

from langgraph.checkpoint.sqlite import SqliteSaver

from clawproof_langgraph import Coordinator, Event
from clawproof_langgraph.graph.inbox import plain
from tests.subscriptions.graphs import guard_of, thread, with_inbox


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


def bring(url: str, checkpoints: str, durability: str, place: str, when: int) -> None:
    """Run a graph with an inbox over and over.

    Args:
        url: the store.
        checkpoints: the file of the checkpointer.
        durability: when LangGraph writes checkpoints.
        place: where to be killed: `in the inbox`, `after it`, or `anywhere`; if empty, it ends with the events.
        when: the how manyth time that it comes there; for `anywhere`, after how many hundredths of a second.
    """
    left = when

    def pass_by(here: str) -> None:
        nonlocal left
        left -= here == place
        if here == place and left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def convert(event: Event) -> dict[str, Any]:
        pass_by("in the inbox")
        return plain(event)

    def work(state: Any) -> dict[str, Any]:
        pass_by("after it")
        return {}

    with Coordinator.from_url(url) as coordinator, SqliteSaver.from_conn_string(checkpoints) as saver:
        inbox = guard_of(coordinator).event_inbox(["Counted"], start="earliest", limit=4, convert=convert)
        app = with_inbox(inbox, work=work, checkpointer=saver)
        if place == "anywhere":
            threading.Timer(when / 100, os.kill, (os.getpid(), signal.SIGKILL)).start()
        complete = False
        while place or not complete:
            before = app.get_state(thread())
            after = app.invoke(None if before.next else {"events": []}, thread(), durability=durability)
            complete = not before.next and len(after["events"]) == len(before.values.get("events", []))
