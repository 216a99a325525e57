"""What is around a call that runs: the loops, tasks and policies of LangGraph, read where LangGraph keeps them.

LangGraph promises none of these names. `tests/langgraph/test_facts_surroundings.py` holds a test for each, and
`Lookout` sees to it that no call fails for one that is gone.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from langchain_core.tools import BaseTool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.prebuilt import ToolNode
from langgraph.pregel import Pregel
from langgraph.types import RetryPolicy

from clawproof_langgraph.graph.references import closed_over, reachable

Configurable = Mapping[str, Any]

_SERVER: Final = "langgraph_api"
"""The package of LangGraph Server, which imports the modules of the graphs that it runs."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where tools run: a node, in one graph or in several within each other.

    Args:
        path: the names of the nodes, from that of the outermost graph to the one that runs the tools.
        retried: for each of them, whether a RetryPolicy runs it again.
        tool_node: the ToolNode that runs them, where it is one.
        unkept: whether the innermost graph keeps no checkpoints, although one around it does.
    """

    path: tuple[str, ...] = ()
    retried: tuple[bool, ...] = ()
    tool_node: ToolNode | None = None
    unkept: bool = False

    @property
    def name(self) -> str:
        """The place for humans."""
        return " > ".join(self.path)

    def inside(self, name: str, *, retried: bool = False) -> Place:
        """Give the place of a node that runs inside this one."""
        return replace(self, path=(*self.path, name), retried=(*self.retried, retried), tool_node=None)

    def around_tools(self) -> list[Any]:
        """List what the hooks of the ToolNode hold on to: guards, middleware and the user's own."""
        if self.tool_node is None:
            return []
        hooks = [getattr(self.tool_node, name, None) for name in ("_wrap_tool_call", "_awrap_tool_call")]
        return list(reachable(hooks, until=lambda item: isinstance(item, BaseTool | Pregel)))  # which have hooks inside


# --- the run in which a call is made ----------------------------------------------------------------------------


def loop_of(configurable: Configurable) -> Any:
    """Give the loop that runs the innermost graph, None outside of any graph."""
    call = configurable.get("__pregel_call")
    if call is not None and not isinstance(call, functools.partial):  # a node with a timeout puts it into a closure
        call = next((held for held in closed_over(call) if isinstance(held, functools.partial)), None)
    return getattr(getattr(call, "keywords", {}).get("schedule_task"), "__self__", None)


def checkpointer_of(configurable: Configurable) -> Any:
    """Give the checkpointer of the running graph, None if it has none.

    A graph compiled with `checkpointer=False` still finds its parent's checkpointer in the config; only the loop that
    runs it knows that it has none.
    """
    return getattr(loop_of(configurable), "checkpointer", configurable.get("__pregel_checkpointer"))


def lags_behind(configurable: Configurable) -> str:
    """Name the durability with which checkpoints are written later than the calls before them are settled, if it is so.

    Checkpoints in the memory of the process are lost with it, whenever they are written, so nobody goes on from them.
    """
    loop = loop_of(configurable)
    if loop is None or loop.checkpointer is None or loop.durability == "sync":
        return ""
    return "" if isinstance(loop.checkpointer, InMemorySaver) else str(loop.durability)


def in_tool_node(configurable: Configurable) -> bool:
    """Tell whether the running node is a ToolNode, which runs the calls of one message."""
    loop, task = _running_task(configurable)
    return isinstance(getattr(loop.nodes.get(task.name), "bound", None), ToolNode) if task else False


def is_alone(configurable: Configurable) -> bool:
    """Tell whether the running task was sent a single call, so that no other one runs in it."""
    _, task = _running_task(configurable)
    value = getattr(task, "input", None)
    # As `create_agent` sends it, and as `create_react_agent` does.
    return len(value) == 1 if isinstance(value, list) else _is_call_with_context(value)


def _is_call_with_context(value: Any) -> bool:
    return isinstance(value, Mapping) and value.get("__type") == "tool_call_with_context"


def _running_task(configurable: Configurable) -> tuple[Any, Any]:
    loop = loop_of(configurable)
    return loop, getattr(loop, "tasks", {}).get(configurable.get("__pregel_task_id"))


@dataclass(frozen=True, slots=True)
class Neighbour:
    """One of the tasks of the running step: its node, its input, and what it has written if it has ended."""

    node: str
    input: Any
    writes: tuple[tuple[str, Any], ...]


def neighbours(configurable: Configurable) -> list[Neighbour]:
    """List the tasks of the running step, the own one included, in the order in which LangGraph starts them.

    In a run that goes on with a step, those that have ended before are among them.
    """
    tasks = loop_of(configurable).tasks.values()
    return [Neighbour(task.name, task.input, tuple(task.writes)) for task in tasks]


def on_server(configurable: Configurable) -> bool:
    """Tell whether LangGraph Server runs the graph."""
    return getattr(configurable.get("__pregel_runtime"), "server_info", None) is not None


def in_server_process() -> bool:
    """Tell whether this process is one of LangGraph Server."""
    return _SERVER in sys.modules


# --- places -----------------------------------------------------------------------------------------------------


def node_of(configurable: Configurable) -> tuple[Any, tuple[str, ...]] | None:
    """Give what tells a place from others, at little cost: the running node, and the nodes around its graph."""
    loop = loop_of(configurable)
    if loop is None:
        return None
    task = loop.tasks[configurable["__pregel_task_id"]]
    return loop.nodes.get(task.name, loop), tuple(name.partition(":")[0] for name in loop.checkpoint_ns)


def running_place(configurable: Configurable) -> Place:
    """Find where the task of this config runs."""
    loop = loop_of(configurable)
    task = loop.tasks[configurable["__pregel_task_id"]]
    bound = getattr(loop.nodes.get(task.name), "bound", None)
    place = _graph_of(configurable).inside(task.name, retried=retries(task.retry_policy))
    return replace(place, tool_node=bound if isinstance(bound, ToolNode) else None)


def places_ahead(configurable: Configurable) -> Iterator[Place]:
    """Find the ToolNodes of the running graph, of which another node runs now."""
    loop, graph = loop_of(configurable), _graph_of(configurable)
    for name, node in loop.nodes.items():
        if isinstance(node.bound, ToolNode):
            place = graph.inside(name, retried=retries(node.retry_policy or loop.retry_policy))
            yield replace(place, tool_node=node.bound)


def retries(policy: Any) -> bool:
    """Tell whether a node, given its retry policy or policies, runs again after an error."""
    policies = [policy] if isinstance(policy, RetryPolicy) else policy or []
    return any(each.max_attempts > 1 for each in policies)


def _graph_of(configurable: Configurable) -> Place:
    """Find in which nodes of the graphs around it the innermost graph runs."""
    around: list[tuple[str, bool]] = []
    loop = loop_of(configurable)
    while loop is not None:
        at = loop.config["configurable"]  # a graph is entered with the config of the task around it
        loop, inner = loop_of(at), loop
        if loop is inner:
            break
        if loop is not None and (task := loop.tasks.get(at.get("__pregel_task_id"))) is not None:
            around.insert(0, (task.name, retries(task.retry_policy)))
    unkept = checkpointer_of(configurable) is None and configurable.get("__pregel_checkpointer") is not None
    return Place(tuple(name for name, _ in around), tuple(retried for _, retried in around), unkept=unkept)
