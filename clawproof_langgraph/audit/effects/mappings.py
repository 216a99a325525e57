"""The entries of a mapping, such as headers or the body of a request, as far as the source tells."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Final

from clawproof_langgraph.audit.effects.origins import results_of
from clawproof_langgraph.audit.effects.scopes import Scope, Valued, called
from clawproof_langgraph.audit.effects.sites import callee
from clawproof_langgraph.audit.effects.text import text_of

_DEEPEST: Final = 12


def entries(node: ast.expr, scope: Scope, depth: int = 0) -> Iterator[tuple[str, Valued | None]]:
    """Give the names of a mapping's entries with their values; a part that is not known is given as ("", None)."""
    if depth > _DEEPEST:
        yield "", None
        return
    match node:
        case ast.Dict(keys=keys, values=values):
            for key, value in zip(keys, values, strict=True):
                if key is None:
                    yield from entries(value, scope, depth + 1)
                else:
                    yield text_of(key, scope).filled(), Valued(value, scope)
        case ast.Call(func=ast.Name(id="dict"), args=args, keywords=keywords):
            for each in args:
                yield from entries(each, scope, depth + 1)
            for keyword in keywords:
                if keyword.arg is None:
                    yield from entries(keyword.value, scope, depth + 1)
                else:
                    yield keyword.arg, Valued(keyword.value, scope)
        case ast.Call(func=ast.Attribute(value=value, attr="copy")):
            yield from entries(value, scope, depth + 1)
        case ast.Call(func=ast.Attribute(attr="dumps"), args=[value, *_]):
            yield from entries(value, scope, depth + 1)
        case ast.Call(func=ast.Attribute(value=value, attr="encode")):
            yield from entries(value, scope, depth + 1)
        case ast.Call():
            yield from _returned(node, scope, depth)
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            yield from entries(left, scope, depth + 1)
            yield from entries(right, scope, depth + 1)
        case ast.IfExp(body=body) | ast.Await(value=body):
            yield from entries(body, scope, depth + 1)
        case ast.Name() | ast.Attribute():
            yield from _named(node, scope, depth)
        case ast.Constant() | ast.JoinedStr():
            return
        case _:
            yield "", None


def _returned(node: ast.Call, scope: Scope, depth: int) -> Iterator[tuple[str, Valued | None]]:
    function = callee(node.func, scope)
    if function is None:
        yield "", None
        return
    inside = called(function, node.args, node.keywords, scope)
    for value in results_of(inside):
        yield from entries(value, inside, depth + 1)


def _named(node: ast.Name | ast.Attribute, scope: Scope, depth: int) -> Iterator[tuple[str, Valued | None]]:
    found = scope.look_up(node)
    if found is None or found.node is node or found.how != "is":
        yield "", None
    else:
        yield from entries(found.node, found.scope, depth + 1)
    if isinstance(node, ast.Name):
        yield from _put_later(node, scope, depth)


def _put_later(node: ast.Name, scope: Scope, depth: int) -> Iterator[tuple[str, Valued | None]]:
    """Give the entries of `headers["X"] = ...` and `headers.update(...)`."""
    body = scope.body
    for each in body.active if body is not None else ():
        if body is not None and any(_never(around, scope) for around in body.around(each)):
            continue
        match each:
            case ast.Assign(targets=[ast.Subscript(value=ast.Name(id=name), slice=key)], value=value) if (
                name == node.id
            ):
                yield text_of(key, scope).filled(), Valued(value, scope)
            case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr="update"), args=[given]) if name == node.id:
                yield from entries(given, scope, depth + 1)
            case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr="setdefault"), args=[key, value]) if (
                name == node.id
            ):
                yield text_of(key, scope).filled(), Valued(value, scope)


def _never(around: ast.AST, scope: Scope) -> bool:
    """Tell whether a block is not reached as the function is called here: `if key:`, and no key was passed."""
    match around:
        case ast.If(test=ast.Name() as name) | ast.If(test=ast.Compare(left=ast.Name() as name, ops=[ast.IsNot()])):
            return is_nothing(Valued(name, scope))
        case _:
            return False


def is_nothing(value: Valued) -> bool:
    """Tell whether a value is None, or empty, as far as can be seen."""
    found = value.scope.follow(value.node)
    return isinstance(found.node, ast.Constant) and not found.node.value
