"""Names that hold a part of what another name holds: to change the part is to change the whole."""

from __future__ import annotations

import ast
from typing import Final

from clawproof_langgraph.audit.effects.scopes import Scope

_GIVES_PART: Final = frozenset({"setdefault", "get", "values", "items"})
_PASSES: Final = frozenset({"next", "enumerate", "reversed", "iter"})
_COPIES: Final = frozenset({"list", "sorted", "tuple"})


def parts_of(name: str, scope: Scope) -> frozenset[str]:
    """Give the names of a function that hold a part of what a name holds, and that name: `for row in rows`."""
    bound = scope.body.bindings if scope.body is not None else {}
    found, before = {name}, 0
    while len(found) > before:
        before = len(found)
        for other, bindings in bound.items():
            if any(each.how in ("is", "item") and root_of(each.value, each.how) in found for each in bindings):
                found.add(other)
    return frozenset(found)


def root_of(node: ast.expr, how: str = "is") -> str:
    """Give the name whose value an expression is a part of; empty where there is none.

    Args:
        node: such as `data["rows"].get(key)`, or `next(row for row in rows if row["id"] == key)`.
        how: `item`, where what counts are the items, so that a copy of the list is as good as the list.
    """
    for _ in range(20):
        match node:
            case ast.Subscript(value=inner) | ast.Attribute(value=inner) | ast.NamedExpr(value=inner):
                node = inner
            case ast.Call(func=ast.Attribute(value=inner, attr=attr)) if attr in _GIVES_PART:
                node = inner
            case ast.Call(func=ast.Name(id=called), args=[inner, *_]) if called in _PASSES:
                node = inner
            case ast.Call(func=ast.Name(id=called), args=[inner, *_]) if called in _COPIES and how == "item":
                node = inner
            case ast.BoolOp(values=[inner, *_]) | ast.IfExp(body=inner):
                node = inner
            case ast.GeneratorExp(elt=ast.Name(id=each), generators=[ast.comprehension(target=target, iter=inner)]) if (
                _binds(target, each)
            ):
                node = inner
            case ast.Name(id=name):
                return name
            case _:
                return ""
    return ""


def _binds(target: ast.expr, name: str) -> bool:
    return any(isinstance(each, ast.Name) and each.id == name for each in ast.walk(target))


def leaves_out(node: ast.AST) -> bool:
    """Tell whether an expression is a list without what it is given anew: `[r for r in rows if r["id"] != new]`."""
    match node:
        case (
            ast.ListComp(generators=[ast.comprehension(ifs=ifs)])
            | ast.GeneratorExp(generators=[ast.comprehension(ifs=ifs)])
        ):
            return any(_differs(each) for each in ifs)
        case _:
            return False


def _differs(test: ast.expr) -> bool:
    match test:
        case ast.Compare(ops=[ast.NotEq() | ast.NotIn()]):
            return True
        case ast.UnaryOp(op=ast.Not(), operand=ast.Compare(ops=[ast.Eq() | ast.In()])):
            return True
        case ast.BoolOp(values=values):
            return any(_differs(each) for each in values)
        case _:
            return False


def is_added_where_missing(node: ast.AST, owner: ast.expr, parts: frozenset[str], scope: Scope) -> bool:
    """Tell whether something is added only where it is not there, or to a list that it was left out of before."""
    if _was_left_out(node, owner, scope):
        return True
    inner: ast.AST = node
    body = scope.body
    for around in body.around(node) if body is not None else ():
        match around:
            case ast.If(test=test, body=block, orelse=other):
                if any(inner is each for each in block) and _says_missing(test, parts, scope, True):
                    return True
                if any(inner is each for each in other) and _says_missing(test, parts, scope, False):
                    return True
            case ast.For(iter=looked_through, orelse=other) if any(inner is each for each in other):
                if root_of(looked_through, "item") in parts:  # the loop ended without a `break`
                    return True
        inner = around
    return False


def _was_left_out(node: ast.AST, owner: ast.expr, scope: Scope) -> bool:
    written, line = ast.unparse(owner), getattr(node, "lineno", 0)
    body = scope.body
    for each in body.nodes if body is not None else ():
        match each:
            case ast.Assign(targets=[target], value=value) if each.lineno <= line:
                if ast.unparse(target) == written and leaves_out(value):
                    return True
    return False


def _says_missing(test: ast.expr, parts: frozenset[str], scope: Scope, holds: bool) -> bool:
    """Tell whether a condition says that something is not there, when it holds or when it does not."""
    match test:
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return _says_missing(operand, parts, scope, not holds)
        case ast.Compare(ops=[ast.NotIn() | ast.In() as op], comparators=[container]):
            return isinstance(op, ast.NotIn) is holds and root_of(container, "item") in parts
        case ast.Compare(left=left, ops=[ast.Is() | ast.IsNot() as op], comparators=[ast.Constant(value=None)]):
            return _says_missing(left, parts, scope, isinstance(op, ast.Is) is not holds)
        case ast.Name(id=name):
            return not holds and (name in parts or _is_flag(name, parts, scope))
        case ast.Call(func=ast.Name(id="any"), args=[ast.GeneratorExp(generators=[each])]):
            return not holds and root_of(each.iter, "item") in parts
        case _:
            return False


def _is_flag(name: str, parts: frozenset[str], scope: Scope) -> bool:
    """Tell whether a name is set in a loop through the whole: `found = True`."""
    body = scope.body
    for binding in scope.bindings(name):
        for around in body.around(binding.node) if body is not None else ():
            if isinstance(around, ast.For) and root_of(around.iter, "item") in parts:
                return True
    return False
