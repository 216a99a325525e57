"""What a string is, as far as its source tells: constants, f-strings, `%`, `.format`, `+`, names; the rest is holes."""

from __future__ import annotations

import ast
import re
import textwrap
from dataclasses import dataclass
from typing import Final

from clawproof_langgraph.audit.effects.scopes import Scope, Valued

_DEEPEST: Final = 40
_UNCHANGED: Final = frozenset({"strip", "rstrip", "lstrip", "encode", "decode", "lower", "upper", "as_string"})
_WRAPPERS: Final = frozenset(
    {
        "text",
        "dedent",
        "cleandoc",
        "SQL",
        "str",
        "RawSQL",
        "sql",
        "DDL",
        "literal_column",
        "LiteralString",
        "cast",
        "URL",
        "Path",
    }
)
_FIELD: Final = re.compile(r"\{\{|\}\}|\{([^{}]*)\}")
_PERCENT: Final = re.compile(r"%%|%(?:\((\w+)\))?[-#0 +]*[\d*]*(?:\.\d+)?[sdrifgx]")


@dataclass(frozen=True, slots=True)
class Text:
    """A string of which parts may be unknown.

    Args:
        parts: what is known as strings; an unknown part as the expression that gives it.
    """

    parts: tuple[str | Valued, ...]

    @property
    def is_known(self) -> bool:
        """Whether all of it is known."""
        return all(isinstance(part, str) for part in self.parts)

    @property
    def has_words(self) -> bool:
        """Whether something of it is known."""
        return any(isinstance(part, str) and part.strip() for part in self.parts)

    @property
    def holes(self) -> tuple[Valued, ...]:
        """What gives the unknown parts."""
        return tuple(part for part in self.parts if isinstance(part, Valued))

    def filled(self, hole: str = "{}") -> str:
        """Give the text with something in place of each unknown part."""
        return "".join(part if isinstance(part, str) else hole for part in self.parts)

    def __add__(self, other: Text) -> Text:
        return Text(self.parts + other.parts)


def text_of(node: ast.expr, scope: Scope, depth: int = 0) -> Text:
    """Evaluate a string; what is not known becomes a hole."""
    if depth > _DEEPEST:
        return _hole(node, scope)
    match node:
        case ast.Constant(value=str() as value):
            return Text((value,))
        case ast.Constant(value=bytes() as raw):
            return Text((raw.decode("utf-8", "replace"),))
        case ast.Constant(value=value):
            return Text((str(value),))
        case ast.JoinedStr(values=values):
            return _joined(values, scope, depth)
        case ast.FormattedValue(value=value):
            return _value_in_text(value, scope, depth)
        case ast.BinOp(op=ast.Add()):
            return _sum(node, scope, depth)
        case ast.BinOp(left=left, op=ast.Mod(), right=right):
            return _percent(text_of(left, scope, depth + 1), right, scope, depth)
        case ast.BinOp(left=left, op=ast.Div(), right=right):  # a path
            return text_of(left, scope, depth + 1) + Text(("/",)) + text_of(right, scope, depth + 1)
        case ast.Call():
            return _call(node, scope, depth)
        case ast.Name() | ast.Attribute():
            return _named(node, scope, depth)
        case ast.IfExp(body=body):
            return text_of(body, scope, depth + 1)
        case ast.BoolOp(values=[*_, last]):
            return text_of(last, scope, depth + 1)
        case ast.Subscript(value=value, slice=ast.Constant(value=key)):
            return _item(node, value, key, scope, depth)
        case _:
            return _hole(node, scope)


def _hole(node: ast.expr, scope: Scope) -> Text:
    return Text((Valued(node, scope),))


def _joined(values: list[ast.expr], scope: Scope, depth: int) -> Text:
    found = Text(())
    for value in values:
        found += text_of(value, scope, depth + 1)
    return found


def _value_in_text(value: ast.expr, scope: Scope, depth: int) -> Text:
    found = text_of(value, scope, depth + 1)
    return found if found.is_known else (found if found.has_words else _hole(value, scope))


def _sum(node: ast.BinOp, scope: Scope, depth: int) -> Text:
    terms: list[ast.expr] = []
    left: ast.expr = node
    while isinstance(left, ast.BinOp) and isinstance(left.op, ast.Add):  # a long sum is nested as deep
        terms.append(left.right)
        left = left.left
    return _joined([left, *reversed(terms)], scope, depth)


