"""Policies as they stand in the source: `ToolPolicy(...)`, `Lock(...)`, `Retry(...)`."""

from __future__ import annotations

import ast
from typing import Any, Final

from clawproof_langgraph.audit.findings import Place
from clawproof_langgraph.audit.project.model import Policy
from clawproof_langgraph.audit.project.names import Expr, Names, called
from clawproof_langgraph.audit.project.values import UNREAD, items, literal, text
from clawproof_langgraph.errors import ConfigurationError
from clawproof_langgraph.policy import Lock, Retry, ToolPolicy

_CODE: Final = ("probe", "retry_on", "not_applied_on")
"""Fields that are functions or classes, which are not read."""


def policy_of(tool: str, expr: Expr, names: Names) -> Policy | ConfigurationError | None:
    """Read the policy of a tool.

    Returns:
        The policy; None for what is none, or cannot be followed; or what is wrong with it.
    """
    expr = names.follow(expr)
    match expr.node:
        case ast.Call(func=ast.Attribute(value=base, attr="model_copy" | "copy")):
            return _changed(tool, expr, base, names)
        case ast.Call() if called(expr.node) == "ToolPolicy":
            return _made(tool, expr, names, {})
        case ast.Call():
            for value in names.returned(expr):
                return policy_of(tool, value, names)
    return None


def _changed(tool: str, expr: Expr, base: ast.expr, names: Names) -> Policy | ConfigurationError | None:
    """Read `policy.model_copy(update={...})`."""
    original = names.follow(expr.at(base))
    assert isinstance(expr.node, ast.Call)
    if not isinstance(original.node, ast.Call) or called(original.node) != "ToolPolicy":
        return None
    update = next((keyword.value for keyword in expr.node.keywords if keyword.arg == "update"), None)
    changes = {}
    if update is not None:
        changes = {text(key, names) or "": value for key, value in items(expr.at(update), names)}
    return _made(tool, original, names, changes)


def _made(tool: str, expr: Expr, names: Names, changes: dict[str, Expr]) -> Policy | ConfigurationError:
    assert isinstance(expr.node, ast.Call)
    said: dict[str, Expr] = {}
    for keyword in expr.node.keywords:
        if keyword.arg is None:
            said |= {text(key, names) or "": value for key, value in items(expr.at(keyword.value), names)}
        else:
            said[keyword.arg] = expr.at(keyword.value)
    said |= changes
    fields: dict[str, Any] = {}
    unread: set[str] = set()
    for name, value in said.items():
        read = _field(name, value, names)
        if read is UNREAD:
            unread.add(name)
        else:
            fields[name] = read
    places: dict[str, Place] = {name: value.place for name, value in said.items()}
    code = ast.unparse(names.follow(said["key"]).node) if "key" in unread else ""
    return _checked(tool, fields, unread, {**places, "": expr.place}, code)


def _checked(
    tool: str, fields: dict[str, Any], unread: set[str], places: dict[str, Place], code: str
) -> Policy | ConfigurationError:
    if "probe" in unread:
        fields["probe"] = _some_probe
    if "locks" in unread and fields.get("requires_read"):
        fields = {name: value for name, value in fields.items() if name != "requires_read"}
    try:
        policy = ToolPolicy(**fields)
    except ConfigurationError as exc:
        return exc
    return Policy(tool, policy, frozenset(unread), places, key_code=code)


def _some_probe(call: Any) -> Any:
    """Stand for a probe that is there, and is not run."""
    return None


def _field(name: str, expr: Expr, names: Names) -> Any:
    if name in _CODE:
        return UNREAD
    if name == "locks":
        return _locks(expr, names)
    followed = names.follow(expr)
    if name == "effect" and isinstance(expr.node, ast.Attribute):
        return expr.node.attr.lower()
    if name == "retry" and isinstance(followed.node, ast.Call) and called(followed.node) == "Retry":
        return _retry(followed, names)
    return literal(followed, names)


def _locks(expr: Expr, names: Names) -> Any:
    expr = names.follow(expr)
    match expr.node:
        case ast.List(elts=elts) | ast.Tuple(elts=elts):
            found = [_lock(expr.at(elt), names) for elt in elts]
            return UNREAD if UNREAD in found else found
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            first, second = _locks(expr.at(left), names), _locks(expr.at(right), names)
            return UNREAD if UNREAD in (first, second) else [*first, *second]
    return literal(expr, names)


def _lock(expr: Expr, names: Names) -> Any:
    followed = names.follow(expr)
    if isinstance(followed.node, ast.Call) and called(followed.node) == "Lock":
        given = dict(zip(("resource", "mode"), followed.node.args, strict=False))
        given |= {keyword.arg: keyword.value for keyword in followed.node.keywords if keyword.arg}
        values = {name: _word(followed.at(value), names) for name, value in given.items()}
        try:
            return UNREAD if UNREAD in values.values() else Lock(**values)
        except (ConfigurationError, TypeError):
            return UNREAD
    return literal(followed, names)


def _word(expr: Expr, names: Names) -> Any:
    """Read a text, or a member of an enumeration by its name."""
    value = literal(expr, names)
    return expr.node.attr.lower() if value is UNREAD and isinstance(expr.node, ast.Attribute) else value


def _retry(expr: Expr, names: Names) -> Any:
    assert isinstance(expr.node, ast.Call)
    values = {keyword.arg: literal(expr.at(keyword.value), names) for keyword in expr.node.keywords if keyword.arg}
    try:
        return Retry(**{name: value for name, value in values.items() if value is not UNREAD and name not in _CODE})
    except ConfigurationError:
        return UNREAD
