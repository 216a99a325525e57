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
    documents,
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

Recogniser = Callable[[Site], Iterator[Touch]]

_CALLS: Final[tuple[tuple[Recogniser, frozenset[str]], ...]] = (
    (sql.touches, frozenset()),
    (files.touches, frozenset()),
    (documents.touches, documents.LIBRARIES),
    (memory.touches, frozenset()),
    (processes.touches, frozenset()),
    (alchemy.touches, frozenset({"sqlalchemy", "sqlmodel", "flask_sqlalchemy"})),
    (alchemy.changes, frozenset({"sqlalchemy", "sqlmodel", "flask_sqlalchemy", "django", "models"})),
    (django.touches, frozenset({"django", "models"})),
    (http.touches, frozenset({"requests", "httpx", "aiohttp", "urllib", "urllib3", "http"})),
    (stripe.touches, frozenset({"stripe"})),
    (cloud.touches, frozenset({"boto3", "aioboto3", "aiobotocore", "botocore", "google", "googleapiclient"})),
    (mail.touches, frozenset()),
    (stores.touches, frozenset({"redis", "valkey", "fakeredis", "pymongo", "motor"})),
)
"""The recognisers of calls, each with the libraries without which it has nothing to find; none: it always may."""

_CHANGES: Final[tuple[Recogniser, ...]] = (alchemy.changes, memory.changes)

_HARMLESS: Final = frozenset(
    {"len", "str", "int", "float", "bool", "isinstance", "print", "join", "split", "strip", "rstrip", "lstrip",
     "format", "lower", "upper", "startswith", "endswith", "items", "keys", "range", "enumerate", "sorted",
     "getattr", "hasattr", "super", "repr", "encode", "decode", "zip", "map", "max", "min", "sum", "any", "all",
     "tuple", "type", "isoformat", "dumps", "loads"}
)  # fmt: skip
"""Names that are called often and never change the world."""


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
    of_calls = _recognisers(tree)
    emptied: set[str] = set()
    for site in sites_of(function, tree):
        if isinstance(site.node, ast.withitem) or site.name in _HARMLESS:
            continue
        for recogniser in of_calls if isinstance(site.node, ast.Call) else _CHANGES:
            for touch in _told(recogniser, site):
                if _removes_rows(touch):
                    emptied.add(touch.resource)
                yield _in_its_place(touch, site, emptied)


def _told(recogniser: Recogniser, site: Site) -> tuple[Touch, ...]:
    try:
        return tuple(recogniser(site))
    except RecursionError:  # an expression that is nested hundreds of levels deep: no person wrote it
        return ()


def _recognisers(tree: SourceTree) -> tuple[Recogniser, ...]:
    """Give the recognisers of calls that have something to find, by what the project imports."""
    if "recognisers" not in tree.notes:
        imported = {
            part for module in tree.modules.values() for name in module.imports.values() for part in name.split(".")
        }
        tree.notes["recognisers"] = tuple(each for each, needs in _CALLS if not needs or needs & imported)
    found: tuple[Recogniser, ...] = tree.notes["recognisers"]
    return found


def _in_its_place(touch: Touch, site: Site, emptied: set[str]) -> Touch:
    """Judge a touch by what is around it: `once`, a look-up before it, or a refusal that is taken for done."""
    if touch.repeatable is not False:
        return touch
    if site.in_once and touch.kind in ("sql", "orm"):
        return replace(touch, repeatable=True, short="", fix="", why="effects.sql.once makes it once for each call.")
    reason = refused_twice(site, touch)
    if touch.kind in ("sql", "orm") and touch.resource and touch.resource in emptied and _adds_rows(touch):
        reason = "It replaces what it deleted before."
    if reason is None:
        return touch
    likely = min(touch.confidence, Confidence.LIKELY, key=list(Confidence).index)
    return replace(touch, repeatable=True, short="", fix="", why=reason, confidence=likely)


def _removes_rows(touch: Touch) -> bool:
    return touch.what.upper().startswith("DELETE") or touch.what.endswith(".delete")


def _adds_rows(touch: Touch) -> bool:
    return touch.what.startswith(("INSERT", "insert", "session.add")) or touch.what.endswith(("create", ".save"))
