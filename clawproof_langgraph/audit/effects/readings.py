"""Values that were read, and values that were computed from them: a write of the latter is another one each time."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from clawproof_langgraph.audit.effects.holding import leaves_out
from clawproof_langgraph.audit.effects.origins import results_of
from clawproof_langgraph.audit.effects.scopes import Scope, Valued, called
from clawproof_langgraph.audit.effects.sites import callee
from clawproof_langgraph.audit.effects.text import text_of

_DEEPEST: Final = 25
_ARITHMETIC: Final = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod)
_FETCHES: Final = frozenset(
    {"fetchone", "fetchall", "fetchmany", "fetchval", "fetch_one", "first", "one", "scalar", "scalar_one"}
)


_TAKE_ONE: Final = frozenset({"fetchone", "fetchval", "fetch_one", "fetchrow", "first", "scalar"})
_MARKS: Final = re.compile(r"\?|%s|%\(|[^:]:[a-z_]|\$\d|hole_")


@dataclass(frozen=True, slots=True)
class Reading:
    """A call behind a value.

    Args:
        call: the call, which may be one that reads.
        computed: whether there is arithmetic between it and the value.
        keys: the names by which parts of its result were taken.
    """

    call: Valued
    computed: bool
    keys: frozenset[str]


def readings(value: Valued, *, texts: bool = False) -> Iterator[Reading]:
    """Give the calls behind a value, with what was done with their results.

    Args:
        value: the value.
        texts: whether an f-string around a result counts as computing. It does where what was read is what is
            written, such as a file; elsewhere it mostly names one thing in another: `f"Hello {user.name}"`.
    """
    yield from _Search(texts).behind(value.node, value.scope, False, frozenset(), 0)


Step = tuple[ast.expr, Scope, bool, frozenset[str]]
"""From a value to one behind it: it, its scope, whether arithmetic is between them, and the name it was taken by."""


class _Search:
    """A walk from a value to the calls behind it, each expression once."""

    def __init__(self, texts: bool) -> None:
        self._texts = texts
        self._seen: set[tuple[ast.AST, Scope, bool]] = set()

    def behind(
        self, node: ast.expr, scope: Scope, computed: bool, keys: frozenset[str], depth: int
    ) -> Iterator[Reading]:
        mark = (node, scope, computed)
        if depth > _DEEPEST or mark in self._seen or len(self._seen) > 500:
            return
        self._seen.add(mark)
        for part, here, arithmetic, more in self._steps(node, scope):
            yield from self.behind(part, here, computed or arithmetic, keys | more, depth + 1)
        if isinstance(node, ast.Call):
            yield Reading(Valued(node, scope), computed, keys)

    def _steps(self, node: ast.expr, scope: Scope) -> Iterator[Step]:
        """Give what is directly behind an expression."""
        none: frozenset[str] = frozenset()
        match node:
            case ast.Name():
                yield from self._of_name(node, scope)
            case ast.BinOp(left=left, op=op, right=right):
                yield left, scope, isinstance(op, _ARITHMETIC), none
                yield right, scope, isinstance(op, _ARITHMETIC), none
            case _ if self._texts and leaves_out(node):  # what was there is given anew
                return
            case ast.Call(func=ast.Attribute(attr="partition" | "rpartition")) if self._texts:
                return  # a part of a text, of which the rest is given anew
            case ast.JoinedStr(values=values):
                for each in values:
                    yield each, scope, self._texts and len(values) > 1, none
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                yield operand, scope, True, none
            case ast.Subscript(value=value, slice=ast.Constant(value=str() as key)):
                yield value, scope, False, frozenset({key})
            case ast.Attribute(value=value, attr=attr):
                yield value, scope, False, frozenset({attr})
            case ast.Call(func=func, args=args, keywords=keywords):
                if isinstance(func, ast.Attribute):
                    taken = (
                        frozenset({str(args[0].value)})
                        if func.attr == "get" and args and isinstance(args[0], ast.Constant)
                        else none
                    )
                    yield func.value, scope, False, taken
                put_in = self._texts and _puts_into_text(node)
                for each in [*args, *(keyword.value for keyword in keywords)]:
                    yield each, scope, put_in, none
                function = callee(func, scope)
                if function is not None:
                    inside = called(function, args, keywords, scope)
                    for value in results_of(inside):
                        yield value, inside, False, none
            case ast.List(elts=elements) | ast.Tuple(elts=elements):
                for each in elements:
                    spread = isinstance(each, ast.Starred) and len(elements) > 1
                    yield each, scope, self._texts and spread, none
            case _:
                children = list(ast.iter_child_nodes(node))
                for child in children:  # the whole before what is taken of it: each is walked once
                    if isinstance(child, ast.comprehension):
                        yield child.iter, scope, False, none
                for child in children:
                    if isinstance(child, ast.expr):
                        yield child, scope, False, none

    def _of_name(self, node: ast.Name, scope: Scope) -> Iterator[Step]:
        none: frozenset[str] = frozenset()
        added = any(each.how == "add" and each.line <= node.lineno for each in scope.bindings(node.id))
        step = scope.look_up(node)
        if step is not None and step.node is not node:
            yield step.node, step.scope, added, none


def _puts_into_text(node: ast.Call) -> bool:
    """Tell whether a call puts what it is given among other text: `"{}, {}".format(old, new)`, `join([old, new])`."""
    match node:
        case ast.Call(func=ast.Attribute(value=ast.Constant(value=str() as text), attr="format")):
            return text != "{}"
        case ast.Call(func=ast.Attribute(attr="join"), args=[ast.List(elts=several) | ast.Tuple(elts=several)]):
            return len(several) > 1
        case _:
            return False


def is_computed_from(value: Valued, table: str, column: str) -> bool:
    """Tell whether a value was computed from a column that was read from the same table."""
    for reading in readings(value, texts=True):
        if not reading.computed:
            continue
        query = query_of(reading.call)
        if query is not None and query_names(query, table) and _gives(query, column, reading.keys):
            return True
    return False


def is_read_from(value: Valued, table: str) -> bool:
    """Tell whether a value was read from a table."""
    return any(
        (query := query_of(reading.call)) is not None and query_names(query, table) for reading in readings(value)
    )


def is_picked_from(value: Valued, table: str, leaving: frozenset[str] | None = None) -> bool:
    """Tell whether a value is that of the first or the last row of a table, so that the next time it is another one.

    Args:
        value: what names the row, such as its id.
        table: the table.
        leaving: the columns whose change takes the row out of those that are chosen from; None where it is removed.
    """
    behind = list(readings(value))
    takes_one = any(_name_of(reading.call) in _TAKE_ONE for reading in behind)
    for query in filter(None, (query_of(reading.call) for reading in behind)):
        condition = query.lower().partition(" where ")[2]
        leaves = leaving is None or any(re.search(rf"\b{re.escape(each.lower())}\b", condition) for each in leaving)
        if leaves and query_names(query, table) and picks_one(query, takes_one):
            return True
    return False


def picks_one(query: str, takes_one: bool) -> bool:
    """Tell whether a query gives one row by its place among others, and not by its key."""
    words = " ".join(query.lower().split())
    limited = " limit " in words or " fetch first" in words
    if "order by" in words:
        return limited or takes_one
    by_place = bool(re.match(r"select (max|min)\(", words)) and "group by" not in words
    return by_place or ((limited or takes_one) and not _MARKS.search(words))


def _name_of(call: Valued) -> str:
    return call.node.func.attr if isinstance(call.node, ast.Call) and isinstance(call.node.func, ast.Attribute) else ""


def query_of(call: Valued) -> str | None:
    """Find the SELECT whose result a call gives: its own, or that of the last `execute` on its cursor."""
    node = call.node
    assert isinstance(node, ast.Call)
    for argument in node.args[:1]:
        text = text_of(argument, call.scope).filled("hole_")
        if text.lstrip(" \n\t(").lower().startswith(("select", "with")):
            return text
    match node:
        case ast.Call(func=ast.Attribute(value=ast.Name(id=cursor), attr=attr)) if attr in _FETCHES:
            query = last_query(call.scope, cursor, node.lineno)
            return query if query is not None and query.lstrip().lower().startswith(("select", "with")) else None
    return None


def last_query(scope: Scope, cursor: str, line: int) -> str | None:
    """Find the last SQL that was given to a cursor before a line."""
    body, found = scope.body, None
    for node in body.nodes if body is not None else ():
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr="execute"), args=[first, *_]) if (
                name == cursor
            ):
                if node.lineno <= line:
                    found = text_of(first, scope).filled("hole_")
    return found


def query_names(query: str, table: str) -> bool:
    """Tell whether a query names a table."""
    words = query.lower().replace(",", " ").replace('"', " ").replace("`", " ").split()
    return not table or table.lower().strip('"') in words


def _gives(query: str, column: str, keys: frozenset[str]) -> bool:
    selected = query.lower().partition(" from ")[0]
    if "*" not in selected and column.lower() not in selected:
        return False
    named = {key.lower() for key in keys} - _FETCHES
    return column.lower() in named or "*" not in selected or not (named - {"execute", "cursor"})
