"""An orchestrator whose process is killed: `python -m tests.orchestrator.crashing FOLDER URL NAMESPACE MODE WHERE`."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import sys
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import aiosqlite
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.graph import START, StateGraph

from clawproof_langgraph import Coordinator
from clawproof_langgraph.orchestrator import Task, build_orchestrator
from tests.langgraph.scripted import thread
from tests.waiting import PATIENCE, wait_until

from .workshop import Work, job

TTL = 3.0
TASKS: list[Task] = [
    job("done", "y"),
    job("crashes", "x"),
    job("rival", "x"),
    job("dependent", after=("done", "crashes")),
    job("last", after=("dependent",)),
]


class Folder:
    """Where the files of both lives are.

    Args:
        path: the folder.
        where: where the process is killed: `inside` the agent after its effect, when the agent has `returned`, or "".
    """

    def __init__(self, path: Path, where: str = "") -> None:
        self.path, self.where = path, where

    @property
    def checkpoints(self) -> str:
        return str(self.path / "checkpoints.sqlite")

    def note(self, what: str, job: str) -> None:
        with (self.path / "notes").open("a") as file:
            file.write(f"{what} {job}\n")

    def noted(self, what: str) -> Counter[str]:
        """Count what was done in both lives."""
        lines = (self.path / "notes").read_text().splitlines()
        return Counter(line.split()[1] for line in lines if line.split()[0] == what)

    def kill(self) -> None:
        """Kill the process, once the checkpoints have what was done before."""
        wait_until(lambda: "done" in self.saved())
        os.kill(os.getpid(), signal.SIGKILL)

    def saved(self) -> set[str]:
        """Tell which results the checkpoints have, of the step that is under way."""
        with sqlite3.connect(self.checkpoints) as connection:
            saver = SqliteSaver(connection)
            found = saver.get_tuple(thread())
            writes = found.pending_writes or [] if found else []
            return {name for _, channel, value in writes if channel == "results" for name in value}

    # --- the agent ------------------------------------------------------------------------------------------------

    def effect(self, state: Work) -> Work:
        if self.where == "returned" and state["job"] not in ("done", "crashes"):
            threading.Event().wait(PATIENCE)  # for the kill: else it could strike between an effect and its checkpoint
        self.note("effect", state["job"])
        return {}

    def finish(self, state: Work) -> Work:
        self.note("finish", state["job"])
        if self.where == "inside" and state["job"] == "crashes":
            self.kill()
        return {"told": "finished"}

    def orchestrator(self, coordinator: Coordinator, saver: Any) -> Any:
        builder = StateGraph(Work)
        builder.add_node("effect", self.effect)
        builder.add_node("finish", self.finish)
        builder.add_edge(START, "effect")
        builder.add_edge("effect", "finish")
        return build_orchestrator({"worker": builder.compile()}, coordinator, ttl=TTL, checkpointer=saver)


class Killing(SqliteSaver):
    """Checkpoints that kill the process when the task that crashes has a result."""

    folder: Folder

    def put_writes(self, config: Any, writes: Any, *args: Any) -> None:
        if self.folder.where == "returned" and _ends_the_one_that_crashes(writes):
            self.folder.kill()
        super().put_writes(config, writes, *args)


class AKilling(AsyncSqliteSaver):
    """The same for an event loop."""

    folder: Folder

    async def aput_writes(self, config: Any, writes: Any, *args: Any) -> None:
        if self.folder.where == "returned" and _ends_the_one_that_crashes(writes):
            await asyncio.to_thread(self.folder.kill)
        await super().aput_writes(config, writes, *args)


def _ends_the_one_that_crashes(writes: Any) -> bool:
    return any(channel == "results" and "crashes" in value for channel, value in writes)


def live(folder: Folder, url: str, namespace: str, mode: str, given: Any) -> dict[str, Any]:
    """Run the orchestrator once, in this process."""
    with Coordinator.from_url(url, namespace=namespace) as coordinator:
        if mode == "async":
            return asyncio.run(_alive(folder, coordinator, given))
        with sqlite3.connect(folder.checkpoints, check_same_thread=False) as connection:
            saver = Killing(connection)
            saver.folder = folder
            return folder.orchestrator(coordinator, saver).invoke(given, thread(), durability="sync")["results"]


async def _alive(folder: Folder, coordinator: Coordinator, given: Any) -> dict[str, Any]:
    async with aiosqlite.connect(folder.checkpoints) as connection:
        saver = AKilling(connection)
        saver.folder = folder
        state = await folder.orchestrator(coordinator, saver).ainvoke(given, thread(), durability="sync")
        return state["results"]


if __name__ == "__main__":
    place, url, namespace, mode, where = sys.argv[1:]
    live(Folder(Path(place), where), url, namespace, mode, {"tasks": TASKS})
