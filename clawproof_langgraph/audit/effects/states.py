"""States that a call leaves behind: a repetition finds the order paid already, and does nothing more."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from clawproof_langgraph.audit.effects import columns, django, verdicts
from clawproof_langgraph.audit.effects.chains import chain_of, column_entries
from clawproof_langgraph.audit.effects.columns import Column
from clawproof_langgraph.audit.effects.conditions import Condition, atoms, conditions, says_there
from clawproof_langgraph.audit.effects.readings import Reading, last_query, picks_one, query_names, query_of, readings
from clawproof_langgraph.audit.effects.scopes import Scope, Valued
from clawproof_langgraph.audit.effects.sites import Site, callees
from clawproof_langgraph.audit.effects.sql import statements_at
from clawproof_langgraph.audit.effects.statement import Statement, Term
from clawproof_langgraph.audit.effects.statements import statements

_FALSE: Final = frozenset({"0", "null", ""})
_SOMETHING: Final = "something"
"""What a call gives: not null, and neither of the constants that it is compared with, as far as can be told."""

_PLACED: Final = frozenset({"order_by", "limit", "last", "latest", "earliest"})
_ONE: Final = frozenset({"first", "one", "one_or_none", "scalar", "scalars", "scalar_one", "execute", "get", "afirst"})
_ROWS: Final = frozenset(
    {"fetchone", "fetchrow", "fetchval", "fetchall", "fetch", "first", "one_or_none", "scalar", "scalar_one_or_none",
     "scalars", "all"}
)  # fmt: skip

_NOW: Final = re.compile(r"\bcurrent_(timestamp|date|time)\b|\b(now|datetime|date)\(", re.IGNORECASE)

_COMPARED: Final = re.compile(r"\b(\w+)\s*=\s*('[^']*'|\d+|true\b|false\b)|\b(\w+)\s+is\s+(null)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class State:
    """What a column has to be, for the condition in front of a write to keep a call away from it.

    Args:
        owner: the expression for the row, as it is written in the condition.
        column: the column.
        values: some values of it.
        inside: whether it is these that keep a call away, or all others.
    """

    owner: ast.expr
    column: str
    values: frozenset[str]
    inside: bool

    def keeps_away(self, value: str | None) -> bool:
        """Tell whether a value of the column does; one that is not known does not."""
        if value == _SOMETHING:
            return not self.inside and self.values <= _FALSE
        return value is not None and (value in self.values) is self.inside


def is_passed(condition: Condition, site: Site) -> bool:
    """Tell whether a condition in front of a site no longer holds once the function that it stands in was run."""
    for atom in atoms(condition):
        if _changes_none(atom, site.scope):
            return True
        states = [*_of_row(atom), *_of_query(atom, site.scope)]
        if any(_is_left(state, site) and not _is_picked(state.owner, site.scope) for state in states):
            return True
    return False


def _of_row(atom: Condition) -> Iterator[State]:
    """Read `order.paid` and `row["status"] == "paid"`."""
    match atom.test:
        case ast.Compare(left=left, ops=[op], comparators=[right]):
            values = _constants(right)
            if values is None:
                return
            if isinstance(op, ast.Eq | ast.Is | ast.In):
                inside = atom.holds
            elif isinstance(op, ast.NotEq | ast.IsNot | ast.NotIn):
                inside = not atom.holds
            else:
                return
        case _:
            left, values, inside = atom.test, _FALSE, not atom.holds
    match left:
        case (
            ast.Attribute(value=owner, attr=column) | ast.Subscript(value=owner, slice=ast.Constant(value=str(column)))
        ):
            yield State(owner, column, values, inside)


def _of_query(atom: Condition, scope: Scope) -> Iterator[State]:
    """Read `row is None`, where the row was asked for with `status = 'open'`: only another state keeps a call away."""
    asked = says_there(atom.test)
    if asked is None or asked[1] is atom.holds or not isinstance(asked[0], ast.Name | ast.Call | ast.Await):
        return
    for reading in readings(Valued(asked[0], scope)):
        if not reading.computed and not reading.keys:
            for column, value in _compares(reading):
                yield State(asked[0], column, frozenset({value}), False)


def _is_picked(owner: ast.expr, scope: Scope) -> bool:
    """Tell whether a row is one by its place among others, or any that has the state: another one the next time."""
    for reading in readings(Valued(owner, scope)):
        query = query_of(reading.call)
        if query is not None and picks_one(query, takes_one=True):
            return True
        site = Site(reading.call.node, reading.call.scope)
        if site.name in _PLACED:
            return True
        compared = _orm_compares(reading.call) if site.name in _ONE and query is None else []
        if compared and all(_constants(value.node) is not None for _, _, value in compared):
            return True
    return False


def _orm_compares(call: Valued) -> list[tuple[str, str, Valued]]:
    assert isinstance(call.node, ast.Call)
    statement = call.node.args[0] if call.node.args and not django.compares_of(call) else call.node
    chain = chain_of(statement, call.scope)
    if chain.root in ("update", "delete", "insert"):
        return []  # it gives no rows that could be missing
    return [*chain.compares(), *django.compares_of(call)]


def _compares(reading: Reading) -> Iterator[tuple[str, str]]:
    query = query_of(reading.call)
    if query is not None:
        for match in _COMPARED.finditer(query.lower().partition(" where ")[2]):
            yield match[1] or match[3], _plain(match[2] or match[4])
        return
    for column, operator, value in _orm_compares(reading.call):
        values = _constants(value.node) if operator in ("Eq", "Is") else None
        if values is not None:
            yield from ((column, each) for each in values)


def _is_left(state: State, site: Site) -> bool:
    """Tell whether the function sets the column, wherever it gets to the site, so that a repetition is kept away."""
    needed = set(conditions(site))
    last: str | None = None
    for node in site.scope.body.active if site.scope.body is not None else ():
        setter = Site(node, site.scope)
        values = list(_sets(setter, state))
        if values and needed.issuperset(conditions(setter)):
            last = values[-1]
    return state.keeps_away(last)


def _sets(setter: Site, state: State) -> Iterator[str | None]:
    """Give what a node sets the column of the row to."""
    match setter.node:
        case ast.Assign(targets=[ast.Attribute(value=owner, attr=column)], value=value) if column == state.column:
            if ast.unparse(owner) == ast.unparse(state.owner):
                yield _value(value)
        case ast.Call():
            for name, new, table in _updates(setter):
                if name.lower() == state.column.lower() and _is_of(state, table, setter.scope):
                    yield new
            yield from _set_in_helper(setter, state)


def _set_in_helper(setter: Site, state: State) -> Iterator[str | None]:
    """Give what a method that is handed the row sets its column to, whatever the way through it: `mark_paid(order)`."""
    for inside, _ in callees(setter):
        for name, given in inside.passed.items():
            if given.scope is not setter.scope or ast.unparse(given.node) != ast.unparse(state.owner):
                continue
            handed = replace(state, owner=ast.Name(id=name))
            for node in inside.body.active if inside.body is not None else ():
                site = Site(node, inside)
                if isinstance(node, ast.Assign) and not any(conditions(site)):
                    yield from _sets(site, handed)


def _updates(setter: Site) -> Iterator[tuple[str, str | None, str]]:
    """Give the columns that an UPDATE sets, each with its value and the table."""
    for statement in statements_at(setter):
        if statement.verb == "update":
            for each in statement.sets:
                yield each.column, _of_term(each.term), statement.table
    subject, sets, _ = _orm_update(setter)
    for column in sets:
        yield column.name, _value(column.value.node), subject


def _orm_update(setter: Site) -> tuple[str, list[Column], list[tuple[str, str, Valued]]]:
    """Read an UPDATE of Django or SQLAlchemy: the table, what it sets and what it compares."""
    call = setter.call
    if setter.kind == "rows:django" and setter.name in ("update", "aupdate"):
        sets = [Column(each.arg, Valued(each.value, setter.scope)) for each in call.keywords if each.arg]
        return django.model_of(setter.receiver), sets, django.compares_of(Valued(call, setter.scope))
    if setter.kind == "rows:alchemy" and setter.name == "update" and call.args:
        chain = chain_of(call, setter.scope)
        sets = [Column(name, value) for name, value in column_entries(call.args[0], setter.scope)]
        return chain.subject, sets, chain.compares()
    if setter.name in ("execute", "exec", "scalar", "scalars") and call.args:
        chain = chain_of(call.args[0], setter.scope)
        if chain.root == "update":
            return chain.subject, [Column(name, value) for name, value in chain.values()], chain.compares()
    return "", [], []


def _is_of(state: State, table: str, scope: Scope) -> bool:
    """Tell whether the row of a state was read from a table."""
    if not table:
        return False
    for reading in readings(Valued(state.owner, scope)):
        query = query_of(reading.call)
        if query is not None and query_names(query, table):
            return True
        if any(isinstance(node, ast.Name) and node.id == table for node in ast.walk(reading.call.node)):
            return True
    return False


def _changes_none(atom: Condition, scope: Scope) -> bool:
    """Tell whether a condition keeps away the call whose own UPDATE changed no row, as a repetition's does."""
    asked = says_there(atom.test)
    if asked is None or asked[1] is atom.holds or isinstance(asked[0], ast.Subscript):
        return False
    what = asked[0]
    if isinstance(what, ast.Attribute):
        if what.attr != "rowcount":
            return False
        what = what.value
        if isinstance(what, ast.Name) and _passes(_last(what, scope)):
            return True
    behind = list(readings(Valued(what, scope)))
    if what is asked[0] and "UPDATE 0" not in ast.unparse(atom.test) and not any(map(_gives_rows, behind)):
        return False  # a cursor is there, whatever it changed
    for reading in behind:
        if reading.computed or reading.keys - {"rowcount"}:
            continue
        site = Site(reading.call.node, reading.call.scope)
        _, sets, compares = _orm_update(site)
        if _passes(statements_at(site)) or _passes(_fetched(site)) or (sets and columns.has_passed(sets, compares)):
            return True
    return False


