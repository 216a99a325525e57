"""What a name in a function stands for: its bindings, what the caller passed, what is around it, the project."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from clawproof_langgraph.audit.effects.bodies import Binding, Body, body_of, class_of
from clawproof_langgraph.audit.source import Function, Module, SourceTree

MOST_HOPS = 12
"""How many names are followed from one to the next."""


@dataclass(frozen=True, eq=False, slots=True)
class Valued:
    """An expression, where its names can be looked up.

    Args:
        node: the expression.
        scope: where it stands.
        how: how the name that led to it is bound to it.
    """

    node: ast.expr
    scope: Scope
    how: str = "is"


@dataclass(frozen=True, eq=False)
class Scope:
    """A function as it is called once, or the top of a module.

    Args:
        tree: the project.
        module: the module.
        function: the function; None for the top of the module.
        passed: what its parameters were given, by name; a tool's are not known.
        around: the scope of the function in which it is defined.
        called: whether it was reached by a call, so that a default stands for what was not passed.
    """

    tree: SourceTree
    module: Module
    function: Function | None = None
    passed: Mapping[str, Valued] = field(default_factory=dict)
    around: Scope | None = None
    called: bool = False

    @cached_property
    def body(self) -> Body | None:
        """The body of the function."""
        return None if self.function is None else _body(self.tree, self.function)

    @cached_property
    def class_node(self) -> ast.ClassDef | None:
        """The class around the function."""
        return class_of(self.module, self.function.owner) if self.function is not None else None

    def dotted(self, node: ast.expr) -> str:
        """Give the full name that an expression stands for; empty where a local name is in the way."""
        root = node
        while isinstance(root, ast.Attribute):
            root = root.value
        if not isinstance(root, ast.Name) or self.is_local(root.id):
            return ""
        return self.module.dotted(node)

    def is_local(self, name: str) -> bool:
        """Tell whether a name belongs to the function, or to one around it."""
        scope: Scope | None = self
        while scope is not None:
            body = scope.body
            if body is not None and name not in body.shared:
                if name in body.inner or any(binding.how != "mutate" for binding in body.bindings.get(name, ())):
                    return True
                if scope.parameter(name) is not None:
                    return True
            scope = scope.around
        return False

    def parameter(self, name: str) -> ast.arg | None:
        """Find a parameter of the function."""
        return self._parameters.get(name)

    @cached_property
    def _parameters(self) -> dict[str, ast.arg]:
        return {} if self.function is None else {arg.arg: arg for arg in parameters(self.function)}

    def is_shared(self, name: str) -> bool:
        """Tell whether a name is one of the module, so that its value outlives the call."""
        return not self.is_local(name) and (name in self.module.assigned or name in self.module.imports)

    def bindings(self, name: str) -> list[Binding]:
        """Give the bindings of a name in the function itself, in the order of the text."""
        body = self.body
        return [] if body is None else body.bindings.get(name, [])

    def look_up(self, node: ast.expr) -> Valued | None:
        """Find what a name, or an attribute, is bound to; None where that cannot be told."""
        match node:
            case ast.Name(id=name):
                return self._local(name, node) or self._of_module(name)
            case ast.Attribute(value=ast.Name(id="self" | "cls"), attr=attr):
                return self._local(f"self.{attr}", node) or self._of_class(attr)
            case ast.Attribute():
                dotted = self.dotted(node)
                return self._of_project(dotted) if dotted else None
            case _:
                return None

    def follow(self, node: ast.expr) -> Valued:
        """Follow names to the expression that they stand for in the end; as far as it gets."""
        found = Valued(node, self)
        for _ in range(MOST_HOPS):
            if found.how != "is":
                return found
            step = found.scope.look_up(found.node)
            if step is None or step.node is found.node:
                return found
            found = step
        return found

    def _local(self, name: str, at: ast.expr | None) -> Valued | None:
        bound = [binding for binding in self.bindings(name) if binding.how in ("is", "enter", "item")]
        before = [binding for binding in bound if at is None or _precedes(binding, at)]
        chosen = before[-1] if before else bound[0] if bound and not self.parameter(name) else None
        if chosen is not None and chosen.value is not at:
            return Valued(chosen.value, self, chosen.how)
        if name in self.passed:
            return self.passed[name]
        if self.called and self.function is not None and (default := _default(self.function, name)) is not None:
            return Valued(default, Scope(self.tree, self.module))
        if self.parameter(name) is None and self.around is not None:
            return self.around._local(name, None)
        return None

    def _of_module(self, name: str) -> Valued | None:
        if self.is_local(name):
            return None
        if name in self.module.assigned:
            return Valued(self.module.assigned[name], Scope(self.tree, self.module))
        if name in self.module.imports:
            return self._of_project(self.module.imports[name])
        return None

    def _of_project(self, dotted: str) -> Valued | None:
        for _ in range(5):  # a package may pass a name on
            module, name = self.tree.split(dotted)
            if module is None:
                return None
            top, _, attr = name.partition(".")
            if top in module.classes:
                return Scope(self.tree, module).attribute_of(module.classes[top], attr) if attr else None
            if name in module.assigned:
                return Valued(module.assigned[name], Scope(self.tree, module))
            if attr and top in module.assigned:
                return Scope(self.tree, module)._of_instance(module.assigned[top], attr)
            if top not in module.imports:
                return None
            dotted = f"{module.imports[top]}.{attr}" if attr else module.imports[top]
        return None

    def _of_instance(self, made: ast.expr, attr: str) -> Valued | None:
        """Find an attribute of an object at the top of this module: `settings = Settings()`, then `settings.dsn`."""
        if not isinstance(made, ast.Call):
            return None
        module, name = self.tree.split(self.module.dotted(made.func))
        node = module.classes.get(name) if module is not None else None
        return Scope(self.tree, module).attribute_of(node, attr) if module is not None and node is not None else None

    def _of_class(self, attr: str) -> Valued | None:
        scope: Scope | None = self
        while scope is not None:
            if scope.class_node is not None:
                return scope.attribute_of(scope.class_node, attr)
            scope = scope.around
        return None

    def attribute_of(self, node: ast.ClassDef, attr: str) -> Valued | None:
        """Find what an attribute of a class of this module is given, in the class or by `self.x = ...`."""
        key = ("attributes", node)
        if key not in self.tree.notes:
            self.tree.notes[key] = self._attributes(node)
        found: Valued | None = self.tree.notes[key].get(attr)
        return found

    def _attributes(self, node: ast.ClassDef) -> dict[str, Valued]:
        found: dict[str, Valued] = {}
        for method in methods_of(self.module, node):
            for name, bindings in _body(self.tree, method).bindings.items():
                values = [each for each in bindings if each.how in ("is", "enter")]
                real = (
                    each for each in values if not isinstance(each.value, ast.Constant) or each.value.value is not None
                )
                given = next(real, values[0] if values else None)  # `self.pool = None` says nothing of what comes later
                owner, _, attr = name.partition(".")
                if owner in ("self", "cls") and attr and given is not None:
                    scope = Scope(self.tree, self.module, method)
                    found.setdefault(attr, Valued(given.value, scope, given.how))
        for statement in node.body:
            match statement:
                case (
                    ast.Assign(targets=[ast.Name(id=name)], value=value)
                    | ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value)
                ):
                    if name not in found or not (isinstance(value, ast.Constant) and value.value is None):
                        found[name] = Valued(value, Scope(self.tree, self.module))
        return found


def _precedes(binding: Binding, node: ast.expr) -> bool:
    if binding.how == "item":  # a comprehension binds after what it gives
        return binding.line <= node.lineno
    value = binding.value
    return (value.end_lineno or 0, value.end_col_offset or 0) <= (node.lineno, node.col_offset)


def methods_of(module: Module, node: ast.ClassDef) -> Iterator[Function]:
    """Give the methods of a class at the top of a module."""
    for child in node.body:
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            function = module.by_name.get(f"{node.name}.{child.name}")
            if function is not None:
                yield function


def parameters(function: Function) -> list[ast.arg]:
    """Give the parameters of a function, in order, without `*args` and `**kwargs`."""
    args = function.node.args
    return [*args.posonlyargs, *args.args, *args.kwonlyargs]


def scope_of(function: Function, tree: SourceTree) -> Scope:
    """Make the scope of a function whose caller is not known."""
    around = function.module.by_name.get(function.owner)
    return Scope(tree, function.module, function, around=None if around is None else scope_of(around, tree))


def called(function: Function, args: list[ast.expr], keywords: list[ast.keyword], scope: Scope) -> Scope:
    """Make the scope of a function as it is called."""
    names = [arg.arg for arg in parameters(function)]
    static = any(isinstance(each, ast.Name) and each.id == "staticmethod" for each in function.node.decorator_list)
    if names[:1] in (["self"], ["cls"]) and not static:
        names = names[1:]
    passed: dict[str, Valued] = {}
    for number, argument in enumerate(args):
        if isinstance(argument, ast.Starred):
            break
        if number < len(names):
            passed[names[number]] = Valued(argument, scope)
    for keyword in keywords:
        if keyword.arg is not None:
            passed[keyword.arg] = Valued(keyword.value, scope)
    if function.node.args.vararg is not None and len(args) > len(names):
        rest = ast.copy_location(ast.Tuple(elts=args[len(names) :], ctx=ast.Load()), args[len(names)])
        passed[function.node.args.vararg.arg] = Valued(rest, scope)
    return Scope(scope.tree, function.module, function, passed, _around(function, scope), called=True)


def _around(function: Function, scope: Scope) -> Scope | None:
    """Find the scope of the function around another: that of the caller, where it is one of them."""
    outer = function.module.by_name.get(function.owner)
    if outer is None:
        return None
    around: Scope | None = scope
    while around is not None:
        if around.function is outer:
            return around
        around = around.around
    return scope_of(outer, scope.tree)


def _default(function: Function, name: str) -> ast.expr | None:
    args = function.node.args
    positional = [*args.posonlyargs, *args.args]
    for arg, default in zip(reversed(positional), reversed(args.defaults), strict=False):
        if arg.arg == name:
            return default
    for arg, given in zip(args.kwonlyargs, args.kw_defaults, strict=True):
        if arg.arg == name:
            return given
    return None


def _body(tree: SourceTree, function: Function) -> Body:
    notes = tree.notes
    key = ("body", function)
    if key not in notes:
        notes[key] = body_of(function.node)
    found = notes[key]
    assert isinstance(found, Body)
    return found
