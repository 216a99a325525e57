"""Values that stand in the source as they are: texts, numbers, lists and mappings of them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any, Final

from clawproof_langgraph.audit.project.names import Expr, Names, Scope


class _Unread:
    """Stands for a value that is made only when the program runs."""

    def __repr__(self) -> str:
        return "UNREAD"


UNREAD: Final = _Unread()

_DEEP: Final = 20


def literal(expr: Expr, names: Names, depth: int = _DEEP) -> Any:
    """Give the value of an expression, or UNREAD."""
    expr = names.follow(expr)
    if not depth:
        return UNREAD
    match expr.node:
        case ast.Constant(value=value):
            return value
        case ast.List(elts=elts) | ast.Tuple(elts=elts) | ast.Set(elts=elts):
            return _sequence(expr, elts, names, depth)
        case ast.Dict():
            pairs = [
                (literal(key, names, depth - 1), literal(value, names, depth - 1)) for key, value in items(expr, names)
            ]
            return UNREAD if any(key is UNREAD for key, _ in pairs) else dict(pairs)
        case ast.JoinedStr(values=values):
            return _joined(expr, values, names, depth)
        case ast.BinOp(left=left, op=op, right=right):
            return _computed(literal(expr.at(left), names, depth - 1), op, literal(expr.at(right), names, depth - 1))
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            value = literal(expr.at(operand), names, depth - 1)
            return -value if isinstance(value, int | float) else UNREAD
        case ast.Call(func=ast.Attribute(attr="dedent" | "strip" | "cleandoc"), args=[one]):
            return literal(expr.at(one), names, depth - 1)
        case ast.Call(func=ast.Attribute(value=ast.expr() as text, attr="strip" | "lstrip" | "rstrip"), args=[]):
            value = literal(expr.at(text), names, depth - 1)
            return value.strip() if isinstance(value, str) else UNREAD
        case _:
            return UNREAD


def text(expr: Expr | None, names: Names) -> str | None:
    """Give the text that an expression is; None where it is none, or made when the program runs."""
    value = literal(expr, names) if expr is not None else None
    return value if isinstance(value, str) else None


def items(expr: Expr, names: Names) -> Iterator[tuple[Expr, Expr]]:
    """Give keys and values of a mapping: displays, `dict(...)`, merges by `|` and `**`, simple comprehensions."""
    expr = names.follow(expr)
    match expr.node:
        case ast.Dict(keys=keys, values=values):
            for key, value in zip(keys, values, strict=True):
                if key is None:
                    yield from items(expr.at(value), names)
                else:
                    yield expr.at(key), expr.at(value)
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            yield from items(expr.at(left), names)
            yield from items(expr.at(right), names)
        case ast.Call(func=ast.Name(id="dict"), args=args, keywords=keywords):
            for arg in args:
                yield from items(expr.at(arg), names)
            for keyword in keywords:
                if keyword.arg is None:
                    yield from items(expr.at(keyword.value), names)
                else:
                    yield expr.at(ast.copy_location(ast.Constant(keyword.arg), keyword.value)), expr.at(keyword.value)
        case ast.DictComp(key=key, value=value, generators=[generator]):
            for scope in _turns(expr, generator, names):
                yield scope.expr(key), scope.expr(value)
        case ast.Call():
            for returned in names.returned(expr):
                yield from items(returned, names)


def is_mapping(expr: Expr, names: Names) -> bool:
    """Tell whether all keys and values of a mapping can be listed."""
    expr = names.follow(expr)
    match expr.node:
        case ast.Dict(keys=keys, values=values):
            return all(
                key is not None or is_mapping(expr.at(value), names) for key, value in zip(keys, values, strict=True)
            )
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return is_mapping(expr.at(left), names) and is_mapping(expr.at(right), names)
        case ast.Call(func=ast.Name(id="dict"), args=args):
            return all(is_mapping(expr.at(arg), names) for arg in args)
        case ast.DictComp(generators=[generator]):
            return literal(expr.at(generator.iter), names) is not UNREAD and not generator.ifs
        case ast.Call():
            return names.entered(expr) is not None
        case _:
            return False


def _turns(expr: Expr, generator: ast.comprehension, names: Names) -> Iterator[Scope]:
    """Give a scope for each turn of a comprehension over what can be read."""
    values = literal(expr.at(generator.iter), names)
    if not isinstance(generator.target, ast.Name) or not isinstance(values, list | tuple):
        return
    # The loop's name is a name of no function: a function around the comprehension, made up, has it as a parameter.
    name = generator.target.id
    turn = ast.FunctionDef(
        "turn", ast.arguments([], [ast.arg(name)], None, [], [], None, []), [], [], lineno=0, col_offset=0
    )
    for value in values:
        given = {**expr.scope.given, (turn, name): expr.at(_constant(value, expr))}
        yield Scope(expr.scope.module, (*expr.scope.around, turn), given)


def _constant(value: Any, expr: Expr) -> ast.expr:
    if isinstance(value, list | tuple):
        return ast.copy_location(ast.List([_constant(each, expr) for each in value], ast.Load()), expr.node)
    return ast.copy_location(ast.Constant(value), expr.node)


def _sequence(expr: Expr, elts: list[ast.expr], names: Names, depth: int) -> Any:
    found: list[Any] = []
    for elt in elts:
        value = literal(expr.at(elt), names, depth - 1)
        if isinstance(elt, ast.Starred):
            if not isinstance(value, list | tuple):
                return UNREAD
            found += value
        elif value is UNREAD:
            return UNREAD
        else:
            found.append(value)
    return found


def _joined(expr: Expr, values: list[ast.expr], names: Names, depth: int) -> Any:
    """Give an f-string; what is filled in when the program runs is written as `{...}`."""
    parts = []
    for value in values:
        if isinstance(value, ast.FormattedValue):
            part = literal(expr.at(value.value), names, depth - 1)
            parts.append("{...}" if part is UNREAD else str(part))
        else:
            parts.append(str(literal(expr.at(value), names, depth - 1)))
    return "".join(parts)


def _computed(left: Any, op: ast.operator, right: Any) -> Any:
    if left is UNREAD or right is UNREAD:
        # A text of which one part is known is worth reading.
        known = [value for value in (left, right) if isinstance(value, str)]
        return known[0] if known and isinstance(op, ast.Add) else UNREAD
    try:
        match op:
            case ast.Add():
                return left + right
            case ast.Mult() if isinstance(left, int | float) and isinstance(right, int | float):
                return left * right
            case ast.Div() if isinstance(left, int | float) and isinstance(right, int | float):
                return left / right
            case ast.BitOr() if isinstance(left, dict) and isinstance(right, dict):
                return left | right
            case ast.Mod() if isinstance(left, str):
                return left
    except (TypeError, ArithmeticError, ValueError):
        return UNREAD
    return UNREAD
