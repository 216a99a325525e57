"""What the body of a function shows where no effect of a known kind was found in it."""

from __future__ import annotations

import ast
import builtins
import sys
from collections.abc import Iterator
from typing import Final

from clawproof_langgraph.audit.source import Function, SourceTree


def changes_outer_state(function: Function) -> str:
    """Give what a function changes that is not its own, such as `self.stock`; empty where there is nothing."""
    own = _own_names(function)
    for node in ast.walk(function.node):
        for target in _targets(node):
            root = _root(target)
            if isinstance(target, ast.Attribute | ast.Subscript) and root is not None and root not in own:
                return ast.unparse(target)
    return ""


def opaque_call(function: Function, tree: SourceTree) -> str:
    """Give a call of which nothing is known: of another library, or of something from outside the function."""
    own = _own_names(function)
    for node in ast.walk(function.node):
        if not isinstance(node, ast.Call):
            continue
        root = _root(node.func)
        if root is None or root in own or hasattr(builtins, root) or _asks_a_model(node):
            continue
        dotted = function.module.dotted(node.func)
        if dotted.partition(".")[0] not in sys.stdlib_module_names and tree.function(dotted) is None:
            return ast.unparse(node.func)
    return ""


def _asks_a_model(call: ast.Call) -> bool:
    """Tell a runnable that is run, which changes nothing by itself: the tools of an agent are looked at as its own."""
    return isinstance(call.func, ast.Attribute) and call.func.attr in _RUNNING


_RUNNING: Final = frozenset(
    {"invoke", "ainvoke", "stream", "astream", "batch", "abatch", "bind_tools", "with_structured_output", "with_config"}
)


def agent_run_in(function: Function) -> str:
    """Give the call by which a tool runs an agent, which is given messages; empty where there is none."""
    for node in ast.walk(function.node):
        match node:
            case ast.Call(
                func=ast.Attribute(attr="invoke" | "ainvoke" | "stream" | "astream") as func, args=[given, *_]
            ):
                if isinstance(given, ast.Dict) and any(
                    isinstance(key, ast.Constant) and key.value == "messages" for key in given.keys
                ):
                    return ast.unparse(func)
    return ""


def _own_names(function: Function) -> frozenset[str]:
    arguments = function.node.args
    parameters = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
    own = {each.arg for each in parameters if each is not None} - {"self", "cls"}
    for node in ast.walk(function.node):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            own.add(node.id)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and node is not function.node:
            own.add(node.name)
    outer = {
        name for node in ast.walk(function.node) if isinstance(node, ast.Global | ast.Nonlocal) for name in node.names
    }
    return frozenset(own - outer)


def _targets(node: ast.AST) -> Iterator[ast.expr]:
    match node:
        case ast.Assign(targets=targets) | ast.Delete(targets=targets):
            yield from targets
        case ast.AugAssign(target=target) | ast.AnnAssign(target=target):
            yield target


def _root(node: ast.expr) -> str | None:
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Call):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else None
