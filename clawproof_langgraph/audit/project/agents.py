"""Agents: where they are made, which tools each has, and what is around these."""

from __future__ import annotations

import ast
import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Final

from clawproof_langgraph.audit.findings import Place
from clawproof_langgraph.audit.project.guards import Guards
from clawproof_langgraph.audit.project.index import Around
from clawproof_langgraph.audit.project.model import Agent, GuardSeen, Kind, Tool, Use
from clawproof_langgraph.audit.project.names import Expr, Names, Scope, argument, called
from clawproof_langgraph.audit.project.nodes import given_nodes, inside, is_task, uses_langgraph
from clawproof_langgraph.audit.project.prompts import Prompts
from clawproof_langgraph.audit.project.stress import seats
from clawproof_langgraph.audit.project.tools import Tools, guarded
from clawproof_langgraph.audit.project.values import items, text
from clawproof_langgraph.audit.source import Module
from clawproof_langgraph.audit.source.modules import FunctionNode

_TOOLS_AT: Final = {"create_agent": 1, "create_react_agent": 1, "create_deep_agent": 0, "create_supervisor": None}
"""The functions that make an agent of tools, with the place of `tools` among their arguments."""

_NODES: Final = frozenset({"ToolNode", "tool_node"})
_OPAQUE: Final = (Kind.LIBRARY, Kind.MCP, Kind.UNKNOWN)
_LEADERS: Final = frozenset({"build_orchestrator", "create_supervisor", "create_swarm"})
_ELSEWHERE: Final = frozenset({"compile", *_TOOLS_AT, *_NODES, *_LEADERS})
"""Calls that make a node of which the tools are found where they are listed."""
_PROMPTS: Final = ("system_prompt", "prompt", "state_modifier", "messages_modifier", "instructions")
_RETRYING: Final = ("ToolRetryMiddleware",)


