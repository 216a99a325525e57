"""What other processes do: each function is the whole life of one."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from pathlib import Path
from typing import Any

from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

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


def bring(url: str, checkpoints: str, durability: str, place: str, when: int, mode: str) -> None:
    """Run a graph with an inbox over and over.

    Args:
        url: the store.
        checkpoints: the file of the checkpointer.
        durability: when LangGraph writes checkpoints.
        place: where to be killed: `in the inbox`, `after it`, `before a checkpoint`, `behind a checkpoint`, or
            `anywhere`; if empty, it ends with the events.
        when: the how manyth time that it comes there; for `anywhere`, after how many hundredths of a second.
        mode: `sync` or `async`.
    """
    life = _Life(place, when)
    with Coordinator.from_url(url) as coordinator:
        inbox = guard_of(coordinator).event_inbox(["Counted"], start="earliest", limit=4, convert=life.convert)
        if place == "anywhere":
            threading.Timer(when / 100, os.kill, (os.getpid(), signal.SIGKILL)).start()
        if mode == "async":
            asyncio.run(_abring(inbox, life, checkpoints, durability))
        else:
            _bring(inbox, life, checkpoints, durability)


class _Life:
    """Ends where it is told to."""

    def __init__(self, place: str, when: int) -> None:
        self.place, self._left = place, when

    def pass_by(self, here: str) -> None:
        self._left -= here == self.place
        if here == self.place and self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def convert(self, event: Event) -> dict[str, Any]:
        self.pass_by("in the inbox")
        return plain(event)

    def work(self, state: Any) -> dict[str, Any]:
        self.pass_by("after it")
        return {}

    def is_over(self, after: Any) -> bool:
        return not self.place and not after["events_cursor"]["more"]


def _bring(inbox: Any, life: _Life, checkpoints: str, durability: Any) -> None:
    class Saver(SqliteSaver):
        def put(self, *args: Any, **options: Any) -> Any:
            life.pass_by("before a checkpoint")
            config = super().put(*args, **options)
            life.pass_by("behind a checkpoint")
            return config

    with Saver.from_conn_string(checkpoints) as saver:
        app, is_over = with_inbox(inbox, work=life.work, checkpointer=saver), False
        while not is_over:
            before = app.get_state(thread())
            given = None if before.next else {"events": []}
            is_over = life.is_over(app.invoke(given, thread(), durability=durability))


async def _abring(inbox: Any, life: _Life, checkpoints: str, durability: Any) -> None:
    class Saver(AsyncSqliteSaver):
        async def aput(self, *args: Any, **options: Any) -> Any:
            life.pass_by("before a checkpoint")
            config = await super().aput(*args, **options)
            life.pass_by("behind a checkpoint")
            return config

    async with Saver.from_conn_string(checkpoints) as saver:
        app, is_over = with_inbox(inbox, work=life.work, checkpointer=saver), False
        while not is_over:
            before = await app.aget_state(thread())
            given = None if before.next else {"events": []}
            is_over = life.is_over(await app.ainvoke(given, thread(), durability=durability))
