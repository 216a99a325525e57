"""Locks of other libraries, and of databases, that a function takes itself."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from clawproof_langgraph.audit.effects.receivers import kind_of
from clawproof_langgraph.audit.effects.sites import Site, sites_of
from clawproof_langgraph.audit.effects.sql import statements_at
from clawproof_langgraph.audit.findings import Confidence, Place
from clawproof_langgraph.audit.source import Function, SourceTree

_CALLS: Final = {
    "fcntl.flock": "fcntl.flock", "fcntl.lockf": "fcntl.lockf", "portalocker.lock": "portalocker.lock",
    "msvcrt.locking": "msvcrt.locking", "os.lockf": "os.lockf",
}  # fmt: skip
_ORM: Final = frozenset({"select_for_update", "with_for_update"})


@dataclass(frozen=True, slots=True)
class ForeignLock:
    """A lock that a function takes itself.

    Args:
        what: which, such as `threading` lock or `SELECT ... FOR UPDATE`.
        library: `threading`, `asyncio`, `multiprocessing`, `file`, `redis`, `database`, or `coordinator` for a nested
            lock of this library.
        place: where it is taken.
        via: the calls that lead there.
        inside: the locks that are held there already, in this function.
        confidence: how sure this is.
    """

    what: str
    library: str
    place: Place
    via: tuple[Place, ...] = ()
    inside: tuple[str, ...] = ()
    confidence: Confidence = Confidence.CERTAIN


def locks_in(function: Function, tree: SourceTree) -> tuple[ForeignLock, ...]:
    """Find the locks that a function takes, itself or in what it calls."""
    key = ("locks", function)
    if key not in tree.notes:
        tree.notes[key] = tuple(dict.fromkeys(lock for site in sites_of(function, tree) for lock in _at(site)))
    found: tuple[ForeignLock, ...] = tree.notes[key]
    return found


def _at(site: Site) -> Iterator[ForeignLock]:
    if not isinstance(site.node, ast.Call):
        if isinstance(site.node, ast.withitem):
            library = _library(kind_of(site.node.context_expr, site.scope))
            if library:
                yield _lock(site, ast.unparse(site.node.context_expr), library)
        return
    if site.dotted in _CALLS:
        yield _lock(site, _CALLS[site.dotted], "file")
    elif (
        site.name in ("acquire", "acquire_lock", "lock") and (library := _library(site.kind)) and not _only_tries(site)
    ):
        yield _lock(site, ast.unparse(site.call.func), library)
    elif site.name in _ORM:
        yield _lock(site, f"{site.name}()", "database")
    else:
        for statement in statements_at(site):
            if statement.locks:
                yield _lock(site, statement.words if statement.verb == "lock" else "SELECT ... FOR UPDATE", "database")


def _only_tries(site: Site) -> bool:
    """Tell whether it gives up at once where somebody else has the lock, so that nobody waits."""
    blocking = site.argument(0, "blocking")
    return isinstance(blocking, ast.Constant) and blocking.value is False


def _library(kind: str) -> str:
    family, _, detail = kind.partition(":")
    return detail if family == "lock" else ""


def _lock(site: Site, what: str, library: str) -> ForeignLock:
    return ForeignLock(what, library, site.place, site.via, _held(site))


def _held(site: Site) -> tuple[str, ...]:
    held: list[str] = []
    for around in site.around():
        items = around.items if isinstance(around, ast.With | ast.AsyncWith) else []
        others = [item.context_expr for item in items if item is not site.node]
        held += [ast.unparse(each) for each in others if _library(kind_of(each, site.scope))]
    return tuple(held)
