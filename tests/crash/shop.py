"""The application of a cell over files in a directory, for the process that dies and for its successor."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from langchain_core.messages import BaseMessage
from langgraph.types import Command

from clawproof_langgraph import Coordinator, Guard
from tests.crash.cells import Cell, End, Face
from tests.crash.fates import Fate
from tests.crash.graphs import Graphs
from tests.crash.struck import TIMEOUT, CutShort
from tests.crash.tools import Tools
from tests.crash.watched import AsyncWatchedSaver, WatchedSaver
from tests.crash.world import RESULT, UNSYNCED, World
from tests.graph.stage import human
from tests.langgraph.scripted import thread


class Shop:
    """The application of one cell.

    Args:
        cell: which.
        directory: where its files are.
        coordinator: of the guard.
        fate: what becomes of this process.
        ttl: seconds that a lease lives without renewal.
    """

    def __init__(self, cell: Cell, directory: Path, coordinator: Coordinator, fate: Fate, ttl: float) -> None:
        self._cell, self._fate = cell, fate
        self._checkpoints = str(directory / "checkpoints.sqlite")
        self._world, self.questions = World(directory), 0
        policies = cell.kind.policies(ttl=ttl, business_key=cell.business_key, probe=self._world.look_up)
        self._graphs = Graphs(cell, Tools(self._world, fate, cell.face), Guard(coordinator, tools=policies))

    def run(self, *, anew: bool) -> list[BaseMessage]:
        """Start the run, or take it up again, and give the messages at its end.

        Args:
            anew: whether to send the message even if there is something to go on from.
        """
        if self._cell.face is not Face.SYNC:
            return asyncio.run(self._arun(anew=anew))
        with WatchedSaver.from_conn_string(self._checkpoints) as saver:
            saver.conn.execute(UNSYNCED)
            saver.fate = self._fate
            graph = self._graph(saver)
            value = human() if anew or saver.get_tuple(thread()) is None else None
            state = graph.invoke(value, thread(), **self._options)
            while self._asks(state):
                state = graph.invoke(self._answer(), thread(), **self._options)
        return list(state["messages"])

    async def _arun(self, *, anew: bool) -> list[BaseMessage]:
        async with AsyncWatchedSaver.from_conn_string(self._checkpoints) as saver:
            await saver.conn.execute(UNSYNCED)
            saver.fate = self._fate
            graph = self._graph(saver)
            value = human() if anew or await saver.aget_tuple(thread()) is None else None
            run = graph.ainvoke(value, thread(), **self._options)
            state = await (self._fate.watched(run) if isinstance(self._fate, CutShort) else run)
            while self._asks(state):
                state = await graph.ainvoke(self._answer(), thread(), **self._options)
        return list(state["messages"])

    @property
    def _options(self) -> dict[str, Any]:
        return {"durability": self._cell.saving.durability}

    def _asks(self, state: dict[str, Any]) -> bool:
        """Tell whether a human is asked what became of a call, and count it."""
        asks = bool(state.get("__interrupt__"))
        self.questions += asks
        assert self.questions < 5, "a human is asked again and again"
        return asks

    def _answer(self) -> Command[Any]:
        """Answer what the human sees who looks at the world."""
        applied = {"outcome": "applied", "result": RESULT}
        return Command(resume=applied if self._world.effects() else "not_applied")

    def _graph(self, saver: Any) -> Any:
        end = self._cell.end if isinstance(self._fate, CutShort) else None
        graph = self._graphs.application(saver, node_timeout=TIMEOUT if end is End.NODE_TIMEOUT else None)
        graph.step_timeout = TIMEOUT if end is End.STEP_TIMEOUT else None
        return graph
