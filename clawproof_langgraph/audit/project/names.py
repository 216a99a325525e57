"""What a name means, across functions, modules and the calls that give parameters their values."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from clawproof_langgraph.audit.findings import Place, Unseen
from clawproof_langgraph.audit.project.index import Around, Definition, Index, Meaning, returns_of
from clawproof_langgraph.audit.source import Function, Module, SourceTree
from clawproof_langgraph.audit.source.modules import FunctionNode

_STEPS: Final = 12
"""How far a name is followed; more is a circle, or a program that no reader follows either."""

_CALLERS: Final = 40
"""From how many places a factory of agents is looked at."""

_DEPTH: Final = 3
"""Through how many factories, one in another."""


@dataclass(frozen=True, eq=False, slots=True)
class Scope:
    """Where an expression stands, and so what its names mean.

    Args:
        module: the module.
        around: the functions around it.
        given: what the parameters of these functions are, for one way to call them.
    """

    module: Module
    around: Around = ()
    given: Mapping[tuple[FunctionNode, str], Expr] = field(default_factory=dict)

    def expr(self, node: Meaning) -> Expr:
        """Put a node into this scope."""
        return Expr(node, self)


@dataclass(frozen=True, eq=False, slots=True)
class Expr:
    """An expression, or a definition, and where it stands."""

    node: Meaning
    scope: Scope

    @property
    def place(self) -> Place:
        """Where it is in its file."""
        return self.scope.module.place(self.node)

    def at(self, node: Meaning) -> Expr:
        """Give a part of it."""
        return Expr(node, self.scope)


class Names:
    """Resolves names in a project.

    Args:
        tree: its modules.
        own: modules whose calls count as those of the program; those of tests do not.
    """

    def __init__(self, tree: SourceTree, own: frozenset[str]) -> None:
        self.tree = tree
        self.own = own
        self._indexes: dict[str, Index] = {}
        self._by_tail: dict[str, list[Module]] = defaultdict(list)
        for name, module in tree.modules.items():
            self._by_tail[name.rpartition(".")[2]].append(module)
        self.tangled: list[Unseen] = []
        """Places that refer to themselves without end."""
        self._callers: dict[str, list[tuple[Module, ast.Call, Around]]] | None = None

    # --- where things are ---------------------------------------------------------------------------------------

    def index(self, module: Module) -> Index:
        """Give what is in a module."""
        found = self._indexes.get(module.name)
        if found is None:
            found = self._indexes[module.name] = Index.of(module)
        return found

    def calls(self) -> Iterator[tuple[Module, ast.Call, Around]]:
        """Give all calls of the program."""
        for name in sorted(self.own):
            module = self.tree.modules[name]
            for call, around in self.index(module).calls:
                yield module, call, around

    def callers(self, name: str) -> list[tuple[Module, ast.Call, Around]]:
        """Give the calls of what has this name, or attribute."""
        if self._callers is None:
            self._callers = defaultdict(list)
            for module, call, around in self.calls():
                self._callers[called(call)].append((module, call, around))
        return self._callers.get(name, [])

    def module(self, dotted: str) -> Module | None:
        """Find a module: by its name, or where the project is not at the root of its imports, by the end of it."""
        if dotted in self.tree.modules:
            return self.tree.modules[dotted]
        alike = [
            module
            for module in self._by_tail.get(dotted.rpartition(".")[2], ())
            if module.name.endswith(f".{dotted}") or dotted.endswith(f".{module.name}")
        ]
        return alike[0] if len(alike) == 1 else None

    def function(self, expr: Expr) -> Function:
        """Give a definition as the function that other parts of the audit know."""
        assert isinstance(expr.node, FunctionNode)
        return next(each for each in expr.scope.module.functions if each.node is expr.node)

    def look_at(self, look: Callable[[Expr], object], module: Module, node: ast.Call, around: Around) -> None:
        """Look at a call in each way that leads to it; what refers to itself without end is given up, and told."""
        try:
            for scope in self.ways_into(module, around):
                look(scope.expr(node))
        except RecursionError:
            place = module.place(node)
            self.tangled.append(Unseen(str(place), "it refers to itself", place))

    # --- names --------------------------------------------------------------------------------------------------

    def dotted(self, expr: Expr) -> str:
        """Give the full name that an expression stands for, as it is imported; empty where it is none."""
        return expr.scope.module.dotted(expr.node) if isinstance(expr.node, ast.Name | ast.Attribute) else ""

    def follow(self, expr: Expr) -> Expr:
        """Follow a name to what was assigned to it, or is defined under it; gives back what is no name."""
        for _ in range(_STEPS):
            match expr.node:
                case ast.Name(id=name):
                    found = self._name(name, expr)
                case ast.Attribute():
                    found = self._attribute(expr, expr.node)
                case ast.Await(value=value) | ast.NamedExpr(value=value) | ast.Starred(value=value):
                    found = expr.at(value)
                case _:
                    return expr
            if found is None or found.node is expr.node:
                return expr
            expr = found
        return expr

    def alternatives(self, expr: Expr) -> list[Expr]:
        """Give what a name may stand for: the last assignment, and where that stands in a branch, those before it."""
        if not isinstance(expr.node, ast.Name):
            return [expr]
        scope, meanings = self._assigned(expr.node.id, expr)
        branched = self.index(expr.scope.module).branched
        found: list[Expr] = []
        for meaning in reversed(meanings):
            found.append(scope.expr(meaning))
            if meaning not in branched:
                break
        return found[::-1] if len(found) > 1 else [expr]

    def extensions(self, expr: Expr, *, sure: bool = False) -> Iterator[Expr]:
        """Give what is added to a list after it was made; if `sure`, only what is added on every way.

        Functions may add to a list at the top of their module: what they are called with is followed.
        """
        if not isinstance(expr.node, ast.Name):
            return
        index, name = self.index(expr.scope.module), expr.node.id
        scope, meanings = self._assigned(name, expr)
        if not meanings:
            return
        within = scope.around[-1] if scope.around else None
        added = index.extensions.get((within, name), ())
        yield from (scope.expr(value) for value in added if not (sure and value in index.branched))
        if within is not None or sure:
            return
        for (function, other), values in index.extensions.items():
            if other == name and function is not None and not self._is_local(function, name, index):
                around = (*index.around.get(function, ()), function)
                yield from (way.expr(value) for way in self.ways_into(scope.module, around) for value in values)

    def _is_local(self, function: FunctionNode, name: str, index: Index) -> bool:
        return name in index.meanings.get(function, {}) or _has_parameter(function, name)

    def _assigned(self, name: str, expr: Expr) -> tuple[Scope, list[Meaning]]:
        """Give the nearest scope in which a name is assigned, and what is before its use, in the order of the text."""
        scope, index = expr.scope, self.index(expr.scope.module)
        for depth in range(len(scope.around), -1, -1):
            within = scope.around[depth - 1] if depth else None
            if meanings := index.meanings.get(within, {}).get(name):
                ordered = depth == len(scope.around)
                last = _latest(meanings, expr.node, ordered=ordered)
                upto = meanings[: meanings.index(last) + 1] if last is not None else []
                return Scope(scope.module, scope.around[:depth], scope.given), upto
            if within is not None and _has_parameter(within, name):
                break
        return scope, []

    def _name(self, name: str, expr: Expr) -> Expr | None:
        scope = expr.scope
        index = self.index(scope.module)
        for depth in range(len(scope.around), 0, -1):
            function = scope.around[depth - 1]
            inner = Scope(scope.module, scope.around[:depth], scope.given)
            ordered = depth == len(scope.around)
            meaning = _latest(index.meanings.get(function, {}).get(name, ()), expr.node, ordered=ordered)
            if meaning is not None:
                return inner.expr(meaning)
            if _has_parameter(function, name):
                return scope.given.get((function, name)) or self._default(function, name, scope, depth)
        return self._top(scope.module, name, expr.node, ordered=not scope.around)

    def _default(self, function: FunctionNode, name: str, scope: Scope, depth: int) -> Expr | None:
        arguments = function.args
        positional = [*arguments.posonlyargs, *arguments.args]
        defaults = dict(zip([each.arg for each in reversed(positional)], reversed(arguments.defaults), strict=False))
        defaults |= {
            each.arg: value
            for each, value in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
            if value is not None
        }
        value = defaults.get(name)
        if value is None or (isinstance(value, ast.Constant) and value.value is None):
            return None
        return Expr(value, Scope(scope.module, scope.around[: depth - 1], scope.given))

    def _top(
        self, module: Module, name: str, using: ast.AST | None, steps: int = _STEPS, *, ordered: bool = False
    ) -> Expr | None:
        meaning = _latest(self.index(module).meanings.get(None, {}).get(name, ()), using, ordered=ordered)
        if meaning is not None:
            return Scope(module).expr(meaning)
        if name in module.imports and steps:
            return self.named(module.imports[name], steps - 1)
        return None

    def named(self, dotted: str, steps: int = _STEPS) -> Expr | None:
        """Find what a full name stands for in the project, through modules that only pass it on."""
        base, _, name = dotted.rpartition(".")
        module = self.module(base) if base else None
        if module is not None:
            return self._top(module, name, None, steps)
        if base:  # a name in a class of a module
            outer, _, owner = base.rpartition(".")
            holder = self.module(outer) if outer else None
            found = self._top(holder, owner, None, steps) if holder else None
            if found is not None and isinstance(found.node, ast.ClassDef):
                return self.member(found, name)
        return None

    def _attribute(self, expr: Expr, node: ast.Attribute) -> Expr | None:
        dotted = self.dotted(expr)
        if dotted and (found := self.named(dotted)) is not None:
            return found
        owner = self.class_of(expr.at(node.value))
        return self.member(owner, node.attr) if owner is not None else None

    def class_of(self, expr: Expr) -> Expr | None:
        """Find the class of the project of which an expression is an instance, or which it is."""
        if isinstance(expr.node, ast.Name) and expr.node.id in ("self", "cls"):
            index = self.index(expr.scope.module)
            for function in reversed(expr.scope.around):
                if function in index.owners:
                    return Scope(expr.scope.module).expr(index.owners[function])
        found = self.follow(expr)
        if isinstance(found.node, ast.Call):
            found = self.follow(found.at(found.node.func))
        if isinstance(found.node, ast.ClassDef):
            return found
        return self._annotated(expr)

    def annotation(self, expr: Expr) -> Expr | None:
        """Give the annotation of the parameter that a name stands for."""
        if not isinstance(expr.node, ast.Name):
            return None
        for depth in range(len(expr.scope.around), 0, -1):
            for parameter in _parameters(expr.scope.around[depth - 1]):
                if parameter.arg == expr.node.id and parameter.annotation is not None:
                    return Scope(expr.scope.module, expr.scope.around[: depth - 1]).expr(parameter.annotation)
        return None

    def _annotated(self, expr: Expr) -> Expr | None:
        annotation = self.annotation(expr)
        found = self.follow(annotation) if annotation is not None else None
        return found if found is not None and isinstance(found.node, ast.ClassDef) else None

    def member(self, owner: Expr, name: str) -> Expr | None:
        """Find what `self.NAME` is in a class: a method, or what is assigned."""
        assert isinstance(owner.node, ast.ClassDef)
        module = owner.scope.module
        for node in owner.node.body:
            match node:
                case ast.FunctionDef(name=found) | ast.AsyncFunctionDef(name=found) if found == name:
                    return Scope(module).expr(node)
                case ast.Assign(targets=[ast.Name(id=found)], value=value) if found == name:
                    return Scope(module).expr(value)
                case ast.AnnAssign(target=ast.Name(id=found), value=ast.expr() as value) if found == name:
                    return Scope(module).expr(value)
        assigned = self.index(module).selves.get((owner.node, name))
        if assigned is None:
            return None
        methods = [node for node in owner.node.body if isinstance(node, FunctionNode)]
        inside = [method for method in methods if any(node is assigned for node in ast.walk(method))]
        return Scope(module, tuple(inside[:1])).expr(assigned)

    # --- calls of functions of the project ----------------------------------------------------------------------

    def callee(self, expr: Expr) -> Expr | None:
        """Find the function of the project that a call runs."""
        assert isinstance(expr.node, ast.Call)
        func = expr.node.func
        found = self.follow(expr.at(func))
        if isinstance(found.node, FunctionNode):
            return found
        return None

    def entered(self, expr: Expr) -> Scope | None:
        """Give the scope inside a function of the project, as a call enters it."""
        function = self.callee(expr)
        if function is None:
            return None
        assert isinstance(function.node, FunctionNode) and isinstance(expr.node, ast.Call)
        around = self.index(function.scope.module).around.get(function.node, ())
        bound = self.index(function.scope.module).owners.get(function.node) is not None
        given = {**function.scope.given, **_bound(function.node, expr.node, expr.scope, skip_self=bound)}
        return Scope(function.scope.module, (*around, function.node), given)

    def returned(self, expr: Expr) -> Iterator[Expr]:
        """Give what a call of a function of the project can return."""
        scope = self.entered(expr) if isinstance(expr.node, ast.Call) else None
        if scope is not None:
            yield from map(scope.expr, returns_of(scope.around[-1]))

    def ways_into(self, module: Module, around: Around, depth: int = _DEPTH) -> list[Scope]:
        """Give the scopes of a place: one for each call of the function around it, for parameters have values there."""
        if not around or not _parameters(around[0]) or not depth:
            return [Scope(module, around)]
        outer = around[0]
        found: list[Scope] = []
        for caller, call, place in self.callers(outer.name)[:_CALLERS]:
            if place and place[0] is outer:  # it calls itself
                continue
            for scope in self.ways_into(caller, place, depth - 1):
                entered = self.entered(scope.expr(call))
                if entered is not None and entered.around[-1] is outer:
                    found.append(Scope(module, around, entered.given))
        return found[:_CALLERS] or [Scope(module, around)]


def called(call: ast.Call) -> str:
    """Give the last part of the name that is called."""
    match call.func:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case _:
            return ""


def argument(call: ast.Call, name: str, position: int | None = None) -> ast.expr | None:
    """Find an argument of a call by its name, or its place."""
    for keyword in call.keywords:
        if keyword.arg == name:
            return keyword.value
    plain = [arg for arg in call.args if not isinstance(arg, ast.Starred)]
    if position is not None and position < len(plain) == len(call.args):
        return plain[position]
    return None


def _parameters(function: FunctionNode) -> list[ast.arg]:
    arguments = function.args
    rest = [each for each in (arguments.vararg, arguments.kwarg) if each is not None]
    found = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, *rest]
    return [each for each in found if each.arg not in ("self", "cls")]


def _has_parameter(function: FunctionNode, name: str) -> bool:
    return any(parameter.arg == name for parameter in _parameters(function))


def _bound(
    function: FunctionNode, call: ast.Call, scope: Scope, *, skip_self: bool
) -> dict[tuple[FunctionNode, str], Expr]:
    positional = [each.arg for each in (*function.args.posonlyargs, *function.args.args)]
    if skip_self and positional[:1] in (["self"], ["cls"]):
        positional = positional[1:]
    given = {}
    for name, value in zip(positional, call.args, strict=False):
        if isinstance(value, ast.Starred):
            break
        given[function, name] = scope.expr(value)
    given |= {(function, keyword.arg): scope.expr(keyword.value) for keyword in call.keywords if keyword.arg}
    return given


def _latest(meanings: Sequence[Meaning], using: ast.AST | None, *, ordered: bool = False) -> Meaning | None:
    """Choose among what is assigned to a name: the last, but not what a use stands in itself, as in `x = f(x)`.

    Args:
        meanings: what is assigned, in the order of the text.
        using: the use.
        ordered: whether it runs in the same block, so that what comes after it does not count.
    """
    line = getattr(using, "lineno", 0)
    others = [meaning for meaning in meanings if not _holds(meaning, using, line)]
    earlier = [meaning for meaning in others if meaning.lineno <= line] if ordered else []
    chosen = earlier or others
    return chosen[-1] if chosen else None


def _holds(meaning: Meaning, using: ast.AST | None, line: int) -> bool:
    if isinstance(meaning, Definition) or not meaning.lineno <= line <= (meaning.end_lineno or meaning.lineno):
        return False
    return any(node is using for node in ast.walk(meaning))
