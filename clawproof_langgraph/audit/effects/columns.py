"""Columns that an ORM sets: whether their new values depend on the old ones."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from typing import Final

from clawproof_langgraph.audit.effects.keys import is_key
from clawproof_langgraph.audit.effects.readings import readings
from clawproof_langgraph.audit.effects.receivers import kind_of
from clawproof_langgraph.audit.effects.scopes import Valued
from clawproof_langgraph.audit.effects.sites import Site
from clawproof_langgraph.audit.effects.touches import Touch
from clawproof_langgraph.audit.findings import Confidence

_COUNTERS: Final = re.compile(
    r"(^|_)(version|revision|rev|lock_version|etag|row_version|generation|attempts?)(_id)?$", re.I
)
_FIX: Final = (
    "Set the new value itself, store the idempotency key with it, or put the write into effects.sql.once(...)."
)
_KEEPING: Final = frozenset({"coalesce", "greatest", "least", "Coalesce", "Greatest", "Least", "max", "min", "ifnull"})


@dataclass(frozen=True, slots=True)
class Column:
    """A column that is set.

    Args:
        name: its name.
        value: what it gets.
        adds: whether it is changed in place, as by `+=`.
        owner: the object whose attribute it is, as it is written; empty in a statement.
    """

    name: str
    value: Valued
    adds: bool = False
    owner: str = ""


def judge_columns(
    site: Site, what: str, subject: str, sets: list[Column], compares: list[tuple[str, str, Valued]]
) -> Touch:
    """Tell whether setting columns twice is as good as once."""
    if any(is_key(column.value.node, column.value.scope) for column in sets):
        return site.touch("orm", what, repeatable=True, resource=subject, why="It stores the idempotency key.")
    bad = next((column for column in sets if _is_relative(column, subject)), None)
    if bad is None:
        return site.touch(
            "orm", what, repeatable=True, resource=subject, why="It sets values that do not depend on the old ones."
        )
    if has_passed(sets, compares):
        return site.touch(
            "orm", what, repeatable=True, resource=subject, why="Its condition no longer holds once it was made."
        )
    if _compares_old(bad, sets, compares):
        why = "It is a compare-and-set with a value from the call."
        return site.touch("orm", what, repeatable=True, resource=subject, why=why, confidence=Confidence.LIKELY)
    return site.touch(
        "orm",
        what,
        repeatable=False,
        resource=subject,
        short=f"changes {bad.name} relative to its old value",
        why=f"Each repetition changes {bad.name} again.",
        fix=_FIX,
    )


def _is_relative(column: Column, subject: str) -> bool:
    if _COUNTERS.search(column.name):
        return False
    return (
        column.adds
        or mentions(column.value.node, column.name, column.owner)
        or grows(column.value, subject, column.name)
    )


def mentions(node: ast.expr, name: str, owner: str = "") -> bool:
    """Tell whether an expression computes with a column of its own: `Product.stock + n`, `F("stock") - n`."""
    for each in ast.walk(node):
        match each:
            case ast.BinOp(left=left, right=right):
                if any(_is_column(side, name, owner) for side in (left, right)):
                    return True
            case ast.UnaryOp(op=ast.Not() | ast.Invert() | ast.USub(), operand=operand):
                if _is_column(operand, name, owner):
                    return True
            case ast.Call(func=ast.Attribute(attr="concat") | ast.Name(id="Concat" | "CombinedExpression"), args=args):
                if any(_is_column(side, name, owner) for side in args):
                    return True
    return False


def _is_column(node: ast.expr, name: str, owner: str) -> bool:
    for each in ast.walk(node):
        match each:
            case ast.Attribute(value=ast.Attribute(attr="excluded" | "inserted")):
                return False
            case ast.Attribute(value=value, attr=attr) if attr == name and (not owner or ast.unparse(value) == owner):
                return True
            case ast.Call(func=ast.Name(id="F") | ast.Attribute(attr="F"), args=[ast.Constant(value=value)]) if (
                value == name
            ):
                return True
            case ast.Call(func=ast.Name(id=called) | ast.Attribute(attr=called)) if called in _KEEPING:
                return False
    return False


def grows(value: Valued, subject: str, name: str) -> bool:
    """Tell whether a value was computed from the same column of a row that was read."""
    for reading in readings(value):
        if not reading.computed or not (name in reading.keys or _selects(reading.call.node, name)):
            continue
        if kind_of(reading.call.node, reading.call.scope).startswith("row:"):
            words = {each.id for each in ast.walk(reading.call.node) if isinstance(each, ast.Name)}
            if not subject or subject in words or not any(word[:1].isupper() for word in words):
                return True
    return False


def _selects(node: ast.expr, name: str) -> bool:
    """Tell whether a call reads one column: `select(T.stock)`, `query(T.stock)`, `values_list("stock", flat=True)`."""
    for each in ast.walk(node):
        match each:
            case ast.Call(
                func=ast.Name(id="select") | ast.Attribute(attr="select" | "query"), args=[ast.Attribute(attr=column)]
            ):
                return column == name
            case ast.Call(func=ast.Attribute(attr="values_list"), args=[ast.Constant(value=column)]):
                return column == name
    return False


def has_passed(sets: list[Column], compares: list[tuple[str, str, Valued]]) -> bool:
    """Tell whether what is set makes the condition false: `filter(paid=False).update(paid=True)`."""
    for column in sets:
        for name, op, old in compares:
            if name != column.name or op not in ("Eq", "Is"):
                continue
            match old.node, column.value.node:
                case ast.Constant(value=before), ast.Constant(value=after) if before != after:
                    return True
                case ast.Constant(value=None), _:
                    return True
                case ast.Attribute() as before, ast.Attribute() as after if ast.unparse(before) != ast.unparse(after):
                    return True
    return False


def _compares_old(bad: Column, sets: list[Column], compares: list[tuple[str, str, Valued]]) -> bool:
    watched = {bad.name, *(column.name for column in sets if _COUNTERS.search(column.name))}
    for name, op, value in compares:
        if name not in watched or op != "Eq" or isinstance(value.node, ast.Constant):
            continue
        if not any(kind_of(each.call.node, each.call.scope).startswith("row:") for each in readings(value)):
            return True
    return False