@dataclass(eq=False)
class Agents:
    """Finds agents.

    Args:
        names, tools, guards, prompts: find the rest.
    """

    names: Names
    tools: Tools
    guards: Guards
    prompts: Prompts
    found: list[Agent] = field(default_factory=list)
    led: dict[ast.AST, str] = field(default_factory=dict)
    """The name that an orchestrator gives to an agent, by where the agent is made."""
    played: list[Agent] = field(default_factory=list)
    """Agents that are made for stress runs only."""
    orchestrators: list[Place] = field(default_factory=list)
    leaders: list[Place] = field(default_factory=list)
    _inside: set[ast.AST] = field(default_factory=set)
    """ToolNodes that belong to an agent that was found already."""
    _seats: list[tuple[Place, int]] | None = None

    def find(self) -> None:
        """Find all agents of the program."""
        calls = list(self.names.calls())
        for module, call, around in calls:
            if called(call) in _LEADERS:
                self.names.look_at(self._leader, module, call, around)
        for module, call, around in calls:
            if called(call) in _TOOLS_AT and not self._is_own(module, call, around):
                self.names.look_at(self._agent, module, call, around)
        for module, call, around in calls:
            if called(call) in _NODES and call not in self._inside:
                self.names.look_at(self._tool_node, module, call, around)
        for module, call, around in calls:
            if called(call) in ("add_node", "add_sequence"):
                self.names.look_at(self._nodes, module, call, around)
        self._tasks()
        for module, call, around in calls:
            if called(call) == "bind_tools":
                self.names.look_at(self._bound, module, call, around)
        self.played = [agent for agent in self.found if self._plays(agent)]
        self.found = [agent for agent in self.found if agent not in self.played]
        busy = {agent.name for agent in self.found if agent.uses}
        self.found = [agent for agent in self.found if agent.uses or agent.name not in busy]

    def _plays(self, agent: Agent) -> bool:
        """Tell whether an agent is made for a stress run only: by the `make_agent` of a scenario itself."""
        if self._seats is None:
            self._seats = list(seats(self.names))
        return any(
            agent.place.file == place.file and place.line <= agent.place.line <= last for place, last in self._seats
        )

    def _is_own(self, module: Module, call: ast.Call, around: Around) -> bool:
        """Tell whether a function of that name is one of the project."""
        found = self.names.follow(Scope(module, around).expr(call.func))
        return isinstance(found.node, FunctionNode)

    def _add(self, agent: Agent) -> None:
        known = [other for other in self.found if (other.place, other.name) == (agent.place, agent.name)]
        if not known:
            self.found.append(agent)
            return
        at = next(number for number, other in enumerate(self.found) if other is known[0])
        new = [use for use in agent.uses if use not in known[0].uses]
        self.found[at] = replace(known[0], uses=(*known[0].uses, *new))

    # --- create_agent and its like ------------------------------------------------------------------------------

    def _agent(self, expr: Expr) -> None:
        call = expr.node
        assert isinstance(call, ast.Call)
        given = argument(call, "tools", _TOOLS_AT[called(call)])
        uses = self._tools(expr.at(given)) if given is not None else []
        middleware = argument(call, "middleware")
        guard, retried = self._middleware(expr.at(middleware)) if middleware is not None else (None, ())
        if guard is not None:
            uses = guarded(uses, guard)
        name, named = self._name(expr, call, guard or _guard_of(uses))
        agent = Agent(name, expr.place, tuple(uses), named, retried)
        self._add(agent)
        for keyword in _PROMPTS:
            if (prompt := argument(call, keyword)) is not None:
                self.prompts.add(expr.at(prompt), name)
        if called(call) == "create_deep_agent":
            self._sub_agents(expr, agent)

    def _tools(self, expr: Expr) -> list[Use]:
        found = self.names.follow(expr)
        if isinstance(found.node, ast.Call) and called(found.node) in _NODES:
            self._inside.add(found.node)
        return self.tools.listed(expr)

    def _middleware(self, expr: Expr) -> tuple[GuardSeen | None, tuple[Place, ...]]:
        """Find the guard among middleware, and what retries tools; a guard counts that is there in each branch."""
        guards: list[GuardSeen | None] = []
        retried: list[Place] = []
        for way in self.names.alternatives(expr):
            listed = [
                *self._elements(way),
                *itertools.chain(*map(self._elements, self.names.extensions(way, sure=True))),
            ]
            guards.append(next(filter(None, map(self.guards.of_middleware, listed)), None))
            retried += [made.place for made in map(self.names.follow, listed) if _retries_tools(made)]
        return (guards[-1] if all(guards) else None), tuple(retried)

    def _elements(self, expr: Expr) -> Iterator[Expr]:
        found = self.names.follow(expr)
        match found.node:
            case ast.List(elts=elts) | ast.Tuple(elts=elts):
                for elt in elts:
                    if isinstance(elt, ast.Starred):
                        yield from self._elements(found.at(elt.value))
                    else:
                        yield found.at(elt)
            case ast.BinOp(left=left, op=ast.Add(), right=right):
                yield from self._elements(found.at(left))
                yield from self._elements(found.at(right))
            case ast.Call():
                for value in self.names.returned(found):
                    yield from self._elements(value)

    def _name(self, expr: Expr, call: ast.Call, guard: GuardSeen | None) -> tuple[str, bool]:
        """Give the name of an agent, and whether it is known when it runs."""
        if guard is not None and guard.agent:
            return guard.agent, True
        said = argument(call, "name") or argument(call, "supervisor_name")
        value = text(expr.at(said), self.names) if said is not None else None
        if value or said is not None:
            return value or self._made_up(expr), True
        if call in self.led:
            return self.led[call], True
        if called(call) == "create_supervisor":
            return "supervisor", True
        return self._made_up(expr), False

    def _made_up(self, expr: Expr) -> str:
        """Name something for the reader: by the variable that it is assigned to, or the function around it."""
        index = self.names.index(expr.scope.module)
        within = expr.scope.around[-1] if expr.scope.around else None
        for name, meanings in index.meanings.get(within, {}).items():
            if any(expr.node is meaning for meaning in meanings):
                return name
        if within is not None:
            return within.name
        return f"{expr.scope.module.name}:{getattr(expr.node, 'lineno', 0)}"

    def _sub_agents(self, expr: Expr, parent: Agent) -> None:
        """Note the sub-agents that a deep agent declares; its middleware is not handed to them."""
        assert isinstance(expr.node, ast.Call)
        given = argument(expr.node, "subagents")
        for each in self._elements(expr.at(given)) if given is not None else ():
            found = self.names.follow(each)
            if not isinstance(found.node, ast.Dict):
                continue
            said = {text(key, self.names): value for key, value in items(found, self.names)}
            if "name" not in said or "runnable" in said or "graph" in said:
                continue
            bare = tuple(replace(use, guard=None) for use in parent.uses)
            uses = tuple(self._tools(said["tools"])) if "tools" in said else bare
            guard = self._middleware(said["middleware"])[0] if "middleware" in said else None
            if guard is not None:
                uses = tuple(guarded(uses, guard))
            name = text(said["name"], self.names) or "sub-agent"
            self._add(Agent(name, found.place, uses))
            for keyword in _PROMPTS:
                if keyword in said:
                    self.prompts.add(said[keyword], name)

    # --- graphs -------------------------------------------------------------------------------------------------

    def _tool_node(self, expr: Expr) -> None:
        """Note the agent of a ToolNode in a graph."""
        uses = self.tools.in_node(expr)
        guard = _guard_of(uses)
        assert isinstance(expr.node, ast.Call)
        if guard is None and called(expr.node) == "tool_node" and isinstance(expr.node.func, ast.Attribute):
            guard = self.guards.around(expr.at(expr.node.func.value))
        if guard is not None and guard.agent:
            name, named = guard.agent, True
        else:
            name, named = self._graph_name(expr)
        self._add(Agent(name, expr.place, tuple(uses), named, tuple(self._retries(expr))))

    def _graph_name(self, expr: Expr) -> tuple[str, bool]:
        """Give the name of the graph around a ToolNode, or of the node."""
        index = self.names.index(expr.scope.module)
        outer = expr.scope.around[:1]
        for call, around in index.calls:
            if called(call) == "compile" and around[:1] == outer and (said := argument(call, "name")) is not None:
                name = text(expr.at(said), self.names)
                return name or self._made_up(expr), True
        for call in self._nodes_of(expr):
            return self._made_up(expr), bool(call.args)
        return self._made_up(expr), False

    def _nodes_of(self, expr: Expr) -> Iterator[ast.Call]:
        """Find the `add_node` by which a ToolNode comes into a graph."""
        index = self.names.index(expr.scope.module)
        for call, around in index.calls:
            if called(call) == "add_node":
                scope = Scope(expr.scope.module, around, expr.scope.given)
                if any(self.names.follow(scope.expr(arg)).node is expr.node for arg in call.args):
                    yield call

    def _retries(self, expr: Expr) -> Iterator[Place]:
        for call in self._nodes_of(expr):
            for keyword in ("retry_policy", "retry"):
                if (said := argument(call, keyword)) is not None:
                    yield expr.scope.module.place(said)

    def _nodes(self, expr: Expr) -> None:
        """Note the nodes that a call adds, each by itself or in `guard.node(...)`."""
        for named, given in given_nodes(expr, self.names):
            self._node(text(named, self.names) or "", given, expr)

    def _node(self, said: str, given: Expr, expr: Expr) -> None:
        found, around = self.names.follow(given), None
        match found.node:
            case ast.Call(func=ast.Attribute(value=guard, attr="node"), args=[function, policy, *_]):
                around = self.guards.of_node(found.at(guard), found.at(policy), said)
                given = found.at(function)
        for body in inside(given, self.names, _ELSEWHERE):
            if body is not None and isinstance(body.node, FunctionNode):
                self._add_node(said or body.node.name, body, around, expr.place)
            elif around is None and uses_langgraph(expr):
                self._add_unseen_node(said or ast.unparse(given.node), expr.place)

    def _add_unseen_node(self, name: str, place: Place) -> None:
        tool = Tool(name, place, Kind.LIBRARY, detail=f"the node `{name}`")
        self._add(Agent(name, place, (Use(tool, place=place),)))

    def _tasks(self) -> None:
        """Note tasks and entrypoints of the functional API, which are nodes by another name."""
        for module in map(self.names.tree.modules.__getitem__, sorted(self.names.own)):
            for node, around in self.names.index(module).around.items():
                expr = Scope(module, around).expr(node)
                if isinstance(node, FunctionNode) and is_task(expr):
                    self._add_node(node.name, expr, None, expr.place)

    def _bound(self, expr: Expr) -> None:
        """Note tools that only a model is told of: code that cannot be seen runs them, with no agent around it."""
        assert isinstance(expr.node, ast.Call)
        given = argument(expr.node, "tools", 0)
        known = {use.place for agent in self.found for use in agent.uses}
        uses = self.tools.listed(expr.at(given)) if given is not None else []
        uses = [use for use in uses if use.tool.kind in _OPAQUE and use.place not in known]
        if uses:
            self._add(Agent(self._made_up(expr), expr.place, tuple(uses), named=False))

    def _add_node(self, name: str, function: Expr, guard: GuardSeen | None, place: Place) -> None:
        tool = Tool(name, function.place, Kind.NODE, (self.names.function(function),))
        if guard is not None:
            guard = replace(guard, policies=tuple(replace(policy, tool=name) for policy in guard.policies))
        agent = guard.agent if guard is not None and guard.agent else name
        self._add(Agent(agent, function.place, (Use(tool, guard, place=place),)))

    # --- orchestrators ------------------------------------------------------------------------------------------

    def _leader(self, expr: Expr) -> None:
        call = expr.node
        assert isinstance(call, ast.Call)
        places = self.orchestrators if called(call) == "build_orchestrator" else self.leaders
        if expr.place not in places:
            places.append(expr.place)
        given = argument(call, "agents", 0)
        if called(call) != "build_orchestrator" or given is None:
            return
        for key, value in items(expr.at(given), self.names):
            name = text(key, self.names)
            made = self.names.follow(value)
            if not name:
                continue
            if isinstance(made.node, ast.Call) and called(made.node) in _TOOLS_AT:
                self.led[made.node] = name
            else:
                self._add(Agent(name, value.place))


def _retries_tools(expr: Expr) -> bool:
    return isinstance(expr.node, ast.Call) and called(expr.node) in _RETRYING


def _guard_of(uses: Iterable[Use]) -> GuardSeen | None:
    """Give the guard that all guarded tools have, if it is one."""
    guards = {id(use.guard): use.guard for use in uses if use.guard is not None}
    return next(iter(guards.values())) if len(guards) == 1 else None