def _percent(template: Text, right: ast.expr, scope: Scope, depth: int) -> Text:
    given = list(right.elts) if isinstance(right, ast.Tuple) else [right]
    named = _constants(right)

    def value(match: re.Match[str]) -> Text:
        if match[0] == "%%":
            return Text(("%",))
        found = named.get(match[1]) if match[1] else given.pop(0) if given else None
        return text_of(found, scope, depth + 1) if found is not None else _hole(right, scope)

    return _replaced(template, _PERCENT, value)


def _constants(node: ast.expr) -> dict[str, ast.expr]:
    if not isinstance(node, ast.Dict):
        return {}
    return {
        str(key.value): value
        for key, value in zip(node.keys, node.values, strict=True)
        if isinstance(key, ast.Constant)
    }


def _replaced(template: Text, pattern: re.Pattern[str], value: object) -> Text:
    assert callable(value)
    found = Text(())
    for part in template.parts:
        if isinstance(part, Valued):
            found += Text((part,))
            continue
        at = 0
        for match in pattern.finditer(part):
            found = found + Text((part[at : match.start()],)) + value(match)
            at = match.end()
        found += Text((part[at:],))
    return found


def _call(node: ast.Call, scope: Scope, depth: int) -> Text:
    match node:
        case ast.Call(func=ast.Attribute(value=template, attr="format")):
            return _format(node, text_of(template, scope, depth + 1), scope, depth)
        case ast.Call(
            func=ast.Attribute(value=separator, attr="join"), args=[ast.List(elts=parts) | ast.Tuple(elts=parts)]
        ):
            between = text_of(separator, scope, depth + 1)
            found = Text(())
            for number, part in enumerate(parts):
                found = found + (between if number else Text(())) + text_of(part, scope, depth + 1)
            return found
        case ast.Call(func=ast.Attribute(value=value, attr=attr)) if attr in _UNCHANGED:
            return _in_case(text_of(value, scope, depth + 1), attr)
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name), args=[first, *rest]) if name in _WRAPPERS:
            found = text_of(rest[-1] if name == "cast" and rest else first, scope, depth + 1)
            if name in ("dedent", "cleandoc") and found.is_known:
                return Text((textwrap.dedent(found.filled()),))
            if name in ("URL", "Path"):
                for part in rest:
                    found = found + Text(("/",)) + text_of(part, scope, depth + 1)
            return found
        case _:
            return _hole(node, scope)


def _in_case(text: Text, method: str) -> Text:
    match method:
        case "lower":
            return Text(tuple(part.lower() if isinstance(part, str) else part for part in text.parts))
        case "upper":
            return Text(tuple(part.upper() if isinstance(part, str) else part for part in text.parts))
        case _:
            return text


def _format(node: ast.Call, template: Text, scope: Scope, depth: int) -> Text:
    given, named = list(node.args), {keyword.arg: keyword.value for keyword in node.keywords}

    def value(match: re.Match[str]) -> Text:
        if match[0] in ("{{", "}}"):
            return Text((match[0][0],))
        name = re.split(r"[!:.\[]", match[1] or "")[0]
        if not name:
            found = given.pop(0) if given else None
        else:
            found = (
                named.get(name)
                if not name.isdigit()
                else (node.args[int(name)] if int(name) < len(node.args) else None)
            )
        return text_of(found, scope, depth + 1) if found is not None else _hole(node, scope)

    return _replaced(template, _FIELD, value)


def _named(node: ast.expr, scope: Scope, depth: int) -> Text:
    found = scope.look_up(node)
    if found is None or found.how != "is" or found.node is node:
        return _hole(node, scope)
    text = text_of(found.node, found.scope, depth + 1)
    if isinstance(node, ast.Name):
        for binding in scope.bindings(node.id):
            if binding.how == "add" and binding.line <= node.lineno and found.scope is scope:
                text += text_of(binding.value, scope, depth + 1)
    return text if text.has_words else _hole(node, scope)


def _item(node: ast.expr, value: ast.expr, key: object, scope: Scope, depth: int) -> Text:
    found = scope.follow(value)
    if (
        isinstance(found.node, ast.Dict)
        and isinstance(key, str)
        and (item := _constants(found.node).get(key)) is not None
    ):
        return text_of(item, found.scope, depth + 1)
    return _hole(node, scope)
