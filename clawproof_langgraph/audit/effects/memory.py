"""State of the process that outlives a call: what stands at the top of a module, or in the tool's own object."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Final

from clawproof_langgraph.audit.effects.receivers import kind_of
from clawproof_langgraph.audit.effects.scopes import Scope
from clawproof_langgraph.audit.effects.sites import Site
from clawproof_langgraph.audit.effects.touches import Touch
from clawproof_langgraph.audit.findings import Confidence

_GROWS: Final = frozenset(
    {"append", "extend", "insert", "appendleft", "extendleft", "popleft", "popitem", "put", "put_nowait"}
)
_SETS: Final = frozenset({"add", "discard", "remove", "clear", "setdefault"})
_NOTES: Final = re.compile(r"log|trace|debug|metric|cache|memo|seen|stats|timing|span", re.IGNORECASE)
_FIX: Final = (
    "Keep it under a key made from the call, so that a repetition finds it; state of one process is also lost with it."
)


def touches(site: Site) -> Iterator[Touch]:
    """Tell what a call of a method does to shared state."""
    if site.receiver is None or site.name not in (*_GROWS, *_SETS, "update", "pop"):
        return
    name = _shared(site.receiver, site.scope)
    if name is None:
        return
    kind = kind_of(site.receiver, site.scope)
    if kind and not kind.startswith("plain:"):
        return
    if site.name in _GROWS or (site.name == "pop" and not site.call.args) or _counts(site):
        yield _again(site, f"{name}.{site.name}", name, f"uses {name}.{site.name}")
    elif kind.startswith("plain:"):
        yield from _sets(site, f"{name}.{site.name}", name, "A repetition finds it done.")


def _counts(site: Site) -> bool:
    if site.name != "update" or site.receiver is None:
        return False
    made = site.scope.follow(site.receiver)
    return isinstance(made.node, ast.Call) and made.scope.dotted(made.node.func).endswith("Counter")


def changes(site: Site) -> Iterator[Touch]:
    """Tell what an assignment does to shared state."""
    match site.node:
        case ast.AugAssign(target=target, op=op):
            name = _changed(target, site)
            if name is not None and isinstance(op, ast.BitOr | ast.BitAnd):
                yield from _sets(site, f"changes {name}", name, "A repetition finds it done.")
            elif name is not None:
                yield _again(site, f"changes {name}", name, f"changes {name} relative to its old value")
        case ast.Assign(targets=[ast.Subscript() | ast.Attribute() | ast.Name() as target], value=value):
            name = _changed(target, site)
            if name is None:
                return
            if isinstance(target, ast.Name) and not isinstance(value, ast.Constant | ast.BinOp | ast.Name):
                return  # a client or a cache that is made when it is first used
            if _computes_with(value, target, site.scope):
                yield _again(site, f"changes {name}", name, f"changes {name} relative to its old value")
            else:
                yield from _sets(site, f"sets {name}", name, "It sets a value.")


def _sets(site: Site, what: str, name: str, why: str) -> Iterator[Touch]:
    """Tell of a value that is set, unless it is one that is made when it is first used."""
    if _is_made_once(name, site):
        return
    confidence = Confidence.CERTAIN
    if _is_note(name, site):
        confidence, why = Confidence.POSSIBLE, "It seems to be a cache, or what a module knows of itself."
    yield site.touch("memory", what, repeatable=True, resource=name, why=why, confidence=confidence)


def _is_made_once(name: str, site: Site) -> bool:
    """Tell whether it happens where the value was looked for, and is not there: `if _client is None: _client = ...`."""
    looked_for = {name}
    if site.scope.body is not None:  # `client = _clients.get(key)` looks for it, too
        for local, bindings in site.scope.body.bindings.items():
            if any(_names(binding.value) & {name} for binding in bindings if binding.how == "is"):
                looked_for.add(local)
    return any(isinstance(node, ast.If) and _finds_none(node.test, looked_for) for node in site.around())


def _finds_none(test: ast.expr, names: set[str]) -> bool:
    """Tell whether a condition says that one of these is not there."""
    match test:
        case ast.BoolOp(values=values):
            return any(_finds_none(value, names) for value in values)
        case ast.UnaryOp(op=ast.Not(), operand=ast.Name(id=name)):
            return name in names
        case ast.Compare(left=ast.expr() as left, ops=[ast.Is()], comparators=[ast.Constant(value=None)]):
            return bool(_names(left) & names)
        case ast.Compare(ops=[ast.NotIn()], comparators=[ast.Name(id=name)]):
            return name in names
        case _:
            return False


def _names(node: ast.AST) -> set[str]:
    return {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}


def _is_note(name: str, site: Site) -> bool:
    """Tell whether it is a log, a cache, or what a module that a tool calls keeps for itself."""
    return _NOTES.search(name) is not None or (bool(site.via) and name.startswith("_"))


def _again(site: Site, what: str, name: str, short: str) -> Touch:
    if _is_note(name, site):
        return site.touch(
            "memory",
            what,
            repeatable=None,
            resource=name,
            short=short,
            fix=_FIX,
            confidence=Confidence.POSSIBLE,
            why="It seems to be a note of what happened, or a cache.",
        )
    own = name.startswith("self.")
    return site.touch(
        "memory",
        what,
        repeatable=False,
        resource=name,
        short=short,
        why="Each repetition does it again.",
        fix=_FIX,
        confidence=Confidence.LIKELY if own else Confidence.CERTAIN,
    )


def _changed(target: ast.expr, site: Site) -> str | None:
    if isinstance(target, ast.Name):
        body = site.scope.body
        declared = body is not None and target.id in body.shared
        return target.id if declared and target.id in site.scope.module.assigned else None
    if isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name) and target.value.id == "self":
        return f"self.{target.attr}" if _is_own_number(target, site) else None
    return _shared(target, site.scope)


def _is_own_number(target: ast.Attribute, site: Site) -> bool:
    """Tell whether `self.n += 1` is in a method that was asked about itself, and adds."""
    return (
        not site.via
        and isinstance(site.node, ast.AugAssign)
        and site.scope.function is not None
        and _is_method_of_tool(site.scope)
    )


def _is_method_of_tool(scope: Scope) -> bool:
    return scope.function is not None and scope.function.node.name in ("_run", "_arun")


def _shared(node: ast.expr, scope: Scope) -> str | None:
    """Find the module's own container that an expression is a part of."""
    root = node
    while True:
        match root:
            case ast.Subscript(value=value) | ast.Attribute(value=value):
                root = value
            case ast.Call(func=ast.Attribute(value=value, attr="setdefault" | "get")):
                root = value
            case _:
                break
    if not isinstance(root, ast.Name) or not scope.is_shared(root.id):
        return None
    found = scope.look_up(root)
    if found is None:
        return None
    kind = kind_of(found.node, found.scope)
    container = kind.startswith("plain:") and kind != "plain:str"
    return root.id if container or (isinstance(found.node, ast.Constant) and root is not node) else None


def _computes_with(value: ast.expr, target: ast.expr, scope: Scope) -> bool:
    """Tell whether a value computes with what it replaces: `STOCK[sku] = STOCK[sku] - 1`, also through a name."""
    root = target
    while isinstance(root, ast.Subscript | ast.Attribute):
        root = root.value
    if not isinstance(root, ast.Name):
        return False
    pending, hops = [value], 0
    while pending and hops < 20:
        node, hops = pending.pop(), hops + 1
        for each in ast.walk(node):
            if isinstance(each, ast.BinOp) and _reads_part(each, root.id, scope):
                return True
            if isinstance(each, ast.Name) and scope.is_local(each.id):
                step = scope.look_up(each)
                if step is not None and step.scope is scope and step.how == "is" and step.node is not node:
                    pending.append(step.node)
    return False


def _reads_part(node: ast.AST, root: str, scope: Scope) -> bool:
    for each in ast.walk(node):
        if isinstance(each, ast.Name):
            if each.id == root:
                return True
            step = scope.look_up(each) if scope.is_local(each.id) else None
            if step is not None and any(
                isinstance(inner, ast.Name) and inner.id == root for inner in ast.walk(step.node)
            ):
                return True
    return False
