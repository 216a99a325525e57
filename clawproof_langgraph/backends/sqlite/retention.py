"""Deleting what is old, a bounded number of rows in a step.

No index is kept for it, since every call would pay. A step looks at a window of rows behind the place where the one
before has ended, and starts from the beginning once it has come to the end.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any, Final

from clawproof_langgraph.backends.store import Transaction
from clawproof_langgraph.model import Sweep, Swept

Run = Callable[..., sqlite3.Cursor]

_COUNT_EVERY: Final = 30.0
"""Seconds between two counts of the log, each of which reads as many rows as may be kept."""


def retire(run: Run, ns: int, at: Transaction, terms: Sweep, unread: int, places: dict[str, Any]) -> Swept:
    """Delete what is past its retention.

    Args:
        run: executes a statement.
        ns: the namespace's number.
        at: tells the time.
        terms: what is kept.
        unread: the cursor behind which no event is old.
        places: how far the steps of this process have come.
    """
    # As long as a dead session has waiters, its row is what a sweep finds them by.
    run(
        "DELETE FROM sessions WHERE ns = ? AND (until <= ? OR until > ?) AND session NOT IN "
        "(SELECT session FROM waiters WHERE waiters.ns = sessions.ns)",
        (ns, at.ticks - 60, at.ticks + 60),
    )
    _retire_versions(run, ns, at.now, terms, places)
    records, more_records = _retire_records(run, ns, at.now, terms, places)
    oldest = min(int((at.now - terms.keep_events) * 1_000_000), unread)
    events = _retire_events(run, ns, at.now, terms, oldest, places)
    return Swept(records=records, events=events, more=more_records or events >= terms.limit)


def _retire_records(run: Run, ns: int, now: float, terms: Sweep, places: dict[str, Any]) -> tuple[int, bool]:
    window = run(
        "SELECT key, updated_at <= ? AND state IN ('done', 'rejected', 'failed') AND NOT EXISTS "
        "(SELECT 1 FROM records AS same WHERE same.ns = records.ns AND same.key = records.same_as) FROM records "
        "WHERE ns = ? AND key > ? ORDER BY key LIMIT ?",
        (now - terms.keep_results, ns, places.get("records", ""), terms.limit),
    ).fetchall()
    old = [key for key, is_old in window if is_old]
    for key in old:
        run("DELETE FROM records WHERE ns = ? AND key = ?", (ns, key))
    more = len(window) == terms.limit
    places["records"] = window[-1][0] if more else ""
    return len(old), more and bool(old)


def _retire_versions(run: Run, ns: int, now: float, terms: Sweep, places: dict[str, Any]) -> None:
    window = run(
        "SELECT resource, version FROM versions WHERE ns = ? AND resource > ? ORDER BY resource LIMIT ?",
        (ns, places.get("versions", ""), terms.limit),
    ).fetchall()
    oldest = (now - terms.keep_results) * 1_000_000
    for resource, version in window:
        if version <= oldest:
            run("DELETE FROM versions WHERE ns = ? AND resource = ?", (ns, resource))
    places["versions"] = window[-1][0] if len(window) == terms.limit else ""


def _retire_events(run: Run, ns: int, now: float, terms: Sweep, oldest: int, places: dict[str, Any]) -> int:
    if now >= places.get("count at", 0.0):
        newest_too_many = run(
            "SELECT cursor FROM events WHERE ns = ? ORDER BY cursor DESC LIMIT 1 OFFSET ?", (ns, terms.max_events)
        ).fetchone()
        places["too many"] = newest_too_many[0] if newest_too_many else 0
        places["count at"] = now + _COUNT_EVERY
    doomed = run(
        "SELECT cursor FROM events WHERE cursor <= ? AND ns = ? AND cursor < (SELECT max(cursor) FROM events) "
        "ORDER BY cursor LIMIT ?",
        (max(oldest, places["too many"]), ns, terms.limit),
    ).fetchall()
    if doomed:
        [last] = doomed[-1]
        run("DELETE FROM events WHERE cursor <= ? AND ns = ?", (last, ns))
        run("UPDATE namespaces SET trimmed = ? WHERE ns = ?", (last, ns))
    return len(doomed)
