"""What kind of thing an expression is: a connection, a session, a client; by imports, annotations and assignments."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Final

from clawproof_langgraph.audit.effects.kinds import ANNOTATED, ATTRIBUTES, MADE_BY, METHODS, PREFIXES
from clawproof_langgraph.audit.effects.scopes import Scope, Valued, called
from clawproof_langgraph.audit.effects.text import text_of
from clawproof_langgraph.audit.source import Function, Module

_DEEPEST: Final = 14
UNKNOWN: Final = ""

_PASSING: Final = frozenset(
    {"contextlib.closing", "contextlib.aclosing", "contextlib.nullcontext", "copy.copy", "next", "anext"}
)
"""Functions that give what they are given."""

_DJANGO_MODEL: Final = re.compile(r"\bdb\.models\.\w*Model$|\.models\.(Abstract\w*|\w+Model)$")
"""Full names of the classes that Django and its extensions give to derive a table from."""


def kind_of(node: ast.expr, scope: Scope, depth: int = 0) -> str:
    """Tell the kind of an expression, such as `sql:sqlite` or `http:requests`; empty where it is not known.

    A kind is a family and a detail. `class:` and the full name is a class of the project.
    """
    if depth > _DEEPEST:
        return UNKNOWN
    match node:
        case ast.Await(value=value) | ast.NamedExpr(value=value) | ast.Starred(value=value):
            return kind_of(value, scope, depth + 1)
        case ast.Name(id="self" | "cls") if scope.class_node is not None:
            return _of_object(scope.module, scope.class_node.name)
        case ast.Name() | ast.Attribute():
            return _of_name(node, scope, depth)
        case ast.Call():
            return _of_call(node, scope, depth)
        case ast.BoolOp(values=values):
            return _first(values, scope, depth)
        case ast.IfExp(body=body, orelse=orelse):
            return _first([body, orelse], scope, depth)
        case ast.Subscript(value=value):
            kind = kind_of(value, scope, depth + 1)
            return METHODS.get((kind.partition(":")[0], "[]"), UNKNOWN) or (
                kind if kind.startswith("sql:") else UNKNOWN
            )
        case ast.BinOp(left=left, op=ast.Div()):
            return kind if (kind := kind_of(left, scope, depth + 1)) in ("path:", "scratch:") else UNKNOWN
        case ast.Set() | ast.SetComp():
            return "plain:set"
        case ast.Dict() | ast.DictComp():
            return "plain:dict"
        case ast.List() | ast.ListComp():
            return "plain:list"
        case ast.Constant(value=str()) | ast.JoinedStr():
            return "plain:str"
        case _:
            return UNKNOWN


def _first(values: list[ast.expr], scope: Scope, depth: int) -> str:
    return next((kind for value in values if (kind := kind_of(value, scope, depth + 1))), UNKNOWN)


def _of_name(node: ast.Name | ast.Attribute, scope: Scope, depth: int) -> str:
    found = scope.look_up(node)
    if found is not None and found.node is not node:
        kind = kind_of(found.node, found.scope, depth + 1)
        if found.how == "enter":
            return entered(kind, scope, depth)
        if found.how == "item":
            return METHODS.get(
                (kind.partition(":")[0], "[]"), kind if kind.startswith(("alchemy:", "sql:")) else UNKNOWN
            )
        if kind:
            return kind
    if (annotation := _annotation(node, scope)) is not None:
        return _of_annotation(annotation.node, annotation.scope)
    dotted = scope.dotted(node)
    if dotted and (kind := named(dotted)):
        return kind
    if isinstance(node, ast.Attribute):
        if node.attr in ("objects", "_default_manager") and (_is_class_name(node.value) or _is_looked_up(node, scope)):
            return "rows:django"
        if node.attr == "query" and _is_class_name(node.value):  # Flask-SQLAlchemy
            return "rows:alchemy"
        kind = kind_of(node.value, scope, depth + 1)
        family = kind.partition(":")[0]
        if family in ("mongo", "stripe", "twilio", "sendgrid"):
            return f"{family}:{node.attr}"
        return ATTRIBUTES.get((family, node.attr), UNKNOWN) or _attribute_of_object(kind, node.attr, scope, depth)
    return UNKNOWN


def _is_looked_up(node: ast.Attribute, scope: Scope) -> bool:
    """Tell whether what stands before the dot is a model that Django was asked for: `get_user_model()`."""
    asked = scope.follow(node.value)
    func = asked.node.func if isinstance(asked.node, ast.Call) else None
    name = func.id if isinstance(func, ast.Name) else func.attr if isinstance(func, ast.Attribute) else ""
    return name in ("get_user_model", "get_model")


def _is_class_name(node: ast.expr) -> bool:
    name = node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""
    return name[:1].isupper()


def entered(kind: str, scope: Scope, depth: int = 0) -> str:
    """Tell what `with` gives of a kind."""
    if kind.startswith("class:"):
        method = method_of(kind, "__enter__", scope) or method_of(kind, "__aenter__", scope)
        return (returned(method, scope, depth) or kind) if method is not None else kind
    return METHODS.get((kind.partition(":")[0], "with"), kind)


def named(dotted: str) -> str:
    """Tell the kind of what a full name stands for, such as a module or a global of a library."""
    for prefix, kind in PREFIXES:
        if dotted == prefix:
            return kind
    return UNKNOWN


def _of_call(node: ast.Call, scope: Scope, depth: int) -> str:
    dotted = scope.dotted(node.func)
    if dotted:
        if dotted in MADE_BY:
            return _detailed(MADE_BY[dotted], node, scope)
        if dotted.endswith("get_object_or_404"):
            return "row:django"
        if dotted in _PASSING and node.args:
            return kind_of(node.args[0], scope, depth + 1)
        if (made := _made_by_project(dotted, node, scope, depth)) is not None:
            return made
    if isinstance(node.func, ast.Attribute):
        kind = kind_of(node.func.value, scope, depth + 1)
        family, _, detail = kind.partition(":")
        found = METHODS.get((family, node.func.attr))
        if found is not None:
            return _detailed(found.replace("*", detail), node, scope)
        if family == "class" and (method := method_of(kind, node.func.attr, scope)) is not None:
            return returned(method, scope, depth, node)
        return UNKNOWN
    inner = local_function(node.func, scope)
    if inner is not None:
        return returned(inner, scope, depth, node)
    if isinstance(node.func, ast.Name) and node.func.id == "cls" and scope.class_node is not None:
        return _of_object(scope.module, scope.class_node.name)
    kind = kind_of(node.func, scope, depth + 1)
    return METHODS.get((kind.partition(":")[0], "()"), UNKNOWN)


def _detailed(kind: str, node: ast.Call, scope: Scope) -> str:
    """Put the first argument into a kind that ends with `?`: the service of a client."""
    if not kind.endswith("?"):
        return kind
    first = (
        node.args[0] if node.args else next((each.value for each in node.keywords if each.arg == "service_name"), None)
    )
    text = text_of(first, scope) if first is not None else None
    return kind[:-1] + (text.filled() if text is not None and text.is_known else "")


def _made_by_project(dotted: str, node: ast.Call, scope: Scope, depth: int) -> str | None:
    module, name = resolve_class(dotted, scope)
    if module is not None:
        return _of_object(module, name)
    function = scope.tree.function(dotted)
    return returned(function, scope, depth, node) if function is not None else None


def _of_object(module: Module, name: str) -> str:
    """Tell what an object of a project's class is: what it is derived from, or itself."""
    for base in module.classes[name].bases:
        kind = MADE_BY.get(module.dotted(base), UNKNOWN)
        if kind and not kind.endswith("?"):
            return kind
    return f"class:{module.name}.{name}"


