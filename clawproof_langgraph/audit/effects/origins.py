"""Where a value comes from: the expressions behind an expression, names and helpers followed."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Final

from clawproof_langgraph.audit.effects.scopes import Scope, Valued, called
from clawproof_langgraph.audit.effects.sites import callee

_MOST: Final = 400


def origins(node: ast.expr, scope: Scope) -> Iterator[Valued]:
    """Give all expressions behind a value, itself first: its parts, what names are bound to, what helpers return."""
    pending, seen = [Valued(node, scope)], set[tuple[ast.AST, Scope]]()
    while pending and len(seen) < _MOST:
        here = pending.pop()
        if (here.node, here.scope) in seen:
            continue
        seen.add((here.node, here.scope))
        yield here
        pending += [Valued(child, here.scope) for child in _parts(here.node, here.scope)]
        if isinstance(here.node, ast.Name | ast.Attribute):
            pending += _bound(here)
        elif isinstance(here.node, ast.Call):
            pending += _returned(here.node, here.scope)


def _parts(node: ast.AST, scope: Scope) -> Iterator[ast.expr]:
    match node:
        case ast.BoolOp(op=ast.Or(), values=[ast.Name() as given, *_]) if _is_given(given, scope):
            yield given  # `key or str(uuid4())`, where a key was passed
            return
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.expr):
            yield child
        elif isinstance(child, ast.keyword):
            yield child.value
        elif isinstance(child, ast.comprehension):
            yield child.iter


def _is_given(name: ast.Name, scope: Scope) -> bool:
    """Tell whether a parameter was passed something by the call, and nothing took its place since."""
    if name.id not in scope.passed or scope.bindings(name.id):
        return False
    value = scope.follow(name).node
    return isinstance(value, ast.JoinedStr) or (isinstance(value, ast.Constant) and bool(value.value))


def _bound(here: Valued) -> list[Valued]:
    found = []
    step = here.scope.look_up(here.node)
    if step is not None and step.node is not here.node:
        found.append(step)
    if isinstance(here.node, ast.Name):
        line = here.node.lineno
        later = [each for each in here.scope.bindings(here.node.id) if each.how in ("add", "mutate")]
        found += [Valued(each.value, here.scope) for each in later if each.line <= line]
    return found


def _returned(node: ast.Call, scope: Scope) -> list[Valued]:
    function = callee(node.func, scope)
    if function is None:
        return []
    inside = called(function, node.args, node.keywords, scope)
    return [Valued(value, inside) for value in results_of(inside)]


def results_of(scope: Scope) -> Iterator[ast.expr]:
    """Give what a function returns."""
    body = scope.body
    for node in body.nodes if body is not None else ():
        if isinstance(node, ast.Return) and node.value is not None:
            yield node.value
