"""What the placeholders of a statement are given."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from dataclasses import dataclass, field

from clawproof_langgraph.audit.effects.scopes import Scope, Valued
from clawproof_langgraph.audit.effects.sites import Site


@dataclass(frozen=True, slots=True)
class Parameters:
    """The values of placeholders, by position and by name.

    Args:
        positional: in order.
        named: by name.
        unknown: what was given where its parts cannot be told.
    """

    positional: tuple[Valued, ...] = ()
    named: dict[str, Valued] = field(default_factory=dict)
    unknown: tuple[Valued, ...] = ()

    def of(self, marks: Iterable[str]) -> list[Valued]:
        """Give what placeholders stand for; those that cannot be told are left out."""
        found: list[Valued] = []
        for mark in marks:
            if mark.startswith("n_"):
                value = self.named.get(mark[2:])
                if value is not None:
                    found.append(value)
            elif mark[1:].isdigit() and int(mark[1:]) < len(self.positional):
                found.append(self.positional[int(mark[1:])])
        return found or list(self.unknown)


def parameters_of(site: Site, position: int) -> Parameters:
    """Read what a call gives the placeholders of its SQL, which is at a position."""
    call, scope = site.call, site.scope
    given = call.args[position + 1 :]
    named = {each.arg: Valued(each.value, scope) for each in call.keywords if each.arg is not None}
    if given and isinstance(given[0], ast.Starred):
        given = [given[0].value]
    if len(given) > 1:  # asyncpg: execute(sql, a, b)
        return Parameters(tuple(Valued(each, scope) for each in given), named)
    rows = (
        given[0]
        if given
        else next(
            (named[name].node for name in ("params", "parameters", "args", "vars", "values") if name in named), None
        )
    )
    if rows is None:
        return Parameters((), {**named, **_bound_names(call, scope)})
    return _of_rows(rows, scope, named)


def _of_rows(node: ast.expr, scope: Scope, named: dict[str, Valued], depth: int = 0) -> Parameters:
    found = scope.follow(node)
    match found.node:
        case (
            ast.Tuple(elts=[ast.Tuple() | ast.Dict() | ast.List() as first, *_])
            | ast.List(elts=[ast.Tuple() | ast.Dict() | ast.List() as first, *_])
        ) if depth == 0:
            return _of_rows(first, found.scope, named, 1)
        case ast.Tuple(elts=values) | ast.List(elts=values):
            return Parameters(tuple(Valued(value, found.scope) for value in values), named)
        case ast.Dict(keys=keys, values=values):
            pairs = {
                str(key.value): Valued(value, found.scope)
                for key, value in zip(keys, values, strict=True)
                if isinstance(key, ast.Constant)
            }
            return Parameters((), {**named, **pairs})
        case ast.Call(func=ast.Name(id="dict"), keywords=keywords):
            return Parameters(
                (), {**named, **{each.arg: Valued(each.value, found.scope) for each in keywords if each.arg}}
            )
        case ast.ListComp(elt=row) | ast.GeneratorExp(elt=row) if depth == 0:
            return _of_rows(row, found.scope, named, 1)
        case _ if depth == 0 and not isinstance(found.node, ast.Name | ast.Attribute | ast.Call):
            return Parameters((Valued(found.node, found.scope),), named)
        case _:
            return Parameters((), named, (found,))


def _bound_names(call: ast.Call, scope: Scope) -> dict[str, Valued]:
    """Read `text(...).bindparams(name=value)`."""
    match call.args[:1]:
        case [ast.Call(func=ast.Attribute(attr="bindparams"), keywords=keywords)]:
            return {each.arg: Valued(each.value, scope) for each in keywords if each.arg}
    return {}
