"""Loops that look at shared state again and again, with a pause between, in place of waiting for an event."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from clawproof_langgraph.audit.effects.judging import touches_of
from clawproof_langgraph.audit.effects.scopes import Scope
from clawproof_langgraph.audit.effects.sites import sites_of
from clawproof_langgraph.audit.findings import Confidence, Place
from clawproof_langgraph.audit.source import Function, SourceTree

_SLEEPS: Final = frozenset(
    {"time.sleep", "asyncio.sleep", "anyio.sleep", "trio.sleep", "gevent.sleep", "eventlet.sleep"}
)


@dataclass(frozen=True, slots=True)
class Polling:
    """A loop that polls.

    Args:
        what: what it reads in each round, such as `SELECT FROM orders`; empty where that is not known.
        resource: what is read.
        place: the loop.
        confidence: how sure it is that shared state is read.
    """

    what: str
    resource: str
    place: Place
    confidence: Confidence


def polling_in(function: Function, tree: SourceTree) -> tuple[Polling, ...]:
    """Find the loops of a function that read shared state, with a sleep in each round."""
    key = ("polling", function)
    if key not in tree.notes:
        tree.notes[key] = tuple(_polling(function, tree))
    found: tuple[Polling, ...] = tree.notes[key]
    return found


def _polling(function: Function, tree: SourceTree) -> Iterator[Polling]:
    scope = next((site.scope for site in sites_of(function, tree) if not site.via), None)
    if scope is None or scope.body is None:
        return
    for node in scope.body.nodes:
        if not isinstance(node, ast.While | ast.For | ast.AsyncFor) or not _sleeps(node, scope) or _is_retry(node):
            continue
        inside = range(node.lineno, (node.end_lineno or node.lineno) + 1)
        reads = [
            touch
            for touch in touches_of(function, tree)
            if not touch.writes and _line(touch.place, touch.via) in inside
        ]
        place = function.module.place(node)
        if reads:
            yield Polling(reads[0].what, reads[0].resource, place, Confidence.CERTAIN)
        elif isinstance(node, ast.While):
            yield Polling("", "", place, Confidence.POSSIBLE)


def _line(place: Place, via: tuple[Place, ...]) -> int:
    return via[0].line if via else place.line


def _sleeps(loop: ast.AST, scope: Scope) -> bool:
    return any(isinstance(node, ast.Call) and scope.dotted(node.func) in _SLEEPS for node in ast.walk(loop))


def _is_retry(loop: ast.AST) -> bool:
    """Tell whether the sleep of a loop stands in the handling of an error: that is a retry."""
    return any(
        isinstance(inner, ast.Attribute) and inner.attr == "sleep"
        for node in ast.walk(loop)
        if isinstance(node, ast.ExceptHandler)
        for inner in ast.walk(node)
    )
