"""The node of an agent: waits for the turn of one task, has the agent do it, and notes how it ended."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any

from langchain_core.runnables import Runnable, RunnableConfig
from langgraph.errors import GraphBubbleUp, ParentCommand
from langgraph.pregel import Pregel

from clawproof_langgraph.codec import NotStorable
from clawproof_langgraph.errors import BackendUnavailable, ConfigurationError
from clawproof_langgraph.graph.identity import site_of_config
from clawproof_langgraph.graph.outcomes import is_invalid_resume
from clawproof_langgraph.orchestrator.board import Board, Boards, Sent
from clawproof_langgraph.orchestrator.calls import TaskCalls, values_of
from clawproof_langgraph.orchestrator.tasks import Planned, Roster, Task, TaskResult

Prepare = Callable[[Task, Mapping[str, TaskResult]], Any]
"""Makes what an agent is invoked with, of its task and of the results of the tasks that it comes after."""

_ADDED = "tasks"
"""The key under which an agent returns tasks that it adds."""


class AgentNode:
    """Does the tasks of one agent.

    Args:
        name: the agent's.
        calls: coordinates them.
        boards: where tasks wait for each other.
        roster: what the tasks that the agent adds are checked against.
        prepare: makes the agent's input.
    """

    def __init__(self, name: str, calls: TaskCalls, boards: Boards, roster: Roster, prepare: Prepare) -> None:
        self._name, self._calls, self._boards, self._roster, self._prepare = name, calls, boards, roster, prepare

    def run(self, agent: Runnable[Any, Any], packed: Mapping[str, Any], config: RunnableConfig) -> dict[str, Any]:
        """Do one task."""
        sent, board = Sent.of(packed), self._boards.of(config)
        with board.at_work(sent.task["id"]) as turn:
            if passed_over := turn.result():
                return _update(sent, passed_over)
            started = time.time()
            values, site = values_of(sent.task), site_of_config(config, None)
            try:
                given, within = self._given(agent, sent, board), _told(config, sent)
                value = self._calls.run(lambda: agent.invoke(given, within), values, site, None)
            except Exception as error:  # noqa: BLE001 - it is the result of this task; what is not, is raised
                _raise_what_is_no_failure(error)
                return self._failed(sent, board, error, started)
            return self._done(sent, board, value, started)

    async def arun(
        self, agent: Runnable[Any, Any], packed: Mapping[str, Any], config: RunnableConfig
    ) -> dict[str, Any]:
        """Do what `run` does, on an event loop."""
        sent, board = Sent.of(packed), self._boards.of(config)
        with board.at_work(sent.task["id"]) as turn:
            if passed_over := await asyncio.wrap_future(turn):
                return _update(sent, passed_over)
            started = time.time()
            values, site = values_of(sent.task), site_of_config(config, None)
            try:
                given, within = self._given(agent, sent, board), _told(config, sent)
                value = await self._calls.arun(None, lambda: agent.ainvoke(given, within), values, site, None)
            except Exception as error:  # noqa: BLE001 - as above
                _raise_what_is_no_failure(error)
                return self._failed(sent, board, error, started)
            return self._done(sent, board, value, started)

    def _given(self, agent: Runnable[Any, Any], sent: Sent, board: Board) -> Any:
        given = self._prepare(sent.task, board.before(sent.task["id"]))
        if isinstance(given, str) and isinstance(agent, Pregel) and "messages" in agent.channels:
            return {"messages": [("user", given)]}
        return given

    def _done(self, sent: Sent, board: Board, value: Any, started: float) -> dict[str, Any]:
        added: list[Planned] = []
        if isinstance(value, Mapping) and value.get(_ADDED):
            value = dict(value)
            try:
                added = self._roster.planned(value.pop(_ADDED), board.ids, parent=sent.task["id"])
            except ConfigurationError as error:
                return self._failed(sent, board, error, started)
        result = TaskResult(agent=self._name, status="done", result=value, error="", started=started, ended=time.time())
        board.end(sent.task["id"], result)
        return _update(sent, result, added)

    def _failed(self, sent: Sent, board: Board, error: Exception, started: float) -> dict[str, Any]:
        result = TaskResult(
            agent=self._name, status="failed", result=None, error=_told_of(error), started=started, ended=time.time()
        )
        board.end(sent.task["id"], result)
        return _update(sent, result)


def _update(sent: Sent, result: TaskResult, added: list[Planned] | None = None) -> dict[str, Any]:
    update: dict[str, Any] = {"results": {sent.task["id"]: result}}
    return {**update, "planned": added} if added else update


def _told(config: RunnableConfig, sent: Sent) -> RunnableConfig:
    """Let traces and streams tell which task an agent works on."""
    return {**config, "metadata": {**config.get("metadata", {}), "clawproof_task": sent.task["id"]}}


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
    if isinstance(error, NotStorable):
        return f"The task is done, but its result is lost: {error}"
    return f"{type(error).__name__}: {error}"
