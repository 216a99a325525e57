"""Tools: where they are defined, and what a list of them holds."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Final

from clawproof_langgraph.audit.findings import Place
from clawproof_langgraph.audit.project.guards import Guards
from clawproof_langgraph.audit.project.model import GuardSeen, Kind, Tool, Use
from clawproof_langgraph.audit.project.names import Expr, Names, Scope, argument, called
from clawproof_langgraph.audit.project.values import text
from clawproof_langgraph.audit.source import Module
from clawproof_langgraph.audit.source.modules import FunctionNode

_BASES: Final = frozenset({"BaseTool", "StructuredTool", "Tool"})
_MAKERS: Final = frozenset({"from_function", "Tool", "StructuredTool"})
_OWN: Final = frozenset({"create_handoff_tool", "create_forward_message_tool", "create_handoff_back_messages"})
_MCP: Final = frozenset({"get_tools", "load_mcp_tools"})
_PASSED_ON: Final = frozenset({"list", "tuple", "sorted", "set", "reversed", "cast", "values"})
_DEEP: Final = 12
_BRANCHED: Final = 4
"""How deep lists are followed that are made of each other in branches: the ways to make them double with each."""
_RUN: Final = ("_run", "_arun")


@dataclass(eq=False)
class Tools:
    """Finds tools, and remembers each.

    Args:
        names: resolves names.
        guards: finds guards.
    """

    names: Names
    guards: Guards
    seen: dict[tuple[object, str], Tool] = field(default_factory=dict)
    behind_guards: set[Place] = field(default_factory=set)
    """The places of tools that are wrapped somewhere, whoever has them."""

    # --- definitions --------------------------------------------------------------------------------------------

    def defined(self, module: Module) -> None:
        """Note all tools that a module defines, whether an agent has them or not."""
        index = self.names.index(module)
        for node, around in index.around.items():
            expr = Scope(module, around).expr(node)
            if isinstance(node, FunctionNode) and _decorator(node) is not None:
                self._function(expr)
            elif isinstance(node, ast.ClassDef) and self._is_tool_class(expr):
                self._class(expr)
        for call, around in index.calls:
            if called(call) in _MAKERS or (called(call) == "tool" and call.args):
                self._made(Scope(module, around).expr(call))

    def _function(self, expr: Expr, name: str = "") -> Tool:
        """Note a tool of which the body is a function."""
        assert isinstance(expr.node, FunctionNode)
        decorator = _decorator(expr.node)
        said = None
        if isinstance(decorator, ast.Call):
            node = argument(decorator, "name_or_callable", 0)
            said = text(expr.at(node), self.names) if node is not None else None
        name = name or said or expr.node.name
        return self._remember(expr.node, Tool(name, expr.place, functions=(self.names.function(expr),)))

    def _is_tool_class(self, expr: Expr, depth: int = 4) -> bool:
        assert isinstance(expr.node, ast.ClassDef)
        for base in expr.node.bases:
            node = base.value if isinstance(base, ast.Subscript) else base
            if isinstance(node, ast.Name | ast.Attribute) and ast.unparse(node).rpartition(".")[2] in _BASES:
                return True
            found = self.names.follow(expr.at(node))
            if depth and isinstance(found.node, ast.ClassDef) and found.node is not expr.node:
                return self._is_tool_class(found, depth - 1)
        return False

    def _class(self, expr: Expr) -> Tool | None:
        """Note a tool that is a subclass of BaseTool."""
        assert isinstance(expr.node, ast.ClassDef)
        said = self.names.member(expr, "name")
        name = (text(said, self.names) if said is not None else None) or ""
        methods = [node for node in expr.node.body if isinstance(node, FunctionNode) and node.name in _RUN]
        if not methods:  # a base of others
            return None
        functions = tuple(self.names.function(expr.at(node)) for node in methods)
        return self._remember(expr.node, Tool(name or expr.node.name, expr.place, functions=functions))

    def _made(self, expr: Expr) -> Tool | None:
        """Note a tool that is made of functions: `StructuredTool.from_function(...)`, `tool(f)`, `tool("name", f)`."""
        call = expr.node
        assert isinstance(call, ast.Call)
        if called(call) == "from_function" and not _names_tool_class(call):
            return None
        positional = call.args if called(call) == "tool" else call.args[:1]
        said = [argument(call, "func"), argument(call, "coroutine"), *positional]
        bodies = [self.names.follow(expr.at(node)) for node in said if node is not None]
        functions = [body for body in bodies if isinstance(body.node, FunctionNode)]
        named = argument(call, "name") or next((arg for arg in call.args if isinstance(arg, ast.Constant)), None)
        name = text(expr.at(named), self.names) if named is not None else None
        if not functions:
            return self._remember(call, Tool(name, expr.place, Kind.LIBRARY)) if name else None
        assert isinstance(functions[0].node, FunctionNode)
        bodies_seen = tuple(self.names.function(body) for body in functions)
        return self._remember(call, Tool(name or functions[0].node.name, expr.place, functions=bodies_seen))

    def wrapped(self, expr: Expr) -> None:
        """Note what is put behind a guard by itself, with `guard.wrap_tool(...)` or `guard.wrap_tools(...)`."""
        assert isinstance(expr.node, ast.Call)
        if expr.node.args and isinstance(expr.node.func, ast.Attribute):
            given = expr.at(expr.node.args[0])
            uses = self._element(given, _DEEP) if called(expr.node) == "wrap_tool" else self.listed(given)
            self.behind_guards.update(use.tool.place for use in uses)

    def _remember(self, node: object, tool: Tool) -> Tool:
        return self.seen.setdefault((node, tool.name), tool)

    # --- lists --------------------------------------------------------------------------------------------------

    def listed(self, expr: Expr, depth: int = _DEEP) -> list[Use]:
        """Give the tools of a list, each with the guard that is around it already; those of each branch, of several."""
        if not depth:
            return [_unknown(self.names.follow(expr), "a list that could not be followed")]
        ways = self.names.alternatives(expr)
        depth = min(depth, _BRANCHED) if len(ways) > 1 else depth
        uses = [use for way in ways for use in self._list(self.names.follow(way), depth)]
        for each in self.names.extensions(expr):
            uses += self.listed(each, depth - 1)
        return uses

    def _list(self, expr: Expr, depth: int) -> list[Use]:
        match expr.node:
            case ast.List(elts=elts) | ast.Tuple(elts=elts) | ast.Set(elts=elts):
                return [use for elt in elts for use in self._element(expr.at(elt), depth)]
            case ast.Dict(values=values):
                return [use for value in values for use in self._element(expr.at(value), depth)]
            case ast.BinOp(left=left, op=ast.Add(), right=right):
                return [*self.listed(expr.at(left), depth - 1), *self.listed(expr.at(right), depth - 1)]
            case ast.IfExp(body=left, orelse=right) | ast.BoolOp(values=[left, right]):
                return [*self.listed(expr.at(left), depth - 1), *self.listed(expr.at(right), depth - 1)]
            case ast.ListComp(elt=elt, generators=[generator]) | ast.GeneratorExp(elt=elt, generators=[generator]):
                return self._comprehension(expr, elt, generator, depth)
            case ast.Constant(value=None):
                return []
            case ast.Subscript(value=value, slice=ast.Slice()):
                return self.listed(expr.at(value), depth - 1)
            case ast.Call():
                return self._listed_by_call(expr, expr.node, depth)
            case ast.Name(id=name):
                return [_unknown(expr, f"the list `{name}`, which is made when the program runs")]
            case _:
                return [_unknown(expr, "a list that is made when the program runs")]

    def _listed_by_call(self, expr: Expr, call: ast.Call, depth: int) -> list[Use]:
        name = called(call)
        if name in ("wrap_tools", "prepare") and isinstance(call.func, ast.Attribute) and call.args:
            return guarded(self.listed(expr.at(call.args[0]), depth - 1), self.guards.around(expr.at(call.func.value)))
        if name in ("ToolNode", "tool_node"):
            return self.in_node(expr, depth)
        if name in _MCP:
            kind = Kind.MCP if name == "load_mcp_tools" or not self._is_toolkit(expr, call) else Kind.LIBRARY
            detail = "the tools of an MCP server" if kind is Kind.MCP else "the tools of a toolkit"
            return [Use(Tool("", expr.place, kind, detail=detail), place=expr.place)]
        if name in _PASSED_ON:
            inner = call.args[-1] if call.args else getattr(call.func, "value", None)
            return self.listed(expr.at(inner), depth - 1) if inner is not None else []
        returned = list(self.names.returned(expr))
        if returned:
            return [use for value in returned for use in self.listed(value, depth - 1)]
        return [_unknown(expr, f"what `{ast.unparse(call.func)}(...)` gives")]

    def _is_toolkit(self, expr: Expr, call: ast.Call) -> bool:
        client = self.names.follow(expr.at(call.func.value)) if isinstance(call.func, ast.Attribute) else expr
        name = called(client.node) if isinstance(client.node, ast.Call) else ast.unparse(client.node)
        return "toolkit" in name.lower()

    def _comprehension(self, expr: Expr, elt: ast.expr, generator: ast.comprehension, depth: int) -> list[Use]:
        uses = self.listed(expr.at(generator.iter), depth - 1)
        match elt:
            case ast.Call(func=ast.Attribute(value=guard, attr="wrap_tool")):
                return guarded(uses, self.guards.around(expr.at(guard)))
            case _:
                return uses

    def _element(self, expr: Expr, depth: int) -> Iterable[Use]:
        """Give the tools that one element of a list stands for."""
        if isinstance(expr.node, ast.Starred):
            return self.listed(expr.at(expr.node.value), depth - 1)
        found = self.names.follow(expr)
        match found.node:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                return [Use(self._function(found), place=expr.place)]
            case ast.Call():
                return self._called_element(found, found.node, depth, expr)
            case ast.Dict() | ast.Constant():  # a tool that the model's provider runs
                return []
            case ast.ClassDef():  # a pydantic model as a schema, or a tool class that was not called
                return []
            case _:
                shown = ast.unparse(expr.node)  # the name of a variable, which need not be that of the tool
                return [Use(Tool("", expr.place, Kind.LIBRARY, detail=f"the tool `{shown}`"), place=expr.place)]

    def _called_element(self, found: Expr, call: ast.Call, depth: int, given: Expr) -> Iterable[Use]:
        name = called(call)
        if name in ("wrap_tool",) and isinstance(call.func, ast.Attribute) and call.args:
            inner = self._element(found.at(call.args[0]), depth - 1) if depth else []
            return guarded(inner, self.guards.around(found.at(call.func.value)))
        if name in _OWN:
            return [Use(Tool(_handoff_name(call), given.place, Kind.OWN), place=given.place)]
        target = self.names.follow(found.at(call.func))
        if isinstance(target.node, ast.ClassDef) and self._is_tool_class(target):
            tool = self._class(target)
            said = argument(call, "name")
            other = text(found.at(said), self.names) if said is not None and tool is not None else None
            return [Use(replace(tool, name=other) if other else tool, place=given.place)] if tool else []
        if name == "tool" and call.args and isinstance(self.names.follow(found.at(call.args[0])).node, ast.ClassDef):
            return []  # a pydantic model as a schema
        if name in _MAKERS or name == "tool":
            made = self._made(found)
            if made is not None:
                return [Use(made, place=given.place)]
        returned = [use for value in self.names.returned(found) for use in self._element(value, depth - 1) if depth]
        if returned:
            return returned
        said = argument(call, "name")
        shown = (text(found.at(said), self.names) if said is not None else None) or ""
        return [Use(Tool(shown, given.place, Kind.LIBRARY, detail=f"the tool of `{name}(...)`"), place=given.place)]

    def in_node(self, expr: Expr, depth: int = _DEEP) -> list[Use]:
        """Give the tools of a `ToolNode(...)` or `guard.tool_node(...)`, with its hooks."""
        call = expr.node
        assert isinstance(call, ast.Call)
        given = argument(call, "tools", 0)
        uses = self.listed(expr.at(given), depth - 1) if given is not None else []
        if called(call) == "tool_node":
            return (
                guarded(uses, self.guards.around(expr.at(call.func.value)))
                if isinstance(call.func, ast.Attribute)
                else uses
            )
        hooks = {}
        for name, hook in (("sync", "wrap_tool_call"), ("async", "awrap_tool_call")):
            node = argument(call, hook)
            guard = self.guards.of_hook(expr.at(node), hook) if node is not None else None
            if guard is not None:
                hooks[name] = guard
        if not hooks:
            return uses
        return guarded(uses, next(iter(hooks.values())), "both" if len(hooks) == 2 else next(iter(hooks)))


def guarded(uses: Iterable[Use], guard: GuardSeen, hooks: str = "both") -> list[Use]:
    """Put a guard around tools that have none yet."""
    return [use if use.guard is not None else replace(use, guard=guard, hooks=hooks) for use in uses]


def _unknown(expr: Expr, detail: str) -> Use:
    return Use(Tool("", expr.place, Kind.UNKNOWN, detail=detail), place=expr.place)


def _decorator(node: FunctionNode) -> ast.expr | None:
    """Give the decorator that makes a function a tool."""
    for decorator in node.decorator_list:
        target = decorator.func if isinstance(decorator, ast.Call) else decorator
        if isinstance(target, ast.Name | ast.Attribute) and ast.unparse(target).rpartition(".")[2] == "tool":
            # `@server.tool()` of an MCP server is a tool of that server, and none of an agent here.
            if isinstance(target, ast.Attribute) and isinstance(decorator, ast.Call) and not decorator.args:
                base = ast.unparse(target.value)
                if base not in ("tools", "langchain_core.tools", "langchain.tools"):
                    continue
            return decorator
    return None


def _names_tool_class(call: ast.Call) -> bool:
    return isinstance(call.func, ast.Attribute) and ast.unparse(call.func.value).rpartition(".")[2] in _BASES


def _handoff_name(call: ast.Call) -> str:
    target = argument(call, "agent_name")
    return (
        f"transfer_to_{target.value}"
        if isinstance(target, ast.Constant) and isinstance(target.value, str)
        else "transfer_to_agent"
    )