def _gives_rows(reading: Reading) -> bool:
    """Tell whether a value is the rows that a statement changed, or their number."""
    site = Site(reading.call.node, reading.call.scope)
    counts = site.family == "rows" and site.name in ("update", "aupdate", "delete", "adelete")
    return "rowcount" in reading.keys or site.name in _ROWS or counts


def _fetched(site: Site) -> Iterable[Statement]:
    """Give the statement whose rows a cursor gives: `cur.execute("UPDATE ... RETURNING id")`, then `cur.fetchone()`."""
    fetches = site.name.startswith("fetch") and isinstance(site.receiver, ast.Name)
    return _last(site.receiver, site.scope) if fetches and isinstance(site.receiver, ast.Name) else ()


def _last(cursor: ast.Name, scope: Scope) -> Iterable[Statement]:
    text = last_query(scope, cursor.id, cursor.lineno)
    return statements(text, "") if text is not None else ()


def _passes(made: Iterable[Statement]) -> bool:
    return any(not each.picks and _comes_once(each) for each in made)


def _comes_once(statement: Statement) -> bool:
    """Tell whether a statement finds no row the second time, since it changed what it asks for, or removed it."""
    if statement.verb == "delete":
        return any(each.term.marks for each in statement.compares)
    return statement.verb == "update" and verdicts.has_passed(statement)


def _of_term(term: Term) -> str | None:
    if term.literal is not None:
        return _plain(term.literal)
    return _SOMETHING if _NOW.search(term.text) else None


def _constants(node: ast.expr) -> frozenset[str] | None:
    parts = node.elts if isinstance(node, ast.Tuple | ast.List | ast.Set) else [node]
    values = [_value(part) for part in parts]
    return frozenset(value for value in values if value) if None not in values and _SOMETHING not in values else None


def _value(node: ast.expr) -> str | None:
    """Give a value as a text that can be compared: a constant, the member of an enumeration, or that there is one."""
    match node:
        case ast.Constant(value=bool() | None | int() | str() as value):
            return _plain(str(value))
        case ast.Attribute(value=ast.Name(id=owner) | ast.Attribute(attr=owner)) if owner[:1].isupper():
            return ast.unparse(node)
        case ast.Call(func=ast.Attribute(attr="now" | "utcnow" | "today") | ast.Name(id="now" | "utcnow")):
            return _SOMETHING
        case _:
            return None


def _plain(literal: str) -> str:
    plain = literal.strip("'\"").lower()
    return {"true": "1", "false": "0", "none": "null"}.get(plain, plain)
