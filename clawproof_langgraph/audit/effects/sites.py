"""The places in a function, and in what it calls, at which something may be done to the world."""

from __future__ import annotations

import ast
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Final

from clawproof_langgraph.audit.effects.receivers import kind_of, local_function, method_of
from clawproof_langgraph.audit.effects.scopes import Scope, called, parameters, scope_of
from clawproof_langgraph.audit.effects.text import text_of
from clawproof_langgraph.audit.effects.touches import Kind, Touch
from clawproof_langgraph.audit.findings import Confidence, Place
from clawproof_langgraph.audit.source import Function, SourceTree

DEEPEST: Final = 3
"""How many calls away from the function asked about is looked."""

_MOST_CALLS: Final = 80
"""How many calls are followed in all, for one function."""

_ONCE: Final = frozenset(
    f"clawproof_langgraph.effects.sql.{where}{name}" for where in ("", "inbox.") for name in ("once", "aonce")
)
_RUNNERS: Final = frozenset(
    {"to_thread", "run_in_executor", "submit", "run_sync", "run_in_threadpool", "sync_to_async", "partial", "call",
     "map", "retry_call", "transaction", "run_in_transaction", "run_callable", "on_commit", "create_task",
     "start_soon"}
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Site:
    """A node that may do something to the world.

    Args:
        node: a call, or a statement that changes a value.
        scope: where it stands.
        via: the calls that lead to it.
        in_once: whether it runs inside `effects.sql.once`.
        caller: the call that led to the function in which it stands.
        handed: the call that the node makes for another: `post(url)` of `to_thread(post, url)`.
    """

    node: ast.AST
    scope: Scope
    via: tuple[Place, ...] = ()
    in_once: bool = False
    caller: Site | None = None
    handed: ast.Call | None = None

    @property
    def call(self) -> ast.Call:
        """The node, as the call that it is."""
        if self.handed is not None:
            return self.handed
        assert isinstance(self.node, ast.Call)
        return self.node

    @cached_property
    def name(self) -> str:
        """The last part of the name that is called; empty where it is no call of a name."""
        match self.func:
            case ast.Attribute(attr=name) | ast.Name(id=name):
                return name
            case _:
                return ""

    @cached_property
    def func(self) -> ast.expr | None:
        """What is called; the attribute, where a name stands for one: `send = getattr(client, "post")`."""
        if not isinstance(self.node, ast.Call):
            return None
        func = self.call.func
        if isinstance(func, ast.Name) and self.scope.bindings(func.id):
            found = self.scope.follow(func)
            if found.scope is self.scope and found.how == "is" and isinstance(found.node, ast.Attribute | ast.Call):
                return as_attribute(found.node, self.scope) or func
        return as_attribute(func, self.scope) or func

    @cached_property
    def receiver(self) -> ast.expr | None:
        """What stands before the dot of the call."""
        return self.func.value if isinstance(self.func, ast.Attribute) else None

    @cached_property
    def kind(self) -> str:
        """The kind of the receiver."""
        return kind_of(self.receiver, self.scope) if self.receiver is not None else ""

    @property
    def family(self) -> str:
        """The family of the receiver's kind."""
        return self.kind.partition(":")[0]

    @property
    def detail(self) -> str:
        """The detail of the receiver's kind."""
        return self.kind.partition(":")[2]

    @cached_property
    def dotted(self) -> str:
        """The full name of what is called."""
        return self.scope.dotted(self.func) if self.func is not None else ""

    @property
    def place(self) -> Place:
        """Where it is."""
        node = self.node.context_expr if isinstance(self.node, ast.withitem) else self.node
        return self.scope.module.place(node)

    def argument(self, position: int | None, *names: str) -> ast.expr | None:
        """Give an argument of the call by its position or by one of its names."""
        for keyword in self.call.keywords:
            if keyword.arg in names:
                return keyword.value
        if position is None or position >= len(self.call.args):
            return None
        before = self.call.args[: position + 1]
        return None if any(isinstance(each, ast.Starred) for each in before) else before[-1]

    def around(self) -> Iterator[ast.AST]:
        """Give what is around the node in its function, the nearest first."""
        body = self.scope.body
        return body.around(self.node) if body is not None else iter(())

    def touch(
        self,
        kind: Kind,
        what: str,
        *,
        repeatable: bool | None,
        writes: bool = True,
        short: str = "",
        why: str = "",
        fix: str = "",
        resource: str = "",
        confidence: Confidence = Confidence.CERTAIN,
    ) -> Touch:
        """Make a touch of what is done here."""
        return Touch(kind, writes, repeatable, what, short, why, fix, resource, self.place, confidence, self.via)


@dataclass(slots=True)
class _Walk:
    tree: SourceTree
    calls_left: int = _MOST_CALLS
    under_way: list[Function] = field(default_factory=list)

    def sites(self, scope: Scope, caller: Site | None, in_once: bool) -> Iterator[Site]:
        body, function = scope.body, scope.function
        if body is None or function is None:
            return
        self.under_way.append(function)
        via = () if caller is None else (*caller.via, caller.place)
        for node in body.active:
            if isinstance(node, ast.Call):
                site = Site(node, scope, via, in_once or _in_once(node, scope), caller)
                yield site
                yield from self._followed(site)
                for handed in _handed(site):
                    yield replace(site, handed=handed)
            else:
                yield Site(node, scope, via, in_once, caller)
        self.under_way.pop()

    def _followed(self, site: Site) -> Iterator[Site]:
        if len(site.via) >= DEEPEST or self.calls_left <= 0:
            return
        for inside, in_once in callees(site):
            if inside.function not in self.under_way and self.calls_left > 0:
                self.calls_left -= 1
                yield from self.sites(inside, site, site.in_once or in_once)


def sites_of(function: Function, tree: SourceTree) -> tuple[Site, ...]:
    """Give the places of a function, and of the functions of the project that it calls, in the order of the text."""
    key = ("sites", function)
    if key not in tree.notes:
        tree.notes[key] = tuple(_Walk(tree).sites(scope_of(function, tree), None, False))
    found: tuple[Site, ...] = tree.notes[key]
    return found


def callees(site: Site) -> Iterator[tuple[Scope, bool]]:
    """Give the functions of the project that a call runs, each with whether it runs inside `once`."""
    direct = callee(site.func or site.call.func, site.scope)
    if direct is not None:
        yield called(direct, site.call.args, site.call.keywords, site.scope), False
        return
    in_once = is_once(site.call, site.scope)
    given = [*site.call.args, *(keyword.value for keyword in site.call.keywords)]
    for number, argument in enumerate(given):
        function = callee(argument, site.scope) if isinstance(argument, ast.Name | ast.Attribute) else None
        if function is not None and (in_once or site.name in _RUNNERS or local_function(argument, site.scope)):
            rest = [] if in_once else site.call.args[number + 1 :]
            yield called(function, rest, [] if in_once else site.call.keywords, site.scope), in_once


def _handed(site: Site) -> Iterator[ast.Call]:
    """Give the call of a library's function that a call makes: `to_thread(requests.post, url)`, or a helper."""
    helper = callee(site.func or site.call.func, site.scope)
    names = [] if helper is None else [arg.arg for arg in parameters(helper) if arg.arg not in ("self", "cls")]
    for number, given in enumerate(site.call.args[:2]):
        if not isinstance(given, ast.Attribute) or callee(given, site.scope) is not None:
            continue
        runs = site.name in _RUNNERS if helper is None else number < len(names) and _runs(helper, names[number], site)
        if runs:
            yield _call(given, site.call.args[number + 1 :], site.call.keywords, site)
    made = site.scope.follow(site.call.func)
    match made.node:
        case ast.Call(func=func, args=[ast.Attribute() as given, *first], keywords=keywords) if (
            made.scope.function is None and made.scope.module is site.scope.module
        ):
            if made.scope.dotted(func) == "functools.partial":
                yield _call(given, [*first, *site.call.args], [*keywords, *site.call.keywords], site)


def _call(func: ast.expr, args: list[ast.expr], keywords: list[ast.keyword], site: Site) -> ast.Call:
    return ast.copy_location(ast.Call(func=func, args=args, keywords=keywords), site.call)


def _runs(helper: Function, name: str, site: Site) -> bool:
    """Tell whether a function of the project calls what it is given under a name."""
    body = called(helper, [], [], site.scope).body
    return body is not None and any(
        isinstance(each, ast.Call) and isinstance(each.func, ast.Name) and each.func.id == name for each in body.active
    )


def as_attribute(node: ast.expr, scope: Scope) -> ast.Attribute | None:
    """Give an expression as an attribute: itself, or what `getattr` gives for a name that is known."""
    match node:
        case ast.Attribute():
            return node
        case ast.Call(func=ast.Name(id="getattr"), args=[value, name, *_]):
            text = text_of(name, scope)
            if text.is_known and text.filled().isidentifier():
                return ast.copy_location(ast.Attribute(value=value, attr=text.filled(), ctx=ast.Load()), node)
    return None


def callee(node: ast.expr, scope: Scope) -> Function | None:
    """Find the function of the project that an expression names."""
    if (inner := local_function(node, scope)) is not None:
        return inner
    if isinstance(node, ast.Name) and node.id in scope.passed and not scope.bindings(node.id):
        given = scope.passed[node.id]
        return callee(given.node, given.scope) if isinstance(given.node, ast.Name | ast.Attribute) else None
    if isinstance(node, ast.Name | ast.Attribute):
        dotted = scope.dotted(node)
        if dotted and (found := scope.tree.function(dotted)) is not None:
            return found
    match node:
        case ast.Attribute(value=ast.Name(id="self" | "cls"), attr=attr) if (owner := _class_name(scope)) is not None:
            return method_of(f"class:{scope.module.name}.{owner}", attr, scope)
        case ast.Attribute(value=ast.Call(func=ast.Name(id="super")), attr=attr) if (
            owner := _class_name(scope)
        ) is not None:
            bases = scope.module.classes[owner].bases
            found_in = (method_of(f"class:{scope.module.dotted(base)}", attr, scope) for base in bases)
            return next((found for found in found_in if found is not None), None)
        case ast.Attribute(value=value, attr=attr):
            kind = kind_of(value, scope)
            return method_of(kind, attr, scope) if kind.startswith("class:") else None
        case _:
            return None


def _class_name(scope: Scope) -> str | None:
    around: Scope | None = scope
    while around is not None:
        if around.class_node is not None:
            return around.class_node.name
        around = around.around
    return None


def is_once(node: ast.Call, scope: Scope) -> bool:
    """Tell whether a call is `effects.sql.once` of this library."""
    return scope.dotted(node.func) in _ONCE


def _in_once(node: ast.AST, scope: Scope) -> bool:
    """Tell whether a node stands in a lambda that is given to `once`."""
    body = scope.body
    if body is None or (_ONCE.isdisjoint(scope.module.imports.values()) and not scope.module.imports.get("sql")):
        return False
    around = list(body.around(node))
    return any(
        isinstance(inner, ast.Lambda) and isinstance(outer, ast.Call) and is_once(outer, scope)
        for inner, outer in itertools.pairwise(around)
    )
