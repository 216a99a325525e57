"""Contents that were read, changed relative to what was there, and are written back: a file, a document, a state."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Final

from clawproof_langgraph.audit.effects.readings import readings
from clawproof_langgraph.audit.effects.scopes import Scope, Valued
from clawproof_langgraph.audit.effects.text import text_of

_GROWING: Final = frozenset({"append", "extend", "insert", "appendleft", "pop", "popleft", "write"})
_READS: Final = frozenset({"read_text", "read_bytes", "read", "readlines"})
_HOPS: Final = 8


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
    return any(reads(reading.call) for reading in readings(Valued(name, scope)))


def _reads(call: Valued, path: Valued) -> bool:
    """Tell whether a call reads a path, as far as both are known."""
    match call.node:
        case ast.Call(func=ast.Name(id="open") | ast.Attribute(attr="open"), args=args):
            read = (
                args[0]
                if args and not (isinstance(args[0], ast.Constant) and str(args[0].value) in ("r", "rb"))
                else None
            )
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


def _changed(name: ast.Name, scope: Scope) -> bool:
    """Tell whether the value of a name is changed relative to what it was, before it is used here."""
    body = scope.body
    for node in body.nodes if body is not None else ():
        if getattr(node, "lineno", 0) > name.lineno:
            continue
        match node:
            case ast.AugAssign(target=target) if _root(target) == name.id:
                return True
            case ast.Call(func=ast.Attribute(value=owner, attr=attr)) if attr in _GROWING and _root(owner) == name.id:
                if not _after_look_up(node, name.id, scope):
                    return True
            case ast.Assign(targets=[ast.Subscript() | ast.Attribute() as target], value=value) if (
                _root(target) == name.id
            ):
                if _computes_with(value, name.id, scope):
                    return True
    return False


def _root(node: ast.expr) -> str:
    while True:
        match node:
            case ast.Subscript(value=value) | ast.Attribute(value=value):
                node = value
            case ast.Call(func=ast.Attribute(value=value, attr="setdefault" | "get")):
                node = value
            case ast.Name(id=name):
                return name
            case _:
                return ""


def _computes_with(value: ast.expr, name: str, scope: Scope) -> bool:
    """Tell whether a value has arithmetic on something of a name, itself or through the names in it."""
    for node in ast.walk(value):
        if isinstance(node, ast.BinOp) and any(
            isinstance(each, ast.Name) and each.id == name for each in ast.walk(node)
        ):
            return True
        if isinstance(node, ast.Name) and node.id != name and (step := scope.look_up(node)) is not None:
            added = any(binding.how == "add" for binding in scope.bindings(node.id))
            mentioned = any(isinstance(each, ast.Name) and each.id == name for each in ast.walk(step.node))
            if mentioned and (added or any(isinstance(each, ast.BinOp) for each in ast.walk(step.node))):
                return True
    return False


def _after_look_up(node: ast.AST, name: str, scope: Scope) -> bool:
    """Tell whether something is added only where it is not there: `if task not in tasks: tasks.append(task)`."""
    body = scope.body
    for around in body.around(node) if body is not None else ():
        match around:
            case ast.If(test=ast.Compare(ops=[ast.NotIn()], comparators=[container])) if _root(container) == name:
                return True
    return False
