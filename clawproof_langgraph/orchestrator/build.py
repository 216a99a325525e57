"""The orchestrator: a graph that has agents do tasks, side by side where nothing keeps them apart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

from langchain_core.runnables import Runnable, RunnableConfig, RunnableLambda
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.pregel import Pregel
from langgraph.types import Command, Send

from clawproof_langgraph.coordinator import Coordinator
from clawproof_langgraph.errors import ConfigurationError, meant
from clawproof_langgraph.graph.notices import Notices
from clawproof_langgraph.orchestrator.board import Boards, OnFailure, Rules, Sent
from clawproof_langgraph.orchestrator.calls import TaskCalls
from clawproof_langgraph.orchestrator.node import AgentNode, Prepare
from clawproof_langgraph.orchestrator.schedule import in_order
from clawproof_langgraph.orchestrator.tasks import (
    OrchestratorInput,
    OrchestratorOutput,
    OrchestratorState,
    Planned,
    Roster,
    Task,
    TaskResult,
    job_of,
)
from clawproof_langgraph.templates import agent_name

_PLAN = "orchestrator"
"""The node that sends the tasks."""

_PLENTY = 10_000
"""Nodes that LangGraph may run at once. Under `invoke` it has a few threads otherwise, and tasks wait in some."""

_NOT_IN_NAMES = (":", "|")  # LangGraph puts names of nodes together with them


def build_orchestrator(
    agents: Mapping[str, Runnable[Any, Any]],
    coordinator: Coordinator,
    *,
    on_failure: OnFailure = "skip_dependents",
    require_resources: bool = False,
    max_parallel: int | None = None,
    prepare: Prepare | None = None,
    ttl: str | float = "30s",
    wait: str | float = "10m",
    checkpointer: BaseCheckpointSaver[Any] | bool | None = None,
    name: str = "orchestrator",
    **compiled: Any,
) -> CompiledStateGraph[Any, Any, Any, Any]:
    """Build a graph that has agents do tasks: `invoke({"tasks": [...]})` gives `{"results": {...}}`.

    Tasks run side by side unless they are in conflict over a resource, in which case they run in the order of their
    arrival, or depend on each other. Each holds its resources in the coordinator while its agent works, so that
    others are kept apart from it, too, in whatever process.

    Args:
        agents: a compiled graph, an agent of `create_agent`, or another runnable, by name.
        coordinator: where the resources are locked.
        on_failure: what becomes of tasks that come after one that fails: `skip_dependents`, `fail_dependents`, or
            `stop`, with which nothing starts any more in that run.
        require_resources: whether a task that names no resources is refused.
        max_parallel: how many tasks run at once at most; None for no limit.
        prepare: makes an agent's input, of its task and of the results of the tasks that it comes after; the default
            is the task's `input`.
        ttl: seconds that a lease lives without renewal; it is renewed while this process lives.
        wait: seconds that a task waits at most for others that hold its resources; it fails when they have passed.
        checkpointer: as for `StateGraph.compile`; with one, the graph goes on after a crash or a question to a human.
        name: the graph's name.
        compiled: passed on to `StateGraph.compile`.

    Raises:
        ConfigurationError: an agent is none or has an unfit name, or an option is not known.
    """
    _check_options(agents, coordinator, on_failure, max_parallel)
    roster = Roster(agents, require_resources=require_resources)
    boards = Boards(agents, Rules(on_failure, max_parallel))
    notices = Notices()
    builder = StateGraph(OrchestratorState, input_schema=OrchestratorInput, output_schema=OrchestratorOutput)
    builder.add_node(_PLAN, _planning(roster), destinations=(*agents, END))
    builder.add_edge(START, _PLAN)
    for agent, runnable in agents.items():
        calls = TaskCalls(coordinator, agent, ttl=ttl, wait=wait, notices=notices)
        _add_agent(builder, agent, runnable, AgentNode(calls, boards, roster, prepare or _given))
        builder.add_edge(agent, _PLAN)
    graph = builder.compile(checkpointer=checkpointer, name=name, **compiled)
    return graph.with_config(max_concurrency=_PLENTY)


def _planning(roster: Roster) -> Runnable[Any, Any]:
    """Make the node that takes tasks on, and sends all that have not ended: each waits for its turn by itself."""

    def plan(state: OrchestratorState) -> Command[str]:
        new = roster.planned(state.get("tasks") or [], [task["id"] for task in state["planned"]])
        results = state["results"]
        waiting = {task["id"]: task for task in [*state["planned"], *new] if task["id"] not in results}
        sends = [_send(waiting[job.id], results) for job in in_order(map(job_of, waiting.values()))]
        # Nothing is added to the results, and yet they are written: only so does LangGraph give them as its output.
        return Command(update={"tasks": [], "planned": new, "results": {}}, goto=sends or END)

    return RunnableLambda(plan, name=_PLAN)


def _send(task: Planned, results: Mapping[str, TaskResult]) -> Send:
    before = {name: results[name] for name in task["after"] if name in results}
    return Send(task["agent"], Sent(task, before).packed())


def _add_agent(builder: StateGraph[Any, Any, Any, Any], name: str, agent: Runnable[Any, Any], node: AgentNode) -> None:
    # Functions that name the agent themselves: so LangGraph finds the graph in them, and draws it.
    def run(sent: dict[str, Any], config: RunnableConfig) -> dict[str, Any]:
        return node.run(agent, sent, config)

    async def arun(sent: dict[str, Any], config: RunnableConfig) -> dict[str, Any]:
        return await node.arun(agent, sent, config)

    doing: Runnable[Any, Any] = RunnableLambda(run, arun, name=name)
    builder.add_node(name, doing)


def _given(task: Task, results: Mapping[str, TaskResult]) -> Any:
    return task["input"]


def _check_options(agents: Any, coordinator: Any, on_failure: Any, max_parallel: Any) -> None:
    if not isinstance(coordinator, Coordinator):
        raise ConfigurationError(
            f"build_orchestrator() takes a Coordinator, not {coordinator!r}; see Coordinator.from_url(...)."
        )
    if not isinstance(agents, Mapping) or not agents:
        raise ConfigurationError(
            f'agents is a mapping of at least one: build_orchestrator({{"cashier": agent}}, ...); got {agents!r}.'
        )
    for name, agent in agents.items():
        _check_agent(name, agent)
    if on_failure not in get_args(OnFailure):
        raise ConfigurationError(f'on_failure="{on_failure}" is not known; {meant(on_failure, get_args(OnFailure))}')
    if max_parallel is not None and (not isinstance(max_parallel, int) or max_parallel < 1):
        raise ConfigurationError(f"max_parallel={max_parallel!r} is no number of tasks; write 4, or None for no limit.")


def _check_agent(name: Any, agent: Any) -> None:
    if not isinstance(name, str) or not agent_name(name).strip():
        raise ConfigurationError(f'An agent is named by a text, such as "cashier"; got {name!r}.')
    if name in (_PLAN, START, END) or any(mark in name for mark in _NOT_IN_NAMES):
        raise ConfigurationError(f'"{name}" cannot name an agent: the graph uses that name, or ":" and "|", itself.')
    if not isinstance(agent, Runnable):
        remedy = "Call compile() on it" if hasattr(agent, "compile") else "Wrap a function in RunnableLambda(...)"
        raise ConfigurationError(
            f'Agent "{name}" is no runnable: {agent!r}. {remedy}, or give what create_agent(...) returns.'
        )
    if isinstance(agent, Pregel) and agent.checkpointer is True:
        raise ConfigurationError(
            f'Agent "{name}" was compiled with checkpointer=True: it has one memory for all of its tasks, and '
            f"LangGraph runs one such call of a thread at a time. Compile it without; each task then has its own."
        )
