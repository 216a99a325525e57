"""Writes that a repetition does not make: it looks first, marks what it did, or is refused and takes that for done."""

from __future__ import annotations

import ast
import re
from typing import Final

from clawproof_langgraph.audit.effects.conditions import Condition, conditions, says_there, statements_before
from clawproof_langgraph.audit.effects.keys import is_unstable
from clawproof_langgraph.audit.effects.origins import origins
from clawproof_langgraph.audit.effects.readings import Reading, last_query, query_names, query_of, readings
from clawproof_langgraph.audit.effects.receivers import resolve_class
from clawproof_langgraph.audit.effects.scopes import Scope, Valued
from clawproof_langgraph.audit.effects.sites import Site
from clawproof_langgraph.audit.effects.states import is_passed
from clawproof_langgraph.audit.effects.text import text_of
from clawproof_langgraph.audit.effects.touches import Touch

_DUPLICATES: Final = frozenset(
    {"IntegrityError", "UniqueViolation", "UniqueViolationError", "DuplicateKeyError", "DuplicateKeyException",
     "FileExistsError", "ConditionalCheckFailedException", "AlreadyExists", "ResourceExistsError", "ConflictError"}
)  # fmt: skip
_NOT_FOUND: Final = frozenset({"DoesNotExist", "ObjectDoesNotExist", "NoResultFound"})
_NUMBER_OF_ROWS: Final = re.compile(r"^(n|c|cnt|count|total|exists|found|\d+)$", re.IGNORECASE)
_LISTS: Final = re.compile(
    r"^(items|results?|data|value|values|records|entries|hits|rows|content|objects|total(_?count)?|num_?found|size)$",
    re.IGNORECASE,
)
"""Names under which a service gives what it found, or how much; empty, or 0, where there is nothing."""


def refused_twice(site: Site, touch: Touch) -> str | None:
    """Say why a repetition is not made, where what is around the site refuses it; None where nothing does."""
    at: Site | None = site
    while at is not None:  # what is around the call refuses what the helper does
        if _duplicate_is_caught(at):
            return "A repetition is refused by a unique key, and that is taken for done."
        if _is_not_found(at, touch):
            return "It is made only when a look-up finds that it is not there."
        if _left_by_duplicate(at):
            return "A repetition is refused by a unique key before it gets here."
        for test, is_there in conditions(at):
            if _is_marked(test, at.scope, is_there):
                return "It is made only by the one that sets its mark."
            if _is_looked_up(test, at.scope, is_there, touch) or (at is site and _is_missing(test, site, is_there)):
                return "It is made only when a look-up finds that it is not there."
            if touch.kind in ("sql", "orm") and is_passed(Condition(test, is_there), at):
                return "It is made only before a state that the call leaves behind."
        at = at.caller
    return None


def _duplicate_is_caught(site: Site) -> bool:
    inner: ast.AST = site.node
    for around in site.around():
        if isinstance(around, ast.Try) and any(inner is each for each in around.body):
            for handler in around.handlers:
                if handler.type is not None and _names_duplicate(handler.type, site.scope) and not _raises(handler):
                    return True
        inner = around
    return False


def _is_not_found(site: Site, touch: Touch) -> bool:
    """Tell whether a site stands where a look-up of the same rows was caught finding none: `except DoesNotExist`."""
    inner: ast.AST = site.node
    for around in site.around():
        if isinstance(around, ast.Try) and isinstance(inner, ast.ExceptHandler) and inner.type is not None:
            asked = [node for statement in around.body for node in ast.walk(statement) if isinstance(node, ast.Call)]
            if _names(inner.type, site.scope, _NOT_FOUND) and any(
                _finds(Reading(Valued(call, site.scope), False, frozenset()), touch) for call in asked
            ):
                return True
        inner = around
    return False


def _names_duplicate(node: ast.expr, scope: Scope) -> bool:
    return _names(node, scope, _DUPLICATES)


def _names(node: ast.expr, scope: Scope, errors: frozenset[str]) -> bool:
    """Tell whether an `except` names one of some errors, also under another name that it was imported by."""
    names = node.elts if isinstance(node, ast.Tuple) else [node]
    if any(scope.dotted(part).rpartition(".")[2] in errors for part in names):
        return True
    return any((part.attr if isinstance(part, ast.Attribute) else getattr(part, "id", "")) in errors for part in names)


def _raises(handler: ast.ExceptHandler) -> bool:
    return any(isinstance(node, ast.Raise) for statement in handler.body for node in ast.walk(statement))


def _left_by_duplicate(site: Site) -> bool:
    """Tell whether a `try` before the site leaves when a unique key refuses what it inserts."""
    inner: ast.AST = site.node
    for around in site.around():
        for statement in statements_before(inner, getattr(around, "body", None)):
            if isinstance(statement, ast.Try):
                for handler in statement.handlers:
                    leaves = isinstance(handler.body[-1], ast.Return | ast.Continue)
                    if leaves and handler.type is not None and _names_duplicate(handler.type, site.scope):
                        return True
        inner = around
    return False


