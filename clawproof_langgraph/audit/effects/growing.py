"""Contents that were read, changed relative to what was there, and are written back: a file, a document, a state."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Final

from clawproof_langgraph.audit.effects.holding import is_added_where_missing, parts_of, root_of
from clawproof_langgraph.audit.effects.readings import readings
from clawproof_langgraph.audit.effects.scopes import Scope, Valued
from clawproof_langgraph.audit.effects.text import text_of

_GROWING: Final = frozenset({"append", "extend", "insert", "appendleft", "pop", "popleft", "write"})
_READS: Final = frozenset({"read_text", "read_bytes", "read", "readlines"})
_MODES: Final = frozenset({"r", "rb", "rt", "r+", "rb+", "r+b", "a+", "w+"})
_HOPS: Final = 8
_MERGES: Final = (ast.BitOr, ast.BitAnd)
"""What may be done again: a union, and what two have in common."""


def grown_from(value: Valued, path: Valued) -> bool:
    """Tell whether a value is what was read from a path, with something added to it."""
    return is_grown(value, lambda call: _reads(call, path))


def is_grown(value: Valued, reads: Callable[[Valued], bool]) -> bool:
    """Tell whether a value is what was read before, with something added to it.

    Args:
        value: what is written.
        reads: whether a call reads what is there.
    """
    if any(reading.computed and reads(reading.call) for reading in readings(value, texts=True)):
        return True
    return is_changed_in_place(value, reads)


def is_changed_in_place(value: Valued, reads: Callable[[Valued], bool]) -> bool:
    """Tell whether a value is an object that was read, and then changed relative to what it was: `data["n"] += 1`."""
    here = value
    for _ in range(_HOPS):
        name = _name_in(here.node)
        if name is not None and _changed(name, here.scope) and _is_read(name, here.scope, reads):
            return True
        step = here.scope.look_up(name) if name is not None else None
        if step is None or step.node is here.node:
            return False
        here = step
    return False


def _name_in(node: ast.expr) -> ast.Name | None:
    """Find the name whose value is written: `data` in `json.dumps(data, indent=2) + "\\n"`."""
    match node:
        case ast.Name():
            return node
        case ast.Call(args=[first, *_]):
            return _name_in(first)
        case ast.Call(func=ast.Attribute(value=value)):
            return _name_in(value)
        case ast.BinOp(left=left):
            return _name_in(left)
        case ast.Dict(values=[value]):
            return _name_in(value)
        case _:
            return None


def _is_read(name: ast.Name, scope: Scope, reads: Callable[[Valued], bool]) -> bool:
    return any(reads(reading.call) for reading in readings(Valued(name, scope), texts=True))


def _reads(call: Valued, path: Valued) -> bool:
    """Tell whether a call reads a path, as far as both are known."""
    match call.node:
        case ast.Call(func=ast.Name(id="open") | ast.Attribute(attr="open"), args=args):
            read = args[0] if args and not _is_mode(args[0]) else None
            if read is None and isinstance(call.node, ast.Call) and isinstance(call.node.func, ast.Attribute):
                read = call.node.func.value
        case ast.Call(func=ast.Attribute(value=value, attr=attr)) if attr in _READS:
            read = value
        case _:
            return False
    if read is None:
        return False
    one, other = text_of(read, call.scope), text_of(path.node, path.scope)
    if one.is_known and other.is_known:
        return one.filled() == other.filled()
    return ast.unparse(read) == ast.unparse(path.node) or one.filled() == other.filled()


def _is_mode(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and str(node.value) in _MODES


def _changed(name: ast.Name, scope: Scope) -> bool:
    """Tell whether the value of a name is changed relative to what it was, before it is used here."""
    body, parts = scope.body, parts_of(name.id, scope)
    for node in body.nodes if body is not None else ():
        if getattr(node, "lineno", 0) > name.lineno:
            continue
        match node:
            case ast.AugAssign(target=target, op=op) if not isinstance(op, _MERGES):
                if root_of(target) in ({name.id} if isinstance(target, ast.Name) else parts):
                    return True
            case ast.Call(func=ast.Attribute(value=owner, attr=attr)) if attr in _GROWING and root_of(owner) in parts:
                if not (_takes_by_key(node) or is_added_where_missing(node, owner, parts, scope)):
                    return True
            case ast.Assign(targets=[ast.Subscript() | ast.Attribute() as target], value=value):
                if root_of(target) in parts and _computes_with(value, target, parts, scope):
                    return True
    return False


def _takes_by_key(node: ast.Call) -> bool:
    """Tell whether it is a `pop` of a key, which finds nothing the second time; a place in a list has a next one."""
    match node:
        case ast.Call(func=ast.Attribute(attr="pop"), args=[key, *_]):
            return not isinstance(key, ast.Constant | ast.UnaryOp) or isinstance(getattr(key, "value", None), str)
        case _:
            return False


def _computes_with(value: ast.expr, target: ast.expr, parts: frozenset[str], scope: Scope) -> bool:
    """Tell whether a value has arithmetic on what it replaces, itself or through the names in it."""
    written = ast.unparse(target)
    for node in ast.walk(value):
        match node:
            case ast.BinOp(op=op) if not isinstance(op, _MERGES):
                if _mentions(node, parts) and not _takes_only_others(node, target, parts):
                    return True
            case ast.JoinedStr() | ast.List():
                if ast.unparse(node).strip("[]") != written and any(ast.unparse(e) == written for e in ast.walk(node)):
                    return True
            case ast.Name(id=name) if name not in parts or scope.bindings(name):
                step = scope.look_up(node)
                if step is not None and _mentions(step.node, parts - {name}):
                    added = any(binding.how == "add" for binding in scope.bindings(name))
                    if added or any(isinstance(each, ast.BinOp) for each in ast.walk(step.node)):
                        return True
    return False


def _mentions(node: ast.AST, names: frozenset[str]) -> bool:
    return any(isinstance(each, ast.Name) and each.id in names for each in ast.walk(node))


def _takes_only_others(node: ast.AST, target: ast.expr, parts: frozenset[str]) -> bool:
    """Tell whether a computation takes other fields than the one that it is for: `total = price * n`."""
    taken = [each for part in ast.walk(node) if (each := _field(part, parts))]
    return bool(taken) and (own := _field(target, parts)) != "" and own not in taken


def _field(node: ast.AST, parts: frozenset[str]) -> str:
    match node:
        case (
            ast.Subscript(value=owner, slice=ast.Constant(value=str() as key))
            | ast.Attribute(value=owner, attr=str() as key)
            | ast.Call(func=ast.Attribute(value=owner, attr="get"), args=[ast.Constant(value=str() as key), *_])
        ) if root_of(owner) in parts:
            return "" if key == "get" and isinstance(node, ast.Attribute) else key
        case _:
            return ""
