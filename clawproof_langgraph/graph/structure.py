"""Where a compiled graph runs tools: in its ToolNodes, in those of agents inside it, and in the code of its nodes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from types import FunctionType
from typing import Any

from langchain_core.tools import BaseTool
from langgraph.prebuilt import ToolNode
from langgraph.pregel import Pregel

from clawproof_langgraph.graph.references import names_in, reachable
from clawproof_langgraph.graph.surroundings import Place, retries
from clawproof_langgraph.graph.tools import is_guarded

_Graph = Pregel[Any, Any, Any, Any]


@dataclass(frozen=True, slots=True)
class Room:
    """A place, and the tools that run there: those of a ToolNode, or the guarded ones that the code of a node holds."""

    place: Place
    tools: tuple[BaseTool, ...]


@dataclass(frozen=True, slots=True)
class _Around:
    """What is around a place: the graphs, whether one of them keeps checkpoints, and whether a tool is nearer."""

    graphs: tuple[_Graph, ...] = ()
    kept: bool = False
    in_tool: bool = False


def rooms_of(graph: _Graph) -> Iterator[Room]:
    """Find the rooms of a compiled graph, however deep; not those of an agent that is made only when a node runs."""
    return _rooms_in(graph, Place(), _Around())


def _rooms_in(graph: _Graph, outer: Place, around: _Around) -> Iterator[Room]:
    if any(graph is each for each in around.graphs):  # what runs in it names it
        return
    kept = around.kept or bool(graph.checkpointer)
    if around.in_tool and (not kept or graph.checkpointer is False):
        inside = _named_by_a_tool(outer)
    else:
        inside = replace(outer, unkept=around.kept and graph.checkpointer is False)
    nodes = [node.bound for node in graph.nodes.values()]
    for name, node in graph.nodes.items():
        place = inside.inside(name, retried=retries(node.retry_policy or graph.retry_policy))
        others = [bound for bound in nodes if bound is not node.bound]
        yield from _rooms_behind(node.bound, place, _Around((*around.graphs, graph), kept), others)


def _rooms_behind(start: Any, place: Place, around: _Around, others: Sequence[Any] = ()) -> Iterator[Room]:
    loose: list[BaseTool] = []
    offers = False
    for item in reachable(start, until=_is_searched_apart):
        match item:
            case _ if any(item is other for other in others):
                continue  # it is a node of the same graph, of which the code of this one knows
            case ToolNode():
                tools = tuple(item.tools_by_name.values())
                yield Room(replace(place, tool_node=item), tools)
                yield from _rooms_in_tools(tools, place, around)
            case Pregel():
                yield from _rooms_in(item, place, around)
            case _ if _is_task(item):
                name = getattr(item, "__name__", "task")
                yield from _rooms_behind(item.func, place.inside(name, retried=retries(item.retry_policy)), around)
            case BaseTool() if is_guarded(item):
                loose.append(item)
            case FunctionType():
                offers = offers or "bind_tools" in names_in(item.__code__)
    if loose and not offers:  # a node that offers tools to a model does not run them
        yield Room(_named_by_a_tool(place) if around.in_tool else place, tuple(loose))


def _rooms_in_tools(tools: Iterable[BaseTool], place: Place, around: _Around) -> Iterator[Room]:
    """Find what tools call."""
    for tool in tools:
        for function in (getattr(tool, "func", None), getattr(tool, "coroutine", None)):
            yield from _rooms_behind(function, place.inside(tool.name), replace(around, in_tool=True))


def _named_by_a_tool(place: Place) -> Place:
    """Forget what asks models anew: without checkpoints, the call of the tool names the calls inside it, and stays."""
    return replace(place, retried=(False,) * len(place.path), unkept=False)


def _is_searched_apart(item: Any) -> bool:
    return isinstance(item, ToolNode | Pregel | BaseTool) or _is_task(item)


def _is_task(item: Any) -> bool:
    """Tell whether something is what `@task` of `langgraph.func` makes: its class has no public name."""
    kind = type(item)
    return kind.__module__ == "langgraph.func" and hasattr(item, "func") and hasattr(item, "retry_policy")
