"""Statements of SQLAlchemy that are built by chained calls: `insert(Order).values(...).on_conflict_do_nothing()`."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from clawproof_langgraph.audit.effects.mappings import entries
from clawproof_langgraph.audit.effects.scopes import Scope, Valued
from clawproof_langgraph.audit.effects.sites import callee

_ROOTS: Final = frozenset({"insert", "update", "delete", "select", "query"})
_LONGEST: Final = 60


@dataclass(frozen=True, slots=True)
class Link:
    """One call of a chain, where its names can be looked up."""

    name: str
    call: ast.Call
    scope: Scope


@dataclass(frozen=True, slots=True)
class Chain:
    """A chain of calls.

    Args:
        root: what it begins with: `insert`, `update`, `delete`, `select`, or empty.
        subject: the table or class that it is about.
        links: the calls, the last first.
    """

    root: str
    subject: str
    links: tuple[Link, ...]

    def calls(self, name: str) -> list[ast.Call]:
        """Give the calls of a name."""
        return [link.call for link in self.links if link.name == name]

    def has(self, name: str) -> bool:
        """Tell whether a name is called."""
        return any(link.name == name for link in self.links)

    def values(self) -> Iterator[tuple[str, Valued]]:
        """Give the columns of `.values(...)` with what they get."""
        for link in self.links:
            if link.name == "values":
                yield from _columns(link)

    def conflict_sets(self) -> Iterator[tuple[str, Valued]]:
        """Give the columns that are set when the row is there."""
        for link in self.links:
            if link.name == "on_conflict_do_update":
                for keyword in link.call.keywords:
                    if keyword.arg == "set_":
                        yield from column_entries(keyword.value, link.scope)
            elif link.name == "on_duplicate_key_update":
                yield from _columns(link)

    def compares(self) -> list[tuple[str, str, Valued]]:
        """Give what the conditions compare: the column, the operator and the value."""
        found: list[tuple[str, str, Valued]] = []
        for link in self.links:
            if link.name not in ("where", "filter", "filter_by"):
                continue
            for argument in link.call.args:
                for node in ast.walk(argument):
                    match node:
                        case ast.Compare(left=ast.Attribute(attr=column), ops=[op], comparators=[value]):
                            found.append((column, type(op).__name__, Valued(value, link.scope)))
                        case ast.Call(func=ast.Attribute(value=ast.Attribute(attr=column), attr="is_"), args=[value]):
                            found.append((column, "Eq", Valued(value, link.scope)))
            found += [(each.arg, "Eq", Valued(each.value, link.scope)) for each in link.call.keywords if each.arg]
        return found


def _columns(link: Link) -> Iterator[tuple[str, Valued]]:
    for argument in link.call.args:
        yield from column_entries(argument, link.scope)
    for keyword in link.call.keywords:
        if keyword.arg is not None:
            yield keyword.arg, Valued(keyword.value, link.scope)
        else:
            yield from column_entries(keyword.value, link.scope)


def column_entries(node: ast.expr, scope: Scope) -> Iterator[tuple[str, Valued]]:
    """Give the columns of a mapping with what they get: by name, or by attribute as in `{Product.stock: ...}`."""
    if isinstance(node, ast.Dict):
        for key, value in zip(node.keys, node.values, strict=True):
            if isinstance(key, ast.Attribute):
                yield key.attr, Valued(value, scope)
            elif isinstance(key, ast.Constant):
                yield str(key.value), Valued(value, scope)
        return
    yield from ((name, value) for name, value in entries(node, scope) if value is not None)


def chain_of(node: ast.expr, scope: Scope) -> Chain:
    """Follow a chain to its beginning, through the names that hold parts of it."""
    links: list[Link] = []
    here = Valued(node, scope)
    for _ in range(_LONGEST):
        here = here.scope.follow(here.node)
        match here.node:
            case ast.Call(func=ast.Attribute(value=value, attr=name) as func) as call:
                links.append(Link(name, call, here.scope))
                if name in _ROOTS and (
                    here.scope.dotted(func).startswith("sqlalchemy") or name == "query" or not _is_part(value)
                ):
                    return Chain(name, _subject(call, value), tuple(links))
                here = Valued(value, here.scope)
            case ast.Call(func=ast.Name() as func) as call:
                name = _name_of(func, here.scope)
                links.append(Link(name, call, here.scope))
                return Chain(name if name in _ROOTS else "", _subject(call, None), tuple(links))
            case ast.Await(value=value):
                here = Valued(value, here.scope)
            case _:
                break
    return Chain("", "", tuple(links))


def _is_part(node: ast.expr) -> bool:
    """Tell whether something before a dot is itself a part of a chain, and no table."""
    return isinstance(node, ast.Call)


def _name_of(func: ast.Name, scope: Scope) -> str:
    if callee(func, scope) is not None:
        return func.id
    dotted = scope.dotted(func)
    return dotted.rpartition(".")[2] if dotted.startswith(("sqlalchemy", "sqlmodel")) else func.id


def _subject(call: ast.Call, value: ast.expr | None) -> str:
    node = call.args[0] if call.args else value
    while isinstance(node, ast.Attribute) and node.attr in ("__table__", "c", "columns"):
        node = node.value
    match node:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=ast.Name(id=owner), attr=name):
            return owner if owner[:1].isupper() else name
        case _:
            return ""