def row_kind(dotted: str, scope: Scope) -> str:
    """Tell the kind of the rows of a class, by itself or by what it is derived from; empty where it has no table."""
    pending, seen = [dotted], set[str]()
    while pending:
        dotted = pending.pop(0)
        if dotted in seen:
            continue
        seen.add(dotted)
        if _DJANGO_MODEL.search(dotted):
            return "row:django"
        module, name = resolve_class(dotted, scope)
        if module is None:
            continue
        if _has_table(module.classes[name]):
            return "row:alchemy"
        pending += [module.dotted(base) for base in module.classes[name].bases]
    return UNKNOWN


def _has_table(node: ast.ClassDef) -> bool:
    targets = [each for statement in node.body if isinstance(statement, ast.Assign) for each in statement.targets]
    has_name = any(isinstance(each, ast.Name) and each.id in ("__tablename__", "__table__") for each in targets)
    return has_name or any(each.arg == "table" for each in node.keywords)


def resolve_class(dotted: str, scope: Scope) -> tuple[Module | None, str]:
    """Find a class of the project by its full name, through modules that pass it on."""
    for _ in range(5):
        module, name = scope.tree.split(dotted)
        if module is None:
            return None, ""
        if name in module.classes:
            return module, name
        if name not in module.imports:
            return None, ""
        dotted = module.imports[name]
    return None, ""


