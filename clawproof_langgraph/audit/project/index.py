"""What is in a module, found in one walk: calls, and what is assigned where."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from clawproof_langgraph.audit.source import Module
from clawproof_langgraph.audit.source.modules import FunctionNode

Around = tuple[FunctionNode, ...]
"""The functions around a place, the outermost first."""

_BRANCHES = (ast.If, ast.Try, ast.For, ast.AsyncFor, ast.While, ast.match_case, ast.ExceptHandler)
"""Statements of which what is inside need not run."""

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
Meaning = ast.expr | Definition
"""What a name can stand for."""


@dataclass(frozen=True, eq=False, slots=True)
class Index:
    """A module, walked once.

    Args:
        module: which.
        calls: each call, with the functions around it.
        meanings: what is assigned to each name, in the order of the text, by the innermost function around; None for
            the top of the module.
        around: the functions around each function and class.
        owners: the class around each method.
        extensions: what is added to a list by `append`, `extend` or `+=`, by function and name.
    """

    module: Module
    calls: list[tuple[ast.Call, Around]] = field(default_factory=list)
    meanings: dict[FunctionNode | None, dict[str, list[Meaning]]] = field(default_factory=lambda: defaultdict(dict))
    around: dict[Definition, Around] = field(default_factory=dict)
    owners: dict[FunctionNode, ast.ClassDef] = field(default_factory=dict)
    extensions: dict[tuple[FunctionNode | None, str], list[ast.expr]] = field(default_factory=lambda: defaultdict(list))
    selves: dict[tuple[ast.ClassDef, str], ast.expr] = field(default_factory=dict)
    """What is assigned to `self.NAME` in a class."""
    branched: set[Meaning] = field(default_factory=set)
    """Expressions and definitions that stand in a branch, and so need not run."""

    @classmethod
    def of(cls, module: Module) -> Index:
        """Walk a module."""
        index = cls(module)
        # A stack and no recursion: an expression may be nested more deeply than Python recurses.
        pending: list[tuple[ast.AST, Around, ast.ClassDef | None, bool]] = [(module.tree, (), None, False)]
        while pending:
            node, around, owner, maybe = pending.pop()
            if maybe and isinstance(node, ast.expr | Definition):
                index.branched.add(node)
            index._note(node, around, owner)
            inside, of = around, owner
            if isinstance(node, FunctionNode):
                inside, of, maybe = (*around, node), owner, False
            elif isinstance(node, ast.ClassDef):
                of = node
            maybe = maybe or isinstance(node, _BRANCHES)
            pending += [(child, inside, of, maybe) for child in reversed(list(ast.iter_child_nodes(node)))]
        return index

    def _note(self, node: ast.AST, around: Around, owner: ast.ClassDef | None) -> None:
        within = around[-1] if around else None
        match node:
            case ast.Call():
                self.calls.append((node, around))
                self._note_extension(node, within)
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                self.around[node] = around
                if isinstance(node, FunctionNode) and owner is not None and node in owner.body:
                    self.owners[node] = owner
                elif within is None or owner is None or node not in owner.body:
                    self._assign(within, node.name, node)
            case ast.Assign(targets=targets, value=value):
                for target in targets:
                    self._note_target(target, value, within, owner)
            case ast.AnnAssign(target=target, value=ast.expr() as value):
                self._note_target(target, value, within, owner)
            case ast.NamedExpr(target=ast.Name(id=name), value=value):
                self._assign(within, name, value)
            case ast.AugAssign(target=ast.Name(id=name), op=ast.Add(), value=value):
                self.extensions[within, name].append(value)  # the walk comes to the value after this
            case ast.withitem(context_expr=value, optional_vars=ast.Name(id=name)):
                self._assign(within, name, value)

    def _note_target(
        self, target: ast.expr, value: ast.expr, within: FunctionNode | None, owner: ast.ClassDef | None
    ) -> None:
        match target:
            case ast.Name(id=name):
                self._assign(within, name, value)
            case ast.Attribute(value=ast.Name(id="self"), attr=attr) if owner is not None:
                self.selves[owner, attr] = value
            case ast.Tuple(elts=targets) | ast.List(elts=targets):
                values = value.elts if isinstance(value, ast.Tuple | ast.List) else []
                if len(values) == len(targets):
                    for each, its in zip(targets, values, strict=True):
                        self._note_target(each, its, within, owner)

    def _note_extension(self, call: ast.Call, within: FunctionNode | None) -> None:
        match call:
            case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr="append"), args=[value]):
                self._extend(within, name, call, ast.copy_location(ast.List([value], ast.Load()), value))
            case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr="extend"), args=[value]):
                self._extend(within, name, call, value)

    def _extend(self, within: FunctionNode | None, name: str, call: ast.Call, value: ast.expr) -> None:
        self.extensions[within, name].append(value)
        if call in self.branched:
            self.branched.add(value)

    def _assign(self, within: FunctionNode | None, name: str, meaning: Meaning) -> None:
        self.meanings[within].setdefault(name, []).append(meaning)


def returns_of(function: FunctionNode) -> Iterator[ast.expr]:
    """Give what a function returns, or yields: functions inside it left out."""
    pending: list[ast.AST] = list(reversed(function.body))
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Return | ast.Yield) and node.value is not None:
            yield node.value
        if not isinstance(node, Definition | ast.Lambda):
            pending += reversed(list(ast.iter_child_nodes(node)))
