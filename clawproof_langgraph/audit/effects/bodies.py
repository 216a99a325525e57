"""The body of a function: what runs in it, what its names are bound to, and what is around each node."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from clawproof_langgraph.audit.source.modules import FunctionNode, Module

How = Literal["is", "add", "enter", "item", "mutate"]
"""How a name is bound: to a value, to itself and more, to what a `with` gives, to a part of it; or it is changed."""

_ACTIVE = (ast.Call, ast.withitem, ast.AugAssign, ast.Assign, ast.AnnAssign, ast.Delete)
_BINDING = (
    ast.Assign, ast.AnnAssign, ast.AugAssign, ast.NamedExpr, ast.withitem, ast.For, ast.AsyncFor, ast.comprehension,
    ast.Global, ast.Nonlocal, ast.FunctionDef, ast.AsyncFunctionDef,
)  # fmt: skip
_LEAVES = (ast.Constant, ast.Name, ast.expr_context, ast.operator, ast.cmpop, ast.boolop, ast.unaryop)
_APART = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


@dataclass(frozen=True, slots=True)
class Binding:
    """One binding of a name.

    Args:
        how: the way.
        value: the expression on the right.
        line: where.
        node: the statement.
    """

    how: How
    value: ast.expr
    line: int
    node: ast.AST


@dataclass(frozen=True, eq=False, slots=True)
class Body:
    """What is directly in a function, without the functions and classes inside it.

    Args:
        nodes: all nodes in the order of the text.
        active: those of them that may do something: calls, `with`, and what changes a value.
        parents: the node around each.
        bindings: those of each name, in the order of the text; of `self.x` under that text.
        inner: the functions defined in it.
        shared: names that it declares `global` or `nonlocal`.
    """

    nodes: list[ast.AST]
    active: list[ast.AST]
    parents: dict[ast.AST, ast.AST]
    bindings: dict[str, list[Binding]]
    inner: dict[str, FunctionNode]
    shared: frozenset[str]

    def around(self, node: ast.AST) -> Iterator[ast.AST]:
        """Give what is around a node, the nearest first."""
        while (found := self.parents.get(node)) is not None:
            yield found
            node = found


def body_of(node: FunctionNode) -> Body:
    """Read the body of a function."""
    reader = _Reader()
    reader.read(node)
    active: list[ast.AST] = [each for each in reader.nodes if isinstance(each, _ACTIVE)]
    return Body(reader.nodes, active, reader.parents, reader.bindings, reader.inner, frozenset(reader.shared))


@dataclass(slots=True)
class _Reader:
    nodes: list[ast.AST] = field(default_factory=list)
    parents: dict[ast.AST, ast.AST] = field(default_factory=dict)
    bindings: dict[str, list[Binding]] = field(default_factory=dict)
    inner: dict[str, FunctionNode] = field(default_factory=dict)
    shared: set[str] = field(default_factory=set)

    def read(self, function: FunctionNode) -> None:
        pending: list[ast.AST] = list(reversed(function.body))
        self.parents.update(dict.fromkeys(function.body, function))
        while pending:
            node = pending.pop()
            self.nodes.append(node)
            if isinstance(node, _LEAVES):
                continue
            if isinstance(node, _BINDING):
                self._note(node)
            if not isinstance(node, _APART):
                children = _children(node)
                self.parents.update(dict.fromkeys(children, node))
                pending += reversed(children)

    def _note(self, node: ast.AST) -> None:
        match node:
            case ast.Assign(targets=targets, value=value):
                for target in targets:
                    self._bind(target, "is", value, node)
            case ast.AnnAssign(target=target, value=ast.expr() as value):
                self._bind(target, "is", value, node)
            case ast.AugAssign(target=target, value=value):
                self._bind(target, "add", value, node)
            case ast.NamedExpr(target=target, value=value):
                self._bind(target, "is", value, node)
            case ast.withitem(context_expr=value, optional_vars=ast.expr() as target):
                self._bind(target, "enter", value, value)
            case ast.For(target=target, iter=value) | ast.AsyncFor(target=target, iter=value):
                self._bind(target, "item", value, node)
            case ast.comprehension(target=target, iter=value):
                self._bind(target, "item", value, value)
            case ast.Global(names=names) | ast.Nonlocal(names=names):
                self.shared.update(names)
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                self.inner[name] = node

    def _bind(self, target: ast.expr, how: How, value: ast.expr, node: ast.AST) -> None:
        match target:
            case ast.Name(id=name):
                self._add(name, Binding(how, value, target.lineno, node))
            case ast.Attribute(value=ast.Name(id="self" | "cls" as owner), attr=attr):
                self._add(f"{owner}.{attr}", Binding(how, value, target.lineno, node))
            case ast.Tuple(elts=targets) | ast.List(elts=targets):
                self._unpack(targets, how, value, node)
            case ast.Starred(value=inner):
                self._bind(inner, "item", value, node)
            case ast.Subscript() | ast.Attribute():
                root = _root(target)
                if isinstance(root, ast.Name):
                    self._add(root.id, Binding("mutate", value, target.lineno, node))

    def _unpack(self, targets: list[ast.expr], how: How, value: ast.expr, node: ast.AST) -> None:
        parts = value.elts if isinstance(value, ast.Tuple | ast.List) and how == "is" else None
        for number, target in enumerate(targets):
            if parts is not None and len(parts) == len(targets):
                self._bind(target, "is", parts[number], node)
            else:
                self._bind(target, "item", value, node)

    def _add(self, name: str, binding: Binding) -> None:
        self.bindings.setdefault(name, []).append(binding)


def _children(node: ast.AST) -> list[ast.AST]:
    """Give what is directly in a node, without its contexts and operators."""
    found: list[ast.AST] = []
    for name in node._fields:
        value = getattr(node, name, None)
        if isinstance(value, list):
            found += [each for each in value if isinstance(each, ast.AST)]
        elif isinstance(value, ast.AST) and not isinstance(
            value, ast.expr_context | ast.operator | ast.unaryop | ast.boolop
        ):
            found.append(value)
    return found


def _root(node: ast.expr) -> ast.expr:
    while isinstance(node, ast.Subscript | ast.Attribute):
        node = node.value
    return node


def class_of(module: Module, owner: str) -> ast.ClassDef | None:
    """Find the class that a dotted owner names, at the top of a module."""
    return module.classes.get(owner.partition(".")[0])
