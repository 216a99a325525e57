"""What a function touches: each place in it, and in what it calls, shown to the recogniser of each kind."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from typing import Final

from clawproof_langgraph.audit.effects import sql
from clawproof_langgraph.audit.effects.sites import Site, sites_of
from clawproof_langgraph.audit.effects.touches import Touch
from clawproof_langgraph.audit.source import Function, SourceTree

_RECOGNISERS: Final[tuple[Callable[[Site], Iterator[Touch]], ...]] = (sql.touches,)


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
        for recogniser in _RECOGNISERS:
            yield from recogniser(site)
