"""What a function touches: each place in it, and in what it calls, shown to the recogniser of each kind."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Final

from clawproof_langgraph.audit.effects import (
    alchemy,
    cloud,
    django,
    files,
    http,
    mail,
    memory,
    processes,
    sql,
    stores,
    stripe,
)
from clawproof_langgraph.audit.effects.refusals import refused_twice
from clawproof_langgraph.audit.effects.sites import Site, sites_of
from clawproof_langgraph.audit.effects.touches import Touch
from clawproof_langgraph.audit.findings import Confidence
from clawproof_langgraph.audit.source import Function, SourceTree

_CALLS: Final[tuple[Callable[[Site], Iterator[Touch]], ...]] = (
    sql.touches,
    alchemy.touches,
    django.touches,
    http.touches,
    stripe.touches,
    cloud.touches,
    files.touches,
    mail.touches,
    stores.touches,
    memory.touches,
    processes.touches,
)
_CHANGES: Final[tuple[Callable[[Site], Iterator[Touch]], ...]] = (alchemy.changes, memory.changes)


def touches_of(function: Function, tree: SourceTree) -> tuple[Touch, ...]:
    """Tell what a function does to the world.

    Functions of the project that it calls are followed, up to three calls away. What cannot be told is left out, or has
    `repeatable` None; nothing is imported or run.

    Args:
        function: the function, such as a tool.
        tree: the project that it belongs to.
    """
    key = ("touches", function)
    if key not in tree.notes:
        tree.notes[key] = tuple(dict.fromkeys(_touches(function, tree)))
    found: tuple[Touch, ...] = tree.notes[key]
    return found


def _touches(function: Function, tree: SourceTree) -> Iterator[Touch]:
    for site in sites_of(function, tree):
        if isinstance(site.node, ast.withitem):
            continue
        for recogniser in _CALLS if isinstance(site.node, ast.Call) else _CHANGES:
            for touch in recogniser(site):
                yield _in_its_place(touch, site)


def _in_its_place(touch: Touch, site: Site) -> Touch:
    """Judge a touch by what is around it: in `once`, after a look-up, or where a refused repetition is taken for done."""
    if touch.repeatable is not False:
        return touch
    if site.in_once and touch.kind in ("sql", "orm"):
        return replace(touch, repeatable=True, short="", fix="", why="effects.sql.once makes it once for each call.")
    reason = refused_twice(site, touch)
    if reason is None:
        return touch
    likely = min(touch.confidence, Confidence.LIKELY, key=list(Confidence).index)
    return replace(touch, repeatable=True, short="", fix="", why=reason, confidence=likely)
