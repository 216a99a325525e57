"""What a call that went on without a lock is told afterwards: whether somebody had the resource alone meanwhile."""

from __future__ import annotations

from typing import Final

from clawproof_langgraph import events
from clawproof_langgraph.backends.records import EVENT_OF, deny
from clawproof_langgraph.backends.store import Transaction, VersionRow
from clawproof_langgraph.events import EventFilter
from clawproof_langgraph.model import Begin, Glance, Killed, Look, Looked, Mode

LATE: Final = 1.0
"""Seconds that a request may have been on its way; who waited longer for its answer must not rely on it."""


def look(tx: Transaction, ask: Begin, asked: Look) -> Looked | Killed:
    """Answer a look, and tell in the log what it found."""
    if asked.state and ask.agent and (killed := tx.killed(ask.agent)):
        deny(tx, ask, "killed")
        return killed
    known = {row.resource: row for row in tx.versions(asked.resources)}
    glances = tuple([_glance(tx, ask, asked, name, known.get(name)) for name in asked.resources])
    told = _tell_stale(tx, ask, asked, glances)
    if asked.state:
        data = {"tool": ask.tool, "attempt": asked.attempt} | ({"error": asked.error} if asked.error else {})
        tx.append(EVENT_OF[asked.state], ask, resources=asked.resources, data=data)
    return Looked(tx.now, told, glances)


def _glance(tx: Transaction, ask: Begin, asked: Look, name: str, row: VersionRow | None) -> Glance:
    in_flight = any(_is_written(tx, ask, owner) for _, owner, mode in tx.holdings([name]) if mode is Mode.EXCLUSIVE)
    if row:
        return Glance(name, in_flight, row.at, row.version)
    # From now on its version is kept; for this once, the log knows who gave it back lately.
    row = VersionRow(name, tx.next_cursor())
    tx.put_version(row)
    after = int((tx.now - asked.elapsed - LATE) * 1_000_000)
    back = tx.events(EventFilter(after, (events.LOCK_RELEASED, events.LOCK_EXPIRED), name, limit=1000))
    return Glance(name, in_flight, back[-1].time if back else 0.0, row.version)


def _is_written(tx: Transaction, ask: Begin, owner: str) -> bool:
    lease = None if owner == ask.owner or owner in ask.ancestors else tx.lease(owner)
    return lease is not None and lease.claimed


def _tell_stale(tx: Transaction, ask: Begin, asked: Look, glances: tuple[Glance, ...]) -> bool:
    began = tx.now - asked.elapsed
    in_flight = [glance.resource for glance in glances if glance.in_flight]
    changed = [glance.resource for glance in glances if glance.ended > began]
    if not in_flight and not changed:
        return False
    data = {"tool": ask.tool, "in_flight": in_flight, "changed": changed}
    tx.append(events.CALL_STALE, ask, resources=asked.resources, data=data)
    return True
