"""Nodes of graphs: the function of the project that runs in each, where it can be seen."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Final

from clawproof_langgraph.audit.project.names import Expr, Names, argument, called
from clawproof_langgraph.audit.source.modules import FunctionNode

_AROUND: Final = frozenset({"partial", "RunnableLambda", "RunnableCallable", "coerce_to_runnable"})
"""What makes a node of a function, which is its first argument."""
_SAME: Final = frozenset({"with_config", "with_retry", "with_fallbacks", "with_types"})
"""Methods that give the same runnable back."""
_MODELS: Final = frozenset(
    {"bind_tools", "with_structured_output", "init_chat_model", "from_messages", "from_template"}
)
_TASKS: Final = frozenset({"langgraph.func.task", "langgraph.func.entrypoint"})
_DEEP: Final = 5

Inside = Expr | None
"""The function that a node runs; None where it cannot be seen."""


def given_nodes(expr: Expr, names: Names) -> Iterator[tuple[Expr | None, Expr]]:
    """Give the name and the runnable of each node that a call of `add_node` or `add_sequence` adds."""
    call = expr.node
    assert isinstance(call, ast.Call)
    if called(call) == "add_sequence":
        listed = argument(call, "nodes", 0)
        found = names.follow(expr.at(listed)) if listed is not None else expr
        for elt in found.node.elts if isinstance(found.node, ast.List | ast.Tuple) else ():
            if isinstance(elt, ast.Tuple) and len(elt.elts) == 2:
                yield found.at(elt.elts[0]), found.at(elt.elts[1])
            else:
                yield None, found.at(elt)
        return
    first = expr.at(call.args[0]) if call.args else None
    given = argument(call, "node", 1) or argument(call, "action", 1)
    if given is not None:
        yield first, expr.at(given)
    elif first is not None and len(call.args) == 1 and not isinstance(first.node, ast.Constant):
        yield None, first


def inside(expr: Expr, names: Names, others: frozenset[str], depth: int = _DEEP) -> Iterator[Inside]:
    """Find the functions of the project that a node runs.

    Args:
        expr: what was given as the node.
        names: resolves names.
        others: names of calls that make a node which is looked at elsewhere: a sub-graph, an agent, a ToolNode.
        depth: how many wrappers are opened.
    """
    found = names.follow(expr)
    match found.node:
        case _ if not depth:
            yield None
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            yield found
        case ast.Lambda(body=body):
            for call in ast.walk(body):
                if isinstance(call, ast.Call):
                    yield names.callee(found.at(call))
        case ast.Constant() | ast.BinOp():  # a name alone; prompts and models in a chain
            return
        case ast.Call():
            yield from _of_call(found, names, others, depth)
        case ast.ClassDef():
            yield names.member(found, "__call__")
        case _:
            yield None


def _of_call(expr: Expr, names: Names, others: frozenset[str], depth: int) -> Iterator[Inside]:
    call = expr.node
    assert isinstance(call, ast.Call)
    name = called(call)
    if name in others or name in _MODELS:
        return
    if name in _AROUND and call.args:
        yield from inside(expr.at(call.args[0]), names, others, depth - 1)
        return
    if name in _SAME and isinstance(call.func, ast.Attribute):
        yield from inside(expr.at(call.func.value), names, others, depth - 1)
        return
    maker = names.follow(expr.at(call.func))
    if isinstance(maker.node, ast.ClassDef):
        yield from inside(maker, names, others, depth - 1)
        return
    returned = list(names.returned(expr))
    for value in returned:
        yield from inside(value, names, others, depth - 1)
    if not returned:
        yield None


def is_task(expr: Expr) -> bool:
    """Tell whether a function is a task or an entrypoint of LangGraph's functional API."""
    assert isinstance(expr.node, FunctionNode)
    made = (each.func if isinstance(each, ast.Call) else each for each in expr.node.decorator_list)
    return any(expr.scope.module.dotted(each) in _TASKS for each in made)


def uses_langgraph(expr: Expr) -> bool:
    """Tell whether a module has to do with LangGraph at all: other libraries have an `add_node`, too."""
    return any(name.partition(".")[0] == "langgraph" for name in expr.scope.module.imports.values())
