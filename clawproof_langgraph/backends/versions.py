"""The rules of versions: what a reader is told of a resource, and what a writer that rests on it must find unchanged.

The version of a resource is the fence of the last call that had it alone and may have had an effect. It is kept from
when somebody first asks for it: that reader's own fence is beyond those of all calls before, and stands for the last of
them. What nobody reads has none, and costs its writers nothing. A version that nobody has changed for long may be
forgotten; whoever saw it before then has to read again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from clawproof_langgraph import events
from clawproof_langgraph.backends.store import LeaseRow, Transaction, VersionRow
from clawproof_langgraph.backends.wants import is_users, names_of
from clawproof_langgraph.model import Begin, Change, Mode, Stale, Versions


def told(tx: Transaction, ask: Begin, fence: int) -> Versions:
    """Tell the versions of what a lease holds; what has none gets the fence of the lease.

    Args:
        tx: the step.
        ask: the request of the lease.
        fence: of the lease.
    """
    names = names_of(ask.wants)
    known = {row.resource: row.version for row in tx.versions(names)}
    for name in names:
        if name not in known:
            tx.put_version(VersionRow(name, fence))
    return tuple([(name, known.get(name, fence)) for name in names])


def staleness(tx: Transaction, ask: Begin) -> Stale | None:
    """Compare what a request has seen with what is; None where it may go on, or does not ask."""
    if ask.seen is None:
        return None
    names, seen = names_of(ask.wants), dict(ask.seen)
    rows = {row.resource: row for row in tx.versions(names)}
    changes = [_change(name, seen.get(name), rows.get(name)) for name in names if _moved(ask, seen, name, rows)]
    if not changes:
        return None
    data = {"tool": ask.tool, "waited": round(ask.waited, 6), "changes": [asdict(change) for change in changes]}
    tx.append(events.CALL_STALE, ask, resources=tuple([change.resource for change in changes]), data=data)
    return Stale(tuple(changes))


def _moved(ask: Begin, seen: dict[str, int], name: str, rows: dict[str, VersionRow]) -> bool:
    if name not in seen:
        return True
    row = rows.get(name)
    # A call that is run again, since nobody knows how it ended or it waited for a human, is not stale by its own doing.
    return row is None or (row.version != seen[name] and not (ask.key and row.key == ask.key))


def _change(name: str, seen: int | None, row: VersionRow | None) -> Change:
    if row is None:
        return Change(name, seen, None)
    return Change(name, seen, row.version, row.agent, row.tool, row.thread, row.at)


def move(tx: Transaction, lease: LeaseRow) -> None:
    """Give what a lease had alone a new version: it may have changed."""
    names = [name for name, mode in lease.wants if mode is Mode.EXCLUSIVE and is_users(name)]
    move_all(tx, names, lease.ask, lease.fence)


def move_all(tx: Transaction, names: Sequence[str], ask: Begin, fence: int) -> None:
    """Give resources a new version: a call may have changed them.

    Args:
        tx: the step.
        names: the resources.
        ask: of the call.
        fence: of the call.
    """
    for row in tx.versions(names) if names else ():
        # A call inside it, or a reader that it was not in the way of, may have come after its fence.
        version = fence if fence > row.version else tx.next_cursor()
        tx.put_version(VersionRow(row.resource, version, ask.agent, ask.tool, ask.thread, ask.key, tx.now))
