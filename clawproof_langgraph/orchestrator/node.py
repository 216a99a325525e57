"""The node of an agent: waits for the turn of one task, has the agent do it, and notes how it ended."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from langchain_core.runnables import Runnable, RunnableConfig
from langgraph.errors import GraphBubbleUp, ParentCommand
from langgraph.pregel import Pregel

from clawproof_langgraph.errors import BackendUnavailable, ConfigurationError
from clawproof_langgraph.graph.identity import site_of_config
from clawproof_langgraph.graph.outcomes import is_invalid_resume
from clawproof_langgraph.orchestrator.board import Board, Boards, Sent
from clawproof_langgraph.orchestrator.calls import Lost, TaskCalls, values_of
from clawproof_langgraph.orchestrator.tasks import Planned, Roster, Task, TaskResult

Prepare = Callable[[Task, Mapping[str, TaskResult]], Any]
"""Makes what an agent is invoked with, of its task and of the results of the tasks that it comes after."""

_ADDED = "tasks"
"""The key under which an agent returns tasks that it adds."""


class AgentNode:
    """Does the tasks of one agent.

    Args:
        calls: coordinates them.
        boards: where tasks wait for each other.
        roster: what the tasks that the agent adds are checked against.
        prepare: makes the agent's input.
    """

    def __init__(self, calls: TaskCalls, boards: Boards, roster: Roster, prepare: Prepare) -> None:
        self._calls, self._boards, self._roster, self._prepare = calls, boards, roster, prepare

    def run(self, agent: Runnable[Any, Any], packed: Mapping[str, Any], config: RunnableConfig) -> dict[str, Any]:
        """Do one task."""
        sent, board = Sent.of(packed), self._boards.of(config)
        with board.at_work(sent.task["id"]) as turn:
            if passed_over := turn.result():
                return {"results": {sent.task["id"]: passed_over}}
            task = _Started(sent.task, board, time.time())
            values, site = values_of(sent.task), site_of_config(config, None)
            try:
                given, within = self._given(agent, task), _told(config, sent.task)
                value = self._calls.run(lambda: agent.invoke(given, within), values, site, None)
            except Exception as error:  # noqa: BLE001 - it is the result of this task; what is not, is raised
                _raise_what_is_no_failure(error)
                return task.ended("failed", error=_told_of(error))
            return self._done(task, value)

    async def arun(
        self, agent: Runnable[Any, Any], packed: Mapping[str, Any], config: RunnableConfig
    ) -> dict[str, Any]:
        """Do what `run` does, on an event loop."""
        sent, board = Sent.of(packed), self._boards.of(config)
        with board.at_work(sent.task["id"]) as turn:
            if passed_over := await asyncio.wrap_future(turn):
                return {"results": {sent.task["id"]: passed_over}}
            task = _Started(sent.task, board, time.time())
            values, site = values_of(sent.task), site_of_config(config, None)
            try:
                given, within = self._given(agent, task), _told(config, sent.task)
                value = await self._calls.arun(None, lambda: agent.ainvoke(given, within), values, site, None)
            except Exception as error:  # noqa: BLE001 - as above
                _raise_what_is_no_failure(error)
                return task.ended("failed", error=_told_of(error))
            return self._done(task, value)

    def _given(self, agent: Runnable[Any, Any], started: _Started) -> Any:
        given = self._prepare(started.task, started.board.before(started.task["id"]))
        if isinstance(given, str) and isinstance(agent, Pregel) and "messages" in agent.channels:
            return {"messages": [("user", given)]}
        return given

    def _done(self, task: _Started, value: Any) -> dict[str, Any]:
        if isinstance(value, Lost):
            return task.ended("done", error=value.why)
        if not (isinstance(value, Mapping) and value.get(_ADDED)):
            return task.ended("done", value)
        kept = {name: part for name, part in value.items() if name != _ADDED}
        try:
            added = self._roster.planned(value[_ADDED], task.board.ids, parent=task.task["id"])
        except ConfigurationError as error:
            return task.ended("failed", error=f"The agent is done, but adds tasks that are none: {error}")
        return {**task.ended("done", kept), "planned": added}


@dataclass(frozen=True, slots=True)
class _Started:
    """A task whose turn has come."""

    task: Planned
    board: Board
    at: float

    def ended(self, status: Literal["done", "failed"], result: Any = None, error: str = "") -> dict[str, Any]:
        """Note how it ended, and give the update of the state."""
        ended = TaskResult(
            agent=self.task["agent"], status=status, result=result, error=error, started=self.at, ended=time.time()
        )
        self.board.end(self.task["id"], ended)
        return {"results": {self.task["id"]: ended}}


def _told(config: RunnableConfig, task: Task) -> RunnableConfig:
    """Let traces and streams tell which task an agent works on."""
    return {**config, "metadata": {**config.get("metadata", {}), "clawproof_task": task["id"]}}


def _raise_what_is_no_failure(error: Exception) -> None:
    """Raise what suspends the task or the run: the task goes on when the thread does."""
    suspends = isinstance(error, GraphBubbleUp) and not isinstance(error, ParentCommand)
    if suspends or isinstance(error, BackendUnavailable) or is_invalid_resume(error):
        raise error


def _told_of(error: Exception) -> str:
    if isinstance(error, ParentCommand):
        return (
            "The agent has handed over to a graph around it, and here is none: what agents hand over to each other, "
            "such as a swarm, is one agent of an orchestrator."
        )
    return f"{type(error).__name__}: {error}"
