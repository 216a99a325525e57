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
    return _Search().in_graph(graph, Place(), _Around())


def nodes_of(graph: _Graph, outer: Place | None = None, around: tuple[_Graph, ...] = ()) -> Iterator[tuple[Place, Any]]:
    """List the nodes of a compiled graph, and of the graphs that are nodes of it: the place of each, and what runs."""
    for name, node in graph.nodes.items():
        place = (outer or Place()).inside(name, retried=retries(node.retry_policy or graph.retry_policy))
        yield place, node.bound
        for inner in node.subgraphs:
            if isinstance(inner, Pregel) and not any(inner is each for each in (graph, *around)):
                yield from nodes_of(inner, place, (graph, *around))


class _Search:
    """A search of a graph and what is in it.

    Agents that call each other can be reached in as many ways as there are orders of them: each is entered again only
    by a way that leads through another retried node.
    """

    def __init__(self) -> None:
        self._entered: dict[tuple[int, bool], set[str]] = {}

    def in_graph(self, graph: _Graph, outer: Place, around: _Around) -> Iterator[Room]:
        """Search the nodes of a graph."""
        kept = around.kept or bool(graph.checkpointer)
        if around.in_tool and (not kept or graph.checkpointer is False):
            inside = _named_by_a_tool(outer)
        else:
            inside = replace(outer, unkept=around.kept and graph.checkpointer is False)
        if any(graph is each for each in around.graphs) or not self._is_new(graph, inside):
            return
        nodes = [node.bound for node in graph.nodes.values()]
        for name, node in graph.nodes.items():
            place = inside.inside(name, retried=retries(node.retry_policy or graph.retry_policy))
            others = [bound for bound in nodes if bound is not node.bound]
            yield from self._behind(node.bound, place, _Around((*around.graphs, graph), kept), others)

    def _is_new(self, graph: _Graph, place: Place) -> bool:
        retried = {name for name, retried in zip(place.path, place.retried, strict=True) if retried}
        known = self._entered.get((id(graph), place.unkept))
        if known is not None and retried <= known:
            return False
        self._entered[id(graph), place.unkept] = retried | (known or set())
        return True

    def _behind(self, start: Any, place: Place, around: _Around, others: Sequence[Any] = ()) -> Iterator[Room]:
        loose: list[BaseTool] = []
        offers = False
        for item in reachable(start, until=_is_searched_apart):
            match item:
                case _ if any(item is other for other in others):
                    continue  # it is a node of the same graph, of which the code of this one knows
                case ToolNode():
                    tools = tuple(item.tools_by_name.values())
                    yield Room(replace(place, tool_node=item), tools)
                    yield from self._in_tools(tools, place, around)
                case Pregel():
                    yield from self.in_graph(item, place, around)
                case _ if _is_task(item):
                    task = place.inside(getattr(item, "__name__", "task"), retried=retries(item.retry_policy))
                    yield from self._behind(item.func, task, around)
                case BaseTool() if is_guarded(item):
                    loose.append(item)
                case FunctionType():
                    offers = offers or "bind_tools" in names_in(item.__code__)
        if loose and not offers:  # a node that offers tools to a model does not run them
            yield Room(_named_by_a_tool(place) if around.in_tool else place, tuple(loose))

    def _in_tools(self, tools: Iterable[BaseTool], place: Place, around: _Around) -> Iterator[Room]:
        for tool in tools:
            for function in (getattr(tool, "func", None), getattr(tool, "coroutine", None)):
                yield from self._behind(function, place.inside(tool.name), replace(around, in_tool=True))


def _named_by_a_tool(place: Place) -> Place:
    """Forget what asks models anew: without checkpoints, the call of the tool names the calls inside it, and stays."""
    return replace(place, retried=(False,) * len(place.path), unkept=False)


def _is_searched_apart(item: Any) -> bool:
    return isinstance(item, ToolNode | Pregel | BaseTool) or _is_task(item)


def _is_task(item: Any) -> bool:
    """Tell whether something is what `@task` of `langgraph.func` makes: its class has no public name."""
    kind = type(item)
    return kind.__module__ == "langgraph.func" and hasattr(item, "func") and hasattr(item, "retry_policy")