def method_of(kind: str, name: str, scope: Scope) -> Function | None:
    """Find a method of a class of the project, also where it inherits it."""
    pending, seen = [kind.partition(":")[2]], set()
    while pending:
        dotted = pending.pop(0)
        module, cls = resolve_class(dotted, scope)
        if module is None or (module.name, cls) in seen:
            continue
        seen.add((module.name, cls))
        if (found := module.by_name.get(f"{cls}.{name}")) is not None:
            return found
        pending += [module.dotted(base) for base in module.classes[cls].bases]
    return None


def local_function(node: ast.expr, scope: Scope) -> Function | None:
    """Find a function that is defined inside this one, or inside one around it."""
    if not isinstance(node, ast.Name):
        return None
    around: Scope | None = scope
    while around is not None:
        body, function = around.body, around.function
        if body is not None and function is not None and node.id in body.inner:
            return function.module.by_name.get(f"{function.name}.{node.id}")
        around = around.around
    return None


def returned(function: Function, scope: Scope, depth: int, call: ast.Call | None = None) -> str:
    """Tell what a function of the project gives: by its annotation, else by what it returns or yields.

    What the call passes counts: a helper may be told for which service it makes a client.
    """
    given = (call.args, call.keywords) if call is not None else ([], [])
    inside = called(function, *given, scope)
    if function.node.returns is not None and (kind := _of_annotation(function.node.returns, inside)):
        return kind
    for value in _results(inside):
        if kind := kind_of(value, inside, depth + 3):
            return kind
    return UNKNOWN


def _results(scope: Scope) -> Iterator[ast.expr]:
    body = scope.body
    for node in body.nodes if body is not None else ():
        match node:
            case ast.Return(value=ast.expr() as value) | ast.Yield(value=ast.expr() as value):
                yield value


def _annotation(node: ast.Name | ast.Attribute, scope: Scope) -> Valued | None:
    match node:
        case ast.Name(id=name):
            around: Scope | None = scope
            while around is not None:
                arg = around.parameter(name)
                if arg is not None:
                    return Valued(arg.annotation, around) if arg.annotation is not None else None
                around = around.around
        case ast.Attribute(value=ast.Name(id="self"), attr=attr) if scope.class_node is not None:
            for statement in scope.class_node.body:
                match statement:
                    case ast.AnnAssign(target=ast.Name(id=name), annotation=annotation) if name == attr:
                        return Valued(annotation, Scope(scope.tree, scope.module))
    return None


def _of_annotation(node: ast.expr, scope: Scope, depth: int = 0) -> str:
    if depth > 5:
        return UNKNOWN
    match node:
        case ast.Constant(value=str() as written):
            try:
                return _of_annotation(ast.parse(written, mode="eval").body, scope, depth + 1)
            except (SyntaxError, ValueError, RecursionError, MemoryError):
                return UNKNOWN
        case ast.BinOp(left=left, right=right):
            return _of_annotation(left, scope, depth + 1) or _of_annotation(right, scope, depth + 1)
        case ast.Subscript(value=value, slice=inside):
            return _of_annotation(value, scope, depth + 1) or _of_parts(inside, scope, depth)
        case ast.Name() | ast.Attribute():
            dotted = scope.module.dotted(node)
            if dotted in MADE_BY:
                return MADE_BY[dotted].rstrip("?")
            if dotted in ANNOTATED:
                return ANNOTATED[dotted]
            module, name = resolve_class(dotted, scope)
            if module is not None:
                return row_kind(dotted, scope) or _of_object(module, name)
            alias = scope.module.assigned.get(node.id) if isinstance(node, ast.Name) else None
            return _of_annotation(alias, scope, depth + 1) if alias is not None else UNKNOWN
        case _:
            return UNKNOWN


def _of_parts(node: ast.expr, scope: Scope, depth: int) -> str:
    parts = node.elts if isinstance(node, ast.Tuple) else [node]
    return next((kind for part in parts if (kind := _of_annotation(part, scope, depth + 1))), UNKNOWN)


def _attribute_of_object(kind: str, attr: str, scope: Scope, depth: int) -> str:
    if not kind.startswith("class:"):
        return UNKNOWN
    module, name = resolve_class(kind.partition(":")[2], scope)
    if module is None:
        return UNKNOWN
    found = Scope(scope.tree, module).attribute_of(module.classes[name], attr)
    return kind_of(found.node, found.scope, depth + 1) if found is not None else UNKNOWN