def _is_looked_up(test: ast.expr, scope: Scope, holds: bool, touch: Touch) -> bool:
    asked = says_there(test)
    if asked is None or asked[1] is not holds:
        return False
    if touch.kind == "memory":
        names = {node.id for node in ast.walk(asked[0]) if isinstance(node, ast.Name)}
        return touch.resource in names and not isinstance(asked[0], ast.Subscript)
    return any(_finds(reading, touch) for reading in readings(Valued(asked[0], scope)))


def _is_missing(test: ast.expr, site: Site, holds: bool) -> bool:
    """Tell whether a condition looks into the collection that the site appends to: `if tag not in contact.tags`.

    An object that was made in this call is never in it: what is equal to it may be there all the same.
    """
    asked = says_there(test)
    if asked is None or asked[1] is not holds or site.name != "append" or site.receiver is None:
        return False
    if isinstance(test, ast.Compare) and _is_new(test.left, site.scope):
        return False
    looked_into = {ast.unparse(part.node) for part in origins(asked[0], site.scope) if part.scope is site.scope}
    return ast.unparse(site.receiver) in looked_into


def _is_new(node: ast.expr, scope: Scope) -> bool:
    made = scope.follow(node)
    return (
        isinstance(made.node, ast.Call) and resolve_class(made.scope.dotted(made.node.func), made.scope)[0] is not None
    )


def _finds(reading: Reading, touch: Touch) -> bool:
    if reading.computed or not touch.resource:
        return False
    if any(not _NUMBER_OF_ROWS.match(key) and not _is_list_of(key, touch) for key in reading.keys):
        return False
    query = query_of(reading.call)
    if query is not None:
        return query_names(query, touch.resource)
    if touch.kind == "orm":
        return any(isinstance(node, ast.Name) and node.id == touch.resource for node in ast.walk(reading.call.node))
    return _reads_same(reading.call, touch)


def _is_list_of(key: str, touch: Touch) -> bool:
    """Tell whether a part of an answer is the list of what was found: `items`, or `contacts` of `/contacts`."""
    return touch.kind == "http" and bool(_LISTS.match(key) or touch.resource.rstrip("/").endswith(f"/{key}"))


def _reads_same(call: Valued, touch: Touch) -> bool:
    """Tell whether a call reads the file, or gets the address, that a touch writes."""
    match call.node:
        case ast.Call(func=ast.Attribute(attr="get"), args=[url, *_]) if touch.kind == "http":
            return _is_address(url, call.scope, touch)
        case ast.Call(func=ast.Attribute(attr="request"), args=[method, url, *_]) if touch.kind == "http":
            return text_of(method, call.scope).filled("").upper() == "GET" and _is_address(url, call.scope, touch)
        case ast.Call(func=ast.Attribute(value=value, attr="exists" | "is_file" | "read_text"), args=[]) if (
            touch.kind == "file"
        ):
            return text_of(value, call.scope).filled() == touch.resource
        case ast.Call(func=ast.Attribute(attr="exists" | "isfile") | ast.Name(id="open"), args=[first, *_]) if (
            touch.kind == "file"
        ):
            return text_of(first, call.scope).filled() == touch.resource
        case _:
            return False


def _is_address(url: ast.expr, scope: Scope, touch: Touch) -> bool:
    return text_of(url, scope).filled().split("?")[0].rstrip("/") == touch.resource.rstrip("/")


def _adds_once(cursor: ast.expr, scope: Scope) -> bool:
    """Tell whether what a cursor did last is an INSERT that leaves alone what is there."""
    texts = [
        text_of(reading.call.node.args[0], reading.call.scope).filled().upper()
        for reading in readings(Valued(cursor, scope))
        if isinstance(reading.call.node, ast.Call) and reading.call.node.args
    ]
    if isinstance(cursor, ast.Name) and (query := last_query(scope, cursor.id, cursor.lineno)) is not None:
        texts.append(query.upper())
    return any("INSERT" in text and ("DO NOTHING" in text or "IGNORE" in text) for text in texts)


def _is_marked(test: ast.expr, scope: Scope, holds: bool) -> bool:
    """Tell whether a condition sets a mark that only one can set, under a stable key.

    Such as Redis' `SET key NX`, or the number of rows that an INSERT ... DO NOTHING added.
    """
    asked = says_there(test)
    if asked is None:
        return False
    if isinstance(asked[0], ast.Attribute) and asked[0].attr == "rowcount" and asked[1] is not holds:
        return _adds_once(asked[0].value, scope)
    for reading in readings(Valued(asked[0], scope)):
        node = reading.call.node
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute) or not node.args:
            continue
        sets = node.func.attr in ("setnx", "sadd") or (
            node.func.attr == "set" and any(each.arg == "nx" for each in node.keywords)
        )
        if sets and asked[1] is not holds and not is_unstable(node.args[0], reading.call.scope):
            return True
    return False
