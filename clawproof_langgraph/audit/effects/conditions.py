"""Conditions that decide whether a place in a function is reached."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Final, NamedTuple

from clawproof_langgraph.audit.effects.sites import Site

_LEAVES: Final = (ast.Return, ast.Raise, ast.Continue)


class Condition(NamedTuple):
    """A condition in front of a place.

    Args:
        test: the expression.
        holds: whether it is true where the place is not reached.
    """

    test: ast.expr
    holds: bool


def conditions(site: Site) -> Iterator[Condition]:
    """Give the conditions in front of a site in its function, the nearest first."""
    inner: ast.AST = site.node
    for around in site.around():
        if isinstance(around, ast.If):
            if any(inner is each for each in around.body):
                yield Condition(around.test, False)
            elif any(inner is each for each in around.orelse):
                yield Condition(around.test, True)
        for block in ("body", "orelse", "finalbody"):
            for statement in statements_before(inner, getattr(around, block, None)):
                if isinstance(statement, ast.If) and isinstance(statement.body[-1], _LEAVES):
                    yield Condition(statement.test, True)
        inner = around


def statements_before(inner: ast.AST, block: object) -> list[ast.stmt]:
    """Give the statements of a block that precede one in it; none where it is not in it."""
    if isinstance(block, list):
        for number, statement in enumerate(block):
            if statement is inner:
                return block[:number]
    return []


def atoms(condition: Condition) -> Iterator[Condition]:
    """Give the parts of a condition each of which by itself keeps away: both of `row is None or row.done`."""
    match condition.test:
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            yield from atoms(Condition(operand, not condition.holds))
        case ast.BoolOp(op=op, values=values) if isinstance(op, ast.Or) is condition.holds:
            for value in values:
                yield from atoms(Condition(value, condition.holds))
        case ast.BoolOp():
            return
        case _:
            yield condition


def says_there(test: ast.expr) -> tuple[ast.expr, bool] | None:
    """Tell what a condition asks for, and whether it holds when that is there."""
    match test:
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            inside = says_there(operand)
            return (inside[0], not inside[1]) if inside is not None else None
        case ast.Compare(left=left, ops=[op], comparators=[ast.Constant(value=value)]):
            return _compared(left, op, value)
        case ast.Compare(ops=[ast.In() | ast.NotIn() as op], comparators=[container]):
            return container, isinstance(op, ast.In)
        case ast.NamedExpr(value=value):
            return value, True
        case ast.Name() | ast.Call() | ast.Await() | ast.Subscript() | ast.Attribute():
            return test, True
        case _:
            return None


def _compared(left: ast.expr, op: ast.cmpop, value: object) -> tuple[ast.expr, bool] | None:
    if isinstance(left, ast.NamedExpr):
        left = left.value
    match op, value:
        case ((ast.Is() | ast.Eq()), (None | 0 | "UPDATE 0")):  # asyncpg gives the tag of the command
            return left, False
        case ((ast.IsNot() | ast.NotEq()), (None | 0 | "UPDATE 0")):
            return left, True
        case (ast.Gt(), 0) | (ast.GtE() | ast.Eq(), 1):
            return left, True
        case (ast.Lt() | ast.NotEq(), 1):
            return left, False
        case _:
            return None
